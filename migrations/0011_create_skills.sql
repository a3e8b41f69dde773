-- AI: skills, what they are run on, and what that costs. How an execution runs is in shared/core/src/executions/.

-- Skills -------------------------------------------------------------------------------------------------------------

-- Each change is a new version, and executions name the one that ran. Migrations add rows and never change one.
CREATE TABLE builtin_skills (
    code text NOT NULL CHECK (code ~ '^[a-z][a-z_]{0,39}$'),
    version bigint NOT NULL CHECK (version > 0),
    name text NOT NULL,
    description text NOT NULL,
    -- What is asked, with {{input.field}} and {{context}} for what a run fills in.
    instructions text NOT NULL,
    input_schema jsonb NOT NULL,
    output_schema jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (code, version)
);
COMMENT ON TABLE builtin_skills IS 'SHARED: the catalogue is the same for every carrier; functions may only read it.';
GRANT SELECT ON builtin_skills TO carhaul_api, carhaul_ai;

CREATE TABLE skills (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    -- What its executions are checked for and can be applied as: the code of the built-in skill that it is a copy of.
    kind text NOT NULL CHECK (kind IN ('extract_order', 'match_driver', 'draft_message', 'audit_billing', 'custom')),
    instructions text NOT NULL,
    input_schema jsonb NOT NULL,
    output_schema jsonb NOT NULL,
    provider text NOT NULL CHECK (provider IN ('rules', 'anthropic', 'gemini', 'openai_compatible')),
    model text,
    max_output_tokens integer NOT NULL CHECK (max_output_tokens > 0),
    deadline_seconds integer NOT NULL CHECK (deadline_seconds > 0),
    -- The most that one execution may cost, in US dollars.
    max_cost numeric(12, 6) CHECK (max_cost >= 0),
    archived_at timestamptz,
    created_by uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT skills_model CHECK ((provider = 'rules') = (model IS NULL)),
    CONSTRAINT skills_provider CHECK (provider <> 'rules' OR kind <> 'custom')
);
CREATE UNIQUE INDEX skills_name ON skills (tenant_id, lower(name)) WHERE archived_at IS NULL;
CALL app.protect('skills');
CREATE TRIGGER touch BEFORE UPDATE ON skills FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON skills
FOR EACH ROW EXECUTE FUNCTION app.record_change('skill', 'id');
GRANT SELECT, INSERT, UPDATE, DELETE ON skills TO carhaul_api;

-- A skill as it was at each of its versions, written by the trigger below alone.
CREATE TABLE skill_versions (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    skill_id uuid NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    description text,
    kind text NOT NULL,
    instructions text NOT NULL,
    input_schema jsonb NOT NULL,
    output_schema jsonb NOT NULL,
    provider text NOT NULL,
    model text,
    max_output_tokens integer NOT NULL,
    deadline_seconds integer NOT NULL,
    max_cost numeric(12, 6),
    archived_at timestamptz,
    -- Who made this version.
    created_by uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, skill_id, version),
    FOREIGN KEY (tenant_id, skill_id) REFERENCES skills (tenant_id, id) ON DELETE CASCADE
);
CALL app.protect('skill_versions');
CALL app.open_to_gate('skill_versions');
COMMENT ON COLUMN skill_versions.version IS 'Of the skill: its ETag then.';
GRANT SELECT ON skill_versions TO carhaul_api, carhaul_ai;
GRANT SELECT, INSERT ON skill_versions TO carhaul_gate;

CREATE FUNCTION app.keep_skill_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO skill_versions (tenant_id, skill_id, version, name, description, kind, instructions, input_schema, output_schema,
                                provider, model, max_output_tokens, deadline_seconds, max_cost, archived_at,
                                created_by, created_at)
    VALUES (NEW.tenant_id, NEW.id, NEW.version, NEW.name, NEW.description, NEW.kind, NEW.instructions, NEW.input_schema,
            NEW.output_schema, NEW.provider, NEW.model, NEW.max_output_tokens, NEW.deadline_seconds, NEW.max_cost,
            NEW.archived_at, coalesce(app.actor_id(), NEW.created_by), NEW.updated_at);
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.keep_skill_version()');
CREATE TRIGGER keep_version AFTER INSERT OR UPDATE ON skills FOR EACH ROW EXECUTE FUNCTION app.keep_skill_version();

-- Money --------------------------------------------------------------------------------------------------------------

-- What providers charge, in US dollars for a million tokens. A price holds until a later row of the same model.
CREATE TABLE ai_prices (
    provider text NOT NULL,
    model text NOT NULL,
    valid_from timestamptz NOT NULL,
    input_price numeric(12, 6) NOT NULL CHECK (input_price >= 0),
    output_price numeric(12, 6) NOT NULL CHECK (output_price >= 0),
    PRIMARY KEY (provider, model, valid_from)
);
COMMENT ON TABLE ai_prices IS 'SHARED: what providers charge is the same for every carrier; functions may only read it.';
GRANT SELECT ON ai_prices TO carhaul_api, carhaul_ai;

