-- What a model says while it is asked, what a carrier's executions may cost together, and how many sockets a carrier may have.

-- Progress -----------------------------------------------------------------------------------------------------------

-- Pieces of an answer that is being written are events like any other while it is, and are gone once the attempt is over:
-- texts of customers stay in their row alone. Whoever then reads on behind a piece that is gone finds how it ended.
CREATE INDEX tenant_events_progress ON tenant_events (tenant_id, subject_id) WHERE type = 'execution.progress';

-- Appends one piece, if this attempt is still the one that counts and its lease holds; under a number that has come already,
-- nothing. Whether anybody of the carrier is connected to hear of it; NULL: not now, or never.
CREATE FUNCTION app.report_progress(p_id uuid, p_attempt integer, p_draft integer, p_part integer, p_text jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid;
BEGIN
    -- The lock makes whoever ends the attempt wait for this piece, which they then take away. Who holds it is ending it.
    SELECT e.tenant_id INTO carrier FROM executions e
    WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running' AND e.due_at > clock_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO tenant_events (tenant_id, topic, type, subject_id, data)
    SELECT carrier, 'executions', 'execution.progress', p_id,
           jsonb_build_object('id', p_id, 'attempt', p_attempt, 'draft', p_draft, 'part', p_part, 'text', p_text)
    WHERE NOT EXISTS (SELECT FROM tenant_events t
                      WHERE t.tenant_id = carrier AND t.subject_id = p_id AND t.type = 'execution.progress'
                        AND (t.data -> 'part')::integer >= p_part);
    RETURN EXISTS (SELECT FROM realtime_connections c WHERE c.tenant_id = carrier);
END
$$;
CALL app.give_to_gate('app.report_progress(uuid, integer, integer, integer, jsonb)');
GRANT EXECUTE ON FUNCTION app.report_progress(uuid, integer, integer, integer, jsonb) TO carhaul_ai;

-- The pieces of the answer that is being written, put together; NULL without any.
CREATE FUNCTION app.execution_progress(p_tenant uuid, p_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH piece AS (
        SELECT t.data FROM tenant_events t
        WHERE t.tenant_id = p_tenant AND t.subject_id = p_id AND t.type = 'execution.progress'),
    latest AS (
        SELECT p.data -> 'attempt' AS attempt, p.data -> 'draft' AS draft, p.data -> 'part' AS part
        FROM piece p ORDER BY (p.data -> 'part')::integer DESC LIMIT 1),
    member AS (
        SELECT m.key, string_agg(m.value, '' ORDER BY (p.data -> 'part')::integer) AS text
        FROM piece p JOIN latest l ON l.draft = p.data -> 'draft' CROSS JOIN LATERAL jsonb_each_text(p.data -> 'text') m
        GROUP BY m.key)
    SELECT to_jsonb(l) || jsonb_build_object('text', (SELECT jsonb_object_agg(m.key, m.text) FROM member m)) FROM latest l
$$;
GRANT EXECUTE ON FUNCTION app.execution_progress(uuid, uuid) TO carhaul_api;

-- Reservations -------------------------------------------------------------------------------------------------------

-- What executions that are being run may still cost at the most, beside what ai_usage says that others have cost. Held as
-- long as the lease of the attempt: whoever dies holds nothing for longer.
CREATE TABLE ai_reservations (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    execution_id uuid NOT NULL,
    -- Of the budget: that of the execution.
    month date NOT NULL,
    -- In US dollars.
    amount numeric(16, 6) NOT NULL CHECK (amount >= 0),
    held_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, execution_id),
    CONSTRAINT ai_reservations_execution_id FOREIGN KEY (tenant_id, execution_id)
        REFERENCES executions (tenant_id, id) ON DELETE CASCADE
);
CALL app.protect('ai_reservations');
CALL app.open_to_gate('ai_reservations');
GRANT SELECT, INSERT, UPDATE, DELETE ON ai_reservations TO carhaul_gate;

-- Holds so much of the month's budget for an attempt, in the place of what it has held. 'held': it may be spent, or there is
-- no budget; 'later': others hold too much of what is left; 'over_budget': so much is not left; 'superseded': the attempt is
-- over.
CREATE FUNCTION app.reserve_cost(p_id uuid, p_attempt integer, p_amount numeric) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asking record;
    budget record;
BEGIN
    SELECT e.tenant_id, e.month, e.due_at INTO asking FROM executions e
    WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running' AND e.due_at > clock_timestamp();
    IF NOT FOUND THEN
        RETURN 'superseded';
    END IF;
    -- One of the carrier's at a time.
    PERFORM FROM tenants t WHERE t.id = asking.tenant_id FOR NO KEY UPDATE;
    -- In one statement: what an execution that ends has cost takes the place of what it held.
    SELECT t.ai_budget_amount - coalesce((SELECT sum(u.cost) FROM ai_usage u
                                          WHERE (u.tenant_id, u.month) = (t.id, asking.month)), 0) AS unspent,
           coalesce((SELECT sum(r.amount) FROM ai_reservations r
                     WHERE (r.tenant_id, r.month) = (t.id, asking.month) AND r.execution_id <> p_id
                       AND r.held_until > clock_timestamp()), 0) AS held
    INTO budget FROM tenants t WHERE t.id = asking.tenant_id;
    IF budget.unspent IS NULL THEN
        RETURN 'held';
    ELSIF budget.unspent <= 0 OR p_amount > budget.unspent THEN
        RETURN 'over_budget';
    ELSIF p_amount > budget.unspent - budget.held THEN
        RETURN 'later';
    END IF;
    INSERT INTO ai_reservations (tenant_id, execution_id, month, amount, held_until)
    VALUES (asking.tenant_id, p_id, asking.month, p_amount, asking.due_at)
    ON CONFLICT (tenant_id, execution_id) DO UPDATE SET amount = excluded.amount, held_until = excluded.held_until;
    RETURN 'held';
END
$$;
CALL app.give_to_gate('app.reserve_cost(uuid, integer, numeric)');
GRANT EXECUTE ON FUNCTION app.reserve_cost(uuid, integer, numeric) TO carhaul_ai;

-- Both are of an attempt, and go with it, however it ends.
CREATE FUNCTION app.end_attempt() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM ai_reservations r WHERE (r.tenant_id, r.execution_id) = (OLD.tenant_id, OLD.id);
    DELETE FROM tenant_events t
    WHERE t.tenant_id = OLD.tenant_id AND t.subject_id = OLD.id AND t.type = 'execution.progress';
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.end_attempt()');
-- Rules cost nothing and say nothing on the way.
CREATE TRIGGER end_attempt AFTER UPDATE ON executions FOR EACH ROW
WHEN (OLD.status = 'running' AND OLD.provider <> 'rules' AND (NEW.status <> OLD.status OR NEW.attempt <> OLD.attempt))
EXECUTE FUNCTION app.end_attempt();

-- Connections --------------------------------------------------------------------------------------------------------

INSERT INTO plan_limits (plan, name, max, per) VALUES
    ('free', 'connections', 10, 'total'), ('starter', 'connections', 100, 'total'), ('pro', 'connections', 2000, 'total');

-- Those that are open while this is installed.
ALTER TABLE realtime_connections NO FORCE ROW LEVEL SECURITY;
ALTER TABLE counters NO FORCE ROW LEVEL SECURITY;
INSERT INTO counters (tenant_id, name, period, used)
SELECT c.tenant_id, 'connections', '-infinity', count(*) FROM realtime_connections c GROUP BY c.tenant_id;
ALTER TABLE counters FORCE ROW LEVEL SECURITY;
ALTER TABLE realtime_connections FORCE ROW LEVEL SECURITY;
CREATE TRIGGER limit_take AFTER INSERT ON realtime_connections FOR EACH ROW EXECUTE FUNCTION app.limit_take('connections');
CREATE TRIGGER limit_release AFTER DELETE ON realtime_connections FOR EACH ROW EXECUTE FUNCTION app.limit_release('connections');

-- Refuses what would be refused next, where it can be said in words: TG_ARGV[0] is the limit.
CREATE FUNCTION app.limit_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lim record;
    counted bigint;
BEGIN
    SELECT * INTO lim FROM app.limit_now(NEW.tenant_id, TG_ARGV[0]);
    counted := coalesce((SELECT c.used FROM counters c
                         WHERE (c.tenant_id, c.name, c.period) = (NEW.tenant_id, TG_ARGV[0], lim.period)), 0);
    IF counted >= lim.max THEN
        RAISE EXCEPTION 'limit reached: %', TG_ARGV[0] USING ERRCODE = 'CH402', DETAIL = json_build_object(
            'limit', TG_ARGV[0], 'max', lim.max, 'resets_at', lim.resets_at, 'used', counted);
    END IF;
    RETURN NEW;
END
$$;
CALL app.give_to_gate('app.limit_check()');
CREATE TRIGGER limit_check BEFORE INSERT ON realtime_tickets FOR EACH ROW EXECUTE FUNCTION app.limit_check('connections');
