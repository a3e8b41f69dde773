-- The push of events to open WebSockets: tickets, connections with their topics and their cursor, and whose turn it is to
-- push. How the parts work together is told in shared/core/src/realtime/mod.rs.

CREATE TABLE realtime_tickets (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- SHA-256 of a random ticket of 256 bits, in hex.
    hash text NOT NULL,
    -- Who connects with it: a member or an API key.
    user_id uuid,
    api_key_id uuid,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    CHECK (num_nonnulls(user_id, api_key_id) = 1),
    CONSTRAINT realtime_tickets_user_id FOREIGN KEY (tenant_id, user_id)
        REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE,
    CONSTRAINT realtime_tickets_api_key_id FOREIGN KEY (tenant_id, api_key_id)
        REFERENCES api_keys (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX realtime_tickets_hash ON realtime_tickets (hash);
CREATE INDEX realtime_tickets_user ON realtime_tickets (tenant_id, user_id);
CREATE INDEX realtime_tickets_api_key ON realtime_tickets (tenant_id, api_key_id);
CREATE INDEX realtime_tickets_expires_at ON realtime_tickets (expires_at);
CALL app.protect('realtime_tickets');
CALL app.open_to_gate('realtime_tickets');
GRANT INSERT, SELECT (expires_at) ON realtime_tickets TO carhaul_api;
GRANT SELECT, DELETE ON realtime_tickets TO carhaul_gate;

CREATE TABLE realtime_connections (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- As API Gateway calls it.
    id text NOT NULL,
    -- No reference to the membership: the row of a member who was removed stays until their socket is closed.
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    api_key_id uuid,
    connected_at timestamptz NOT NULL DEFAULT now(),
    -- What it hears: names of topics, alone or with the id of a subject behind a slash.
    topics text[] NOT NULL DEFAULT '{}',
    -- What is up to here in the event log has been delivered.
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    -- What the client has asked for since. The next push begins with it, so that it never meets one that is under way.
    next_topics text[],
    next_xid bigint,
    next_seq bigint,
    -- Posts that failed in a row, and when the next is due.
    failures smallint NOT NULL DEFAULT 0,
    retry_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK (num_nonnulls(user_id, api_key_id) = 1),
    CONSTRAINT realtime_connections_topics CHECK (cardinality(next_topics) <= 100),
    CONSTRAINT realtime_connections_api_key_id FOREIGN KEY (tenant_id, api_key_id)
        REFERENCES api_keys (tenant_id, id) ON DELETE CASCADE
    -- Each push moves the cursors: room in their pages keeps that out of the indexes.
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX realtime_connections_id ON realtime_connections (id);
CREATE INDEX realtime_connections_user ON realtime_connections (user_id);
CREATE INDEX realtime_connections_api_key ON realtime_connections (tenant_id, api_key_id);
CREATE INDEX realtime_connections_connected_at ON realtime_connections (connected_at);
CALL app.protect('realtime_connections');
CALL app.open_to_gate('realtime_connections');
-- Whoever commits a change asks whether anybody listens.
GRANT SELECT (tenant_id) ON realtime_connections TO carhaul_api, carhaul_ai;
GRANT SELECT, INSERT, UPDATE, DELETE ON realtime_connections TO carhaul_gate;

-- One worker at a time pushes for a carrier, or two would overtake each other.
CREATE TABLE realtime_pushes (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    -- Counts the turns: whoever has lost theirs writes nothing any more.
    fence bigint NOT NULL,
    leased_until timestamptz NOT NULL,
    -- Something came while somebody was pushing, who begins once more.
    again boolean NOT NULL
);
CALL app.protect('realtime_pushes');
CALL app.open_to_gate('realtime_pushes');
GRANT SELECT, INSERT, UPDATE ON realtime_pushes TO carhaul_gate;

-- The last position of the event log of which nothing more can come before.
CREATE FUNCTION app.event_horizon() RETURNS bigint LANGUAGE sql VOLATILE
RETURN pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
GRANT EXECUTE ON FUNCTION app.event_horizon() TO carhaul_gate;

-- Connections ---------------------------------------------------------------------------------------------------------

-- Takes a ticket and makes it a connection that begins with what happens from now on. False: there is no such ticket, or no
-- longer. Of two who come with the same ticket one waits for the other, and then finds it gone.
CREATE FUNCTION app.open_connection(p_ticket_hash text, p_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    horizon bigint := app.event_horizon();
    ticket record;
BEGIN
    DELETE FROM realtime_tickets t WHERE t.hash = p_ticket_hash RETURNING * INTO ticket;
    IF NOT FOUND OR ticket.expires_at <= now() THEN
        RETURN false;
    END IF;
    INSERT INTO realtime_connections (tenant_id, id, user_id, api_key_id, xid, seq)
    VALUES (ticket.tenant_id, p_id, ticket.user_id, ticket.api_key_id, horizon - 1, 9223372036854775807);
    RETURN true;
END
$$;
CALL app.give_to_gate('app.open_connection(text, text)');

CREATE FUNCTION app.close_connection(p_id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM realtime_connections c WHERE c.id = p_id
$$;
CALL app.give_to_gate('app.close_connection(text)');

-- The connections of a carrier, or one of them, with what their owner is now: `role` is NULL for a member who was removed
-- and a key that was revoked or has expired. Not called by functions directly.
CREATE FUNCTION app.listeners(p_tenant uuid, p_id text DEFAULT NULL) RETURNS TABLE (
    id text, topics text[], xid bigint, seq bigint, retry_at timestamptz, role text, scopes text[], driver_id uuid
) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT c.id, c.topics, c.xid, c.seq, c.retry_at,
           CASE WHEN k.id IS NOT NULL THEN 'api_key' ELSE m.role END, k.scopes,
           CASE WHEN m.role = 'driver' THEN coalesce(d.id, '00000000-0000-0000-0000-000000000000') END
    FROM realtime_connections c
    LEFT JOIN memberships m ON (m.tenant_id, m.user_id) = (c.tenant_id, c.user_id)
    LEFT JOIN drivers d ON (d.tenant_id, d.user_id) = (c.tenant_id, c.user_id)
    LEFT JOIN api_keys k ON (k.tenant_id, k.id) = (c.tenant_id, c.api_key_id)
                        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    WHERE c.tenant_id = p_tenant AND (p_id IS NULL OR c.id = p_id)
$$;
GRANT EXECUTE ON FUNCTION app.listeners(uuid, text) TO carhaul_gate;

-- Whose connection it is, and what they may do now. No row: it is not open.
CREATE FUNCTION app.connection_owner(p_id text) RETURNS TABLE (tenant_id uuid, role text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, l.role, l.scopes
    FROM realtime_connections c CROSS JOIN LATERAL app.listeners(c.tenant_id, c.id) l
    WHERE c.id = p_id
$$;
CALL app.give_to_gate('app.connection_owner(text)');

-- Adds and removes topics, and moves the cursor to a position, or with `p_now` to the end of the log. Returns what holds
-- with the next push.
CREATE FUNCTION app.change_topics(
    p_id text, p_add text[], p_remove text[], p_now boolean, p_xid bigint, p_seq bigint
) RETURNS TABLE (topics text[], xid bigint, seq bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE realtime_connections c
    SET next_topics = ARRAY(SELECT DISTINCT t FROM unnest(coalesce(c.next_topics, c.topics) || p_add) t
                            WHERE t <> ALL (p_remove) ORDER BY t),
        next_xid = CASE WHEN p_now THEN app.event_horizon() - 1 ELSE coalesce(p_xid, c.next_xid) END,
        next_seq = CASE WHEN p_now THEN 9223372036854775807 ELSE coalesce(p_seq, c.next_seq) END
    WHERE c.id = p_id
    RETURNING c.next_topics, coalesce(c.next_xid, c.xid), coalesce(c.next_seq, c.seq)
$$;
CALL app.give_to_gate('app.change_topics(text, text[], text[], boolean, bigint, bigint)');

-- The push ------------------------------------------------------------------------------------------------------------

-- Takes the turn to push for a carrier, and says what there is to do: a row for each connection whose next post is due (one
-- without a connection if there is none), the position up to which the log may be read, and whether there is something
-- beyond it. No row: nobody is connected, or somebody else is pushing, who will begin once more.
CREATE FUNCTION app.begin_push(p_tenant uuid, p_lease interval) RETURNS TABLE (
    fence bigint, horizon bigint, more_to_come boolean,
    id text, topics text[], xid bigint, seq bigint, role text, scopes text[], driver_id uuid
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    -- Before anything is written: this transaction shall not hold its own horizon back.
    log_end bigint := app.event_horizon();
    turn bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM realtime_connections c WHERE c.tenant_id = p_tenant) THEN
        RETURN;
    END IF;
    INSERT INTO realtime_pushes (tenant_id, fence, leased_until, again) VALUES (p_tenant, 0, '-infinity', false)
    ON CONFLICT DO NOTHING;
    UPDATE realtime_pushes p SET fence = p.fence + 1, leased_until = clock_timestamp() + p_lease, again = false
    WHERE p.tenant_id = p_tenant AND p.leased_until <= clock_timestamp()
    RETURNING p.fence INTO turn;
    IF NOT FOUND THEN
        -- Whoever gives the turn back holds the row's lock, and sees this mark or is over before it.
        UPDATE realtime_pushes p SET again = true WHERE p.tenant_id = p_tenant AND p.leased_until > clock_timestamp();
        IF FOUND THEN
            RETURN;
        END IF;
        RETURN QUERY SELECT * FROM app.begin_push(p_tenant, p_lease);
        RETURN;
    END IF;
    UPDATE realtime_connections c
    SET topics = c.next_topics, xid = coalesce(c.next_xid, c.xid), seq = coalesce(c.next_seq, c.seq),
        next_topics = NULL, next_xid = NULL, next_seq = NULL
    WHERE c.tenant_id = p_tenant AND c.next_topics IS NOT NULL;
    RETURN QUERY
        SELECT turn, log_end, EXISTS (SELECT FROM tenant_events t WHERE t.tenant_id = p_tenant AND t.xid >= log_end),
               l.id, l.topics, l.xid, l.seq, l.role, l.scopes, l.driver_id
        FROM (VALUES (1)) one
        LEFT JOIN app.listeners(p_tenant) l ON l.retry_at IS NULL OR l.retry_at <= now();
END
$$;
CALL app.give_to_gate('app.begin_push(uuid, interval)');

-- Enters the carrier of a turn, to read its log. No row: the turn is over.
CREATE FUNCTION app.enter_push(p_tenant uuid, p_fence bigint) RETURNS TABLE (tenant_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT p.tenant_id FROM realtime_pushes p
                 WHERE p.tenant_id = p_tenant AND p.fence = p_fence AND p.leased_until > clock_timestamp();
    IF FOUND THEN
        PERFORM app.set_context(p_tenant, NULL, NULL, NULL, NULL);
    END IF;
END
$$;
CALL app.give_to_gate('app.enter_push(uuid, bigint)');

-- Writes down what came of posts: the cursors of connections that took theirs, those that failed (the next try is put off,
-- from two seconds to five minutes), those that are gone. With `p_done` it gives the turn back. Returns whether to begin
-- once more; NULL: the turn was over, and nothing was written.
CREATE FUNCTION app.record_push(
    p_tenant uuid, p_fence bigint, p_ids text[], p_xids bigint[], p_seqs bigint[], p_failed text[], p_gone text[], p_done boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    begin_again boolean;
BEGIN
    SELECT p.again INTO begin_again FROM realtime_pushes p WHERE p.tenant_id = p_tenant AND p.fence = p_fence FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE realtime_connections c SET xid = a.xid, seq = a.seq, failures = 0, retry_at = NULL
    FROM unnest(p_ids, p_xids, p_seqs) AS a (id, xid, seq)
    WHERE c.tenant_id = p_tenant AND c.id = a.id;
    UPDATE realtime_connections c
    SET failures = least(c.failures + 1, 9),
        retry_at = clock_timestamp() + least(2 ^ (c.failures + 1), 300) * interval '1 second'
    WHERE c.tenant_id = p_tenant AND c.id = ANY (p_failed);
    DELETE FROM realtime_connections c WHERE c.tenant_id = p_tenant AND c.id = ANY (p_gone);
    IF p_done THEN
        UPDATE realtime_pushes p SET leased_until = '-infinity', again = false WHERE p.tenant_id = p_tenant;
    END IF;
    RETURN p_done AND begin_again;
END
$$;
CALL app.give_to_gate('app.record_push(uuid, bigint, text[], bigint[], bigint[], text[], text[], boolean)');

GRANT EXECUTE ON FUNCTION
    app.open_connection(text, text), app.close_connection(text), app.connection_owner(text),
    app.change_topics(text, text[], text[], boolean, bigint, bigint), app.begin_push(uuid, interval),
    app.enter_push(uuid, bigint),
    app.record_push(uuid, bigint, text[], bigint[], bigint[], text[], text[], boolean)
TO carhaul_realtime;

-- For housekeeping ----------------------------------------------------------------------------------------------------

-- Carriers with a connection to which something is due that nobody is about to push: a nudge was lost, a worker has died, a
-- post failed, a key has expired.
CREATE FUNCTION app.forgotten_pushes(p_limit integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT c.tenant_id
    FROM realtime_connections c
    LEFT JOIN api_keys k ON (k.tenant_id, k.id) = (c.tenant_id, c.api_key_id)
    WHERE (c.retry_at IS NULL OR c.retry_at <= now())
      AND (c.next_topics IS NOT NULL OR k.revoked_at IS NOT NULL OR k.expires_at <= now()
           OR EXISTS (SELECT FROM tenant_events t
                      WHERE t.tenant_id = c.tenant_id AND (t.xid, t.seq) > (c.xid, c.seq)
                        AND t.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint))
      AND NOT EXISTS (SELECT FROM realtime_pushes p WHERE p.tenant_id = c.tenant_id AND p.leased_until > now())
    LIMIT p_limit
$$;
CALL app.give_to_gate('app.forgotten_pushes(integer)');

-- As app.purge_expired. API Gateway ends a connection after two hours.
CREATE FUNCTION app.purge_realtime(batch integer) RETURNS TABLE (table_name text, purged bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    table_name := 'realtime_tickets';
    DELETE FROM realtime_tickets WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM realtime_tickets t WHERE t.expires_at < now() ORDER BY t.expires_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'realtime_connections';
    DELETE FROM realtime_connections WHERE ctid = ANY (ARRAY(
        SELECT c.ctid FROM realtime_connections c
        WHERE c.connected_at < now() - interval '150 minutes' ORDER BY c.connected_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
END
$$;
CALL app.give_to_gate('app.purge_realtime(integer)');
GRANT EXECUTE ON FUNCTION app.forgotten_pushes(integer), app.purge_realtime(integer) TO carhaul_housekeeping;
