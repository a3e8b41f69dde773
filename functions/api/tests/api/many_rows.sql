-- Beside many_orders.sql: $rows rows of everything else that the carrier $tenant can list, in the order of their ids. What is
-- $archived is archived; sixty rows near the old end are as no other ones are, so that a list that has no index for them walks
-- through all the rest. Triggers and foreign keys are off, so there are no events but those written here.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE OR REPLACE FUNCTION pg_temp.id(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1700000000000 + n * 300000::bigint), 12, '0') || '70008' || left(md5('$tenant'), 7)
    || lpad(to_hex(n), 8, '0'))::uuid;
CREATE TEMP TABLE numbers ON COMMIT DROP AS
SELECT '$tenant'::uuid AS tenant_id, pg_temp.id(n) AS id, n, n BETWEEN 201 AND 260 AS is_rare,
       CASE WHEN $archived THEN now() END AS archived_at, CASE WHEN n BETWEEN 201 AND 260 THEN 'Rare ' ELSE 'Common ' END || n AS name
FROM generate_series(1, $rows) n;

UPDATE customers SET archived_at = now() FROM (SELECT $rows AS n) m WHERE tenant_id = '$tenant' AND $archived;
UPDATE trips SET archived_at = now() FROM (SELECT number AS n FROM trips WHERE tenant_id = '$tenant') m
WHERE tenant_id = '$tenant' AND number = m.n AND $archived;
DELETE FROM locations WHERE tenant_id = '$tenant';
INSERT INTO customers (tenant_id, id, type, name, archived_at)
SELECT tenant_id, id, CASE WHEN is_rare THEN 'private' ELSE 'broker' END, name, archived_at FROM numbers;
INSERT INTO customer_search_terms (tenant_id, customer_id, term)
SELECT tenant_id, id, lower(word) FROM numbers CROSS JOIN LATERAL string_to_table(name, ' ') word;
INSERT INTO locations (tenant_id, id, type, name, address, city, state, zip, time_zone, archived_at)
SELECT tenant_id, id, CASE WHEN is_rare THEN 'port' ELSE 'dealer' END, name, n || ' Main St',
       CASE WHEN is_rare THEN 'Hilo' ELSE 'Lexington' END, CASE WHEN is_rare THEN 'HI' ELSE 'KY' END, '40511', 'America/New_York',
       archived_at
FROM numbers;
INSERT INTO trucks (tenant_id, id, unit_number, capacity, enclosed, archived_at)
SELECT tenant_id, id, name, 1, is_rare, archived_at FROM numbers;
INSERT INTO trailers (tenant_id, id, unit_number, capacity, enclosed, archived_at)
SELECT tenant_id, id, name, 8, is_rare, archived_at FROM numbers;
INSERT INTO drivers (tenant_id, id, name, licence_expires_on, medical_card_expires_on, archived_at)
SELECT tenant_id, id, name, CASE WHEN is_rare AND n % 2 = 0 THEN date '2020-01-01' ELSE '2099-01-01' END,
       CASE WHEN is_rare THEN date '2020-02-01' ELSE '2099-01-01' END, archived_at
FROM numbers;
-- Who drives four of the orders, some of the trips, and is told of the newest events.
INSERT INTO drivers (tenant_id, id, name) VALUES ('$tenant', pg_temp.nth('driver', 60), 'Sam Reyes');
UPDATE trips SET driver_id = pg_temp.nth('driver', 60) WHERE tenant_id = '$tenant' AND number BETWEEN 1001 AND 1060;

INSERT INTO custom_statuses (tenant_id, id, label, color, system_status, archived_at)
SELECT tenant_id, id, name, '#2b8a3e', 'new', archived_at FROM numbers;
INSERT INTO tags (tenant_id, id, name, color) SELECT tenant_id, id, name, '#2b8a3e' FROM numbers;
INSERT INTO expense_categories (tenant_id, id, name, archived_at) SELECT tenant_id, id, name, archived_at FROM numbers;
INSERT INTO cancel_reasons (tenant_id, id, label, archived_at) SELECT tenant_id, id, name, archived_at FROM numbers;

INSERT INTO users (id, issuer, subject) SELECT id, 'https://nobody.test', id::text FROM numbers;
INSERT INTO memberships (tenant_id, user_id, role, name)
SELECT tenant_id, id, CASE WHEN is_rare THEN 'accountant' ELSE 'dispatcher' END, name FROM numbers;
INSERT INTO invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at, accepted_at)
SELECT tenant_id, id, n || '@example.com', 'dispatcher', 'hash ' || id, id, now() + interval '10 years',
       CASE WHEN NOT is_rare THEN now() END
