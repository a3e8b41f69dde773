-- A carrier is closed at once and erased in batches, a user as well; before that, all that a carrier has can be exported.
-- How the work is done is in shared/core/src/erasures/ and shared/core/src/exports/.

-- Closed: nobody enters any more, and what is there is being erased.
ALTER TABLE tenants ADD COLUMN closed_at timestamptz;
CREATE INDEX tenants_closed_at ON tenants (closed_at) WHERE closed_at IS NOT NULL;
GRANT UPDATE (closed_at), DELETE ON tenants TO carhaul_gate;

-- Erased: nobody signs in as this user any more, and what names them is being rewritten. Then the row goes as well.
ALTER TABLE users ADD COLUMN erased_at timestamptz;
CREATE INDEX users_erased_at ON users (erased_at) WHERE erased_at IS NOT NULL;
GRANT UPDATE (issuer, subject, erased_at), DELETE ON users TO carhaul_gate;

-- All that stays of a carrier: that it was there. It has no personal data, and nobody could ask for it to be erased.
CREATE TABLE erased_tenants (
    id uuid PRIMARY KEY,
    closed_at timestamptz NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    -- When the bucket is looked at once more, since an upload that had begun may end until then. NULL: that was done.
    look_at timestamptz
);
COMMENT ON TABLE erased_tenants IS
    'SHARED: it names no carrier that is there, and no function reads it but those of carhaul_gate: an id is never used twice.';
CREATE INDEX erased_tenants_look_at ON erased_tenants (look_at) WHERE look_at IS NOT NULL;
ALTER TABLE erased_tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE erased_tenants FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('erased_tenants');
GRANT SELECT, INSERT, UPDATE (look_at) ON erased_tenants TO carhaul_gate;

