-- How far each topic of a carrier's event log has been trimmed. A client that comes back with an older cursor has missed
-- events for good, and is told so instead of going on as if nothing were missing.

CREATE TABLE event_trims (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    topic text NOT NULL,
    -- The last event that is gone.
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (tenant_id, topic)
);
CALL app.protect('event_trims');
CALL app.open_to_gate('event_trims');
GRANT SELECT ON event_trims TO carhaul_api;
GRANT SELECT, INSERT, UPDATE ON event_trims TO carhaul_gate;

CREATE FUNCTION app.note_trimmed_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO event_trims AS t (tenant_id, topic, xid, seq)
    SELECT DISTINCT ON (g.tenant_id, g.topic) g.tenant_id, g.topic, g.xid, g.seq
    FROM gone g
    -- Not of a carrier that is deleted itself.
    JOIN tenants c ON c.id = g.tenant_id
    -- Pieces of an answer go with their attempt: whoever reads on finds how it ended.
    WHERE g.type <> 'execution.progress'
    ORDER BY g.tenant_id, g.topic, g.xid DESC, g.seq DESC
    ON CONFLICT (tenant_id, topic) DO UPDATE SET xid = excluded.xid, seq = excluded.seq
    WHERE (t.xid, t.seq) < (excluded.xid, excluded.seq);
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.note_trimmed_events()');
CREATE TRIGGER note_trimmed AFTER DELETE ON tenant_events REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION app.note_trimmed_events();

-- Refuses a cursor of the entered carrier behind which events of the topic, or of any, are gone.
CREATE FUNCTION app.require_kept(p_topic text, p_xid bigint, p_seq bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM event_trims t
               WHERE t.tenant_id = app.tenant_id() AND (p_topic IS NULL OR t.topic = p_topic) AND (t.xid, t.seq) > (p_xid, p_seq)) THEN
        RAISE EXCEPTION 'events after this cursor are gone' USING ERRCODE = 'CH410';
    END IF;
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION app.require_kept(text, bigint, bigint) TO carhaul_api;

SET LOCAL ROLE carhaul_gate;
-- As before, and a cursor holds for all topics that are heard then.
CREATE OR REPLACE FUNCTION app.change_topics(
    p_id text, p_add text[], p_remove text[], p_now boolean, p_xid bigint, p_seq bigint
) RETURNS TABLE (topics text[], xid bigint, seq bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM realtime_connections c
               JOIN event_trims t ON t.tenant_id = c.tenant_id
               CROSS JOIN unnest(coalesce(c.next_topics, c.topics) || p_add) heard
               WHERE c.id = p_id AND heard <> ALL (p_remove) AND t.topic = split_part(heard, '/', 1)
                 AND (t.xid, t.seq) > (p_xid, p_seq)) THEN
        RAISE EXCEPTION 'events after this cursor are gone' USING ERRCODE = 'CH410';
    END IF;
    RETURN QUERY
    UPDATE realtime_connections c
    SET next_topics = ARRAY(SELECT DISTINCT t FROM unnest(coalesce(c.next_topics, c.topics) || p_add) t
                            WHERE t <> ALL (p_remove) ORDER BY t),
        next_xid = CASE WHEN p_now THEN app.event_horizon() - 1 ELSE coalesce(p_xid, c.next_xid) END,
        next_seq = CASE WHEN p_now THEN 9223372036854775807 ELSE coalesce(p_seq, c.next_seq) END
    WHERE c.id = p_id
    RETURNING c.next_topics, coalesce(c.next_xid, c.xid), coalesce(c.next_seq, c.seq);
END
$$;
RESET ROLE;
