-- No carrier takes all that runs executions: some slots stay free for whoever comes next, however long a provider hangs.

-- What workers are busy with: a row is a slot. It is given back when its worker has written how the attempt ended, also of an
-- execution that was cancelled meanwhile (whose status says nothing of that), and taken back with the lease from one that died.
CREATE TABLE ai_slots (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    execution_id uuid NOT NULL,
    attempt integer NOT NULL,
    -- The worker's own id of the claim.
    claim_id uuid NOT NULL,
    -- The end of the lease.
    held_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, execution_id),
    CONSTRAINT ai_slots_execution_id FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX ai_slots_claim ON ai_slots (claim_id);
CALL app.protect('ai_slots');
CALL app.open_to_gate('ai_slots');
GRANT SELECT, INSERT, UPDATE, DELETE ON ai_slots TO carhaul_gate;

-- Those that run while this is installed.
ALTER TABLE executions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ai_slots NO FORCE ROW LEVEL SECURITY;
INSERT INTO ai_slots (tenant_id, execution_id, attempt, claim_id, held_until)
SELECT e.tenant_id, e.id, e.attempt, gen_random_uuid(), e.due_at FROM executions e
WHERE e.status = 'running' AND e.due_at > now();
ALTER TABLE ai_slots FORCE ROW LEVEL SECURITY;
ALTER TABLE executions FORCE ROW LEVEL SECURITY;

-- Slots are counted instead.
DROP INDEX executions_running;

-- Whoever cancels ends no attempt: its worker goes on waiting, and gives the slot back in app.enter_execution.
CREATE FUNCTION app.leave_slot() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM ai_slots s WHERE (s.tenant_id, s.execution_id) = (OLD.tenant_id, OLD.id);
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.leave_slot()');
CREATE TRIGGER leave_slot AFTER UPDATE ON executions FOR EACH ROW
WHEN (OLD.status = 'running' AND NEW.status NOT IN ('running', 'cancelled'))
EXECUTE FUNCTION app.leave_slot();

-- Whether a carrier with so many slots, of so many that all have, has its share: as many as are free. So one that hangs has a
-- half of them, two have a third each, n have 1/(n + 1), and the rest is there for the next, who takes from nobody. Whoever has
-- none may always have one.
CREATE FUNCTION app.has_share(p_own bigint, p_all bigint, p_slots integer) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT p_own > 0 AND p_own >= p_slots - p_all $$;

