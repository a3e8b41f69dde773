-- One row of every tenant table for the carrier $tenant, beside those that app.create_tenant and the triggers write.
BEGIN;
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT app.uuid_v7() AS customer, app.uuid_v7() AS location, app.uuid_v7() AS truck, app.uuid_v7() AS trailer,
       app.uuid_v7() AS driver, app.uuid_v7() AS carrier_order, app.uuid_v7() AS vehicle, app.uuid_v7() AS tag,
       app.uuid_v7() AS status, app.uuid_v7() AS trip;
INSERT INTO customers (tenant_id, id, type, name) SELECT $tenant, customer, 'broker', 'Lakeside Auto Brokers' FROM made;
INSERT INTO locations (tenant_id, id, type, name, address, city, state, zip, time_zone)
SELECT $tenant, location, 'auction', 'Dock', '1 Main St', 'Lexington', 'KY', '40505', 'America/New_York' FROM made;
INSERT INTO trucks (tenant_id, id, unit_number, capacity) SELECT $tenant, truck, 'T1', 1 FROM made;
INSERT INTO trailers (tenant_id, id, unit_number, capacity) SELECT $tenant, trailer, 'R1', 8 FROM made;
INSERT INTO drivers (tenant_id, id, name) SELECT $tenant, driver, 'Sam' FROM made;
INSERT INTO custom_statuses (tenant_id, id, label, color, system_status)
SELECT $tenant, status, 'Called', '#00ff00', 'new' FROM made;
INSERT INTO tags (tenant_id, id, name, color) SELECT $tenant, tag, 'Rush', '#ff0000' FROM made;
INSERT INTO notification_preferences (tenant_id, event, channel, role) VALUES ($tenant, 'order.created', 'email', 'owner');
INSERT INTO invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at)
VALUES ($tenant, app.uuid_v7(), 'new@example.com', 'dispatcher', app.uuid_v7(), app.uuid_v7(), now() + interval '1 day');
INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by)
VALUES ($tenant, app.uuid_v7(), 'Key', app.uuid_v7(), '1234', '{orders:read}', app.uuid_v7());
INSERT INTO provider_keys (tenant_id, id, provider, ciphertext, data_key, nonce, last_four, tested_at, test_result)
VALUES ($tenant, app.uuid_v7(), 'anthropic', 'sealed', 'sealed', 'nonce', 'wxyz', now(), 'accepted');
INSERT INTO realtime_tickets (tenant_id, hash, api_key_id, expires_at)
SELECT $tenant, 'hash ' || id, id, now() + interval '1 minute' FROM api_keys WHERE tenant_id = $tenant;
INSERT INTO realtime_connections (tenant_id, id, api_key_id, xid, seq)
SELECT $tenant, 'connection ' || id, id, 0, 0 FROM api_keys WHERE tenant_id = $tenant;
INSERT INTO event_trims (tenant_id, topic, xid, seq) VALUES ($tenant, 'tags', 1, 1);
INSERT INTO realtime_pushes (tenant_id, fence, leased_until, again) VALUES ($tenant, 1, '-infinity', false);
INSERT INTO idempotency_keys (tenant_id, actor_id, key, request_hash, expires_at)
VALUES ($tenant, app.uuid_v7(), 'key', 'hash', now() + interval '1 day');
INSERT INTO trips (tenant_id, id, number, start_date, end_date) SELECT $tenant, trip, 1, current_date, current_date FROM made;
INSERT INTO trip_history (tenant_id, trip_id, to_status, at) SELECT $tenant, trip, 'planning', now() FROM made;
INSERT INTO orders (tenant_id, id, number, transport_type, customer_id, trip_id, currency, vehicle_count,
                    pickup_city, pickup_state, pickup_time_zone, pickup_from, pickup_to,
                    delivery_city, delivery_state, delivery_time_zone, delivery_from, delivery_to)
SELECT $tenant, carrier_order, 1, 'open', customer, trip, 'USD', 1,
       'Lexington', 'KY', 'America/New_York', now(), now(), 'Reno', 'NV', 'America/Los_Angeles', now(), now() FROM made;