FROM numbers;
INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by)
SELECT tenant_id, id, name, 'hash ' || id, '1234', '{orders:read}', id FROM numbers;
INSERT INTO provider_keys (tenant_id, id, provider, ciphertext, data_key, nonce, last_four, tested_at, test_result)
VALUES ('$tenant', pg_temp.id(1), 'anthropic', 'sealed', 'sealed', 'nonce', 'wxyz', now(), 'accepted');

INSERT INTO skills (tenant_id, id, name, kind, instructions, input_schema, output_schema, provider, model, max_output_tokens,
                    deadline_seconds, archived_at)
SELECT tenant_id, id, name, CASE WHEN is_rare THEN 'draft_message' ELSE 'custom' END, 'Say {{input.word}}', '{"type": "object"}',
       '{"type": "object"}', 'openai_compatible', 'm', 100, 10, archived_at
FROM numbers;
INSERT INTO skill_versions (tenant_id, skill_id, version, name, kind, instructions, input_schema, output_schema, provider, model,
                            max_output_tokens, deadline_seconds, created_at)
SELECT tenant_id, pg_temp.id(1), n, name, 'custom', 'Say {{input.word}}', '{"type": "object"}', '{"type": "object"}',
       'openai_compatible', 'm', 100, 10, now()
FROM numbers;
INSERT INTO executions (tenant_id, id, batch_id, skill, skill_version, kind, provider, input, status, review, max_attempts, expires_at,
                        deadline_seconds, month, created_at)
SELECT tenant_id, id, CASE WHEN is_rare THEN pg_temp.id(1) END, CASE WHEN is_rare THEN 'audit_billing' ELSE 'extract_order' END, 1,
       'extract_order', 'rules', '{}', CASE WHEN n BETWEEN 101 AND 160 THEN 'failed' ELSE 'succeeded' END,
       CASE WHEN n BETWEEN 101 AND 160 THEN NULL WHEN is_rare THEN 'rejected' ELSE 'pending' END, 1, now() + interval '10 years', 10,
       '2030-01-01', to_timestamp(1700000000 + n * 300)
FROM numbers;

-- Oldest first: what is rare is near the new end.
INSERT INTO tenant_events (tenant_id, xid, topic, type, subject_id, driver_id, at, data)
SELECT tenant_id, n, CASE WHEN n BETWEEN $rows - 120 AND $rows - 61 THEN 'trucks' ELSE 'orders' END, 'order.updated', id,
       CASE WHEN n > $rows - 60 THEN pg_temp.nth('driver', 60) END, now(), '{}'
FROM numbers ORDER BY n;
INSERT INTO status_history (tenant_id, id, order_id, to_status, at) SELECT tenant_id, id, pg_temp.nth_order(7), 'new', now() FROM numbers;
INSERT INTO documents (tenant_id, id, order_id, kind, status, file_name, content_type, size, sha256, upload_expires_at)
SELECT tenant_id, id, pg_temp.nth_order(7), 'photo', 'expired', name, 'image/jpeg', n, repeat('0', 64), now() FROM numbers;
INSERT INTO exports (tenant_id, id, status, tables) SELECT tenant_id, id, 'expired', 1 FROM numbers;
INSERT INTO trip_history (tenant_id, id, trip_id, to_status, at)
SELECT tenant_id, id, pg_temp.nth('trip', 1000), 'planning', now() FROM numbers;

-- Parts of every order and trip, and more of order 7.
INSERT INTO order_vehicles (tenant_id, id, order_id, position) SELECT tenant_id, gen_random_uuid(), id, 1 FROM orders WHERE tenant_id = '$tenant';
INSERT INTO order_vehicles (tenant_id, id, order_id, position)
SELECT '$tenant', gen_random_uuid(), pg_temp.nth_order(7), n FROM generate_series(2, 12) n;
INSERT INTO trip_stops (tenant_id, id, trip_id, position, kind, city, state, time_zone)
SELECT tenant_id, gen_random_uuid(), id, n, 'other', 'Lexington', 'KY', 'America/New_York'
FROM trips, generate_series(1, 2) n WHERE tenant_id = '$tenant';
UPDATE tenants SET name = '$name' WHERE id = '$tenant';
COMMIT;
