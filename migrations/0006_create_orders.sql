-- Orders, the vehicles on them, and what happened to them.

CREATE TABLE orders (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    number bigint NOT NULL,
    -- The customer's own number: a broker's load id.
    reference text,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'assigned', 'picked_up', 'in_transit', 'delivered', 'cancelled')),
    -- Billing is a state of its own.
    billing_status text NOT NULL DEFAULT 'unbilled' CHECK (billing_status IN ('unbilled', 'invoiced', 'partially_paid', 'paid')),
    on_hold boolean NOT NULL DEFAULT false,
    archived_at timestamptz,
    cancel_reason_id uuid,
    custom_status_id uuid,
    transport_type text NOT NULL CHECK (transport_type IN ('open', 'enclosed', 'driveaway')),
    customer_id uuid NOT NULL,
    dispatcher_id uuid,
    driver_id uuid,
    truck_id uuid,
    trailer_id uuid,
    trip_id uuid,

    -- A stop is a copy of the address at the time of the order: a later edit of the location must not rewrite a bill of
    -- lading. The local day of a stop is what dispatchers filter by.
    pickup_location_id uuid,
    pickup_name text,
    pickup_address text,
    pickup_city text NOT NULL,
    pickup_state text NOT NULL,
    pickup_zip text,
    pickup_contact_name text,
    pickup_phone text,
    pickup_time_zone text NOT NULL,
    pickup_from timestamptz NOT NULL,
    pickup_to timestamptz NOT NULL,
    pickup_date date NOT NULL GENERATED ALWAYS AS ((pickup_from AT TIME ZONE pickup_time_zone)::date) STORED,
    pickup_notes text,
    delivery_location_id uuid,
    delivery_name text,
    delivery_address text,
    delivery_city text NOT NULL,
    delivery_state text NOT NULL,
    delivery_zip text,
    delivery_contact_name text,
    delivery_phone text,
    delivery_time_zone text NOT NULL,
    delivery_from timestamptz NOT NULL,
    delivery_to timestamptz NOT NULL,
    delivery_date date NOT NULL GENERATED ALWAYS AS ((delivery_from AT TIME ZONE delivery_time_zone)::date) STORED,
    delivery_notes text,
    -- Cities are filtered in any case: a generated column, since lower() in a query is not leakproof.
    pickup_city_lower text NOT NULL GENERATED ALWAYS AS (lower(pickup_city)) STORED,
    delivery_city_lower text NOT NULL GENERATED ALWAYS AS (lower(delivery_city)) STORED,

    price numeric(12, 2) CHECK (price >= 0),
    broker_fee numeric(12, 2) CHECK (broker_fee >= 0),
    -- What the driver collects at the stop.
    cod_amount numeric(12, 2) CHECK (cod_amount >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment_method text CHECK (payment_method IN ('cash', 'certified_funds', 'comchek', 'company_check', 'ach')),
    payment_term text CHECK (payment_term IN ('on_pickup', 'on_delivery', 'days_2', 'days_5', 'days_10', 'days_15', 'days_30', 'days_60')),
    notes text,
    has_pod boolean NOT NULL DEFAULT false,

    -- What follows from the vehicles; written together with them, never alone.
    vehicle_count smallint NOT NULL CHECK (vehicle_count BETWEEN 0 AND 12),
    picked_up_count smallint NOT NULL DEFAULT 0,
    delivered_count smallint NOT NULL DEFAULT 0,
    is_inoperable boolean NOT NULL DEFAULT false,

    created_by uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT orders_number UNIQUE (tenant_id, number),
    CONSTRAINT orders_pickup_window CHECK (pickup_from <= pickup_to),
    CONSTRAINT orders_delivery_window CHECK (delivery_from <= delivery_to),
    CONSTRAINT orders_payment CHECK ((payment_method IS NULL) = (payment_term IS NULL)),
    CONSTRAINT orders_cancel_reason CHECK (status <> 'cancelled' OR cancel_reason_id IS NOT NULL),
    CONSTRAINT orders_customer_id FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id),
    CONSTRAINT orders_dispatcher_id FOREIGN KEY (tenant_id, dispatcher_id) REFERENCES memberships (tenant_id, user_id)
        ON DELETE SET NULL (dispatcher_id),
    CONSTRAINT orders_driver_id FOREIGN KEY (tenant_id, driver_id) REFERENCES drivers (tenant_id, id),
    CONSTRAINT orders_truck_id FOREIGN KEY (tenant_id, truck_id) REFERENCES trucks (tenant_id, id),
    CONSTRAINT orders_trailer_id FOREIGN KEY (tenant_id, trailer_id) REFERENCES trailers (tenant_id, id),
    CONSTRAINT orders_pickup_location_id FOREIGN KEY (tenant_id, pickup_location_id) REFERENCES locations (tenant_id, id),
    CONSTRAINT orders_delivery_location_id FOREIGN KEY (tenant_id, delivery_location_id) REFERENCES locations (tenant_id, id),
    CONSTRAINT orders_custom_status_id FOREIGN KEY (tenant_id, custom_status_id) REFERENCES custom_statuses (tenant_id, id),
    CONSTRAINT orders_cancel_reason_id FOREIGN KEY (tenant_id, cancel_reason_id) REFERENCES cancel_reasons (tenant_id, id)
);

