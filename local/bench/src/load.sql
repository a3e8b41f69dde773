-- Fills a database with `bench.orders` orders of 200 carriers, the first of which has a tenth of them. Each step is sent
-- as one query; its title is shown while it runs. Everything follows from the row's number, so that every run loads the
-- same rows. Triggers are off: what they would write is written here.

-- == Settings
SET session_replication_role = replica;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';
SET max_parallel_maintenance_workers = 2;
-- STABLE, so that Postgres puts their bodies in place of the calls.
CREATE FUNCTION pg_temp.id(kind text, carrier int, n int) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT md5(kind || '-' || carrier || '-' || n)::uuid
$$;
-- A number from 0 to 999 that looks random.
CREATE FUNCTION pg_temp.dice(n bigint, salt int) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT abs(hashint8(n * 31 + salt) % 1000)
$$;
CREATE TEMP TABLE places AS
SELECT row_number() OVER () - 1 AS place, * FROM (VALUES
    ('Chicago', 'IL', '60607', 'America/Chicago'),      ('Dallas', 'TX', '75247', 'America/Chicago'),
    ('Atlanta', 'GA', '30303', 'America/New_York'),     ('Phoenix', 'AZ', '85009', 'America/Phoenix'),
    ('Denver', 'CO', '80216', 'America/Denver'),        ('Jacksonville', 'FL', '32226', 'America/New_York'),
    ('Baltimore', 'MD', '21222', 'America/New_York'),   ('Houston', 'TX', '77002', 'America/Chicago'),
    ('Los Angeles', 'CA', '90058', 'America/Los_Angeles'), ('Seattle', 'WA', '98108', 'America/Los_Angeles'),
    ('Nashville', 'TN', '37210', 'America/Chicago'),    ('Charlotte', 'NC', '28202', 'America/New_York'),
    ('Newark', 'NJ', '07114', 'America/New_York'),      ('Detroit', 'MI', '48209', 'America/Detroit'),
    ('Kansas City', 'MO', '64120', 'America/Chicago'),  ('Salt Lake City', 'UT', '84104', 'America/Denver'),
    ('Tampa', 'FL', '33605', 'America/New_York'),       ('Columbus', 'OH', '43217', 'America/New_York'),
    ('Lexington', 'KY', '40505', 'America/New_York'),   ('Memphis', 'TN', '38118', 'America/Chicago')
) AS p (city, state, zip, time_zone);
-- Limits are counted and checked as ever; they are only never reached, however often the benchmark runs.
UPDATE plan_limits SET max = NULL WHERE plan = 'pro';

-- == Carriers, their people, customers, fleet and words
INSERT INTO tenants (id, name, time_zone, plan)
SELECT pg_temp.id('tenant', c, 0), 'Carrier ' || c, 'America/New_York', 'pro' FROM generate_series(1, 200) c;
INSERT INTO users (id, issuer, subject, name)
SELECT pg_temp.id('user', c, n), current_setting('bench.issuer'), 'member-' || c || '-' || n, 'Member ' || n
FROM generate_series(1, 200) c, generate_series(0, 4) n;
INSERT INTO memberships (tenant_id, user_id, role, name)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('user', c, n), CASE n WHEN 0 THEN 'owner' ELSE 'dispatcher' END, 'Member ' || n
FROM generate_series(1, 200) c, generate_series(0, 4) n;
INSERT INTO customers (tenant_id, id, type, name, phone, city, state)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('customer', c, n), (ARRAY['broker', 'dealer', 'auction', 'private'])[1 + n % 4],
       (ARRAY['Lakeside', 'Piedmont', 'Gulf', 'Keystone', 'Summit'])[1 + n % 5] || ' Motors ' || n, '+15025550100', 'Chicago', 'IL'
FROM generate_series(1, 200) c, generate_series(0, 49) n;
INSERT INTO customer_search_terms (tenant_id, customer_id, term)
SELECT tenant_id, id, word FROM customers, app.search_words(name) word;
INSERT INTO locations (tenant_id, id, type, name, address, city, state, zip, time_zone)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('location', c, p.place::int), 'auction', p.city || ' auction', '1 Main St',
       p.city, p.state, p.zip, p.time_zone
FROM generate_series(1, 200) c, places p;
INSERT INTO trucks (tenant_id, id, unit_number, capacity)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('truck', c, n), 'T' || n, 1 FROM generate_series(1, 200) c, generate_series(0, 11) n;
INSERT INTO trailers (tenant_id, id, unit_number, capacity)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('trailer', c, n), 'R' || n, 8 FROM generate_series(1, 200) c, generate_series(0, 11) n;
INSERT INTO drivers (tenant_id, id, name)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('driver', c, n), 'Driver ' || n FROM generate_series(1, 200) c, generate_series(0, 19) n;
INSERT INTO custom_statuses (tenant_id, id, label, color, system_status)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('custom_status', c, n), 'Custom ' || n, '#336699',
       (ARRAY['new', 'assigned', 'picked_up', 'delivered'])[n]
