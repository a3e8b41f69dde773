-- What workers begin comes to an end: events of Stripe's that wait for a price, executions of a carrier that was closed, erasures
-- that take longer than one run, and exports of rows that are large.

-- Events that cannot be applied yet ---------------------------------------------------------------------------------------

ALTER TABLE stripe_events
    DROP CONSTRAINT stripe_events_outcome_check,
    ADD CONSTRAINT stripe_events_outcome_check CHECK (outcome IN (
        'applied', 'superseded', 'ignored', 'unknown_price', 'unknown_customer', 'unreadable', 'wrong_mode'));

SET LOCAL ROLE carhaul_gate;
-- As before; what cannot be read has an end as well. Its message goes where an operator finds it, and does its work when it is sent
-- back from there to a worker that can read it.
CREATE OR REPLACE FUNCTION app.stripe_event(p_id text) RETURNS TABLE (
    type text, object_id text, customer_id text, created_at timestamptz, payload jsonb, is_processed boolean, read_at timestamptz
) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.type, e.object_id, e.customer_id, e.created_at, e.payload,
           e.processed_at IS NOT NULL AND e.outcome NOT IN ('unknown_price', 'unknown_customer', 'unreadable'), clock_timestamp()
    FROM stripe_events e WHERE e.id = p_id
$$;

