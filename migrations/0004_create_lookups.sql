-- Each carrier's own words: small tables that orders and, later, expenses and invoices refer to.

CREATE TABLE custom_statuses (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    label text NOT NULL,
    color text NOT NULL,
    -- The one system status it may be used with.
    system_status text NOT NULL CHECK (system_status IN ('new', 'assigned', 'picked_up', 'in_transit', 'delivered', 'cancelled')),
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX custom_statuses_label ON custom_statuses (tenant_id, lower(label)) WHERE archived_at IS NULL;

CREATE TABLE tags (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX tags_name ON tags (tenant_id, lower(name));

CREATE TABLE expense_categories (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX expense_categories_name ON expense_categories (tenant_id, lower(name)) WHERE archived_at IS NULL;

CREATE TABLE cancel_reasons (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    label text NOT NULL,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX cancel_reasons_label ON cancel_reasons (tenant_id, lower(label)) WHERE archived_at IS NULL;

-- Who is told of what, and how. No row means: not told.
CREATE TABLE notification_preferences (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    event text NOT NULL CHECK (event IN ('order.created', 'order.assigned', 'order.picked_up', 'order.delivered', 'order.cancelled')),
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'dispatcher', 'accountant', 'driver')),
    PRIMARY KEY (tenant_id, event, channel, role)
);

-- Numbers that people say on the phone: 1, 2, 3 .. for each carrier. The row is locked from the insert that takes a
-- number to the end of its transaction, which is the next round trip; a transaction that fails leaves no gap.
CREATE TABLE number_sequences (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('order', 'trip', 'invoice')),
    next_number bigint NOT NULL DEFAULT 1 CHECK (next_number BETWEEN 1 AND 999999999),
    version bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind)
);

CREATE FUNCTION app.take_number(p_kind text) RETURNS bigint LANGUAGE sql SET search_path = public, pg_temp AS $$
    UPDATE number_sequences SET next_number = next_number + 1
    WHERE (tenant_id, kind) = (app.tenant_id(), p_kind)
    RETURNING next_number - 1
$$;
GRANT EXECUTE ON FUNCTION app.take_number(text) TO carhaul_api;

DO $$
DECLARE
    lookup text;
BEGIN
    FOREACH lookup IN ARRAY ARRAY['custom_statuses', 'tags', 'expense_categories', 'cancel_reasons'] LOOP
        CALL app.protect(lookup);
        EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION app.touch()', lookup);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO carhaul_api', lookup);
    END LOOP;
END
$$;
CALL app.protect('notification_preferences');
CALL app.protect('number_sequences');
CREATE TRIGGER touch BEFORE UPDATE ON number_sequences FOR EACH ROW EXECUTE FUNCTION app.touch();
GRANT SELECT, INSERT, DELETE ON notification_preferences TO carhaul_api;
GRANT SELECT, UPDATE ON number_sequences TO carhaul_api;

-- app.create_tenant fills these.
CALL app.open_to_gate('number_sequences');
CALL app.open_to_gate('cancel_reasons');
CALL app.open_to_gate('expense_categories');
GRANT INSERT ON number_sequences, cancel_reasons, expense_categories TO carhaul_gate;

CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON custom_statuses
FOR EACH ROW EXECUTE FUNCTION app.record_change('custom_status', 'id');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON tags
FOR EACH ROW EXECUTE FUNCTION app.record_change('tag', 'id');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON expense_categories
FOR EACH ROW EXECUTE FUNCTION app.record_change('expense_category', 'id');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON cancel_reasons
FOR EACH ROW EXECUTE FUNCTION app.record_change('cancel_reason', 'id');
CREATE TRIGGER record_change AFTER INSERT OR DELETE ON notification_preferences
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'tenant_id');
-- Taking a number is no news; setting it is.
CREATE TRIGGER record_change AFTER UPDATE OF next_number ON number_sequences
FOR EACH ROW WHEN (NEW.next_number <> OLD.next_number + 1) EXECUTE FUNCTION app.record_change('', 'tenant_id');