FROM generate_series(1, 200) c, generate_series(1, 4) n;
INSERT INTO tags (tenant_id, id, name, color)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('tag', c, n), 'Tag ' || n, '#993366' FROM generate_series(1, 200) c, generate_series(0, 5) n;
INSERT INTO cancel_reasons (tenant_id, id, label)
SELECT pg_temp.id('tenant', c, 0), pg_temp.id('reason', c, n), 'Reason ' || n FROM generate_series(1, 200) c, generate_series(0, 3) n;

-- == Indexes put aside
CREATE TEMP TABLE put_aside AS
SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS of_table, pg_get_indexdef(i.indexrelid) AS definition,
       c.conname, pg_get_constraintdef(c.oid) AS constraint_definition
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
WHERE i.indrelid IN ('orders'::regclass, 'order_vehicles'::regclass, 'order_search_terms'::regclass, 'status_history'::regclass)
AND (c.oid IS NULL OR i.indrelid = 'order_search_terms'::regclass);
DO $$
DECLARE
    aside record;
BEGIN
    FOR aside IN SELECT * FROM put_aside LOOP
        IF aside.conname IS NULL THEN
            EXECUTE format('DROP INDEX %s', aside.name);
        ELSE
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', aside.of_table, aside.conname);
        END IF;
    END LOOP;
END
$$;

-- == Orders
INSERT INTO orders (tenant_id, id, number, reference, status, billing_status, on_hold, archived_at, cancel_reason_id,
    custom_status_id, transport_type, customer_id, dispatcher_id, driver_id, truck_id, trailer_id, trip_id,
    pickup_location_id, pickup_name, pickup_address, pickup_city, pickup_state, pickup_zip, pickup_contact_name, pickup_phone,
    pickup_time_zone, pickup_from, pickup_to,
    delivery_name, delivery_address, delivery_city, delivery_state, delivery_zip, delivery_time_zone, delivery_from, delivery_to,
    price, broker_fee, currency, payment_method, payment_term, notes, has_pod, vehicle_count, picked_up_count,
    delivered_count, is_inoperable, created_by, created_at, updated_at)