-- The planner does not know for which carrier it plans. Most carriers are small, and what is best for the average one would
-- sort all orders of a large one to show a page: let it think of carriers as large, where walking an index in order wins
-- and costs a small one nothing.
ALTER TABLE orders ALTER COLUMN tenant_id SET (n_distinct = 10);

-- One index for each way the list is walked: a filter that dispatchers live in, then the order of the page. The id is a
-- UUIDv7, so it is also the order of creation.
CREATE INDEX orders_status ON orders (tenant_id, status, id);
CREATE INDEX orders_customer ON orders (tenant_id, customer_id, id);
CREATE INDEX orders_driver ON orders (tenant_id, driver_id, id);
-- IS NULL is no equality to the planner: orders_driver would have to be sorted.
CREATE INDEX orders_unassigned ON orders (tenant_id, id) WHERE driver_id IS NULL;
CREATE INDEX orders_dispatcher ON orders (tenant_id, dispatcher_id, id);
CREATE INDEX orders_truck ON orders (tenant_id, truck_id, id);
CREATE INDEX orders_trailer ON orders (tenant_id, trailer_id) WHERE trailer_id IS NOT NULL;
CREATE INDEX orders_trip ON orders (tenant_id, trip_id, id) WHERE trip_id IS NOT NULL;
CREATE INDEX orders_custom_status ON orders (tenant_id, custom_status_id, id) WHERE custom_status_id IS NOT NULL;
CREATE INDEX orders_cancel_reason_id ON orders (tenant_id, cancel_reason_id) WHERE cancel_reason_id IS NOT NULL;
CREATE INDEX orders_pickup_location ON orders (tenant_id, pickup_location_id) WHERE pickup_location_id IS NOT NULL;
CREATE INDEX orders_delivery_location ON orders (tenant_id, delivery_location_id) WHERE delivery_location_id IS NOT NULL;
-- Sorts that begin with the oldest would walk through all that is archived.
CREATE INDEX orders_pickup_date ON orders (tenant_id, pickup_date, id) WHERE archived_at IS NULL;
CREATE INDEX orders_delivery_date ON orders (tenant_id, delivery_date, id) WHERE archived_at IS NULL;
CREATE INDEX orders_updated_at ON orders (tenant_id, updated_at, id) WHERE archived_at IS NULL;
CREATE INDEX orders_pickup_state ON orders (tenant_id, pickup_state, id);
CREATE INDEX orders_delivery_state ON orders (tenant_id, delivery_state, id);
CREATE INDEX orders_pickup_place ON orders (tenant_id, pickup_state, pickup_city_lower, id);
CREATE INDEX orders_delivery_place ON orders (tenant_id, delivery_state, delivery_city_lower, id);
CREATE INDEX orders_pickup_city ON orders (tenant_id, pickup_city_lower, id);
CREATE INDEX orders_delivery_city ON orders (tenant_id, delivery_city_lower, id);
CREATE INDEX orders_pickup_zip ON orders (tenant_id, pickup_zip, id);
CREATE INDEX orders_delivery_zip ON orders (tenant_id, delivery_zip, id);
-- What is late is looked for among what is open, by the end of the window.
CREATE INDEX orders_late_pickup ON orders (tenant_id, pickup_to) WHERE status IN ('new', 'assigned');
CREATE INDEX orders_late_delivery ON orders (tenant_id, delivery_to) WHERE status IN ('new', 'assigned', 'picked_up', 'in_transit');
CREATE INDEX orders_inoperable ON orders (tenant_id, id) WHERE is_inoperable;
CREATE INDEX orders_on_hold ON orders (tenant_id, id) WHERE on_hold;
CREATE INDEX orders_archived ON orders (tenant_id, id) WHERE archived_at IS NOT NULL;
CREATE INDEX orders_billing ON orders (tenant_id, billing_status, id);
CREATE INDEX orders_payment_term ON orders (tenant_id, payment_term, id);
CREATE INDEX orders_transport_type ON orders (tenant_id, transport_type, id) WHERE transport_type <> 'open';
CREATE INDEX orders_has_pod ON orders (tenant_id, id) WHERE has_pod;

CALL app.protect('orders');
CREATE POLICY driver_scope ON orders AS RESTRICTIVE
USING ((SELECT app.driver_id() IS NULL) OR driver_id = (SELECT app.driver_id()));
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON orders
FOR EACH ROW EXECUTE FUNCTION app.record_change('order', 'id');
CREATE TRIGGER limit_take AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION app.limit_take('orders');
-- An order is archived, never deleted.
GRANT SELECT, INSERT, UPDATE ON orders TO carhaul_api;

