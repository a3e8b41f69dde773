-- What a drafted order may be warned of besides: another number of vehicles than the text says, a day that is past, a day
-- whose numbers can be read in either order.
INSERT INTO builtin_skills (code, version, name, description, instructions, input_schema, output_schema)
SELECT b.code, 3, b.name, b.description, b.instructions, b.input_schema,
       jsonb_set(b.output_schema, '{$defs,warning,properties,code,enum}',
                 b.output_schema #> '{$defs,warning,properties,code,enum}'
                 || '["vehicle_count_differs", "date_in_past", "date_ambiguous"]')
FROM builtin_skills b WHERE b.code = 'extract_order' AND b.version = 2;

-- Copies whose carriers left that part as it was go along, or the rules would now say what their schemas refuse.
ALTER TABLE skills NO FORCE ROW LEVEL SECURITY;
UPDATE skills s SET output_schema = jsonb_set(s.output_schema, p.path, n.output_schema #> p.path)
FROM (VALUES ('{$defs,warning,properties,code,enum}'::text[])) AS p (path)
JOIN builtin_skills o ON o.code = 'extract_order' AND o.version = 2
JOIN builtin_skills n ON n.code = 'extract_order' AND n.version = 3
WHERE s.kind = 'extract_order' AND s.output_schema #> p.path = o.output_schema #> p.path;
ALTER TABLE skills FORCE ROW LEVEL SECURITY;