-- Stripe goes on telling of a customer for a while. What it tells of one of these is not kept.
CREATE TABLE erased_stripe_customers (
    -- SHA-256 of Stripe's id, in hex.
    hash text PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_stripe_customers IS
    'SHARED: whose they were is forgotten; only functions of carhaul_gate touch it.';
ALTER TABLE erased_stripe_customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE erased_stripe_customers FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('erased_stripe_customers');
GRANT SELECT, INSERT ON erased_stripe_customers TO carhaul_gate;

CREATE FUNCTION app.stripe_customer_hash(p_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN encode(sha256(convert_to(p_id, 'UTF8')), 'hex');
GRANT EXECUTE ON FUNCTION app.stripe_customer_hash(text) TO carhaul_gate;

-- Who stands in a history for a user who was erased.
CREATE FUNCTION app.nobody() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN '00000000-0000-0000-0000-000000000000'::uuid;
GRANT EXECUTE ON FUNCTION app.nobody() TO carhaul_gate;

-- Exports -------------------------------------------------------------------------------------------------------------

CREATE TABLE exports (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'ready', 'failed', 'expired')),
    -- How often it was begun: a fencing number. A worker that was given up on holds an older one and writes nothing.
    attempt integer NOT NULL DEFAULT 0,
    -- How often it was begun since it last came on.
    tries integer NOT NULL DEFAULT 0,
    -- When a worker may take it: queued, at once; running, the end of its lease.
    due_at timestamptz NOT NULL DEFAULT now(),
    -- How far it has come: tables that are done, of so many; parts of the present one, and the key of the last row.
    tables_done smallint NOT NULL DEFAULT 0,
    tables smallint NOT NULL,
    part integer NOT NULL DEFAULT 0,
    last_key jsonb,
    row_count bigint NOT NULL DEFAULT 0,
    -- Of all files together, in bytes.
    size bigint NOT NULL DEFAULT 0,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    -- Then its files go.
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
-- One at a time.
CREATE UNIQUE INDEX exports_unfinished ON exports (tenant_id) WHERE status IN ('queued', 'running');
CREATE INDEX exports_id ON exports (id);
CREATE INDEX exports_due_at ON exports (due_at) WHERE status IN ('queued', 'running');
CREATE INDEX exports_expires_at ON exports (expires_at) WHERE status IN ('ready', 'failed');
CALL app.protect('exports');
CALL app.open_to_gate('exports');
-- Into the audit log alone: exports are for owners and admins, and everybody of the carrier reads the event log.
CREATE TRIGGER record_change AFTER INSERT ON exports FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
GRANT SELECT, INSERT (tenant_id, id, tables, created_by) ON exports TO carhaul_api;
GRANT SELECT, UPDATE, DELETE ON exports TO carhaul_gate;

-- Its files, in the bucket at {tenant_id}/exports/{export_id}/{id}.
CREATE TABLE export_files (
    tenant_id uuid NOT NULL,
    export_id uuid NOT NULL,
    name text NOT NULL,
    id uuid NOT NULL,
    row_count bigint NOT NULL,
    size bigint NOT NULL,
    -- In hex.
    sha256 text NOT NULL,
    PRIMARY KEY (tenant_id, export_id, name),
    FOREIGN KEY (tenant_id, export_id) REFERENCES exports (tenant_id, id) ON DELETE CASCADE
);
CALL app.protect('export_files');
CALL app.open_to_gate('export_files');
GRANT SELECT ON export_files TO carhaul_api;
GRANT SELECT, INSERT, DELETE ON export_files TO carhaul_gate;

-- What carhaul_gate may do to all tables of carriers ------------------------------------------------------------------

-- Tables with rows of carriers, each behind those that refer to it: the order in which they can be emptied. From the catalog, so
-- that none is forgotten; shared/core/tests/database/erasure.rs fails on one that carhaul_gate may not empty.
CREATE FUNCTION app.tables_of_tenants() RETURNS TABLE (name text) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH RECURSIVE tables AS (
        SELECT c.oid, c.relname
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')),
    walk (oid, steps) AS (
        SELECT t.oid, 0 FROM tables t
        UNION
        SELECT k.confrelid, w.steps + 1
        FROM walk w
        JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = w.oid AND k.confrelid <> k.conrelid
        JOIN tables t ON t.oid = k.confrelid
        -- A circle would never end; it fails the test.
        WHERE w.steps < 50)
    SELECT t.relname::text FROM tables t JOIN walk w ON w.oid = t.oid GROUP BY t.relname ORDER BY max(w.steps), t.relname
$$;
GRANT EXECUTE ON FUNCTION app.tables_of_tenants() TO carhaul_gate;

-- By grants alone: the policies of these tables show carhaul_gate no more than the carrier that a function has entered, if they
-- are not open to it anyway. Provider keys stay unreadable.
DO $$
DECLARE
    carriers_table text;
BEGIN
    FOR carriers_table IN SELECT name FROM app.tables_of_tenants() LOOP
        IF carriers_table = 'provider_keys' THEN
            GRANT DELETE, SELECT (ctid, tenant_id, id, provider, base_url, last_four, tested_at, test_result, version, created_at,
                                  updated_at)
            ON provider_keys TO carhaul_gate;
        ELSE
            EXECUTE format('GRANT SELECT, DELETE ON %I TO carhaul_gate', carriers_table);
        END IF;
    END LOOP;
END
$$;

-- Entering, now that carriers close -----------------------------------------------------------------------------------

SET LOCAL ROLE carhaul_gate;
-- As before; nobody enters a carrier that is closed.
CREATE OR REPLACE FUNCTION app.enter(
    p_kind text, p_issuer text, p_subject text, p_tenant uuid, p_request uuid,
    OUT tenant_id uuid, OUT user_id uuid, OUT actor_id uuid, OUT driver_id uuid, OUT role text, OUT scopes text[],
    OUT plan text, OUT time_zone text, OUT currency text, OUT hide_prices boolean,
    OUT month date, OUT month_ends_in integer, OUT calls_a_month bigint, OUT calls_a_second bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    matches integer;
    key record;
BEGIN
    IF p_kind = 'api_key' THEN
        SELECT k.tenant_id, k.id, k.created_by, k.scopes, k.last_used_at INTO key
        FROM api_keys k JOIN tenants t ON t.id = k.tenant_id AND t.closed_at IS NULL
        WHERE k.key_hash = p_subject AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
        IF NOT FOUND THEN
            RAISE EXCEPTION 'unknown or revoked API key' USING ERRCODE = 'CH401';
        END IF;
        IF key.tenant_id <> p_tenant THEN
            RAISE EXCEPTION 'the API key belongs to another tenant' USING ERRCODE = 'CH403';
        END IF;
        tenant_id := key.tenant_id; actor_id := key.id; role := 'api_key'; scopes := key.scopes;
        IF key.last_used_at IS NULL OR key.last_used_at < now() - interval '1 hour' THEN
            UPDATE api_keys k SET last_used_at = now() WHERE (k.tenant_id, k.id) = (key.tenant_id, key.id);
        END IF;
    ELSE
        SELECT count(*), (array_agg(m.tenant_id))[1], (array_agg(m.user_id))[1], (array_agg(m.role))[1]
        INTO matches, tenant_id, user_id, role
        FROM users u JOIN memberships m ON m.user_id = u.id JOIN tenants t ON t.id = m.tenant_id AND t.closed_at IS NULL
        WHERE u.issuer = p_issuer AND u.subject = p_subject AND (p_tenant IS NULL OR m.tenant_id = p_tenant);
        IF matches = 0 THEN
            RAISE EXCEPTION 'not a member' USING ERRCODE = 'CH403';
        ELSIF matches > 1 THEN
            RAISE EXCEPTION 'member of several tenants' USING ERRCODE = 'CH400';
        END IF;
        actor_id := user_id;
        IF role = 'driver' THEN
            SELECT d.id INTO driver_id FROM drivers d
            WHERE (d.tenant_id, d.user_id) = (enter.tenant_id, enter.user_id);
            driver_id := coalesce(driver_id, '00000000-0000-0000-0000-000000000000');
        END IF;
    END IF;
    SELECT app.plan_now(t.plan, t.plan_ends_at), t.time_zone, t.currency, role = 'driver' AND NOT t.drivers_see_prices,
           date_trunc('month', now() AT TIME ZONE t.time_zone)::date
    INTO plan, time_zone, currency, hide_prices, month
    FROM tenants t WHERE t.id = tenant_id;
    month_ends_in := extract(epoch FROM (month + interval '1 month') AT TIME ZONE time_zone - now());
    calls_a_month := (SELECT l.max FROM plan_limits l WHERE l.plan = enter.plan AND l.name = 'api_calls');
    calls_a_second := (SELECT l.max FROM plan_limits l WHERE l.plan = enter.plan AND l.name = 'requests');
    PERFORM app.set_context(tenant_id, user_id, actor_id, driver_id, p_request);
END
$$;

CREATE OR REPLACE FUNCTION app.my_memberships() RETURNS TABLE (tenant_id uuid, tenant_name text, role text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.tenant_id, t.name, m.role, m.created_at
    FROM memberships m JOIN tenants t ON t.id = m.tenant_id AND t.closed_at IS NULL
    WHERE m.user_id = app.user_id()
    ORDER BY m.created_at, m.tenant_id
$$;

-- As before; a carrier that was erased does not come back under its id, and one that is closed counts no more.
CREATE OR REPLACE FUNCTION app.create_tenant(p_id uuid, p_name text, p_usdot text, p_mc_number text, p_time_zone text, p_currency text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    creator uuid := app.user_id();
BEGIN
    IF EXISTS (SELECT FROM erased_tenants e WHERE e.id = p_id)
       OR EXISTS (SELECT FROM tenants t WHERE t.id = p_id AND t.closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the carrier was erased' USING ERRCODE = 'CH409', DETAIL = 'erased';
    END IF;
    INSERT INTO tenants (id, name, usdot, mc_number, time_zone, currency)
    VALUES (p_id, p_name, p_usdot, p_mc_number, p_time_zone, p_currency)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT 1 FROM memberships WHERE (tenant_id, user_id) = (p_id, creator)) THEN
            RAISE EXCEPTION 'not a member' USING ERRCODE = 'CH403';
        END IF;
        PERFORM app.set_context(p_id, creator, creator, NULL, app.request_id());
        RETURN false;
    END IF;
    PERFORM 1 FROM users WHERE id = creator FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM memberships m JOIN tenants t ON t.id = m.tenant_id AND t.closed_at IS NULL
        WHERE m.user_id = creator AND m.role = 'owner') >= 10 THEN
        RAISE EXCEPTION 'too many carriers' USING ERRCODE = 'CH409', DETAIL = 'too_many_carriers';
    END IF;
    PERFORM app.set_context(p_id, creator, creator, NULL, app.request_id());
    INSERT INTO memberships (tenant_id, user_id, role, name, email)
    SELECT p_id, u.id, 'owner', u.name, u.email FROM users u WHERE u.id = creator;
    INSERT INTO number_sequences (tenant_id, kind) SELECT p_id, unnest(ARRAY['order', 'trip', 'invoice']);
    INSERT INTO cancel_reasons (tenant_id, id, label)
    SELECT p_id, app.uuid_v7(), unnest(ARRAY['Customer cancelled', 'Vehicle not ready', 'Rate not agreed', 'Duplicate order', 'Other']);
    INSERT INTO expense_categories (tenant_id, id, name)
    SELECT p_id, app.uuid_v7(), unnest(ARRAY['Fuel', 'Tolls', 'Repairs', 'Lodging', 'Parking', 'Other']);
    RETURN true;
END
$$;

-- As before; nobody joins a carrier that is closed, and an invitation counts as long as whoever made it may still make it.
-- `p_email` is the address that the token says, verified or not: then it must be the invited one.
CREATE OR REPLACE FUNCTION app.accept_invitation(p_token_hash text, p_email text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    invited record;
    joiner uuid := app.user_id();
BEGIN
    SELECT * INTO invited FROM invitations i
    WHERE i.token_hash = p_token_hash AND EXISTS (SELECT FROM tenants t WHERE t.id = i.tenant_id AND t.closed_at IS NULL)
    FOR UPDATE;
    IF NOT FOUND OR (invited.accepted_at IS NULL AND invited.expires_at < now())
       OR (invited.accepted_at IS NOT NULL AND invited.accepted_by IS DISTINCT FROM joiner) THEN
        RAISE EXCEPTION 'unknown, used or expired invitation' USING ERRCODE = 'CH404';
    END IF;
    IF invited.accepted_at IS NULL AND NOT EXISTS (
        SELECT FROM memberships m WHERE (m.tenant_id, m.user_id) = (invited.tenant_id, invited.invited_by)
        AND (m.role = 'owner' OR m.role = 'admin' AND invited.role <> 'owner')) THEN
        RAISE EXCEPTION 'unknown, used or expired invitation' USING ERRCODE = 'CH404';
    END IF;
    IF lower(p_email) <> lower(invited.email) THEN
        RAISE EXCEPTION 'the invitation is for another address' USING ERRCODE = 'CH403', DETAIL = 'invitation_email';
    END IF;
    PERFORM app.set_context(invited.tenant_id, joiner, joiner, NULL, app.request_id());
    IF invited.accepted_at IS NULL THEN
        INSERT INTO memberships (tenant_id, user_id, role, name, email)
        SELECT invited.tenant_id, u.id, invited.role, u.name, coalesce(u.email, invited.email)
        FROM users u WHERE u.id = joiner
        ON CONFLICT DO NOTHING;
        UPDATE invitations i SET accepted_at = now(), accepted_by = joiner
        WHERE (i.tenant_id, i.id) = (invited.tenant_id, invited.id);
    ELSIF NOT EXISTS (SELECT 1 FROM memberships m WHERE (m.tenant_id, m.user_id) = (invited.tenant_id, joiner)) THEN
        -- Accepted once, removed since: the old invitation does not let anybody back in.
        RAISE EXCEPTION 'unknown, used or expired invitation' USING ERRCODE = 'CH404';
    END IF;
    RETURN invited.tenant_id;
END
$$;

-- As before, for a carrier that is there to stay; an owner who was erased is none.
CREATE OR REPLACE FUNCTION app.keep_an_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM tenants WHERE id = OLD.tenant_id AND closed_at IS NULL FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id AND u.erased_at IS NULL
                             WHERE m.tenant_id = OLD.tenant_id AND m.role = 'owner') THEN
        RAISE EXCEPTION 'the last owner cannot leave' USING ERRCODE = 'CH409', DETAIL = 'last_owner';
    END IF;
    RETURN NULL;
END
$$;

-- As before, and without what Stripe says of a customer that was erased.
CREATE OR REPLACE FUNCTION app.record_stripe_event(
    p_id text, p_type text, p_api_version text, p_livemode boolean, p_created_at timestamptz, p_object_id text,
    p_customer_id text, p_payload jsonb, p_expected_livemode boolean, OUT is_new boolean, OUT waiting boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done_with text := CASE
        WHEN p_livemode <> p_expected_livemode THEN 'wrong_mode'
        WHEN EXISTS (SELECT FROM erased_stripe_customers c WHERE c.hash = app.stripe_customer_hash(p_customer_id)) THEN 'ignored' END;
BEGIN
    IF done_with = 'ignored' THEN
        INSERT INTO stripe_events (id, type, livemode, created_at, payload, processed_at, outcome)
        VALUES (p_id, p_type, p_livemode, p_created_at, '{}', now(), done_with)
        ON CONFLICT (id) DO NOTHING;
    ELSE
        INSERT INTO stripe_events (id, type, api_version, livemode, created_at, object_id, customer_id, payload, processed_at, outcome)
        VALUES (p_id, p_type, p_api_version, p_livemode, p_created_at, p_object_id, p_customer_id, p_payload,
                CASE WHEN done_with IS NOT NULL THEN now() END, done_with)
        ON CONFLICT (id) DO NOTHING;
    END IF;
    is_new := FOUND;
    SELECT e.processed_at IS NULL INTO waiting FROM stripe_events e WHERE e.id = p_id;
END
$$;

-- What follows from changes, but not while a carrier is erased or a user forgotten ---------------------------------------

CREATE OR REPLACE FUNCTION app.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
        -- A user is forgotten: nothing has changed, and the log shall not tell who it was. No other change comes to that id,
        -- which refers to nothing.
        IF changes <> '{}' AND NOT EXISTS (SELECT FROM jsonb_each(changes) c WHERE c.value -> 1 <> to_jsonb(app.nobody())) THEN
            RETURN NULL;
        END IF;
        IF changes ? 'status' THEN
            verb := is_now ->> 'status';
        ELSIF changes ? 'archived_at' THEN
            verb := CASE WHEN is_now ->> 'archived_at' IS NULL THEN 'restored' ELSE 'archived' END;
        END IF;
    ELSIF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = tenant AND closed_at IS NULL) THEN
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
        -- Who has lost it must hear so, too, and sees only what names them.
        IF TG_OP = 'UPDATE' AND TG_TABLE_NAME <> 'drivers' AND was ->> 'driver_id' <> coalesce(is_now ->> 'driver_id', '') THEN
            INSERT INTO tenant_events (tenant_id, topic, type, subject_id, driver_id, data)
            VALUES (tenant, TG_TABLE_NAME, resource || '.unassigned', subject, (was ->> 'driver_id')::uuid,
                    jsonb_build_object('id', subject, 'version', present -> 'version', 'number', present -> 'number'));
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.follow_document() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    document documents := coalesce(NEW, OLD);
    now_is text := CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE NEW.status END;
    driver uuid;
BEGIN
    IF EXISTS (SELECT FROM tenants t WHERE t.id = document.tenant_id AND t.closed_at IS NOT NULL) THEN
        RETURN NULL; -- its objects go with all of its carrier's
    END IF;
    IF now_is IN ('refused', 'expired', 'deleted') THEN
        INSERT INTO object_deletions (tenant_id, document_id, last_at)
        VALUES (document.tenant_id, document.id, document.upload_expires_at + app.upload_grace())
        ON CONFLICT DO NOTHING;
    END IF;
    -- Locked, so that of two PODs of which one comes and one goes at once each sees what the other has done.
    PERFORM FROM orders o
    WHERE o.tenant_id = document.tenant_id AND o.id IN (OLD.order_id, document.order_id) ORDER BY o.id FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT EXISTS (SELECT FROM tenants t WHERE t.id = document.tenant_id) THEN
        RETURN NULL; -- it is being erased as a whole
    END IF;
    IF document.kind = 'pod' THEN
        UPDATE orders o SET has_pod = NOT o.has_pod
        WHERE o.tenant_id = document.tenant_id AND o.id IN (OLD.order_id, document.order_id)
          AND o.has_pod <> EXISTS (
              SELECT FROM documents d
              WHERE (d.tenant_id, d.order_id) = (o.tenant_id, o.id) AND d.kind = 'pod' AND d.status = 'stored');
    END IF;
    IF now_is = OLD.status THEN
        RETURN NULL; -- it has changed orders, which tell of that themselves
    END IF;
    SELECT o.driver_id INTO driver FROM orders o WHERE (o.tenant_id, o.id) = (document.tenant_id, document.order_id);
    INSERT INTO tenant_events (tenant_id, topic, type, subject_id, driver_id, data)
    VALUES (document.tenant_id, 'orders', 'document.' || CASE now_is WHEN 'stored' THEN 'uploaded' ELSE now_is END,
            document.order_id,
            -- Not of what says the price: those who see prices find it by reading.
            CASE WHEN document.kind <> 'rate_confirmation' THEN driver END,
            jsonb_strip_nulls(jsonb_build_object(
                'id', document.order_id, 'document_id', document.id, 'vehicle_id', document.vehicle_id,
                'kind', document.kind)));
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.note_trimmed_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO event_trims AS t (tenant_id, topic, xid, seq)
    SELECT DISTINCT ON (g.tenant_id, g.topic) g.tenant_id, g.topic, g.xid, g.seq
    FROM gone g
    -- Not of a carrier that is erased itself.
    JOIN tenants c ON c.id = g.tenant_id AND c.closed_at IS NULL
    -- Pieces of an answer go with their attempt: whoever reads on finds how it ended.
    WHERE g.type <> 'execution.progress'
    ORDER BY g.tenant_id, g.topic, g.xid DESC, g.seq DESC
    ON CONFLICT (tenant_id, topic) DO UPDATE SET xid = excluded.xid, seq = excluded.seq
    WHERE (t.xid, t.seq) < (excluded.xid, excluded.seq);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.keep_skill_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version = OLD.version THEN
        RETURN NULL; -- who made it is forgotten
    END IF;
    INSERT INTO skill_versions (tenant_id, skill_id, version, name, description, kind, instructions, input_schema, output_schema,
                                provider, model, max_output_tokens, deadline_seconds, max_cost, archived_at,
                                created_by, created_at)
    VALUES (NEW.tenant_id, NEW.id, NEW.version, NEW.name, NEW.description, NEW.kind, NEW.instructions, NEW.input_schema,
            NEW.output_schema, NEW.provider, NEW.model, NEW.max_output_tokens, NEW.deadline_seconds, NEW.max_cost,
            NEW.archived_at, coalesce(app.actor_id(), NEW.created_by), NEW.updated_at);
    RETURN NULL;
END
$$;
RESET ROLE;

-- As before; that who made a row is forgotten is no change of it (app.forget_in).
CREATE OR REPLACE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('app.forgetting', true) = 'on' THEN
        RETURN NEW;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- As before; whoever is connected to a carrier that is closed, or was erased, may hear nothing any more.
CREATE OR REPLACE FUNCTION app.listeners(p_tenant uuid, p_id text DEFAULT NULL) RETURNS TABLE (
    id text, topics text[], xid bigint, seq bigint, retry_at timestamptz, role text, scopes text[], driver_id uuid
) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT c.id, c.topics, c.xid, c.seq, c.retry_at,
           CASE WHEN t.closed_at IS NOT NULL THEN NULL WHEN k.id IS NOT NULL THEN 'api_key' WHEN u.erased_at IS NULL THEN m.role END,
           k.scopes,
           CASE WHEN m.role = 'driver' THEN coalesce(d.id, '00000000-0000-0000-0000-000000000000') END
    FROM realtime_connections c
    JOIN tenants t ON t.id = c.tenant_id
    LEFT JOIN users u ON u.id = c.user_id
    LEFT JOIN memberships m ON (m.tenant_id, m.user_id) = (c.tenant_id, c.user_id)
    LEFT JOIN drivers d ON (d.tenant_id, d.user_id) = (c.tenant_id, c.user_id)
    LEFT JOIN api_keys k ON (k.tenant_id, k.id) = (c.tenant_id, c.api_key_id)
                        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    WHERE c.tenant_id = p_tenant AND (p_id IS NULL OR c.id = p_id)
$$;

-- Erasing a carrier ---------------------------------------------------------------------------------------------------

GRANT SELECT ON subscriptions TO carhaul_gate;

-- Closes the carrier that was entered: from the commit on nobody enters it, joins it or hears from it, and nothing of it is run.
-- Not while it pays.
CREATE FUNCTION app.close_tenant() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid := app.tenant_id();
BEGIN
    -- Waits for whoever decides about its billing, and has them wait.
    UPDATE tenants t SET closed_at = now() WHERE t.id = carrier AND t.closed_at IS NULL;
    IF EXISTS (SELECT FROM subscriptions s WHERE s.tenant_id = carrier AND s.status NOT IN ('canceled', 'incomplete_expired')) THEN
        RAISE EXCEPTION 'a subscription is live' USING ERRCODE = 'CH409', DETAIL = 'subscription_is_live';
    END IF;
    INSERT INTO erased_stripe_customers (hash)
    SELECT app.stripe_customer_hash(c.id) FROM stripe_customers c WHERE c.tenant_id = carrier
    ON CONFLICT DO NOTHING;
    UPDATE executions e
    SET status = 'cancelled', finished_at = now(), error_code = 'cancelled', error_detail = 'the carrier was deleted'
    WHERE e.tenant_id = carrier AND e.status IN ('queued', 'running');
    DELETE FROM realtime_tickets r WHERE r.tenant_id = carrier;
END
$$;
CALL app.give_to_gate('app.close_tenant()');
GRANT EXECUTE ON FUNCTION app.close_tenant() TO carhaul_api;

-- Whether there is something of a carrier to erase: it is closed, or its bucket is to be looked at once more.
CREATE FUNCTION app.is_to_erase(p_tenant uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM tenants t WHERE t.id = p_tenant AND t.closed_at IS NOT NULL)
        OR EXISTS (SELECT FROM erased_tenants e WHERE e.id = p_tenant AND e.look_at <= now())
$$;
CALL app.give_to_gate('app.is_to_erase(uuid)');

-- What Stripe knows a carrier by that is closed.
CREATE FUNCTION app.customers_to_erase(p_tenant uuid) RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.id FROM stripe_customers c JOIN tenants t ON t.id = c.tenant_id AND t.closed_at IS NOT NULL
    WHERE c.tenant_id = p_tenant AND c.deleted_at IS NULL
$$;
CALL app.give_to_gate('app.customers_to_erase(uuid)');

-- Deletes some p_batch rows of a carrier that is closed, and says how many of which table; when none is left, the carrier itself.
-- No row: there is no such carrier, or it is not closed. Whoever else erases it waits meanwhile.
CREATE FUNCTION app.erase_rows(p_tenant uuid, p_batch integer, p_upload_life interval) RETURNS TABLE (table_name text, erased bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    closed timestamptz;
    room bigint := p_batch;
    leaves text;
BEGIN
    SELECT t.closed_at INTO closed FROM tenants t WHERE t.id = p_tenant AND t.closed_at IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM app.set_context(p_tenant, NULL, NULL, NULL, NULL);
    -- Of its customers, and not processed.
    DELETE FROM stripe_events WHERE stripe_events.id IN (
        SELECT e.id FROM stripe_events e JOIN stripe_customers c ON c.id = e.customer_id WHERE c.tenant_id = p_tenant LIMIT room);
    GET DIAGNOSTICS erased = ROW_COUNT;
    IF erased > 0 THEN
        table_name := 'stripe_events';
        room := room - erased;
        RETURN NEXT;
    END IF;
    FOR table_name IN SELECT t.name FROM app.tables_of_tenants() t LOOP
        -- Of rows that refer to others of their own table, those to which none refers.
        SELECT coalesce(string_agg(format(' AND NOT EXISTS (SELECT FROM %1$I c WHERE c.tenant_id = $1 AND c.%2$I = t.%3$I)',
                                          table_name, here.attname, there.attname), ''), '')
        INTO leaves
        FROM pg_constraint k
        JOIN pg_attribute here ON here.attrelid = k.conrelid AND here.attnum = k.conkey[2]
        JOIN pg_attribute there ON there.attrelid = k.conrelid AND there.attnum = k.confkey[2]
        WHERE k.contype = 'f' AND k.conrelid = format('public.%I', table_name)::regclass AND k.confrelid = k.conrelid;
        LOOP
            IF room <= 0 THEN
                RETURN;
            END IF;
            EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM %1$I t WHERE t.tenant_id = $1%2$s LIMIT $2))',
                           table_name, leaves)
            USING p_tenant, room;
            GET DIAGNOSTICS erased = ROW_COUNT;
            EXIT WHEN erased = 0;
            room := room - erased;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    DELETE FROM tenants t WHERE t.id = p_tenant;
    INSERT INTO erased_tenants (id, closed_at, look_at) VALUES (p_tenant, closed, now() + p_upload_life + app.upload_grace());
    table_name := 'tenants';
    erased := 1;
    RETURN NEXT;
END
$$;
CALL app.give_to_gate('app.erase_rows(uuid, integer, interval)');

-- The bucket of a carrier that is gone was looked at when nothing could come any more.
CREATE FUNCTION app.record_last_look(p_tenant uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE erased_tenants e SET look_at = NULL WHERE e.id = p_tenant AND e.look_at <= now()
$$;
CALL app.give_to_gate('app.record_last_look(uuid)');

GRANT EXECUTE ON FUNCTION
    app.is_to_erase(uuid), app.customers_to_erase(uuid), app.erase_rows(uuid, integer, interval), app.record_last_look(uuid)
TO carhaul_housekeeping;

-- Erasing a user ------------------------------------------------------------------------------------------------------

GRANT UPDATE (name, email) ON memberships TO carhaul_gate;
GRANT UPDATE (dispatcher_id, created_by) ON orders TO carhaul_gate;
GRANT UPDATE (actor_id) ON status_history, trip_history TO carhaul_gate;
GRANT UPDATE (created_by) ON api_keys, documents, skills, skill_versions, trips TO carhaul_gate;
GRANT UPDATE (actor_id, row_id, changes) ON audit_log TO carhaul_gate;
GRANT UPDATE (subject_id, data) ON tenant_events TO carhaul_gate;
GRANT UPDATE (invited_by) ON invitations TO carhaul_gate;

-- Takes the signed-in user's identity away: from the commit on nobody signs in as them, and no carrier shows their name. If
-- carriers would be without an owner, these are returned and nothing is done. Else: carriers of whose connections one is theirs.
CREATE FUNCTION app.erase_me() RETURNS TABLE (tenant_id uuid, tenant_name text, is_last_owner boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me uuid := app.user_id();
BEGIN
    -- As app.keep_an_owner, so that of two owners who go at once one stays.
    PERFORM FROM tenants t
    WHERE t.id IN (SELECT m.tenant_id FROM memberships m WHERE m.user_id = me AND m.role = 'owner')
    ORDER BY t.id FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT t.id, t.name, true
        FROM memberships m JOIN tenants t ON t.id = m.tenant_id AND t.closed_at IS NULL
        WHERE m.user_id = me AND m.role = 'owner'
          AND NOT EXISTS (SELECT FROM memberships o JOIN users u ON u.id = o.user_id AND u.erased_at IS NULL
                          WHERE o.tenant_id = t.id AND o.role = 'owner' AND o.user_id <> me)
        ORDER BY t.name, t.id;
    IF FOUND THEN
        RETURN;
    END IF;
    UPDATE users u SET issuer = '', subject = u.id::text, email = NULL, name = NULL, erased_at = now() WHERE u.id = me;
    UPDATE memberships m SET name = NULL, email = NULL WHERE m.user_id = me AND num_nonnulls(m.name, m.email) > 0;
    DELETE FROM realtime_tickets r WHERE r.user_id = me;
    RETURN QUERY SELECT DISTINCT c.tenant_id, NULL::text, false FROM realtime_connections c WHERE c.user_id = me;
END
$$;
CALL app.give_to_gate('app.erase_me()');
GRANT EXECUTE ON FUNCTION app.erase_me() TO carhaul_api;

CREATE FUNCTION app.is_erased_user(p_user uuid) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM users u WHERE u.id = p_user AND u.erased_at IS NOT NULL)
$$;
GRANT EXECUTE ON FUNCTION app.is_erased_user(uuid) TO carhaul_gate;

-- Carriers in which a user who was erased still is somebody: each has logged that they came. Those that are closed forget
-- everybody anyway, but only a member of none can go.
CREATE FUNCTION app.carriers_of_erased(p_user uuid, p_limit integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id FROM tenants t
    WHERE app.is_erased_user(p_user)
      AND (EXISTS (SELECT FROM memberships m WHERE (m.tenant_id, m.user_id) = (t.id, p_user))
           OR EXISTS (SELECT FROM audit_log a WHERE a.tenant_id = t.id AND a.row_id = p_user))
    ORDER BY t.id LIMIT p_limit
$$;
CALL app.give_to_gate('app.carriers_of_erased(uuid, integer)');

-- Takes a user who was erased off at most p_limit orders of a carrier, and says how many it were; once there are none, out of the
-- carrier. It is told as when a member is removed.
CREATE FUNCTION app.remove_erased(p_user uuid, p_tenant uuid, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    orders_left bigint;
BEGIN
    IF NOT app.is_erased_user(p_user) THEN
        RETURN 0;
    END IF;
    UPDATE orders o SET dispatcher_id = NULL
    WHERE o.tenant_id = p_tenant AND o.id IN (
        SELECT d.id FROM orders d WHERE d.tenant_id = p_tenant AND d.dispatcher_id = p_user ORDER BY d.id LIMIT p_limit);
    GET DIAGNOSTICS orders_left = ROW_COUNT;
    IF orders_left = 0 THEN
        DELETE FROM memberships m WHERE (m.tenant_id, m.user_id) = (p_tenant, p_user);
    END IF;
    RETURN orders_left;
END
$$;
CALL app.give_to_gate('app.remove_erased(uuid, uuid, integer)');

-- What says in the audit log how a person is called: of their memberships, and of invitations to their addresses.
CREATE FUNCTION app.emails_of_erased(p_user uuid, p_tenant uuid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT lower(said.email)), '{}')
    FROM (SELECT unnest(CASE jsonb_typeof(a.changes -> 'email')
                        WHEN 'array' THEN ARRAY[a.changes -> 'email' ->> 0, a.changes -> 'email' ->> 1]
                        ELSE ARRAY[a.changes ->> 'email'] END)
          FROM audit_log a WHERE a.tenant_id = p_tenant AND a.row_id = p_user AND a.table_name = 'memberships'
          UNION ALL
          SELECT i.email FROM invitations i WHERE i.tenant_id = p_tenant AND i.accepted_by = p_user) said (email)
    WHERE said.email IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION app.emails_of_erased(uuid, uuid) TO carhaul_gate;

-- Forgets a user who was erased in the next p_limit rows of a large table of a carrier, and returns the last one's id; NULL: there
-- are no more. The lines that tell of their membership are left to app.forget_rest: by those the carrier is found.
CREATE FUNCTION app.forget_in(p_user uuid, p_tenant uuid, p_table text, p_after uuid, p_limit integer) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    emails text[];
    last_id uuid;
    columns text[] := CASE p_table
        WHEN 'audit_log' THEN '{actor_id}'
        WHEN 'documents' THEN '{created_by}'
        WHEN 'executions' THEN '{created_by,reviewed_by}'
        WHEN 'orders' THEN '{created_by}'
        WHEN 'status_history' THEN '{actor_id}'
        WHEN 'trip_history' THEN '{actor_id}'
        WHEN 'trips' THEN '{created_by}' END::text[];
BEGIN
    IF columns IS NULL OR NOT app.is_erased_user(p_user) THEN
        RETURN NULL;
    END IF;
    PERFORM app.set_context(p_tenant, NULL, NULL, NULL, NULL), set_config('app.forgetting', 'on', true);
    EXECUTE format('SELECT p.id FROM (SELECT t.id FROM %I t WHERE t.tenant_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3) p '
                   'ORDER BY p.id DESC LIMIT 1', p_table)
    INTO last_id USING p_tenant, p_after, p_limit;
    IF last_id IS NULL THEN
        RETURN NULL;
    ELSIF p_table = 'audit_log' THEN
        emails := app.emails_of_erased(p_user, p_tenant);
        UPDATE audit_log a
        SET actor_id = CASE WHEN a.actor_id = p_user THEN app.nobody() ELSE a.actor_id END,
            changes = replace((CASE WHEN a.table_name = 'invitations' AND lower(a.changes ->> 'email') = ANY (emails)
                               THEN a.changes - 'email' ELSE a.changes END)::text, p_user::text, app.nobody()::text)::jsonb
        WHERE a.tenant_id = p_tenant AND a.id > p_after AND a.id <= last_id
          AND a.row_id IS DISTINCT FROM p_user
          AND (a.actor_id = p_user OR strpos(a.changes::text, p_user::text) > 0
               OR a.table_name = 'invitations' AND lower(a.changes ->> 'email') = ANY (emails));
    ELSE
        EXECUTE (SELECT format('UPDATE %I t SET %s WHERE t.tenant_id = $1 AND t.id > $2 AND t.id <= $3 AND $4 IN (%s)', p_table,
                               string_agg(format('%1$I = CASE WHEN t.%1$I = $4 THEN app.nobody() ELSE t.%1$I END', c), ', '),
                               string_agg(format('t.%I', c), ', '))
                 FROM unnest(columns) c)
        USING p_tenant, p_after, last_id, p_user;
    END IF;
    RETURN last_id;
END
$$;
CALL app.give_to_gate('app.forget_in(uuid, uuid, text, uuid, integer)');

-- Forgets a user who was erased in the small tables of a carrier, and at last that they were its member. Answers that are kept
-- under idempotency keys may name them.
CREATE FUNCTION app.forget_rest(p_user uuid, p_tenant uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    emails text[];
    invited uuid[];
BEGIN
    IF NOT app.is_erased_user(p_user) THEN
        RETURN;
    END IF;
    PERFORM app.set_context(p_tenant, NULL, NULL, NULL, NULL), set_config('app.forgetting', 'on', true);
    emails := app.emails_of_erased(p_user, p_tenant);
    UPDATE api_keys k SET created_by = app.nobody() WHERE k.tenant_id = p_tenant AND k.created_by = p_user;
    UPDATE exports e SET created_by = app.nobody() WHERE e.tenant_id = p_tenant AND e.created_by = p_user;
    UPDATE skills s SET created_by = app.nobody() WHERE s.tenant_id = p_tenant AND s.created_by = p_user;
    UPDATE skill_versions s SET created_by = app.nobody() WHERE s.tenant_id = p_tenant AND s.created_by = p_user;
    UPDATE tenant_events t
    SET subject_id = app.nobody(), data = replace(t.data::text, p_user::text, app.nobody()::text)::jsonb
    WHERE t.tenant_id = p_tenant AND t.subject_id = p_user;
    DELETE FROM idempotency_keys i
    WHERE i.tenant_id = p_tenant
      AND (i.actor_id = p_user OR strpos(i.body, p_user::text) > 0
           OR EXISTS (SELECT FROM unnest(emails) e WHERE strpos(lower(i.body), e) > 0));
    UPDATE invitations i SET invited_by = app.nobody() WHERE i.tenant_id = p_tenant AND i.invited_by = p_user;
    WITH gone AS (
        DELETE FROM invitations i
        WHERE i.tenant_id = p_tenant AND (i.accepted_by = p_user OR lower(i.email) = ANY (emails))
        RETURNING i.id)
    SELECT array_agg(g.id) INTO invited FROM gone g;
    -- With the line of that deletion.
    UPDATE audit_log a
    SET row_id = CASE WHEN a.row_id = p_user THEN app.nobody() ELSE a.row_id END,
        actor_id = CASE WHEN a.actor_id = p_user THEN app.nobody() ELSE a.actor_id END,
        changes = replace((a.changes - '{name,email}'::text[])::text, p_user::text, app.nobody()::text)::jsonb
    WHERE a.tenant_id = p_tenant AND (a.row_id = p_user OR a.row_id = ANY (invited));
END
$$;
CALL app.give_to_gate('app.forget_rest(uuid, uuid)');

-- Deletes a user who was erased and is nobody anywhere. False: they still are, or are gone already.
CREATE FUNCTION app.delete_erased(p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM users u
    WHERE u.id = p_user AND u.erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM app.carriers_of_erased(p_user, 1));
    RETURN FOUND;
END
$$;
CALL app.give_to_gate('app.delete_erased(uuid)');

GRANT EXECUTE ON FUNCTION
    app.carriers_of_erased(uuid, integer), app.remove_erased(uuid, uuid, integer),
    app.forget_in(uuid, uuid, text, uuid, integer), app.forget_rest(uuid, uuid), app.delete_erased(uuid)
TO carhaul_housekeeping;

-- Writing an export ---------------------------------------------------------------------------------------------------

-- Takes an export that is due, for so long; what was begun and never came on is given up. No row: there is nothing to do.
CREATE FUNCTION app.claim_export(p_id uuid, p_lease interval) RETURNS TABLE (
    tenant_id uuid, attempt integer, tables_done smallint, part integer, last_key jsonb
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE exports e SET status = 'failed', finished_at = now(), expires_at = now()
    WHERE e.id = p_id AND e.status IN ('queued', 'running') AND e.due_at <= clock_timestamp() AND e.tries >= 5;
    RETURN QUERY
        UPDATE exports e
        SET status = 'running', attempt = e.attempt + 1, tries = e.tries + 1, due_at = clock_timestamp() + p_lease
        WHERE e.id = p_id AND e.status IN ('queued', 'running') AND e.due_at <= clock_timestamp()
          AND EXISTS (SELECT FROM tenants t WHERE t.id = e.tenant_id AND t.closed_at IS NULL)
        RETURNING e.tenant_id, e.attempt, e.tables_done, e.part, e.last_key;
END
$$;
CALL app.give_to_gate('app.claim_export(uuid, interval)');

-- Whose export is being written in this attempt; NULL: nobody's any more.
CREATE FUNCTION app.carrier_of_export(p_id uuid, p_attempt integer) RETURNS uuid LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT e.tenant_id FROM exports e JOIN tenants t ON t.id = e.tenant_id AND t.closed_at IS NULL
    WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running'
$$;
GRANT EXECUTE ON FUNCTION app.carrier_of_export(uuid, integer) TO carhaul_gate;

-- The next rows of a table of the carrier whose export is being written, behind the one with this key, each as a line of JSON.
-- Secrets are left out, and what follows from other columns; amounts are texts, times are of UTC.
CREATE FUNCTION app.export_rows(p_id uuid, p_attempt integer, p_table text, p_last_key jsonb, p_limit integer)
RETURNS TABLE (key jsonb, line text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    carrier uuid := app.carrier_of_export(p_id, p_attempt);
    target regclass := format('public.%I', p_table)::regclass;
    tenant_column text := CASE p_table WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END;
    selected text;
    keys text;
    key_values text;
    behind text;
BEGIN
    IF carrier IS NULL OR NOT EXISTS (SELECT FROM app.tables_of_tenants() t WHERE t.name = p_table UNION ALL SELECT WHERE p_table = 'tenants') THEN
        RETURN;
    END IF;
    PERFORM app.set_context(carrier, NULL, NULL, NULL, NULL);
    SELECT string_agg(format(CASE a.atttypid WHEN 'numeric'::regtype THEN 't.%1$I::text AS %1$I' ELSE 't.%1$I' END, a.attname), ', '
                      ORDER BY a.attnum)
    INTO selected
    FROM pg_attribute a
    WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND a.attname <> ALL ('{tenant_id,key_hash,token_hash,ciphertext,data_key,nonce,closed_at}');
    SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY k.n),
           string_agg(format('($2 ->> %s)::%s', k.n - 2, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.n)
    INTO keys, key_values
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (attnum, n)
    JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k.attnum
    WHERE i.indrelid = target AND i.indisprimary AND a.attname <> tenant_column;
    -- A table with one row for each carrier has no more behind it.
    behind := CASE WHEN p_last_key IS NULL THEN '' WHEN keys IS NULL THEN ' AND false' ELSE format(' AND (%s) > (%s)', keys, key_values) END;
    RETURN QUERY EXECUTE format(
        'SELECT jsonb_build_array(%1$s), row_to_json((SELECT r FROM (SELECT %2$s) r))::text FROM %3$s t '
        'WHERE t.%4$I = $1%5$s%6$s LIMIT $3',
        coalesce(keys, ''), selected, target, tenant_column, behind, coalesce(' ORDER BY ' || keys, ''))
    USING carrier, p_last_key, p_limit;
END
$$;
CALL app.give_to_gate('app.export_rows(uuid, integer, text, jsonb, integer)');

-- Writes down a file that is in the bucket, and how far the export has come with it. False: the attempt is over.
CREATE FUNCTION app.record_export_file(
    p_id uuid, p_attempt integer, p_name text, p_file uuid, p_row_count bigint, p_size bigint, p_sha256 text,
    p_tables_done smallint, p_part integer, p_last_key jsonb, p_lease interval
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid := app.carrier_of_export(p_id, p_attempt);
BEGIN
    UPDATE exports e
    SET tables_done = p_tables_done, part = p_part, last_key = p_last_key, row_count = e.row_count + p_row_count,
        size = e.size + p_size, tries = 0, due_at = clock_timestamp() + p_lease
    WHERE (e.tenant_id, e.id) = (carrier, p_id) AND e.attempt = p_attempt AND e.status = 'running';
    IF FOUND THEN
        INSERT INTO export_files (tenant_id, export_id, name, id, row_count, size, sha256)
        VALUES (carrier, p_id, p_name, p_file, p_row_count, p_size, p_sha256);
        RETURN true;
    END IF;
    RETURN false;
END
$$;
CALL app.give_to_gate('app.record_export_file(uuid, integer, text, uuid, bigint, bigint, text, smallint, integer, jsonb, interval)');
GRANT INSERT ON export_files TO carhaul_gate;

-- All is written: it can be downloaded for so long. False: the attempt is over.
CREATE FUNCTION app.finish_export(p_id uuid, p_attempt integer, p_life interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE exports e
    SET status = 'ready', tables_done = e.tables, last_key = NULL, finished_at = now(), expires_at = now() + p_life
    WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running';
    RETURN FOUND;
END
$$;
CALL app.give_to_gate('app.finish_export(uuid, integer, interval)');

-- Gives an export back that somebody else, or the same worker, may go on with at once.
CREATE FUNCTION app.release_export(p_id uuid, p_attempt integer) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE exports e SET due_at = clock_timestamp() WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running'
$$;
CALL app.give_to_gate('app.release_export(uuid, integer)');

-- Exports whose files are to go.
CREATE FUNCTION app.expired_exports(p_limit integer) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.tenant_id, e.id FROM exports e
    WHERE e.status IN ('ready', 'failed') AND e.expires_at <= now() ORDER BY e.expires_at LIMIT p_limit
$$;
CALL app.give_to_gate('app.expired_exports(integer)');

-- Its files are gone.
CREATE FUNCTION app.expire_export(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE exports e SET status = CASE e.status WHEN 'ready' THEN 'expired' ELSE e.status END, expires_at = NULL
    WHERE e.id = p_id AND e.status IN ('ready', 'failed') AND e.expires_at <= now();
    IF FOUND THEN
        DELETE FROM export_files f WHERE f.export_id = p_id;
    END IF;
END
$$;
CALL app.give_to_gate('app.expire_export(uuid)');
CREATE INDEX export_files_export ON export_files (export_id);

GRANT EXECUTE ON FUNCTION
    app.claim_export(uuid, interval), app.export_rows(uuid, integer, text, jsonb, integer),
    app.record_export_file(uuid, integer, text, uuid, bigint, bigint, text, smallint, integer, jsonb, interval),
    app.finish_export(uuid, integer, interval), app.release_export(uuid, integer), app.expired_exports(integer),
    app.expire_export(uuid)
TO carhaul_housekeeping;

-- What is left to do ----------------------------------------------------------------------------------------------------

-- Erasures and exports that have waited for longer: their message was lost or never sent, or their worker died. The oldest first.
CREATE FUNCTION app.waiting_chores(p_older_than interval, p_limit integer) RETURNS TABLE (kind text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.kind, w.id
    FROM (SELECT 'erase_tenant' AS kind, t.id, t.closed_at AS since FROM tenants t WHERE t.closed_at < now() - p_older_than
          UNION ALL
          SELECT 'erase_tenant', e.id, e.look_at FROM erased_tenants e WHERE e.look_at <= now() - p_older_than
          UNION ALL
          SELECT 'erase_user', u.id, u.erased_at FROM users u WHERE u.erased_at < now() - p_older_than
          UNION ALL
          SELECT 'write_export', x.id, x.due_at FROM exports x
          JOIN tenants t ON t.id = x.tenant_id AND t.closed_at IS NULL
          WHERE x.status IN ('queued', 'running') AND x.due_at < now() - p_older_than) w
    ORDER BY w.since LIMIT p_limit
$$;
CALL app.give_to_gate('app.waiting_chores(interval, integer)');
GRANT EXECUTE ON FUNCTION app.waiting_chores(interval, integer) TO carhaul_housekeeping;