SELECT pg_temp.id('tenant', c, 0),
       -- A UUIDv7, so that ids are in the order of creation.
       (lpad(to_hex((extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7' || substr(md5('order' || n), 1, 3) || '8'
        || substr(md5('order' || n), 4, 15))::uuid,
       row_number() OVER (PARTITION BY c ORDER BY n),
       CASE WHEN pg_temp.dice(n, 1) < 600 THEN 'LB-' || n END,
       status,
       CASE WHEN status <> 'delivered' THEN 'unbilled' WHEN age > 0.2 THEN 'paid' WHEN pg_temp.dice(n, 2) < 500 THEN 'invoiced' ELSE 'unbilled' END,
       status IN ('new', 'assigned') AND pg_temp.dice(n, 3) < 30,
       CASE WHEN age > 0.6 THEN created + interval '90 days' END,
       CASE WHEN status = 'cancelled' THEN pg_temp.id('reason', c, n % 4) END,
       CASE WHEN status = 'new' AND pg_temp.dice(n, 4) < 100 THEN pg_temp.id('custom_status', c, 1) END,
       CASE WHEN pg_temp.dice(n, 5) < 80 THEN 'enclosed' WHEN pg_temp.dice(n, 5) < 100 THEN 'driveaway' ELSE 'open' END,
       pg_temp.id('customer', c, pg_temp.dice(n, 6) % 50),
       pg_temp.id('user', c, pg_temp.dice(n, 7) % 5),
       CASE WHEN status <> 'new' THEN pg_temp.id('driver', c, pg_temp.dice(n, 8) % 20) END,
       CASE WHEN status <> 'new' THEN pg_temp.id('truck', c, pg_temp.dice(n, 8) % 12) END,
       CASE WHEN status <> 'new' THEN pg_temp.id('trailer', c, pg_temp.dice(n, 8) % 12) END,
       CASE WHEN status <> 'new' THEN pg_temp.id('trip', c, n / 100) END,
       CASE WHEN pg_temp.dice(n, 9) < 500 THEN pg_temp.id('location', c, p.place::int) END,
       p.city || ' auction', '1450 Foster Ave', p.city, p.state, p.zip, 'Gate office', '+16155550142', p.time_zone,
       pickup, pickup + interval '8 hours',
       d.city || ' dealer', '210 Reading Rd', d.city, d.state, d.zip, d.time_zone,
       pickup + interval '3 days', pickup + interval '3 days 8 hours',
       400 + pg_temp.dice(n, 12), 40, 'USD', 'ach', (ARRAY['days_15', 'days_30', 'on_delivery'])[1 + pg_temp.dice(n, 13) % 3],
       CASE WHEN pg_temp.dice(n, 14) < 300 THEN 'Call an hour before arrival; keys are at the gate.' END,
       status = 'delivered' AND pg_temp.dice(n, 15) < 900,
       1 + n % 2,
       CASE WHEN status IN ('picked_up', 'in_transit', 'delivered') THEN 1 + n % 2 ELSE 0 END,
       CASE WHEN status = 'delivered' THEN 1 + n % 2 ELSE 0 END,
       pg_temp.dice(n, 16) < 50,
       pg_temp.id('user', c, 0), created, created + interval '1 day'
FROM (
    SELECT n, CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + n % 199 END AS c, age, created,
           date_trunc('hour', created) + interval '1 day' * (3 + pg_temp.dice(n, 17) % 20) AS pickup,
           CASE WHEN age < 0.03 THEN 'new' WHEN age < 0.06 THEN 'assigned' WHEN age < 0.07 THEN 'picked_up'
                WHEN age < 0.09 THEN 'in_transit' WHEN pg_temp.dice(n, 18) < 50 THEN 'cancelled' ELSE 'delivered' END AS status
    FROM generate_series(1, current_setting('bench.orders')::int) n,
         LATERAL (SELECT 1 - n / current_setting('bench.orders')::float AS age) a,
         LATERAL (SELECT now() - interval '730 days' * age AS created) t
) o
JOIN places p ON p.place = pg_temp.dice(n, 10) % 20
JOIN places d ON d.place = pg_temp.dice(n, 11) % 20;

-- == Trips
INSERT INTO trips (tenant_id, id, number, status, driver_id, truck_id, trailer_id, start_date, end_date)
SELECT tenant_id, trip_id, row_number() OVER (PARTITION BY tenant_id ORDER BY min(number)), 'completed',
       (array_agg(driver_id))[1], (array_agg(truck_id))[1], (array_agg(trailer_id))[1], min(pickup_date), max(delivery_date)
FROM orders WHERE trip_id IS NOT NULL GROUP BY tenant_id, trip_id;

-- == Vehicles, history, tags and number sequences
INSERT INTO order_vehicles (tenant_id, id, order_id, position, status, vin, year, make, model, type, color, lot_number,
    weight_lbs, is_inoperable, inoperable_flags, price)
SELECT o.tenant_id, md5(o.id::text || position)::uuid, o.id, position, o.status,
       '1FT' || upper(substr(md5(o.id::text || position), 1, 8)) || lpad(((o.number * 2 + position) % 1000000)::text, 6, '0'),
       2015 + (o.number % 10), 'Ford', 'F-150', 'pickup', 'White',
       CASE WHEN o.number % 3 = 0 THEN (100000 + o.number * 7 % 900000)::text END,
       4700, o.is_inoperable, CASE WHEN o.is_inoperable THEN ARRAY['does_not_run'] ELSE '{}'::text[] END, 300
FROM orders o, generate_series(1, o.vehicle_count) position;
INSERT INTO status_history (tenant_id, id, order_id, to_status, at, recorded_at, actor_id)
SELECT tenant_id, id, id, 'new', created_at, created_at, created_by FROM orders;
INSERT INTO order_tags (tenant_id, order_id, tag_id)
SELECT o.tenant_id, o.id, t.id FROM orders o JOIN tags t ON t.tenant_id = o.tenant_id AND t.name = 'Tag ' || o.number % 60;
INSERT INTO number_sequences (tenant_id, kind, next_number)
SELECT t.id, k, CASE k WHEN 'order' THEN coalesce((SELECT max(number) FROM orders o WHERE o.tenant_id = t.id), 0) + 1
                      WHEN 'trip' THEN coalesce((SELECT max(number) FROM trips p WHERE p.tenant_id = t.id), 0) + 1 ELSE 1 END
FROM tenants t, unnest(ARRAY['order', 'trip', 'invoice']) k;

-- == Search terms
INSERT INTO order_search_terms (tenant_id, order_id, source_id, term)
SELECT tenant_id, id, id, number::text FROM orders
UNION SELECT tenant_id, id, id, split_part(reference, '-', 2) FROM orders WHERE reference IS NOT NULL
UNION SELECT tenant_id, id, id, 'lb' FROM orders WHERE reference IS NOT NULL;
INSERT INTO order_search_terms (tenant_id, order_id, source_id, term)
SELECT tenant_id, order_id, id, lower(vin) FROM order_vehicles
UNION ALL SELECT tenant_id, order_id, id, right(vin, 6) FROM order_vehicles
UNION SELECT tenant_id, order_id, id, lot_number FROM order_vehicles WHERE lot_number IS NOT NULL;

-- == Indexes
DO $$
DECLARE
    aside record;
BEGIN
    FOR aside IN SELECT * FROM put_aside ORDER BY conname IS NULL LOOP
        IF aside.conname IS NULL THEN
            EXECUTE aside.definition;
        ELSE
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', aside.of_table, aside.conname, aside.constraint_definition);
        END IF;
    END LOOP;
END
$$;

-- == Statistics
VACUUM ANALYZE;

-- == Checkpoint
CHECKPOINT;
