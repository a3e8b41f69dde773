-- API calls a month and requests a second: counted in one row of the carrier, so that they hold over all instances and
-- are exact at the plan's ceiling.

CREATE TABLE api_usage (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    -- First local day of the month that `calls` counts.
    month date NOT NULL,
    calls bigint NOT NULL,
    second_at timestamptz NOT NULL,
    calls_in_second bigint NOT NULL
    -- Changed with each request: room in its page keeps it out of the indexes.
) WITH (fillfactor = 10);
CALL app.protect('api_usage');
CALL app.open_to_gate('api_usage');
GRANT SELECT ON api_usage TO carhaul_api;
GRANT SELECT, INSERT, UPDATE ON api_usage TO carhaul_gate;

CREATE FUNCTION app.start_api_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO api_usage (tenant_id, month, calls, second_at, calls_in_second) VALUES (NEW.id, '-infinity', 0, '-infinity', 0);
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.start_api_usage()');
CREATE TRIGGER start_api_usage AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION app.start_api_usage();
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
ALTER TABLE api_usage NO FORCE ROW LEVEL SECURITY;
INSERT INTO api_usage (tenant_id, month, calls, second_at, calls_in_second) SELECT id, '-infinity', 0, '-infinity', 0 FROM tenants;
ALTER TABLE api_usage FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;

-- Counts this request of the carrier that was entered, and refuses it (CH402 for the month, CH429 for the second, the
-- limit as JSON in the detail) if the plan has no room for it. `p_quota`: 'full' holds both limits, 'rate' the second's,
-- 'none' neither; NULL does not count, since it was counted already. The other arguments are what app.enter said.
--
-- The row stays locked until the transaction ends, which must therefore be soon: reads call this last, writes in a
-- transaction of its own before theirs. It need not wait for the disk: what a crash of the database forgets is a few
-- counted calls.
CREATE FUNCTION app.count_call(
    p_quota text, p_month date, p_month_max bigint, p_second_max bigint, OUT month_used bigint, OUT second_used bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this_second timestamptz := date_trunc('second', clock_timestamp());
BEGIN
    IF p_quota IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    -- Whoever waited for the row's lock may come with a second that is over: time in the row only goes forward.
    UPDATE api_usage u
    SET calls = CASE WHEN p_month > u.month THEN 1 ELSE u.calls + 1 END,
        month = greatest(u.month, p_month),
        calls_in_second = CASE WHEN this_second > u.second_at THEN 1 ELSE u.calls_in_second + 1 END,
        second_at = greatest(u.second_at, this_second)
    WHERE u.tenant_id = app.tenant_id()
    RETURNING u.calls, u.calls_in_second INTO month_used, second_used;
    IF p_quota <> 'none' AND second_used > p_second_max THEN
        RAISE EXCEPTION 'limit reached: requests' USING ERRCODE = 'CH429', DETAIL = json_build_object(
            'limit', 'requests', 'max', p_second_max, 'used', p_second_max, 'resets_at', this_second + interval '1 second');
    ELSIF p_quota = 'full' AND month_used > p_month_max THEN
        RAISE EXCEPTION 'limit reached: api_calls' USING ERRCODE = 'CH402', DETAIL = json_build_object(
            'limit', 'api_calls', 'max', p_month_max, 'used', month_used - 1,
            'resets_at', (SELECT l.resets_at FROM app.limit_now(app.tenant_id(), 'api_calls') l));
    END IF;
END
$$;
CALL app.give_to_gate('app.count_call(text, date, bigint, bigint)');
GRANT EXECUTE ON FUNCTION app.count_call(text, date, bigint, bigint) TO carhaul_api, carhaul_ai;

-- More of a function's columns means another function; callers name the columns that they know.
SET LOCAL ROLE carhaul_gate;
DROP FUNCTION app.enter(text, text, text, uuid, uuid);
RESET ROLE;
-- Enters a tenant: checks the membership or API key as it is now and sets the context. `p_kind` is 'user' (issuer and
-- subject of a verified token) or 'api_key' (subject is the key's SHA-256 in hex). A caller with exactly one membership
-- may leave the tenant out. `month_ends_in` is in seconds; a limit that is NULL is unlimited.
CREATE FUNCTION app.enter(
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
        FROM api_keys k
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
        FROM users u JOIN memberships m ON m.user_id = u.id
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
CALL app.give_to_gate('app.enter(text, text, text, uuid, uuid)');
GRANT EXECUTE ON FUNCTION app.enter(text, text, text, uuid, uuid) TO carhaul_api, carhaul_ai, carhaul_realtime;