-- Takes the execution whose turn it is, of p_slots that may run at the same time. A message of the queue is a permit to run one,
-- whichever that is: first comes the carrier that has fewest slots, and of those the one that was served longest ago; of its own,
-- the execution that the message names if that is due, else the one that is due for longest. So nobody waits behind another's ten
-- thousand, and a message that comes twice, late or for nothing finds nothing due.
--
-- `is_heard`: somebody of the carrier is connected to hear of it. `outcome`: 'run' (its lease is the deadline and p_margin), or
-- what ended with this call without being run: 'lost' (its last worker died) and 'expired'; 'held': whoever has something due has
-- its share. Then the permit is used up, and nothing needs to be kept of it: what is due is found by the next slot that is given
-- back (app.due_execution), of which there is one, since whoever has its share has something running. No row: nothing is due.
--
-- Asked again with the same p_claim, it says the same again.
CREATE FUNCTION app.claim_execution(p_id uuid, p_margin interval, p_slots integer, p_claim uuid) RETURNS TABLE (
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
    outcome := CASE WHEN taken.attempt >= taken.max_attempts THEN 'lost' WHEN taken.expires_at <= now() THEN 'expired' ELSE 'run' END;
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
        SET status = CASE outcome WHEN 'lost' THEN 'failed' ELSE 'expired' END, finished_at = now(), error_code = outcome,
            error_detail = CASE outcome WHEN 'lost' THEN 'its last attempt did not come to an end'
                           ELSE 'it was not begun in time' END
        WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
    END IF;
    RETURN QUERY SELECT outcome, e.tenant_id, e.id, e.attempt, e.max_attempts, e.skill, e.skill_version, e.input, e.deadline_seconds,
                        EXISTS (SELECT FROM realtime_connections c WHERE c.tenant_id = e.tenant_id)
                 FROM executions e WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
END
$$;
CALL app.give_to_gate('app.claim_execution(uuid, interval, integer, uuid)');

-- As workers ask that are still running while this is installed: they take what they are given.
SET LOCAL ROLE carhaul_gate;
CREATE OR REPLACE FUNCTION app.claim_execution(p_id uuid, p_margin interval) RETURNS TABLE (
    outcome text, tenant_id uuid, id uuid, attempt integer, max_attempts integer, skill text, skill_version bigint,
    own_skill_id uuid, kind text, provider text, model text, input jsonb, deadline_seconds integer
) LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.outcome, c.tenant_id, c.id, c.attempt, c.max_attempts, c.skill, c.skill_version, e.own_skill_id, e.kind, e.provider,
           e.model, c.input, c.deadline_seconds
    FROM app.claim_execution(p_id, p_margin, 2147483647, gen_random_uuid()) c JOIN executions e ON (e.tenant_id, e.id) = (c.tenant_id, c.id)
$$;

-- Enters the carrier of an execution for the worker that runs it. False: its attempt is over, and nothing can be written; the
-- slot, which it may have kept since somebody cancelled it, is given back.
CREATE OR REPLACE FUNCTION app.enter_execution(p_id uuid, p_attempt integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid := (SELECT e.tenant_id FROM executions e WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running');
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

-- What is due for longest, if anything is: asked by whoever has given a slot back, after that is committed. Then whoever was
-- held while the slot was counted is seen here, and whoever comes later counts without it. By the clock: the time of this
-- statement is that of the commit before it.
CREATE FUNCTION app.due_execution() RETURNS uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.id
    FROM (SELECT e.id, e.due_at FROM executions e WHERE e.status IN ('queued', 'running') ORDER BY e.due_at LIMIT 1) d
    WHERE d.due_at <= clock_timestamp()
$$;
CALL app.give_to_gate('app.due_execution()');

GRANT EXECUTE ON FUNCTION app.claim_execution(uuid, interval, integer, uuid), app.due_execution() TO carhaul_ai;

-- Carriers that have their share of the slots: what of theirs is due waits for one of their own.
CREATE FUNCTION app.carriers_with_share(p_slots integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT b.tenant_id
    FROM (SELECT s.tenant_id, count(*) AS slots, sum(count(*)) OVER ()::bigint AS of_all
          FROM ai_slots s WHERE s.held_until > now() GROUP BY s.tenant_id) b
    WHERE app.has_share(b.slots, b.of_all, p_slots)
$$;

-- What is due and was not taken for a while although it could be: its message was lost or never sent, or its worker died.
CREATE FUNCTION app.overdue_executions(p_older_than interval, p_limit integer, p_slots integer) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id FROM executions e
    WHERE e.status IN ('queued', 'running') AND e.due_at < now() - p_older_than
      AND e.tenant_id NOT IN (SELECT c FROM app.carriers_with_share(p_slots) c)
    ORDER BY e.due_at LIMIT p_limit
$$;
CALL app.give_to_gate('app.overdue_executions(interval, integer, integer)');

-- How many wait for as long behind others of their own carrier.
CREATE FUNCTION app.held_executions(p_older_than interval, p_slots integer) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM app.carriers_with_share(p_slots) c JOIN executions e ON e.tenant_id = c
    WHERE e.status IN ('queued', 'running') AND e.due_at < now() - p_older_than
$$;
CALL app.give_to_gate('app.held_executions(interval, integer)');
GRANT EXECUTE ON FUNCTION app.has_share(bigint, bigint, integer), app.carriers_with_share(integer) TO carhaul_gate;
GRANT EXECUTE ON FUNCTION app.overdue_executions(interval, integer, integer), app.held_executions(interval, integer)
TO carhaul_housekeeping;
