-- Who may act for which carrier, within which limits, and what they did.

-- Plans --------------------------------------------------------------------------------------------------------------

CREATE TABLE plans (
    code text PRIMARY KEY,
    name text NOT NULL
);
COMMENT ON TABLE plans IS 'SHARED: the price list is the same for every carrier; functions may only read it.';

CREATE TABLE plan_limits (
    plan text NOT NULL REFERENCES plans (code),
    name text NOT NULL,
    -- NULL is unlimited.
    max bigint CHECK (max >= 0),
    per text NOT NULL CHECK (per IN ('total', 'month', 'second')),
    PRIMARY KEY (plan, name)
);
COMMENT ON TABLE plan_limits IS 'SHARED: the limits of each plan are the same for every carrier; functions may only read them.';

INSERT INTO plans (code, name) VALUES ('free', 'Free'), ('starter', 'Starter'), ('pro', 'Pro');
INSERT INTO plan_limits (plan, name, max, per) VALUES
    ('free', 'trucks', 1, 'total'),           ('starter', 'trucks', 10, 'total'),           ('pro', 'trucks', NULL, 'total'),
    ('free', 'members', 2, 'total'),          ('starter', 'members', 10, 'total'),          ('pro', 'members', NULL, 'total'),
    ('free', 'orders', 30, 'month'),          ('starter', 'orders', 500, 'month'),          ('pro', 'orders', 5000, 'month'),
    ('free', 'api_calls', 1000, 'month'),     ('starter', 'api_calls', 100000, 'month'),    ('pro', 'api_calls', 2000000, 'month'),
    ('free', 'requests', 2, 'second'),        ('starter', 'requests', 10, 'second'),        ('pro', 'requests', 50, 'second'),
    ('free', 'ai_executions', 20, 'month'),   ('starter', 'ai_executions', 500, 'month'),   ('pro', 'ai_executions', 5000, 'month');
GRANT SELECT ON plans, plan_limits TO carhaul_api, carhaul_billing, carhaul_gate;

-- Tenants, users, memberships ----------------------------------------------------------------------------------------

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    usdot text,
    mc_number text,
    time_zone text NOT NULL,
    -- ISO 8601: 1 is Monday.
    week_start smallint NOT NULL DEFAULT 1 CHECK (week_start BETWEEN 1 AND 7),
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
    drivers_see_prices boolean NOT NULL DEFAULT false,
    plan text NOT NULL DEFAULT 'free' REFERENCES plans (code),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenants_plan ON tenants (plan);
CALL app.protect('tenants', 'id');
CALL app.open_to_gate('tenants');
CREATE TRIGGER touch BEFORE UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION app.touch();
-- A carrier changes its settings; its plan is changed by billing alone.
GRANT SELECT, UPDATE (name, usdot, mc_number, time_zone, week_start, currency, drivers_see_prices, version, updated_at)
ON tenants TO carhaul_api;
GRANT SELECT, INSERT ON tenants TO carhaul_gate;
-- Locking a row FOR UPDATE takes the right to update some column of it.
GRANT UPDATE (updated_at) ON tenants TO carhaul_gate;

CREATE TABLE users (
    id uuid PRIMARY KEY,
    issuer text NOT NULL,
    subject text NOT NULL,
    email text,
    name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);
COMMENT ON TABLE users IS 'SHARED: one person may work for several carriers; a row is visible to that person alone, carriers see the name in their own memberships.';
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY self_select ON users FOR SELECT USING (id = (SELECT app.user_id()));
CREATE POLICY self_insert ON users FOR INSERT WITH CHECK (id = (SELECT app.user_id()));
CREATE POLICY self_update ON users FOR UPDATE USING (id = (SELECT app.user_id())) WITH CHECK (id = (SELECT app.user_id()));
CREATE POLICY self_delete ON users FOR DELETE USING (id = (SELECT app.user_id()));
CALL app.open_to_gate('users');
GRANT SELECT ON users TO carhaul_api;
GRANT SELECT, INSERT, UPDATE (email, name) ON users TO carhaul_gate;

CREATE TABLE memberships (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'dispatcher', 'accountant', 'driver')),
    name text,
    email text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);
