-- Trips: which driver hauls which orders with which truck and trailer, stop by stop, and what happened to them.

CREATE TABLE trips (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    number bigint NOT NULL,
    status text NOT NULL DEFAULT 'planning'
        CHECK (status IN ('planning', 'ready', 'in_progress', 'delivered', 'completed', 'cancelled')),
    driver_id uuid,
    truck_id uuid,
    trailer_id uuid,
    -- The first and the last local day of its stops, written together with them; before there are stops, the carrier's day on
    -- which it was made.
    start_date date NOT NULL,
    end_date date NOT NULL,
    loaded_miles integer CHECK (loaded_miles BETWEEN 0 AND 99999),
    empty_miles integer CHECK (empty_miles BETWEEN 0 AND 99999),
    notes text,
    cancel_reason_id uuid,
    archived_at timestamptz,
    created_by uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT trips_number UNIQUE (tenant_id, number),
    CONSTRAINT trips_end_date CHECK (start_date <= end_date),
    CONSTRAINT trips_cancel_reason CHECK (status <> 'cancelled' OR cancel_reason_id IS NOT NULL),
    CONSTRAINT trips_driver_id FOREIGN KEY (tenant_id, driver_id) REFERENCES drivers (tenant_id, id),
    CONSTRAINT trips_truck_id FOREIGN KEY (tenant_id, truck_id) REFERENCES trucks (tenant_id, id),
    CONSTRAINT trips_trailer_id FOREIGN KEY (tenant_id, trailer_id) REFERENCES trailers (tenant_id, id),
    CONSTRAINT trips_cancel_reason_id FOREIGN KEY (tenant_id, cancel_reason_id) REFERENCES cancel_reasons (tenant_id, id)
);
-- As for orders: let the planner think of carriers as large.
ALTER TABLE trips ALTER COLUMN tenant_id SET (n_distinct = 10);
CREATE INDEX trips_status ON trips (tenant_id, status, id);
CREATE INDEX trips_driver ON trips (tenant_id, driver_id, id);
CREATE INDEX trips_truck ON trips (tenant_id, truck_id, id);
CREATE INDEX trips_trailer ON trips (tenant_id, trailer_id, id);
CREATE INDEX trips_cancel_reason_id ON trips (tenant_id, cancel_reason_id) WHERE cancel_reason_id IS NOT NULL;
CREATE INDEX trips_archived ON trips (tenant_id, id) WHERE archived_at IS NOT NULL;
-- Sorts that begin with the oldest would walk through all that is archived.
CREATE INDEX trips_start_date ON trips (tenant_id, start_date, id) WHERE archived_at IS NULL;
CREATE INDEX trips_end_date ON trips (tenant_id, end_date, id) WHERE archived_at IS NULL;
CREATE INDEX trips_updated_at ON trips (tenant_id, updated_at, id) WHERE archived_at IS NULL;

CALL app.protect('trips');
CREATE POLICY driver_scope ON trips AS RESTRICTIVE
USING ((SELECT app.driver_id() IS NULL) OR driver_id = (SELECT app.driver_id()));
CREATE TRIGGER touch BEFORE UPDATE ON trips FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON trips
FOR EACH ROW EXECUTE FUNCTION app.record_change('trip', 'id');
GRANT SELECT, INSERT, UPDATE, DELETE ON trips TO carhaul_api;

-- A stop has a copy of the address, as an order's has: where a driver was does not change with a later edit.
CREATE TABLE trip_stops (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    trip_id uuid NOT NULL,
    -- The place on the trip, from 1.
    position smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('pickup', 'delivery', 'other')),
    -- What is picked up or delivered here.
    order_id uuid,
    location_id uuid,
    name text,
    address text,
    city text NOT NULL,
    state text NOT NULL,
    zip text,
    contact_name text,
    phone text,
    time_zone text NOT NULL,
    -- The window, if there is one.
    "from" timestamptz,
    "to" timestamptz,
    eta_at timestamptz,
    arrived_at timestamptz,
    departed_at timestamptz,
    -- The local day: of the arrival, else when it is expected, else when the window opens.
    date date GENERATED ALWAYS AS ((coalesce(arrived_at, eta_at, "from") AT TIME ZONE time_zone)::date) STORED,
    notes text,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT trip_stops_window CHECK (("from" IS NULL) = ("to" IS NULL) AND "from" <= "to"),
    CONSTRAINT trip_stops_departed_at CHECK (departed_at IS NULL OR arrived_at <= departed_at),
    CONSTRAINT trip_stops_trip_id FOREIGN KEY (tenant_id, trip_id) REFERENCES trips (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT trip_stops_order_id FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
    CONSTRAINT trip_stops_location_id FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE INDEX trip_stops_trip ON trip_stops (tenant_id, trip_id, position);
CREATE INDEX trip_stops_order ON trip_stops (tenant_id, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX trip_stops_location ON trip_stops (tenant_id, location_id) WHERE location_id IS NOT NULL;
-- The trip's own event says that something changed; the audit log has each stop.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON trip_stops
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
GRANT SELECT, INSERT, UPDATE, DELETE ON trip_stops TO carhaul_api;

-- Every move of a trip.
CREATE TABLE trip_history (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    trip_id uuid NOT NULL,
    from_status text,
    to_status text NOT NULL,
    -- When it happened, as told by who recorded it, and when it was recorded.
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor_id uuid,
    reason text,
    cancel_reason_id uuid,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT trip_history_trip_id FOREIGN KEY (tenant_id, trip_id) REFERENCES trips (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT trip_history_cancel_reason_id FOREIGN KEY (tenant_id, cancel_reason_id)
        REFERENCES cancel_reasons (tenant_id, id)
);
CREATE INDEX trip_history_trip ON trip_history (tenant_id, trip_id, id);
CREATE INDEX trip_history_cancel_reason_id ON trip_history (tenant_id, cancel_reason_id) WHERE cancel_reason_id IS NOT NULL;
-- Nobody rewrites it; it goes with a trip that came to nothing.
GRANT SELECT, INSERT ON trip_history TO carhaul_api;

DO $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['trip_stops', 'trip_history'] LOOP
        CALL app.protect(part);
        -- A driver sees what belongs to their own trips; the subquery runs once, and only for drivers.
        EXECUTE format(
            'CREATE POLICY driver_scope ON %I AS RESTRICTIVE USING ((SELECT app.driver_id() IS NULL) '
            'OR trip_id IN (SELECT t.id FROM trips t WHERE t.driver_id = (SELECT app.driver_id())))', part);
    END LOOP;
END
$$;

-- The index orders_trip is there already.
ALTER TABLE orders ADD CONSTRAINT orders_trip_id FOREIGN KEY (tenant_id, trip_id) REFERENCES trips (tenant_id, id);