CREATE OR REPLACE FUNCTION app.claim_stripe_event(p_id text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.processed_at IS NULL OR e.outcome IN ('unknown_price', 'unknown_customer', 'unreadable') FROM stripe_events e WHERE e.id = p_id FOR UPDATE
$$;

-- As before; an event waits for the price that its subscription has, which is what the worker asks for as well. The event itself
-- may name others: what was paid before, or what has been overtaken. Once the price is listed the outcome is another.
CREATE OR REPLACE FUNCTION app.stuck_stripe_events(p_older_than interval, p_limit integer) RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    (SELECT e.id FROM stripe_events e
     WHERE e.processed_at IS NULL AND e.received_at < now() - p_older_than
     ORDER BY e.received_at LIMIT p_limit)
    UNION ALL
    (SELECT e.id FROM stripe_events e
     WHERE e.outcome IN ('unknown_price', 'unknown_customer')
       AND CASE e.outcome
           WHEN 'unknown_customer' THEN EXISTS (SELECT FROM stripe_customers c WHERE c.id = e.customer_id)
           ELSE EXISTS (SELECT FROM subscriptions s JOIN prices p ON p.stripe_price_id = s.stripe_price_id WHERE s.stripe_id = e.object_id)
           END
     ORDER BY e.received_at LIMIT p_limit)
$$;

-- Executions of carriers that are closed --------------------------------------------------------------------------------

-- As before; what was accepted while its carrier was being closed is cancelled instead of being run.
CREATE OR REPLACE FUNCTION app.claim_execution(p_id uuid, p_margin interval, p_slots integer, p_claim uuid) RETURNS TABLE (
    outcome text, tenant_id uuid, id uuid, attempt integer, max_attempts integer, skill text, skill_version bigint,
    input jsonb, deadline_seconds integer, is_heard boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_tenant uuid := (SELECT e.tenant_id FROM executions e WHERE e.id = p_id);
    turn record;
    taken executions;
    lease timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM executions e WHERE e.status IN ('queued', 'running') AND e.due_at <= now())
       AND NOT EXISTS (SELECT FROM ai_slots s WHERE s.claim_id = p_claim) THEN
        RETURN;
    END IF;
    -- One at a time, until it is committed: who counts slots counts all of them. This is a transaction of one statement, so that
    -- no worker that dies or stands still has the others wait.
    PERFORM pg_advisory_xact_lock(hashtext('app.claim_execution'));
    SELECT e.* INTO taken FROM ai_slots s JOIN executions e ON (e.tenant_id, e.id) = (s.tenant_id, s.execution_id)
    WHERE s.claim_id = p_claim AND (e.attempt, e.status) = (s.attempt, 'running');
    IF FOUND THEN
        RETURN QUERY SELECT 'run', taken.tenant_id, taken.id, taken.attempt, taken.max_attempts, taken.skill, taken.skill_version,
                            taken.input, taken.deadline_seconds, true;
        RETURN;
    END IF;
    DELETE FROM ai_slots s WHERE s.held_until <= clock_timestamp();
    outcome := NULL;
    FOR turn IN
        -- One probe of the index for each carrier that has something due, however much that is.
        WITH RECURSIVE waiting (carrier) AS (
            (SELECT e.tenant_id FROM executions e
             WHERE e.status IN ('queued', 'running') AND e.due_at <= now() ORDER BY e.tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT e.tenant_id FROM executions e
                    WHERE e.status IN ('queued', 'running') AND e.due_at <= now() AND e.tenant_id > w.carrier
                    ORDER BY e.tenant_id LIMIT 1)
            FROM waiting w WHERE w.carrier IS NOT NULL),
        busy AS (SELECT s.tenant_id, count(*) AS slots, sum(count(*)) OVER ()::bigint AS of_all FROM ai_slots s GROUP BY s.tenant_id)
        SELECT w.carrier, coalesce(b.slots, 0) AS slots, coalesce(b.of_all, 0) AS of_all,
               (SELECT max(e.started_at) FROM executions e WHERE e.tenant_id = w.carrier AND e.started_at IS NOT NULL) AS served_at
        FROM waiting w LEFT JOIN busy b ON b.tenant_id = w.carrier WHERE w.carrier IS NOT NULL
        ORDER BY slots, served_at NULLS FIRST, w.carrier
    LOOP
        IF app.has_share(turn.slots, turn.of_all, p_slots) THEN
            outcome := 'held';
            CONTINUE;
        END IF;
        IF turn.carrier = named_tenant THEN
            SELECT * INTO taken FROM executions e
            WHERE e.tenant_id = turn.carrier AND e.id = p_id AND e.status IN ('queued', 'running') AND e.due_at <= now()
            FOR UPDATE SKIP LOCKED;
        END IF;
        IF taken.id IS NULL THEN
            SELECT * INTO taken FROM executions e
            WHERE e.tenant_id = turn.carrier AND e.status IN ('queued', 'running') AND e.due_at <= now()
            ORDER BY e.due_at, e.id LIMIT 1 FOR UPDATE SKIP LOCKED;
        END IF;
        -- Whoever changes it just now may hold all that this carrier has due.
        EXIT WHEN taken.id IS NOT NULL;
    END LOOP;
    IF taken.id IS NULL THEN
        IF outcome = 'held' THEN
            RETURN NEXT;
        END IF;
        RETURN;
    END IF;
    PERFORM app.set_context(taken.tenant_id, NULL, NULL, NULL, NULL);
    outcome := CASE WHEN EXISTS (SELECT FROM tenants t WHERE t.id = taken.tenant_id AND t.closed_at IS NOT NULL) THEN 'cancelled'
               WHEN taken.attempt >= taken.max_attempts THEN 'lost' WHEN taken.expires_at <= now() THEN 'expired' ELSE 'run' END;
    IF outcome = 'run' THEN
        lease := clock_timestamp() + make_interval(secs => taken.deadline_seconds) + p_margin;
        UPDATE executions e
        SET status = 'running', attempt = e.attempt + 1, started_at = clock_timestamp(), error_code = NULL, error_detail = NULL,
            due_at = lease
        WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
        INSERT INTO ai_slots (tenant_id, execution_id, attempt, claim_id, held_until)
        VALUES (taken.tenant_id, taken.id, taken.attempt + 1, p_claim, lease)
        ON CONFLICT (tenant_id, execution_id)
        DO UPDATE SET attempt = excluded.attempt, claim_id = excluded.claim_id, held_until = excluded.held_until;
    ELSE
        UPDATE executions e
        SET status = CASE outcome WHEN 'lost' THEN 'failed' ELSE outcome END, finished_at = now(), error_code = outcome,
            error_detail = CASE outcome WHEN 'lost' THEN 'its last attempt did not come to an end'
                           WHEN 'cancelled' THEN 'the carrier was deleted' ELSE 'it was not begun in time' END
        WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
    END IF;
    RETURN QUERY SELECT outcome, e.tenant_id, e.id, e.attempt, e.max_attempts, e.skill, e.skill_version, e.input, e.deadline_seconds,
                        EXISTS (SELECT FROM realtime_connections c WHERE c.tenant_id = e.tenant_id)
                 FROM executions e WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
END
$$;

-- As before, for a carrier that is not closed.
CREATE OR REPLACE FUNCTION app.enter_execution(p_id uuid, p_attempt integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid := (SELECT e.tenant_id FROM executions e JOIN tenants t ON t.id = e.tenant_id AND t.closed_at IS NULL
                     WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running');
BEGIN
    IF carrier IS NULL THEN
        DELETE FROM ai_slots s WHERE s.execution_id = p_id AND s.attempt = p_attempt;
        RETURN false;
    END IF;
    PERFORM app.set_context(carrier, NULL, NULL, NULL, NULL);
    RETURN true;
END
$$;
RESET ROLE;

-- Erasures ------------------------------------------------------------------------------------------------------------

-- Carriers and users that are being erased: who does it, and of a user how far that has come.
CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    -- The run that does it, and until when nobody else does. It ends by itself if the run dies.
    holder uuid NOT NULL,
    held_until timestamptz NOT NULL,
    -- The carrier that is forgetting the user; rows of its table are done up to this one.
    carrier_id uuid CONSTRAINT erasures_carrier_id REFERENCES tenants (id) ON DELETE SET NULL,
    table_name text,
    after_id uuid
);
CREATE INDEX erasures_carrier ON erasures (carrier_id);
COMMENT ON TABLE erasures IS 'SHARED: whoever it is about is nobody any more; only functions of carhaul_gate touch it.';
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('erasures');
GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO carhaul_gate;

-- Takes the erasure of a carrier or a user for so long: 'begun', 'held' (somebody else has it) or 'nothing' (there is none). Asked
-- again by the same holder, it says the same again.
CREATE FUNCTION app.begin_erasure(p_id uuid, p_holder uuid, p_lease interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT app.is_to_erase(p_id) AND NOT app.is_erased_user(p_id) THEN
        RETURN 'nothing';
    END IF;
    INSERT INTO erasures AS e (id, holder, held_until) VALUES (p_id, p_holder, clock_timestamp() + p_lease)
    ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE e.holder = p_holder OR e.held_until <= clock_timestamp();
    RETURN CASE WHEN FOUND THEN 'begun' ELSE 'held' END;
END
$$;
CALL app.give_to_gate('app.begin_erasure(uuid, uuid, interval)');

-- Gives it back; how far it has come stays, if there is something left to do.
CREATE FUNCTION app.end_erasure(p_id uuid, p_holder uuid, p_is_done boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM erasures e WHERE e.id = p_id AND e.holder = p_holder AND (p_is_done OR e.carrier_id IS NULL);
    UPDATE erasures e SET held_until = clock_timestamp() WHERE e.id = p_id AND e.holder = p_holder;
END
$$;
CALL app.give_to_gate('app.end_erasure(uuid, uuid, boolean)');

SET LOCAL ROLE carhaul_gate;
-- As before; and writes down how far that was.
CREATE OR REPLACE FUNCTION app.forget_in(p_user uuid, p_tenant uuid, p_table text, p_after uuid, p_limit integer) RETURNS uuid
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
    UPDATE erasures x SET carrier_id = p_tenant, table_name = p_table, after_id = last_id WHERE x.id = p_user;
    RETURN last_id;
END
$$;

-- As before, with all that was written down of it.
CREATE OR REPLACE FUNCTION app.delete_erased(p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM users u
    WHERE u.id = p_user AND u.erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM app.carriers_of_erased(p_user, 1));
    IF FOUND THEN
        DELETE FROM erasures e WHERE e.id = p_user;
        RETURN true;
    END IF;
    RETURN false;
END
$$;
RESET ROLE;

-- How far a carrier has forgotten a user who was erased: in this table up to this row. No row: it has not begun.
CREATE FUNCTION app.forgotten_in(p_user uuid, p_tenant uuid) RETURNS TABLE (table_name text, after_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.table_name, e.after_id FROM erasures e WHERE e.id = p_user AND e.carrier_id = p_tenant
$$;
CALL app.give_to_gate('app.forgotten_in(uuid, uuid)');

-- The last step of a carrier: what app.forget_rest does, and if the user turns up there once more all is done again.
CREATE FUNCTION app.forget_last(p_user uuid, p_tenant uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM app.forget_rest(p_user, p_tenant);
    UPDATE erasures e SET carrier_id = NULL, table_name = NULL, after_id = NULL WHERE e.id = p_user AND e.carrier_id = p_tenant;
END
$$;
CALL app.give_to_gate('app.forget_last(uuid, uuid)');

-- As app.waiting_chores(interval, integer); those that somebody is at only if they are asked for.
CREATE FUNCTION app.waiting_chores(p_older_than interval, p_limit integer, p_also_held boolean) RETURNS TABLE (kind text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.kind, w.id
    FROM app.waiting_chores(p_older_than, 2147483647) WITH ORDINALITY w (kind, id, n)
    WHERE p_also_held OR NOT EXISTS (SELECT FROM erasures e WHERE e.id = w.id AND e.held_until > clock_timestamp())
    ORDER BY w.n LIMIT p_limit
$$;
CALL app.give_to_gate('app.waiting_chores(interval, integer, boolean)');

-- Exports -------------------------------------------------------------------------------------------------------------

-- As app.export_rows without p_bytes, which workers still call while this is installed; it ends with the row that reaches so many
-- bytes. Fetched one by one, since a page of the largest rows would be more than memory has.
CREATE FUNCTION app.export_rows(p_id uuid, p_attempt integer, p_table text, p_last_key jsonb, p_limit integer, p_bytes bigint)
RETURNS TABLE (key jsonb, line text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    carrier uuid := app.carrier_of_export(p_id, p_attempt);
    target regclass := format('public.%I', p_table)::regclass;
    tenant_column text := CASE p_table WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END;
    selected text;
    keys text;
    key_values text;
    behind text;
    page refcursor;
    room bigint := p_bytes;
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
    OPEN page NO SCROLL FOR EXECUTE format(
        'SELECT jsonb_build_array(%1$s), row_to_json((SELECT r FROM (SELECT %2$s) r))::text FROM %3$s t '
        'WHERE t.%4$I = $1%5$s%6$s LIMIT $3',
        coalesce(keys, ''), selected, target, tenant_column, behind, coalesce(' ORDER BY ' || keys, ''))
    USING carrier, p_last_key, p_limit;
    WHILE room > 0 LOOP
        FETCH page INTO key, line;
        EXIT WHEN NOT FOUND;
        room := room - octet_length(line);
        RETURN NEXT;
    END LOOP;
    CLOSE page;
END
$$;
CALL app.give_to_gate('app.export_rows(uuid, integer, text, jsonb, integer, bigint)');

SET LOCAL ROLE carhaul_gate;
CREATE OR REPLACE FUNCTION app.export_rows(p_id uuid, p_attempt integer, p_table text, p_last_key jsonb, p_limit integer)
RETURNS TABLE (key jsonb, line text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT key, line FROM app.export_rows(p_id, p_attempt, p_table, p_last_key, p_limit, 9223372036854775807)
$$;
RESET ROLE;

GRANT EXECUTE ON FUNCTION
    app.begin_erasure(uuid, uuid, interval), app.end_erasure(uuid, uuid, boolean), app.forgotten_in(uuid, uuid),
    app.forget_last(uuid, uuid), app.waiting_chores(interval, integer, boolean),
    app.export_rows(uuid, integer, text, jsonb, integer, bigint)
TO carhaul_housekeeping;