CREATE TABLE order_vehicles (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    -- The place on the order, from 1.
    position smallint NOT NULL,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'assigned', 'picked_up', 'in_transit', 'delivered', 'cancelled')),
    vin text,
    -- A VIN whose check digit does not fit, taken on the user's word (before 1981, or foreign).
    vin_override boolean NOT NULL DEFAULT false,
    year smallint,
    make text,
    model text,
    type text CHECK (type IN ('sedan', 'coupe', 'suv', 'pickup', 'van', 'convertible', 'wagon', 'motorcycle', 'atv', 'boat', 'rv', 'trailer', 'heavy', 'other')),
    color text,
    lot_number text,
    weight_lbs integer CHECK (weight_lbs > 0),
    is_inoperable boolean NOT NULL DEFAULT false,
    -- Of does_not_run, does_not_roll, does_not_steer, no_keys, flat_tire.
    inoperable_flags text[] NOT NULL DEFAULT '{}',
    price numeric(12, 2) CHECK (price >= 0),
    notes text,
    picked_up_at timestamptz,
    delivered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX order_vehicles_order ON order_vehicles (tenant_id, order_id, position);
CREATE INDEX order_vehicles_vin ON order_vehicles (tenant_id, vin) WHERE vin IS NOT NULL;
CREATE TRIGGER touch BEFORE UPDATE ON order_vehicles FOR EACH ROW EXECUTE FUNCTION app.touch();
-- The order's own event says that something changed; the audit log has each vehicle.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON order_vehicles
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
GRANT SELECT, INSERT, UPDATE, DELETE ON order_vehicles TO carhaul_api;

CREATE TABLE order_tags (
    tenant_id uuid NOT NULL,
    order_id uuid NOT NULL,
    tag_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, order_id, tag_id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT order_tags_tag_id FOREIGN KEY (tenant_id, tag_id) REFERENCES tags (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX order_tags_tag ON order_tags (tenant_id, tag_id, order_id);
GRANT SELECT, INSERT, DELETE ON order_tags TO carhaul_api;

-- Every move of an order or of one vehicle on it.
CREATE TABLE status_history (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    order_id uuid NOT NULL,
    vehicle_id uuid,
    from_status text,
    to_status text NOT NULL,
    -- When it happened, as told by who recorded it, and when it was recorded.
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor_id uuid,
    reason text,
    -- Why it was cancelled, also when that was one vehicle of an order that goes on.
    cancel_reason_id uuid,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT status_history_cancel_reason_id FOREIGN KEY (tenant_id, cancel_reason_id)
        REFERENCES cancel_reasons (tenant_id, id)
);
CREATE INDEX status_history_order ON status_history (tenant_id, order_id, id);
CREATE INDEX status_history_cancel_reason_id ON status_history (tenant_id, cancel_reason_id)
    WHERE cancel_reason_id IS NOT NULL;
GRANT SELECT, INSERT ON status_history TO carhaul_api;

CREATE TABLE order_search_terms (
    tenant_id uuid NOT NULL,
    term text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    -- The row that the term comes from: the order itself or one of its vehicles.
    source_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, term, order_id, source_id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX order_search_terms_order ON order_search_terms (tenant_id, order_id, source_id);
GRANT SELECT, INSERT, DELETE ON order_search_terms TO carhaul_api;

DO $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['order_vehicles', 'order_tags', 'status_history', 'order_search_terms'] LOOP
        CALL app.protect(part);
        -- A driver sees what belongs to their own orders; the subquery runs once, and only for drivers.
        EXECUTE format(
            'CREATE POLICY driver_scope ON %I AS RESTRICTIVE USING ((SELECT app.driver_id() IS NULL) '
            'OR order_id IN (SELECT o.id FROM orders o WHERE o.driver_id = (SELECT app.driver_id())))', part);
    END LOOP;
END
$$;

CREATE FUNCTION app.index_order() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM order_search_terms WHERE (tenant_id, order_id, source_id) = (NEW.tenant_id, NEW.id, NEW.id);
    END IF;
    INSERT INTO order_search_terms (tenant_id, order_id, source_id, term)
    SELECT NEW.tenant_id, NEW.id, NEW.id, word FROM app.search_words(NEW.number::text, NEW.reference) AS word;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_order AFTER INSERT OR UPDATE OF number, reference ON orders
FOR EACH ROW EXECUTE FUNCTION app.index_order();

CREATE FUNCTION app.index_order_vehicle() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM order_search_terms WHERE (tenant_id, order_id, source_id) = (OLD.tenant_id, OLD.order_id, OLD.id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO order_search_terms (tenant_id, order_id, source_id, term)
        SELECT NEW.tenant_id, NEW.order_id, NEW.id, word
        FROM app.search_words(NEW.vin, right(NEW.vin, 6), NEW.lot_number) AS word;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_order_vehicle AFTER INSERT OR DELETE OR UPDATE OF vin, lot_number ON order_vehicles
FOR EACH ROW EXECUTE FUNCTION app.index_order_vehicle();
