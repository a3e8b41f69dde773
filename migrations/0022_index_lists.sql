-- What the lists still walked from end to end at a carrier with tens of thousands of rows, as the test `list_plans` found them.

-- A list asks for what is archived or for what is not, so an index in the order of its pages holds only the one or the other;
-- so does one for each filter.
DROP INDEX locations_state, locations_city;
DO $$
DECLARE
    list record;
BEGIN
    FOR list IN
        SELECT * FROM (VALUES
            ('customers', ''), ('customers', 'type'),
            ('locations', ''), ('locations', 'type'), ('locations', 'state'), ('locations', 'city_lower'),
            ('trucks', ''), ('trucks', 'enclosed'), ('trailers', ''), ('trailers', 'enclosed'), ('drivers', ''),
            ('custom_statuses', ''), ('expense_categories', ''), ('cancel_reasons', ''), ('skills', ''), ('skills', 'kind')
        ) AS lists (of, filter)
    LOOP
        EXECUTE format('CREATE INDEX %I ON %I (%s id) WHERE archived_at IS NULL',
            concat_ws('_', list.of, 'live', nullif(list.filter, '')), list.of, concat_ws(', ', 'tenant_id', nullif(list.filter, ''), ''));
        EXECUTE format('CREATE INDEX %I ON %I (%s id) WHERE archived_at IS NOT NULL',
            concat_ws('_', list.of, 'archived', nullif(list.filter, '')), list.of, concat_ws(', ', 'tenant_id', nullif(list.filter, ''), ''));
    END LOOP;
END
$$;
CREATE INDEX trips_live ON trips (tenant_id, id) WHERE archived_at IS NULL;
CREATE INDEX trips_live_number ON trips (tenant_id, number) WHERE archived_at IS NULL;
CREATE INDEX trips_archived_number ON trips (tenant_id, number) WHERE archived_at IS NOT NULL;
CREATE INDEX trips_archived_start_date ON trips (tenant_id, start_date, id) WHERE archived_at IS NOT NULL;
CREATE INDEX trips_archived_end_date ON trips (tenant_id, end_date, id) WHERE archived_at IS NOT NULL;
CREATE INDEX trips_archived_updated_at ON trips (tenant_id, updated_at, id) WHERE archived_at IS NOT NULL;
CREATE INDEX memberships_role ON memberships (tenant_id, role, user_id);
CREATE INDEX invitations_open ON invitations (tenant_id, id) WHERE accepted_at IS NULL;

-- Whose papers expire is looked for by day.
CREATE INDEX drivers_licence_expires_on ON drivers (tenant_id, licence_expires_on, id);
CREATE INDEX drivers_medical_card_expires_on ON drivers (tenant_id, medical_card_expires_on, id);

-- Who follows one topic, or drives, is not led past the events of all others.
CREATE INDEX tenant_events_topic ON tenant_events (tenant_id, topic, xid, seq);
CREATE INDEX tenant_events_driver ON tenant_events (tenant_id, driver_id, xid, seq) WHERE driver_id IS NOT NULL;

-- Unit numbers are looked up by their beginning in any case, as names are: see locations.
DO $$
DECLARE
    equipment text;
BEGIN
    FOREACH equipment IN ARRAY ARRAY['trucks', 'trailers'] LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD COLUMN unit_number_lower text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(unit_number)) STORED',
            equipment);
        EXECUTE format('CREATE INDEX %I ON %I (tenant_id, unit_number_lower, id)', equipment || '_unit_number_lower', equipment);
        EXECUTE format('DROP TRIGGER record_change ON %I', equipment);
        EXECUTE format(
            'CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION app.record_change(%L, %L, %L)',
            equipment, rtrim(equipment, 's'), 'id', '{unit_number_lower}');
    END LOOP;
END
$$;

-- As for orders and trips: let the planner think of carriers as large. Of a few rows it does not care by which index it finds them,
-- and a plan that is kept is also that of the largest carrier.
DO $$
DECLARE
    listed text;
BEGIN
    FOREACH listed IN ARRAY ARRAY[
        'customers', 'customer_search_terms', 'locations', 'trucks', 'trailers', 'drivers', 'custom_statuses', 'tags',
        'expense_categories', 'cancel_reasons', 'memberships', 'invitations', 'api_keys', 'skills', 'skill_versions', 'executions',
        'tenant_events', 'status_history', 'trip_history', 'order_vehicles', 'trip_stops', 'billing_invoices', 'billing_events'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET (n_distinct = 10)', listed);
    END LOOP;
END
$$;