-- app.enter and "which carriers do I belong to" look up by user.
CREATE INDEX memberships_user ON memberships (user_id, tenant_id);
CALL app.protect('memberships');
CALL app.open_to_gate('memberships');
CREATE TRIGGER touch BEFORE UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION app.touch();
GRANT SELECT, DELETE, UPDATE (role, name, version, updated_at) ON memberships TO carhaul_api;
GRANT SELECT, INSERT ON memberships TO carhaul_gate;

CREATE TABLE invitations (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'dispatcher', 'accountant', 'driver')),
    token_hash text NOT NULL UNIQUE,
    invited_by uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX invitations_accepted_by ON invitations (accepted_by);
CREATE INDEX invitations_expires_at ON invitations (expires_at) WHERE accepted_at IS NULL;
CALL app.protect('invitations');
CALL app.open_to_gate('invitations');
GRANT SELECT, INSERT, DELETE ON invitations TO carhaul_api;
GRANT SELECT, DELETE, UPDATE (accepted_at, accepted_by) ON invitations TO carhaul_gate;

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    -- SHA-256 of a 256-bit random key, in hex: nothing to guess, so a slow hash would buy nothing.
    key_hash text NOT NULL UNIQUE,
    last_four text NOT NULL,
    scopes text[] NOT NULL,
    created_by uuid NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CALL app.protect('api_keys');
CALL app.open_to_gate('api_keys');
GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_keys TO carhaul_api;
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO carhaul_gate;

-- Limits -------------------------------------------------------------------------------------------------------------

CREATE TABLE counters (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name text NOT NULL,
    -- First local day of the month, or -infinity for a total.
    period date NOT NULL,
    used bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (tenant_id, name, period)
);
CALL app.protect('counters');
CALL app.open_to_gate('counters');
-- Functions read their counters; only the triggers below change them.
GRANT SELECT ON counters TO carhaul_api;
GRANT SELECT, INSERT, UPDATE ON counters TO carhaul_gate;

-- The limit of a plan as it stands now for a tenant, with the period it counts in and when that ends.
CREATE FUNCTION app.limit_now(
    p_tenant uuid, p_name text, OUT max bigint, OUT period date, OUT resets_at timestamptz
) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT l.max,
           CASE l.per WHEN 'month' THEN m.first_day::date ELSE '-infinity' END,
           CASE l.per WHEN 'month' THEN (m.first_day + interval '1 month') AT TIME ZONE t.time_zone END
    FROM tenants t
    JOIN plan_limits l ON l.plan = t.plan AND l.name = p_name
    CROSS JOIN LATERAL (SELECT date_trunc('month', now() AT TIME ZONE t.time_zone) AS first_day) m
    WHERE t.id = p_tenant
$$;
GRANT EXECUTE ON FUNCTION app.limit_now(uuid, text) TO carhaul_api, carhaul_gate;

-- Counts one more of TG_ARGV[0] against the plan. The counter row is locked until commit, so that a hundred concurrent
-- inserts at limit minus one give exactly one success. CH402 carries the limit as JSON in its detail.
CREATE FUNCTION app.limit_take() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lim record;
    counted bigint;
BEGIN
    SELECT * INTO lim FROM app.limit_now(NEW.tenant_id, TG_ARGV[0]);
    IF lim.max IS NULL OR lim.max > 0 THEN
        INSERT INTO counters AS c (tenant_id, name, period, used) VALUES (NEW.tenant_id, TG_ARGV[0], lim.period, 1)
        ON CONFLICT (tenant_id, name, period) DO UPDATE SET used = c.used + 1 WHERE lim.max IS NULL OR c.used < lim.max
        RETURNING used INTO counted;
    END IF;
    IF counted IS NULL THEN
        RAISE EXCEPTION 'limit reached: %', TG_ARGV[0] USING ERRCODE = 'CH402', DETAIL = json_build_object(
            'limit', TG_ARGV[0], 'max', lim.max, 'resets_at', lim.resets_at,
            'used', coalesce((SELECT c.used FROM counters c
                              WHERE (c.tenant_id, c.name, c.period) = (NEW.tenant_id, TG_ARGV[0], lim.period)), 0));
    END IF;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.limit_take()');

