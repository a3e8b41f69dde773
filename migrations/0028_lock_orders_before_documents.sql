-- Who changes an order locks it, then its vehicles, then what hangs on them; who changes a document did so the other way round,
-- and each waited for the other until the database ended one of them. A document is changed with its order locked, too.

-- Locks the order that a document is of; nothing when there is no such document, or none that the caller sees.
CREATE FUNCTION app.lock_order_of_document(p_tenant uuid, p_id uuid) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    locked uuid;
    present uuid;
BEGIN
    LOOP
        SELECT d.order_id INTO present FROM documents d WHERE (d.tenant_id, d.id) = (p_tenant, p_id);
        -- It may have gone to another order while this waited for the lock: a younger one, as everybody locks them.
        EXIT WHEN present IS NULL OR present = locked;
        PERFORM FROM orders o WHERE (o.tenant_id, o.id) = (p_tenant, present) FOR NO KEY UPDATE;
        locked := present;
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.lock_order_of_document(uuid, uuid) TO carhaul_api, carhaul_gate;

SET LOCAL ROLE carhaul_gate;

CREATE OR REPLACE FUNCTION app.settle_upload(p_tenant uuid, p_id uuid, p_status text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM app.lock_order_of_document(p_tenant, p_id);
    UPDATE documents d SET status = p_status, stored_at = CASE p_status WHEN 'stored' THEN now() END
    WHERE (d.tenant_id, d.id) = (p_tenant, p_id) AND d.status = 'pending'
      AND (p_status <> 'expired' OR d.upload_expires_at + app.upload_grace() < now());
    RETURN FOUND;
END
$$;

RESET ROLE;