INSERT INTO order_vehicles (tenant_id, id, order_id, position, vin)
SELECT $tenant, vehicle, carrier_order, 1, '1G4AH59H45G118341' FROM made;
INSERT INTO order_tags (tenant_id, order_id, tag_id) SELECT $tenant, carrier_order, tag FROM made;
INSERT INTO status_history (tenant_id, order_id, to_status, at) SELECT $tenant, carrier_order, 'new', now() FROM made;
INSERT INTO documents (tenant_id, id, order_id, vehicle_id, kind, file_name, content_type, size, sha256, upload_expires_at)
SELECT $tenant, document, carrier_order, vehicle, 'bol', 'bol.pdf', 'application/pdf', 1, repeat('0', 64), now() FROM made,
       LATERAL (VALUES (tag), (status)) AS two (document);
DELETE FROM documents WHERE (tenant_id, id) = ($tenant, (SELECT status FROM made));
INSERT INTO trip_stops (tenant_id, id, trip_id, position, kind, order_id, location_id, city, state, time_zone)
SELECT $tenant, app.uuid_v7(), trip, 1, 'pickup', carrier_order, location, 'Lexington', 'KY', 'America/New_York' FROM made;
INSERT INTO stripe_customers (tenant_id, id) SELECT $tenant, 'cus_' || customer FROM made;
INSERT INTO subscriptions (tenant_id, stripe_id, customer_id, status, plan, started_at, as_of_at)
SELECT $tenant, 'sub_' || customer, 'cus_' || customer, 'active', 'starter', now(), now() FROM made;
INSERT INTO billing_invoices (tenant_id, stripe_id, customer_id, status, currency, subtotal_amount, tax_amount, total_amount,
                              paid_amount, remaining_amount, issued_at, as_of_at)
SELECT $tenant, 'in_' || customer, 'cus_' || customer, 'paid', 'USD', 49, 0, 49, 49, 0, now(), now() FROM made;
INSERT INTO billing_events (tenant_id, stripe_event_id, type, outcome, plan, at)
SELECT $tenant, 'evt_' || customer, 'invoice.paid', 'applied', 'starter', now() FROM made;
INSERT INTO stripe_events (id, type, livemode, created_at, customer_id, payload, processed_at, outcome, tenant_id)
SELECT 'evt_' || customer, 'invoice.paid', false, now(), 'cus_' || customer, '{}', now(), 'applied', $tenant FROM made;
INSERT INTO skills (tenant_id, id, name, kind, instructions, input_schema, output_schema, provider, model, max_output_tokens,
                    deadline_seconds)
SELECT $tenant, tag, 'Mine', 'custom', 'Say {{input.word}}', '{"type": "object"}', '{"type": "object"}', 'openai_compatible', 'm', 100, 10
FROM made;
INSERT INTO executions (tenant_id, id, skill, skill_version, own_skill_id, kind, provider, input, max_attempts, expires_at,
                        deadline_seconds, month)
SELECT $tenant, status, tag::text, 1, tag, 'custom', 'openai_compatible', '{}', 1, now() + interval '1 day', 10, '2030-01-01' FROM made;
UPDATE executions SET status = 'succeeded', cost = 0.01 WHERE tenant_id = $tenant;
INSERT INTO ai_reservations (tenant_id, execution_id, month, amount, held_until)
SELECT tenant_id, id, month, 0.01, now() FROM executions WHERE tenant_id = $tenant;
INSERT INTO ai_slots (tenant_id, execution_id, attempt, claim_id, held_until)
SELECT tenant_id, id, 1, id, now() FROM executions WHERE tenant_id = $tenant;
INSERT INTO exports (tenant_id, id, status, tables) SELECT $tenant, tag, 'ready', 1 FROM made;
INSERT INTO export_files (tenant_id, export_id, name, id, row_count, size, sha256)
SELECT $tenant, tag, 'orders.ndjson', tag, 1, 1, repeat('0', 64) FROM made;
COMMIT;
