-- Vehicles wait on their own, orders are split, payment after any number of days, and trips whose driver or times change
-- under way.

-- NOT VALID: what is there has passed the narrower check that this one replaces.
ALTER TABLE orders
    ADD COLUMN hold_reason text,
    -- The order that its vehicles were on before.
    ADD COLUMN split_from uuid,
    -- Follows from the vehicles, as the other counts do.
    ADD COLUMN held_count smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT orders_payment_term_check,
    ADD CONSTRAINT orders_payment_term_check CHECK (
        payment_term ~ '^(on_pickup|on_delivery|days_([1-9]|[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-5]))$') NOT VALID,
    ADD CONSTRAINT orders_split_from FOREIGN KEY (tenant_id, split_from) REFERENCES orders (tenant_id, id);
CREATE INDEX orders_split_from ON orders (tenant_id, split_from) WHERE split_from IS NOT NULL;
CREATE INDEX orders_vehicles_on_hold ON orders (tenant_id, id) WHERE held_count > 0;

ALTER TABLE order_vehicles
    ADD COLUMN on_hold boolean NOT NULL DEFAULT false,
    ADD COLUMN hold_reason text;
-- A vehicle that goes to another order is found by that one.
DROP TRIGGER index_order_vehicle ON order_vehicles;
CREATE TRIGGER index_order_vehicle AFTER INSERT OR DELETE OR UPDATE OF vin, lot_number, order_id ON order_vehicles
FOR EACH ROW EXECUTE FUNCTION app.index_order_vehicle();

-- What happens besides moves: the state before and after it is the same, or the vehicle has changed orders.
ALTER TABLE status_history ADD COLUMN event text
    CHECK (event IN ('held', 'released', 'archived', 'unarchived', 'split', 'relayed'));
ALTER TABLE trip_history
    ADD COLUMN event text CHECK (event IN ('relayed', 'stop_corrected')),
    -- Of what happened at one stop.
    ADD COLUMN stop_id uuid,
    -- Fields as they were and as they are: [{"field", "from", "to"}].
    ADD COLUMN changes jsonb NOT NULL DEFAULT '[]';

-- What a load may need beside room; null is not recorded.
ALTER TABLE trucks ADD COLUMN has_winch boolean;
ALTER TABLE trailers ADD COLUMN has_winch boolean;
-- The last day on which the Transportation Worker Identification Credential is valid.
ALTER TABLE drivers ADD COLUMN twic_expires_on date;

INSERT INTO builtin_skills (code, version, name, description, instructions, input_schema, output_schema)
SELECT b.code, 2, b.name, b.description, b.instructions, b.input_schema,
       jsonb_set(b.output_schema, '{$defs,payment_term,properties,value}',
                 '{"description": "on_pickup, on_delivery, or days_ and how many days after delivery, from 1 to 365.", "type": "string",
                   "pattern": "^(on_pickup|on_delivery|days_([1-9]|[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-5]))$"}')
FROM builtin_skills b WHERE b.code = 'extract_order' AND b.version = 1;

INSERT INTO builtin_skills (code, version, name, description, instructions, input_schema, output_schema)
SELECT b.code, 2, b.name, b.description, b.instructions, b.input_schema,
       jsonb_insert(b.output_schema, '{properties,drivers,items,properties,cautions,items,properties,code,enum,-1}',
                    '"vehicle_on_hold"', true)
FROM builtin_skills b WHERE b.code = 'match_driver' AND b.version = 1;

-- Copies whose carriers left those parts as they were go along, or the rules would now say what their schemas refuse.
ALTER TABLE skills NO FORCE ROW LEVEL SECURITY;
UPDATE skills s SET output_schema = jsonb_set(s.output_schema, p.path, n.output_schema #> p.path)
FROM (VALUES ('extract_order', '{$defs,payment_term,properties,value}'::text[]),
             ('match_driver', '{properties,drivers,items,properties,cautions,items,properties,code,enum}')) AS p (code, path)
JOIN builtin_skills o ON o.code = p.code AND o.version = 1
JOIN builtin_skills n ON n.code = p.code AND n.version = 2
WHERE s.kind = p.code AND s.output_schema #> p.path = o.output_schema #> p.path;
ALTER TABLE skills FORCE ROW LEVEL SECURITY;
