-- The schema `app`: what every request passes through. Tables live in `public`, see README.md for the checklist.

CREATE SCHEMA app;

-- Nothing is callable unless it is granted.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA app, public TO carhaul_api, carhaul_billing, carhaul_ai, carhaul_realtime, carhaul_housekeeping;
-- CREATE lets carhaul_gate own the functions that cross tenants.
GRANT USAGE, CREATE ON SCHEMA app TO carhaul_gate;
GRANT USAGE ON SCHEMA public TO carhaul_gate;

-- The settings of this transaction. After a transaction a custom setting is '' and not unset, hence nullif.
CREATE FUNCTION app.tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

CREATE FUNCTION app.user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.user_id', true), '')::uuid;

-- Who is written into the audit log: the user, or the API key that acted.
CREATE FUNCTION app.actor_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.actor_id', true), '')::uuid;

-- Set for the role driver only, who sees what is theirs. A driver who is linked to no driver record gets the nil uuid,
-- which matches no row. Policies ask `(SELECT app.driver_id() IS NULL)`, a boolean, which the planner takes for a coin toss;
-- `(SELECT app.driver_id()) IS NULL` it takes for one row in two hundred, and then sorts what it should walk in order.
CREATE FUNCTION app.driver_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.driver_id', true), '')::uuid;

CREATE FUNCTION app.request_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.request_id', true), '')::uuid;

GRANT EXECUTE ON FUNCTION app.tenant_id(), app.user_id(), app.actor_id(), app.driver_id(), app.request_id()
TO carhaul_api, carhaul_billing, carhaul_ai, carhaul_realtime, carhaul_housekeeping, carhaul_gate;

-- UUIDv7 (RFC 9562, 5.7) for rows that triggers write; the functions make theirs in Rust.
CREATE FUNCTION app.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN (
    lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)
)::uuid;
GRANT EXECUTE ON FUNCTION app.uuid_v7() TO carhaul_api, carhaul_gate;

-- Row-level security as every tenant table has it. The SELECT makes an InitPlan: evaluated once a statement, not a row.
CREATE PROCEDURE app.protect(target regclass, tenant_column text DEFAULT 'tenant_id') LANGUAGE plpgsql AS $$
DECLARE
    mine text := format('%I = (SELECT app.tenant_id())', tenant_column);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_select ON %s FOR SELECT USING (%s)', target, mine);
    EXECUTE format('CREATE POLICY tenant_insert ON %s FOR INSERT WITH CHECK (%s)', target, mine);
    EXECUTE format('CREATE POLICY tenant_update ON %s FOR UPDATE USING (%s) WITH CHECK (%s)', target, mine, mine);
    EXECUTE format('CREATE POLICY tenant_delete ON %s FOR DELETE USING (%s)', target, mine);
END
$$;

-- carhaul_gate owns the SECURITY DEFINER functions. It is no login and bypasses nothing: a table opens to it by this
-- policy, a command on it by a grant.
CREATE PROCEDURE app.open_to_gate(target regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY gate ON %s TO carhaul_gate USING (true) WITH CHECK (true)', target);
END
$$;

-- Hands a SECURITY DEFINER function to carhaul_gate; the owner keeps the right to put it into triggers.
CREATE PROCEDURE app.give_to_gate(target regprocedure) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER FUNCTION %s OWNER TO carhaul_gate', target);
    SET LOCAL ROLE carhaul_gate;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO carhaul_owner WITH GRANT OPTION', target);
    RESET ROLE;
END
$$;

-- What every row that can be updated has: a version (its ETag) and the time of its last change.
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
