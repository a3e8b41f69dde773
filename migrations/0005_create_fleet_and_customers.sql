-- Whom a carrier works for, where, with which equipment and drivers. What an order refers to is archived, not deleted.

CREATE TABLE customers (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    type text NOT NULL CHECK (type IN ('broker', 'dealer', 'auction', 'private')),
    name text NOT NULL,
    contact_name text,
    email text,
    phone text,
    address text,
    city text,
    state text,
    zip text,
    usdot text,
    mc_number text,
    notes text,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

-- Search by prefix goes through text ranges over terms: full-text operators are not leakproof and would lose their
-- index under row-level security. "C" makes byte order the order of the range.
CREATE TABLE customer_search_terms (
    tenant_id uuid NOT NULL,
    term text COLLATE "C" NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, term, customer_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX customer_search_terms_customer ON customer_search_terms (tenant_id, customer_id);
CALL app.protect('customer_search_terms');
GRANT SELECT, INSERT, DELETE ON customer_search_terms TO carhaul_api;

-- The searchable words of a text: lower case, letters and digits.
CREATE FUNCTION app.search_words(VARIADIC texts text[]) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT DISTINCT word
    FROM unnest(texts) AS source, regexp_split_to_table(lower(source), '[^[:alnum:]]+') AS word
    WHERE word <> ''
$$;
GRANT EXECUTE ON FUNCTION app.search_words(text[]) TO carhaul_api;

CREATE FUNCTION app.index_customer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM customer_search_terms WHERE (tenant_id, customer_id) = (NEW.tenant_id, NEW.id);
    END IF;
    INSERT INTO customer_search_terms (tenant_id, customer_id, term)
    SELECT NEW.tenant_id, NEW.id, word FROM app.search_words(NEW.name, NEW.mc_number, NEW.usdot) AS word;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_customer AFTER INSERT OR UPDATE OF name, mc_number, usdot ON customers
FOR EACH ROW EXECUTE FUNCTION app.index_customer();

CREATE TABLE locations (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    type text NOT NULL CHECK (type IN ('auction', 'dealer', 'port', 'residence', 'terminal', 'business')),
    name text NOT NULL,
    address text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    zip text NOT NULL,
    time_zone text NOT NULL,
    contact_name text,
    phone text,
    email text,
    hours text,
    twic_required boolean NOT NULL DEFAULT false,
    notes text,
    -- Names and cities are looked up in any case: generated columns, since lower() in a query is not leakproof. "C" makes
    -- byte order the order of a range of prefixes.
    name_lower text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    city_lower text NOT NULL GENERATED ALWAYS AS (lower(city)) STORED,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX locations_state ON locations (tenant_id, state, id);
CREATE INDEX locations_city ON locations (tenant_id, city_lower, id);
CREATE INDEX locations_name ON locations (tenant_id, name_lower, id);

CREATE TABLE trucks (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    unit_number text NOT NULL,
    vin text,
    make text,
    model text,
    year smallint,
    plate text,
    plate_state text,
    -- Vehicle slots on the truck itself.
    capacity smallint NOT NULL CHECK (capacity BETWEEN 0 AND 12),
    max_weight_lbs integer CHECK (max_weight_lbs > 0),
    enclosed boolean NOT NULL DEFAULT false,
    notes text,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX trucks_unit_number ON trucks (tenant_id, lower(unit_number)) WHERE archived_at IS NULL;
CREATE TRIGGER limit_take AFTER INSERT ON trucks FOR EACH ROW WHEN (NEW.archived_at IS NULL)
EXECUTE FUNCTION app.limit_take('trucks');
CREATE TRIGGER limit_take_again AFTER UPDATE OF archived_at ON trucks FOR EACH ROW
WHEN (OLD.archived_at IS NOT NULL AND NEW.archived_at IS NULL) EXECUTE FUNCTION app.limit_take('trucks');
CREATE TRIGGER limit_release AFTER UPDATE OF archived_at ON trucks FOR EACH ROW
WHEN (OLD.archived_at IS NULL AND NEW.archived_at IS NOT NULL) EXECUTE FUNCTION app.limit_release('trucks');
CREATE TRIGGER limit_release_again AFTER DELETE ON trucks FOR EACH ROW WHEN (OLD.archived_at IS NULL)
EXECUTE FUNCTION app.limit_release('trucks');

CREATE TABLE trailers (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    unit_number text NOT NULL,
    vin text,
    make text,
    model text,
    year smallint,
    plate text,
    plate_state text,
    capacity smallint NOT NULL CHECK (capacity BETWEEN 1 AND 12),
    max_weight_lbs integer CHECK (max_weight_lbs > 0),
    enclosed boolean NOT NULL DEFAULT false,
    notes text,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX trailers_unit_number ON trailers (tenant_id, lower(unit_number)) WHERE archived_at IS NULL;

CREATE TABLE drivers (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    email text,
    phone text,
    licence_number text,
    licence_state text,
    licence_expires_on date,
    medical_card_expires_on date,
    pay_rule text CHECK (pay_rule IN ('percent', 'per_mile', 'flat', 'per_vehicle')),
    -- Percent of the price, or an amount in the carrier's currency per mile, order or vehicle.
    pay_rate numeric(10, 4) CHECK (pay_rate >= 0),
    -- The member who signs in as this driver.
    user_id uuid,
    notes text,
    name_lower text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT drivers_user_id FOREIGN KEY (tenant_id, user_id) REFERENCES memberships (tenant_id, user_id)
    ON DELETE SET NULL (user_id),
    CONSTRAINT drivers_pay_rate CHECK (
        (pay_rule IS NULL) = (pay_rate IS NULL) AND (pay_rule <> 'percent' OR pay_rate <= 100))
);
CREATE UNIQUE INDEX drivers_user_id ON drivers (tenant_id, user_id);
CREATE INDEX drivers_name ON drivers (tenant_id, name_lower, id);
CREATE POLICY driver_scope ON drivers AS RESTRICTIVE
USING ((SELECT app.driver_id() IS NULL) OR id = (SELECT app.driver_id()));

DO $$
DECLARE
    resource text;
BEGIN
    FOREACH resource IN ARRAY ARRAY['customers', 'locations', 'trucks', 'trailers', 'drivers'] LOOP
        CALL app.protect(resource);
        EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION app.touch()', resource);
        EXECUTE format(
            'CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION app.record_change(%L, %L, %L)',
            resource, rtrim(resource, 's'), 'id', '{name_lower,city_lower}');
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO carhaul_api', resource);
    END LOOP;
END
$$;
-- app.enter finds the driver record of a signed-in driver.
CALL app.open_to_gate('drivers');
GRANT SELECT (tenant_id, id, user_id) ON drivers TO carhaul_gate;
