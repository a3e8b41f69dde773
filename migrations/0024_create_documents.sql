-- Documents of orders. A row for each; its bytes are in the private bucket, at {tenant_id}/{id}, where its owner puts them
-- by a signed URL that holds for exactly these bytes.

-- A document may be of one vehicle of its order, and of no other order's.
ALTER TABLE order_vehicles ADD CONSTRAINT order_vehicles_of_order UNIQUE (tenant_id, order_id, id);

CREATE TABLE documents (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    vehicle_id uuid,
    kind text NOT NULL CHECK (kind IN ('bol', 'pod', 'gate_pass', 'rate_confirmation', 'receipt', 'photo')),
    -- pending: the upload is awaited. stored: the object is there and is what was announced. refused: it was not. expired: none
    -- came in time.
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'stored', 'refused', 'expired')),
    -- As the uploader calls it.
    file_name text NOT NULL,
    content_type text NOT NULL,
    -- In bytes.
    size integer NOT NULL CHECK (size BETWEEN 1 AND 104857600),
    -- In hex.
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    upload_expires_at timestamptz NOT NULL,
    stored_at timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT documents_stored_at CHECK ((status = 'stored') = (stored_at IS NOT NULL)),
    CONSTRAINT documents_order_id FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT documents_vehicle_id FOREIGN KEY (tenant_id, order_id, vehicle_id)
        -- It goes with its vehicle to another order, and stays with the order when the vehicle is taken off.
        REFERENCES order_vehicles (tenant_id, order_id, id) ON UPDATE CASCADE ON DELETE SET NULL (vehicle_id)
);
CREATE INDEX documents_order ON documents (tenant_id, order_id, id);
CREATE INDEX documents_vehicle ON documents (tenant_id, order_id, vehicle_id) WHERE vehicle_id IS NOT NULL;
-- For housekeeping, over all carriers, the oldest first.
CREATE INDEX documents_pending ON documents (id) WHERE status = 'pending';

CALL app.protect('documents');
-- A driver sees those of their own orders; what says the price only where drivers see prices. Subqueries run once.
CREATE POLICY driver_scope ON documents AS RESTRICTIVE
USING ((SELECT app.driver_id() IS NULL)
       OR (order_id IN (SELECT o.id FROM orders o WHERE o.driver_id = (SELECT app.driver_id()))
           AND (kind <> 'rate_confirmation'
                OR (SELECT t.drivers_see_prices FROM tenants t WHERE t.id = (SELECT app.tenant_id())))));
CALL app.open_to_gate('documents');
-- The clients' own events come from the trigger below: they are about the order.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON documents
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
-- Nobody who uploads says that it was stored.
GRANT SELECT, DELETE,
    INSERT (tenant_id, id, order_id, vehicle_id, kind, file_name, content_type, size, sha256, upload_expires_at, created_by)
ON documents TO carhaul_api;
GRANT SELECT, UPDATE (status, stored_at) ON documents TO carhaul_gate;

-- Objects that are to go from the bucket: written with what makes them superfluous, removed when they are gone. It names no
-- carrier as its owner, since the objects of a carrier that is deleted are still to go.
CREATE TABLE object_deletions (
    tenant_id uuid NOT NULL,
    document_id uuid NOT NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    -- Until then an upload could make it anew.
    last_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, document_id)
);
CREATE INDEX object_deletions_due_at ON object_deletions (due_at);
CALL app.protect('object_deletions');
CALL app.open_to_gate('object_deletions');
GRANT SELECT, INSERT, DELETE, UPDATE (due_at) ON object_deletions TO carhaul_gate;

-- The order says whether its proof of delivery is there, for the list that filters by it.
CALL app.open_to_gate('orders');
GRANT SELECT (tenant_id, id, driver_id, has_pod), UPDATE (has_pod) ON orders TO carhaul_gate;

-- An upload that has begun before its URL expired may end later.
CREATE FUNCTION app.upload_grace() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '1 hour';
GRANT EXECUTE ON FUNCTION app.upload_grace() TO carhaul_gate;

-- What follows from a document's change: its object is to go, its order has a POD or none, and who follows the order hears of it.
CREATE FUNCTION app.follow_document() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    document documents := coalesce(NEW, OLD);
    now_is text := CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE NEW.status END;
    driver uuid;
BEGIN
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
CALL app.give_to_gate('app.follow_document()');
CREATE TRIGGER follow_document AFTER UPDATE OF status, order_id OR DELETE ON documents
FOR EACH ROW EXECUTE FUNCTION app.follow_document();

-- For housekeeping ----------------------------------------------------------------------------------------------------

-- What the object of a document should be. No row: there is no such document.
CREATE FUNCTION app.awaited_upload(p_tenant uuid, p_id uuid)
RETURNS TABLE (status text, content_type text, size integer, sha256 text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.status, d.content_type, d.size, d.sha256
    FROM documents d WHERE (d.tenant_id, d.id) = (p_tenant, p_id)
$$;
CALL app.give_to_gate('app.awaited_upload(uuid, uuid)');

-- Uploads that are awaited since before `p_before`, the oldest first, from behind `p_after` on.
CREATE FUNCTION app.overdue_uploads(p_before timestamptz, p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, id uuid, content_type text, size integer, sha256 text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.tenant_id, d.id, d.content_type, d.size, d.sha256
    FROM documents d WHERE d.status = 'pending' AND d.id > p_after AND d.created_at < p_before
    ORDER BY d.id LIMIT p_limit
$$;
CALL app.give_to_gate('app.overdue_uploads(timestamptz, uuid, integer)');

-- Ends the wait for an upload: 'stored' or 'refused', or 'expired' once none can come any more. False: it had ended before, or
-- may not end yet.
CREATE FUNCTION app.settle_upload(p_tenant uuid, p_id uuid, p_status text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE documents d SET status = p_status, stored_at = CASE p_status WHEN 'stored' THEN now() END
    WHERE (d.tenant_id, d.id) = (p_tenant, p_id) AND d.status = 'pending'
      AND (p_status <> 'expired' OR d.upload_expires_at + app.upload_grace() < now());
    RETURN FOUND;
END
$$;
CALL app.give_to_gate('app.settle_upload(uuid, uuid, text)');

CREATE FUNCTION app.due_object_deletions(p_limit integer) RETURNS TABLE (tenant_id uuid, document_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.tenant_id, o.document_id FROM object_deletions o WHERE o.due_at <= now() ORDER BY o.due_at LIMIT p_limit
$$;
CALL app.give_to_gate('app.due_object_deletions(integer)');

-- The object is gone. If an upload could still make it anew, it is looked at once more when none can.
CREATE FUNCTION app.record_object_deletion(p_tenant uuid, p_document uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM object_deletions o WHERE (o.tenant_id, o.document_id) = (p_tenant, p_document) AND o.last_at <= now();
    UPDATE object_deletions o SET due_at = o.last_at WHERE (o.tenant_id, o.document_id) = (p_tenant, p_document);
$$;
CALL app.give_to_gate('app.record_object_deletion(uuid, uuid)');

GRANT EXECUTE ON FUNCTION
    app.awaited_upload(uuid, uuid), app.overdue_uploads(timestamptz, uuid, integer), app.settle_upload(uuid, uuid, text),
    app.due_object_deletions(integer), app.record_object_deletion(uuid, uuid)
TO carhaul_housekeeping;