-- Gives one back; only totals are given back, a month's count stays.
CREATE FUNCTION app.limit_release() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE counters SET used = used - 1
    WHERE (tenant_id, name, period) = (OLD.tenant_id, TG_ARGV[0], '-infinity'::date) AND used > 0;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.limit_release()');

-- Driver seats are free.
CREATE TRIGGER limit_take AFTER INSERT ON memberships FOR EACH ROW WHEN (NEW.role <> 'driver')
EXECUTE FUNCTION app.limit_take('members');
CREATE TRIGGER limit_take_again AFTER UPDATE OF role ON memberships FOR EACH ROW
WHEN (OLD.role = 'driver' AND NEW.role <> 'driver') EXECUTE FUNCTION app.limit_take('members');
CREATE TRIGGER limit_release AFTER UPDATE OF role ON memberships FOR EACH ROW
WHEN (OLD.role <> 'driver' AND NEW.role = 'driver') EXECUTE FUNCTION app.limit_release('members');
CREATE TRIGGER limit_release_again AFTER DELETE ON memberships FOR EACH ROW WHEN (OLD.role <> 'driver')
EXECUTE FUNCTION app.limit_release('members');

-- A carrier always has an owner. The tenant's row is locked, so that of two owners who leave at once one stays.
CREATE FUNCTION app.keep_an_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM tenants WHERE id = OLD.tenant_id FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (SELECT 1 FROM memberships WHERE tenant_id = OLD.tenant_id AND role = 'owner') THEN
        RAISE EXCEPTION 'the last owner cannot leave' USING ERRCODE = 'CH409', DETAIL = 'last_owner';
    END IF;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.keep_an_owner()');
CREATE TRIGGER keep_an_owner AFTER UPDATE OF role ON memberships FOR EACH ROW
WHEN (OLD.role = 'owner' AND NEW.role <> 'owner') EXECUTE FUNCTION app.keep_an_owner();
CREATE TRIGGER keep_an_owner_on_leave AFTER DELETE ON memberships FOR EACH ROW
WHEN (OLD.role = 'owner') EXECUTE FUNCTION app.keep_an_owner();

-- What happened -------------------------------------------------------------------------------------------------------

