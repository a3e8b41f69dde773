-- An order that is taken from a driver is news for that driver, who no longer sees the order itself.

SET LOCAL ROLE carhaul_gate;
-- Writes a change into the audit log and, unless TG_ARGV[0] is empty, into the event log. TG_ARGV: the resource in the
-- singular, the column that is the row's id, and columns that must not be logged.
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
RESET ROLE;