-- What model providers may charge a carrier in one month, in US dollars; NULL is no budget of its own.
ALTER TABLE tenants ADD COLUMN ai_budget_amount numeric(12, 2) CHECK (ai_budget_amount >= 0);
GRANT UPDATE (ai_budget_amount) ON tenants TO carhaul_api;

-- The ledger: what the executions of a month came to, by skill. Written by the trigger on executions alone.
CREATE TABLE ai_usage (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- First local day of the month in which the executions were accepted.
    month date NOT NULL,
    -- The code of a built-in skill, or the id of one of the carrier's own.
    skill text NOT NULL,
    succeeded bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost numeric(14, 6) NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month, skill)
);
CALL app.protect('ai_usage');
CALL app.open_to_gate('ai_usage');
GRANT SELECT ON ai_usage TO carhaul_api, carhaul_ai;
GRANT SELECT, INSERT, UPDATE ON ai_usage TO carhaul_gate;

-- Executions ---------------------------------------------------------------------------------------------------------

CREATE TABLE executions (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    -- Accepted together.
    batch_id uuid,
    -- The code of a built-in skill, or the id of one of the carrier's own, and the version that runs.
    skill text NOT NULL,
    skill_version bigint NOT NULL,
    own_skill_id uuid,
    kind text NOT NULL CHECK (kind IN ('extract_order', 'match_driver', 'draft_message', 'audit_billing', 'custom')),
    provider text NOT NULL,
    model text,
    input jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')),
    -- Of a result that proposes a change: what a person has made of it.
    review text CHECK (review IN ('pending', 'approved', 'applied', 'rejected')),
    -- How often it was begun: a fencing number. A worker that was given up on holds an older one and writes nothing.
    attempt integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    -- When a worker may take it: queued, the end of its back-off; running, the end of its lease.
    due_at timestamptz NOT NULL DEFAULT now(),
    -- What has not begun by then is not begun any more.
    expires_at timestamptz NOT NULL,
    deadline_seconds integer NOT NULL,
    -- First local day of the month in which it counts against the plan.
    month date NOT NULL,
    output jsonb,
    error_code text,
    error_detail text,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    -- In US dollars, over all attempts.
    cost numeric(12, 6) NOT NULL DEFAULT 0,
    -- The orders that the result is about, and the versions that it was drawn from.
    target_ids uuid[] NOT NULL DEFAULT '{}',
    target_versions bigint[] NOT NULL DEFAULT '{}',
    -- The orders that applying it has made or changed.
    applied_order_ids uuid[] NOT NULL DEFAULT '{}',
    created_by uuid,
    reviewed_by uuid,
    started_at timestamptz,
    finished_at timestamptz,
    reviewed_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT executions_own_skill_id FOREIGN KEY (tenant_id, own_skill_id, skill_version)
        REFERENCES skill_versions (tenant_id, skill_id, version),
    CONSTRAINT executions_review CHECK (review IS NULL OR status = 'succeeded')
);
-- The ways that the list is walked.
CREATE INDEX executions_status ON executions (tenant_id, status, id);
CREATE INDEX executions_skill ON executions (tenant_id, skill, id);
CREATE INDEX executions_review ON executions (tenant_id, review, id) WHERE review IS NOT NULL;
CREATE INDEX executions_batch ON executions (tenant_id, batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX executions_created_at ON executions (tenant_id, created_at);
CREATE INDEX executions_own_skill ON executions (tenant_id, own_skill_id, skill_version) WHERE own_skill_id IS NOT NULL;
-- What a worker asks: whose turn it is, and which of theirs is the oldest.
CREATE INDEX executions_due ON executions (tenant_id, due_at, id) WHERE status IN ('queued', 'running');
CREATE INDEX executions_running ON executions (tenant_id) WHERE status = 'running';
CREATE INDEX executions_started_at ON executions (tenant_id, started_at) WHERE started_at IS NOT NULL;
-- What housekeeping asks, and how a permit names one.
CREATE INDEX executions_overdue ON executions (due_at) WHERE status IN ('queued', 'running');
CREATE INDEX executions_expires_at ON executions (expires_at) WHERE status IN ('queued', 'running');
CREATE INDEX executions_id ON executions (id);

CALL app.protect('executions');
CALL app.open_to_gate('executions');
CREATE TRIGGER touch BEFORE UPDATE ON executions FOR EACH ROW EXECUTE FUNCTION app.touch();
-- Texts of customers stay in their row alone, where they can be erased.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE ON executions
FOR EACH ROW EXECUTE FUNCTION app.record_change('execution', 'id', '{input,output}');
GRANT SELECT ON executions TO carhaul_api, carhaul_ai, carhaul_gate;
GRANT INSERT (tenant_id, id, batch_id, skill, skill_version, own_skill_id, kind, provider, model, input, max_attempts, expires_at,
              deadline_seconds, month, created_by)
ON executions TO carhaul_api;
-- A person decides; a worker writes results.
GRANT UPDATE (status, review, reviewed_by, reviewed_at, finished_at, applied_order_ids, error_code, error_detail, updated_at)
ON executions TO carhaul_api;
GRANT UPDATE (status, review, due_at, output, error_code, error_detail, model, input_tokens, output_tokens, cost, target_ids,
              target_versions, finished_at, updated_at)
ON executions TO carhaul_ai;
GRANT UPDATE ON executions TO carhaul_gate;

-- The plan's limit is taken when an execution is accepted and given back when it ends without success, so that whatever
-- runs at the same time, no more succeed than the plan says.
CREATE TRIGGER limit_take AFTER INSERT ON executions FOR EACH ROW EXECUTE FUNCTION app.limit_take('ai_executions');

-- Books how an execution ended and what it cost, and gives back or takes again what it counts for.
CREATE FUNCTION app.book_execution() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    counts_now integer := (NEW.status IN ('queued', 'running', 'succeeded'))::integer - (OLD.status IN ('queued', 'running', 'succeeded'))::integer;
    succeeded_now integer := (NEW.status = 'succeeded')::integer - (OLD.status = 'succeeded')::integer;
    failed_now integer := (NEW.status = 'failed')::integer - (OLD.status = 'failed')::integer;
BEGIN
    IF counts_now <> 0 THEN
        UPDATE counters SET used = greatest(used + counts_now, 0)
        WHERE (tenant_id, name, period) = (NEW.tenant_id, 'ai_executions', NEW.month);
    END IF;
    IF succeeded_now <> 0 OR failed_now <> 0 OR NEW.cost <> OLD.cost OR NEW.input_tokens <> OLD.input_tokens
       OR NEW.output_tokens <> OLD.output_tokens THEN
        INSERT INTO ai_usage AS u (tenant_id, month, skill, succeeded, failed, input_tokens, output_tokens, cost)
        VALUES (NEW.tenant_id, NEW.month, NEW.skill, succeeded_now, failed_now, NEW.input_tokens - OLD.input_tokens,
                NEW.output_tokens - OLD.output_tokens, NEW.cost - OLD.cost)
        ON CONFLICT (tenant_id, month, skill) DO UPDATE SET
            succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,
            input_tokens = u.input_tokens + excluded.input_tokens, output_tokens = u.output_tokens + excluded.output_tokens,
            cost = u.cost + excluded.cost;
    END IF;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.book_execution()');
CREATE TRIGGER book AFTER UPDATE ON executions FOR EACH ROW
WHEN (OLD.status <> NEW.status OR OLD.cost <> NEW.cost OR OLD.input_tokens <> NEW.input_tokens OR OLD.output_tokens <> NEW.output_tokens)
EXECUTE FUNCTION app.book_execution();

-- Takes the execution whose turn it is, and enters its carrier. A message of the queue is a permit to run one, whichever
-- that is: first comes the carrier that has fewest running, and of those the one that was served longest ago; of its own,
-- the execution that the message names if that is due, else the one that is due for longest. So nobody waits behind
-- another's ten thousand, and a message that comes twice, late or for nothing finds nothing due.
--
-- `outcome`: 'run' (its lease is the deadline and p_margin), or what ended with this call without being run: 'lost' (its
-- last worker died) and 'expired'. No row: nothing is due.
CREATE FUNCTION app.claim_execution(p_id uuid, p_margin interval) RETURNS TABLE (
    outcome text, tenant_id uuid, id uuid, attempt integer, max_attempts integer, skill text, skill_version bigint,
    own_skill_id uuid, kind text, provider text, model text, input jsonb, deadline_seconds integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_tenant uuid := (SELECT e.tenant_id FROM executions e WHERE e.id = p_id);
    turn record;
    taken executions;
BEGIN
    FOR turn IN
        -- One probe of the index for each carrier that has something due, however much that is.
        WITH RECURSIVE waiting (carrier) AS (
            (SELECT e.tenant_id FROM executions e
             WHERE e.status IN ('queued', 'running') AND e.due_at <= now() ORDER BY e.tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT e.tenant_id FROM executions e
                    WHERE e.status IN ('queued', 'running') AND e.due_at <= now() AND e.tenant_id > w.carrier
                    ORDER BY e.tenant_id LIMIT 1)
            FROM waiting w WHERE w.carrier IS NOT NULL)
        SELECT w.carrier,
               (SELECT count(*) FROM executions e WHERE e.tenant_id = w.carrier AND e.status = 'running') AS running,
               (SELECT max(e.started_at) FROM executions e WHERE e.tenant_id = w.carrier AND e.started_at IS NOT NULL) AS served_at
        FROM waiting w WHERE w.carrier IS NOT NULL
        ORDER BY running, served_at NULLS FIRST, w.carrier
    LOOP
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
        -- Another worker may hold all that this carrier has due.
        EXIT WHEN taken.id IS NOT NULL;
    END LOOP;
    IF taken.id IS NULL THEN
        RETURN;
    END IF;
    PERFORM app.set_context(taken.tenant_id, NULL, NULL, NULL, NULL);
    outcome := CASE WHEN taken.attempt >= taken.max_attempts THEN 'lost' WHEN taken.expires_at <= now() THEN 'expired' ELSE 'run' END;
    IF outcome = 'run' THEN
        UPDATE executions e
        SET status = 'running', attempt = e.attempt + 1, started_at = clock_timestamp(), error_code = NULL, error_detail = NULL,
            due_at = clock_timestamp() + make_interval(secs => e.deadline_seconds) + p_margin
        WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
    ELSE
        UPDATE executions e
        SET status = CASE outcome WHEN 'lost' THEN 'failed' ELSE 'expired' END, finished_at = now(), error_code = outcome,
            error_detail = CASE outcome WHEN 'lost' THEN 'its last attempt did not come to an end'
                           ELSE 'it was not begun in time' END
        WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
    END IF;
    RETURN QUERY SELECT outcome, e.tenant_id, e.id, e.attempt, e.max_attempts, e.skill, e.skill_version, e.own_skill_id, e.kind,
                        e.provider, e.model, e.input, e.deadline_seconds
                 FROM executions e WHERE (e.tenant_id, e.id) = (taken.tenant_id, taken.id);
END
$$;
CALL app.give_to_gate('app.claim_execution(uuid, interval)');

-- Enters the carrier of an execution for the worker that runs it. False: its attempt is over, and nothing can be written.
CREATE FUNCTION app.enter_execution(p_id uuid, p_attempt integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid;
BEGIN
    SELECT e.tenant_id INTO carrier FROM executions e
    WHERE e.id = p_id AND e.attempt = p_attempt AND e.status = 'running';
    IF FOUND THEN
        PERFORM app.set_context(carrier, NULL, NULL, NULL, NULL);
    END IF;
    RETURN FOUND;
END
$$;
CALL app.give_to_gate('app.enter_execution(uuid, integer)');

-- Puts back what failed, for an operator who has mended the cause; with as many attempts again.
CREATE FUNCTION app.retry_execution(p_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE executions e
    SET status = 'queued', max_attempts = e.attempt + e.max_attempts, due_at = now(), finished_at = NULL,
        expires_at = greatest(e.expires_at, now() + interval '1 day')
    WHERE e.id = p_id AND e.status = 'failed';
    RETURN FOUND;
END
$$;
CALL app.give_to_gate('app.retry_execution(uuid)');

GRANT EXECUTE ON FUNCTION app.claim_execution(uuid, interval), app.enter_execution(uuid, integer), app.retry_execution(uuid)
TO carhaul_ai;

-- What is due and was not taken for a while: its message was lost or never sent, or its worker died.
CREATE FUNCTION app.overdue_executions(p_older_than interval, p_limit integer) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id FROM executions e
    WHERE e.status IN ('queued', 'running') AND e.due_at < now() - p_older_than
    ORDER BY e.due_at LIMIT p_limit
$$;
CALL app.give_to_gate('app.overdue_executions(interval, integer)');

-- Ends what was not begun in time, and says how many.
CREATE FUNCTION app.expire_executions(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    expired integer;
BEGIN
    UPDATE executions SET status = 'expired', finished_at = now(), error_code = 'expired', error_detail = 'it was not begun in time'
    WHERE (tenant_id, id) IN (
        SELECT e.tenant_id, e.id FROM executions e
        WHERE e.status IN ('queued', 'running') AND e.expires_at <= now() AND e.due_at <= now()
        ORDER BY e.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END
$$;
CALL app.give_to_gate('app.expire_executions(integer)');
GRANT EXECUTE ON FUNCTION app.overdue_executions(interval, integer), app.expire_executions(integer) TO carhaul_housekeeping;

-- What a worker may look at: it runs for no member, changes no business row, and enters a carrier by an execution alone.
GRANT SELECT ON tenants, customers, locations, trucks, trailers, drivers, orders, order_vehicles, order_search_terms TO carhaul_ai;
GRANT EXECUTE ON FUNCTION app.search_words(text[]) TO carhaul_ai;
REVOKE EXECUTE ON FUNCTION app.enter(text, text, text, uuid, uuid), app.count_call(text, date, bigint, bigint) FROM carhaul_ai;