CREATE TABLE audit_log (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    at timestamptz NOT NULL DEFAULT now(),
    -- The user or API key; NULL when the system acted by itself.
    actor_id uuid,
    request_id uuid,
    action text NOT NULL,
    table_name text NOT NULL,
    row_id uuid,
    -- Inserts and deletes: the row. Updates: {column: [old, new]}.
    changes jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_log_row ON audit_log (tenant_id, row_id, id);
CALL app.protect('audit_log');
CALL app.open_to_gate('audit_log');
-- Append-only, and only by trigger: nobody can leave out or rewrite a line.
GRANT SELECT ON audit_log TO carhaul_api;
GRANT INSERT ON audit_log TO carhaul_gate;

CREATE TABLE tenant_events (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- Transactions commit out of order. Readers take events only of transactions older than every running one, in the
    -- order (xid, seq), so that a cursor never passes an event that is not visible yet. bigint, since the operators of
    -- xid8 are not leakproof and would lose the index under row-level security.
    xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,
    type text NOT NULL,
    subject_id uuid,
    -- Set when the event concerns one driver: other drivers do not see it.
    driver_id uuid,
    data jsonb NOT NULL,
    PRIMARY KEY (tenant_id, xid, seq)
);
CREATE INDEX tenant_events_at ON tenant_events (at);
CALL app.protect('tenant_events');
CALL app.open_to_gate('tenant_events');
CREATE POLICY driver_scope ON tenant_events AS RESTRICTIVE FOR SELECT
USING ((SELECT app.driver_id() IS NULL) OR driver_id = (SELECT app.driver_id()));
GRANT SELECT ON tenant_events TO carhaul_api, carhaul_realtime;
GRANT SELECT, INSERT, DELETE ON tenant_events TO carhaul_gate;

-- Writes a change into the audit log and, unless TG_ARGV[0] is empty, into the event log. TG_ARGV: the resource in the
-- singular, the column that is the row's id, and columns that must not be logged.
CREATE FUNCTION app.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    resource text := TG_ARGV[0];
    hidden text[] := coalesce(TG_ARGV[2], '{}')::text[];
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - hidden END;
    is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - hidden END;
    present jsonb := coalesce(is_now, was);
    tenant uuid := coalesce(present ->> 'tenant_id', present ->> 'id')::uuid;
    subject uuid := (present ->> TG_ARGV[1])::uuid;
    changes jsonb := present;
    verb text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted' ELSE 'updated' END;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT coalesce(jsonb_object_agg(n.key, jsonb_build_array(o.value, n.value)), '{}') INTO changes
        FROM jsonb_each(is_now) n JOIN jsonb_each(was) o ON o.key = n.key
        WHERE n.value IS DISTINCT FROM o.value AND n.key NOT IN ('version', 'updated_at');
        IF changes ? 'status' THEN
            verb := is_now ->> 'status';
        ELSIF changes ? 'archived_at' THEN
            verb := CASE WHEN is_now ->> 'archived_at' IS NULL THEN 'restored' ELSE 'archived' END;
        END IF;
    ELSIF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = tenant) THEN
        RETURN NULL; -- the whole carrier is being erased
    END IF;
    INSERT INTO audit_log (tenant_id, actor_id, request_id, action, table_name, row_id, changes)
    VALUES (tenant, app.actor_id(), app.request_id(), verb, TG_TABLE_NAME, subject, changes);
    IF resource <> '' THEN
        INSERT INTO tenant_events (tenant_id, topic, type, subject_id, driver_id, data)
        VALUES (tenant, CASE TG_TABLE_NAME WHEN 'memberships' THEN 'members' ELSE TG_TABLE_NAME END, resource || '.' || verb, subject,
                CASE WHEN TG_TABLE_NAME = 'drivers' THEN subject ELSE (present ->> 'driver_id')::uuid END,
                jsonb_strip_nulls(jsonb_build_object(
                    'id', subject, 'version', present -> 'version', 'number', present -> 'number',
                    'status', present -> 'status',
                    'changed', CASE WHEN TG_OP = 'UPDATE' THEN (SELECT jsonb_agg(k) FROM jsonb_object_keys(changes) k) END)));
    END IF;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.record_change()');

CREATE TRIGGER record_change AFTER UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION app.record_change('tenant', 'id');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON memberships
FOR EACH ROW EXECUTE FUNCTION app.record_change('member', 'user_id');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON invitations
FOR EACH ROW EXECUTE FUNCTION app.record_change('invitation', 'id', '{token_hash}');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OF revoked_at ON api_keys
FOR EACH ROW EXECUTE FUNCTION app.record_change('api_key', 'id', '{key_hash}');

-- Idempotency --------------------------------------------------------------------------------------------------------

CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    actor_id uuid NOT NULL,
    key text NOT NULL,
    -- SHA-256 of method, path and body.
    request_hash text NOT NULL,
    -- The stored answer; it commits with the work, so a row that is visible has one.
    status smallint,
    headers jsonb,
    body text,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, actor_id, key)
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
CALL app.protect('idempotency_keys');
CALL app.open_to_gate('idempotency_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO carhaul_api;
GRANT SELECT, DELETE ON idempotency_keys TO carhaul_gate;

-- Claims a key for this transaction, or returns the answer stored under it. A concurrent twin waits here until the first
-- has committed (lock_timeout bounds the wait).
CREATE FUNCTION app.claim_idempotency_key(
    p_key text, p_request_hash text,
    OUT claimed boolean, OUT same_request boolean, OUT status smallint, OUT headers jsonb, OUT body text
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := app.tenant_id();
    actor uuid := app.actor_id();
BEGIN
    DELETE FROM idempotency_keys k WHERE (k.tenant_id, k.actor_id, k.key) = (tenant, actor, p_key) AND k.expires_at < now();
    INSERT INTO idempotency_keys (tenant_id, actor_id, key, request_hash, expires_at)
    VALUES (tenant, actor, p_key, p_request_hash, now() + interval '24 hours')
    ON CONFLICT DO NOTHING;
    claimed := FOUND;
    IF NOT claimed THEN
        SELECT k.request_hash = p_request_hash, k.status, k.headers, k.body
        INTO same_request, status, headers, body
        FROM idempotency_keys k WHERE (k.tenant_id, k.actor_id, k.key) = (tenant, actor, p_key);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION app.claim_idempotency_key(text, text) TO carhaul_api;

-- Failed credentials --------------------------------------------------------------------------------------------------

CREATE TABLE auth_failures (
    -- SHA-256 of address and claimed subject: no personal data.
    key text PRIMARY KEY,
    window_start timestamptz NOT NULL,
    failures integer NOT NULL,
    strikes integer NOT NULL,
    blocked_until timestamptz
);
COMMENT ON TABLE auth_failures IS 'SHARED: a failed credential belongs to no carrier yet; only app.record_auth_failure touches it.';
CREATE INDEX auth_failures_window_start ON auth_failures (window_start);
ALTER TABLE auth_failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth_failures FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('auth_failures');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth_failures TO carhaul_gate;

-- Counts a failed credential. Returns the seconds to wait, 0 for none: five a minute pass, then the wait doubles with
-- each further series, from one minute to one hour. An hour without failures forgets the strikes.
CREATE FUNCTION app.record_auth_failure(p_key text) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO auth_failures AS f (key, window_start, failures, strikes) VALUES (p_key, now(), 1, 0)
    ON CONFLICT (key) DO UPDATE SET
        window_start = CASE WHEN f.blocked_until > now() OR f.window_start > now() - interval '1 minute'
                            THEN f.window_start ELSE now() END,
        failures = CASE WHEN f.blocked_until > now() THEN f.failures
                        WHEN f.window_start > now() - interval '1 minute' AND f.failures <= 5 THEN f.failures + 1
                        ELSE 1 END,
        strikes = CASE WHEN f.blocked_until > now() THEN f.strikes
                       WHEN f.window_start > now() - interval '1 minute' AND f.failures = 5 THEN f.strikes + 1
                       WHEN f.window_start < now() - interval '1 hour' AND f.blocked_until IS NOT NULL
                            AND f.blocked_until < now() - interval '1 hour' THEN 0
                       ELSE f.strikes END,
        blocked_until = CASE WHEN f.blocked_until > now() THEN f.blocked_until
                             WHEN f.window_start > now() - interval '1 minute' AND f.failures = 5
                             THEN now() + least(interval '1 minute' * 2 ^ least(f.strikes, 6), interval '1 hour')
                             ELSE f.blocked_until END
    RETURNING greatest(0, ceil(extract(epoch FROM coalesce(blocked_until, now()) - now())))::integer
$$;
CALL app.give_to_gate('app.record_auth_failure(text)');
GRANT EXECUTE ON FUNCTION app.record_auth_failure(text) TO carhaul_api;

-- Purge ---------------------------------------------------------------------------------------------------------------

-- Deletes at most `batch` expired rows of each table, over all carriers, and says how many.
CREATE FUNCTION app.purge_expired(batch integer) RETURNS TABLE (table_name text, purged bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    table_name := 'idempotency_keys';
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT k.ctid FROM idempotency_keys k WHERE k.expires_at < now() ORDER BY k.expires_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'auth_failures';
    DELETE FROM auth_failures WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM auth_failures f
        WHERE f.window_start < now() - interval '1 day' ORDER BY f.window_start LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'invitations';
    DELETE FROM invitations WHERE ctid = ANY (ARRAY(
        SELECT i.ctid FROM invitations i
        WHERE i.accepted_at IS NULL AND i.expires_at < now() - interval '30 days' ORDER BY i.expires_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'tenant_events';
    DELETE FROM tenant_events WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM tenant_events e WHERE e.at < now() - interval '30 days' ORDER BY e.at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
END
$$;
CALL app.give_to_gate('app.purge_expired(integer)');
GRANT EXECUTE ON FUNCTION app.purge_expired(integer) TO carhaul_housekeeping;
