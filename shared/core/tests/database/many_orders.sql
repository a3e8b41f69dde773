-- $orders orders of the carrier $tenant, spread as they are after years of work: most of them done, paid and
-- unremarkable. Triggers and foreign keys are off, so there are no events.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE OR REPLACE FUNCTION pg_temp.nth(kind text, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN md5('$tenant' || kind || n)::uuid;
-- As UUIDv7s come: in the order in which the rows lie on disk.
CREATE OR REPLACE FUNCTION pg_temp.nth_order(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1700000000000 + n * 3600000::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid;

INSERT INTO customers (tenant_id, id, type, name)
SELECT '$tenant', pg_temp.nth('customer', n), (ARRAY['broker', 'dealer', 'auction', 'private'])[1 + n % 4], 'Customer ' || n
FROM generate_series(1, 2000) n;
INSERT INTO customer_search_terms (tenant_id, customer_id, term)
SELECT '$tenant', pg_temp.nth('customer', n), 'customer' || n FROM generate_series(1, 2000) n;
INSERT INTO locations (tenant_id, id, type, name, address, city, state, zip, time_zone)
SELECT '$tenant', pg_temp.nth('location', n), 'dealer', 'Location ' || n, n || ' Main St', 'City ' || n % 500,
       chr(65 + n % 50 / 26) || chr(65 + n % 50 % 26), lpad(n::text, 5, '0'), 'America/New_York'
FROM generate_series(1, 5000) n;

INSERT INTO orders (tenant_id, id, number, reference, status, billing_status, on_hold, archived_at, cancel_reason_id, custom_status_id,
    transport_type, customer_id, dispatcher_id, driver_id, truck_id, trip_id,
    pickup_city, pickup_state, pickup_zip, pickup_time_zone, pickup_from, pickup_to,
    delivery_city, delivery_state, delivery_zip, delivery_time_zone, delivery_from, delivery_to,
    price, currency, payment_method, payment_term, has_pod, vehicle_count, is_inoperable, held_count, updated_at)
SELECT '$tenant', pg_temp.nth_order(n), n, 'LOAD-' || n,
    CASE WHEN n % 200 = 0 THEN 'new' WHEN n % 100 = 1 THEN 'assigned' WHEN n % 100 = 2 THEN 'picked_up'
         WHEN n % 100 = 3 THEN 'in_transit' WHEN n % 20 = 4 THEN 'cancelled' ELSE 'delivered' END,
    CASE WHEN n % 50 = 0 THEN 'unbilled' WHEN n % 50 = 1 THEN 'invoiced' WHEN n % 100 = 2 THEN 'partially_paid' ELSE 'paid' END,
    n % 300 = 0, CASE WHEN n % 70 = 0 OR n > 14000 THEN now() END,
    CASE WHEN n % 20 = 4 THEN pg_temp.nth('cancel_reason', 1) END,
    CASE WHEN n % 40 = 0 THEN pg_temp.nth('custom_status', n % 3) END,
    CASE WHEN n % 60 = 0 THEN 'enclosed' WHEN n % 90 = 1 THEN 'driveaway' ELSE 'open' END,
    pg_temp.nth('customer', n % 2000), pg_temp.nth('dispatcher', n % 40),
    CASE WHEN n % 4000 = 7 THEN pg_temp.nth('driver', 60) WHEN n % 200 <> 0 THEN pg_temp.nth('driver', n % 60) END, pg_temp.nth('truck', n % 60),
    CASE WHEN n % 2 = 0 THEN pg_temp.nth('trip', n / 6) END,
    'City ' || n % 500, chr(65 + n % 50 / 26) || chr(65 + n % 50 % 26), lpad((n % 3000)::text, 5, '0'), 'America/New_York', t.picked_up, t.picked_up + interval '4 hours',
    'City ' || n % 400, chr(65 + n % 40 / 26) || chr(65 + n % 40 % 26), lpad((n % 2000)::text, 5, '0'), 'America/Chicago', t.delivered, t.delivered + interval '4 hours',
    n, 'USD', 'ach', (ARRAY['days_2', 'days_5', 'days_10', 'days_15', 'days_30', 'days_60', 'on_pickup', 'on_delivery'])[1 + n % 8],
    n % 80 = 0, 1, n % 110 = 0, CASE WHEN n % 400 = 0 THEN 1 ELSE 0 END, t.picked_up
FROM generate_series(1, $orders) n
CROSS JOIN LATERAL (SELECT now() - n * interval '1 hour' AS picked_up, now() - n * interval '1 hour' + interval '3 days' AS delivered) t;

INSERT INTO trips (tenant_id, id, number, status, driver_id, truck_id, trailer_id, start_date, end_date, cancel_reason_id,
    archived_at, updated_at)
SELECT '$tenant', pg_temp.nth('trip', n), n + 1,
    CASE WHEN n % 100 = 0 THEN 'planning' WHEN n % 100 = 1 THEN 'ready' WHEN n % 50 = 2 THEN 'in_progress'
         WHEN n % 50 = 3 THEN 'delivered' WHEN n % 20 = 4 THEN 'cancelled' ELSE 'completed' END,
    pg_temp.nth('driver', n % 60), pg_temp.nth('truck', n % 60), pg_temp.nth('trailer', n % 60), t.day, t.day + 3,
    CASE WHEN n % 20 = 4 THEN pg_temp.nth('cancel_reason', 1) END, CASE WHEN n % 70 = 5 THEN now() END, now() - n * interval '1 hour'
FROM generate_series(0, $orders / 2) n CROSS JOIN LATERAL (SELECT current_date - n / 12 AS day) t;

INSERT INTO order_search_terms (tenant_id, order_id, source_id, term)
SELECT '$tenant', id, id, lower(term) FROM orders, unnest(ARRAY[number::text, reference, 'vin' || number]) AS term
WHERE tenant_id = '$tenant';
INSERT INTO order_tags (tenant_id, order_id, tag_id)
SELECT '$tenant', id, pg_temp.nth('tag', number::integer % 7) FROM orders WHERE tenant_id = '$tenant' AND number % 30 = 0;

INSERT INTO stripe_customers (tenant_id, id) VALUES ('$tenant', 'cus_$tenant');
INSERT INTO billing_invoices (tenant_id, stripe_id, customer_id, status, currency, subtotal_amount, tax_amount, total_amount,
                              paid_amount, remaining_amount, issued_at, as_of_at)
SELECT '$tenant', 'in_' || n || '$tenant', 'cus_$tenant', 'paid', 'USD', 49, 0, 49, 49, 0, now() - n * interval '1 hour', now()
FROM generate_series(1, $orders) n;
INSERT INTO billing_events (tenant_id, stripe_event_id, type, outcome, plan, at)
SELECT '$tenant', 'evt_' || n || '$tenant', 'invoice.paid', 'applied', 'starter', now() - n * interval '1 hour'
FROM generate_series(1, $orders) n;
COMMIT;
