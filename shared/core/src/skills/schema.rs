//! JSON Schema (2020-12) of inputs and outputs: bounded when it is saved, compiled without looking anything up, and with
//! regular expressions that take linear time, since carriers write them.

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::base::error::Violations;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Of its text.
const MAX_BYTES: usize = 64 * 1024;
const MAX_DEPTH: usize = 24;
/// Errors of one value that are told; a thousand say no more than ten.
const MAX_TOLD: usize = 10;
/// Of an error's text: it may quote the schema.
const MAX_DETAIL: usize = 300;

/// A schema that values can be held against.
pub struct Compiled(Validator);

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compiled")
    }
}

impl Compiled {
    /// # Errors
    /// A sentence that says what is wrong with the schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .should_validate_formats(true);
        options.build(schema).map(Self).map_err(|error| {
            let at = error.instance_path().to_string();
            bounded(format!(
                "is no JSON Schema: {}{}",
                error.masked(),
                if at.is_empty() { at } else { format!(" at {at}") }
            ))
        })
    }

    /// Adds a violation for each place of the value that breaks the schema. `at` is the value's own pointer. What is told
    /// does not quote the value: it may be secret, or a book.
    pub fn check(&self, value: &Value, at: &str, violations: &mut Violations) {
        for error in self.0.iter_errors(value).take(MAX_TOLD) {
            violations.add(format!("{at}{}", error.instance_path()), bounded(error.masked().to_string()));
        }
    }
}

/// Checks a schema that a carrier has written. `at` is its pointer.
pub fn check_definition(schema: &Value, at: &str, violations: &mut Violations) -> Option<Compiled> {
    if !schema.is_object() {
        violations.add(at, "must be an object: a JSON Schema");
        return None;
    }
    if schema["type"] != "object" {
        violations.add(format!("{at}/type"), "must be \"object\"");
        return None;
    }
    if schema.get("$schema").is_some_and(|dialect| dialect != DIALECT) {
        violations.add(format!("{at}/$schema"), format!("must be \"{DIALECT}\", or left out"));
        return None;
    }
    if schema.to_string().len() > MAX_BYTES {
        violations.add(at, format!("must have at most {MAX_BYTES} bytes"));
        return None;
    }
    if let Err((pointer, detail)) = bound(schema, at, 0) {
        violations.add(pointer, detail);
        return None;
    }
    Compiled::new(schema).map_err(|detail| violations.add(at, detail)).ok()
}

/// Refuses what is deeper than anybody reads, and references to other documents, which nobody fetches.
fn bound(value: &Value, at: &str, depth: usize) -> Result<(), (String, String)> {
    if depth > MAX_DEPTH {
        return Err((at.to_owned(), format!("is more than {MAX_DEPTH} levels deep")));
    }
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let leads_away = member.as_str().is_some_and(|to| !to.starts_with('#'));
            if matches!(name.as_str(), "$ref" | "$dynamicRef") && leads_away {
                return Err((at, "must lead to a place in this schema, such as \"#/$defs/stop\"".into()));
            }
            if name == "$id" && member.is_string() {
                return Err((at, "must be left out: a schema stands for itself".into()));
            }
            bound(member, &at, depth + 1)
        }),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(n, item)| bound(item, &format!("{at}/{n}"), depth + 1))
        }
        _ => Ok(()),
    }
}

/// Adds a violation for each text with the character that Postgres cannot store.
pub fn check_storable(value: &Value, at: &str, violations: &mut Violations) {
    match value {
        Value::String(text) => violations.add_unless(!text.contains('\0'), at, "has the character U+0000"),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                check_storable(item, &format!("{at}/{n}"), violations);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                violations.add_unless(!name.contains('\0'), at, "has a member with the character U+0000");
                let name = name.replace('~', "~0").replace('/', "~1");
                check_storable(member, &format!("{at}/{name}"), violations);
            }
        }
        _ => {}
    }
}

/// Whether the schema knows a field at this path: a member by its name.
pub fn has_field(schema: &Value, path: &[&str]) -> bool {
    resolve(schema, schema, path, &mut { MAX_STEPS })
}

/// References may lead in circles, and alternatives multiply them.
const MAX_STEPS: usize = 1000;

fn resolve(root: &Value, schema: &Value, path: &[&str], steps: &mut usize) -> bool {
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    let Some((first, rest)) = path.split_first() else { return true };
    if schema["properties"].get(first).is_some_and(|member| resolve(root, member, rest, steps)) {
        return true;
    }
    let referred = schema["$ref"].as_str().and_then(|to| root.pointer(to.strip_prefix('#')?));
    let alternatives =
        ["oneOf", "anyOf", "allOf"].iter().flat_map(|part| schema[*part].as_array().into_iter().flatten());
    referred.into_iter().chain(alternatives).any(|part| resolve(root, part, path, steps))
}

fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_DETAIL) {
        text.truncate(end);
        text.push_str(" ..");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::error::Error;

    fn refusals(check: impl FnOnce(&mut Violations)) -> Vec<(String, String)> {
        let mut violations = Violations::default();
        check(&mut violations);
        match violations.into_result() {
            Ok(()) => Vec::new(),
            Err(Error::Invalid(fields)) => fields.into_iter().map(|field| (field.pointer, field.detail)).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    fn refused_at(schema: &Value) -> Vec<String> {
        let refused = refusals(|violations| drop(check_definition(schema, "/s", violations)));
        refused.into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn a_schema_is_refused_with_the_place_that_is_wrong() {
        let nested = (0..40).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
        for (schema, at) in [
            (json!("text"), "/s"),
            (json!({}), "/s/type"),
            (json!({"type": "array"}), "/s/type"),
            (json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}), "/s/$schema"),
            (json!({"type": "object", "properties": {"a": {"type": "nothing"}}}), "/s"),
            (json!({"type": "object", "properties": {"a": {"pattern": "(a"}}}), "/s"),
            (json!({"type": "object", "$ref": "https://example.com/s.json"}), "/s/$ref"),
            (json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}), "/s/properties/a/$ref"),
            (json!({"type": "object", "$id": "https://example.com/"}), "/s/$id"),
            (json!({"type": "object", "title": "x".repeat(MAX_BYTES)}), "/s"),
        ] {
            assert_eq!(refused_at(&schema), [at], "{schema}");
        }
        assert!(
            refused_at(&json!({"type": "object", "properties": {"a": nested}}))[0].starts_with("/s/properties/a/items")
        );
        assert_eq!(refused_at(&json!({"type": "object", "$schema": DIALECT})), [""; 0]);
    }

    #[test]
    fn a_pattern_of_a_carrier_takes_linear_time() {
        let schema = json!({"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}});
        let compiled = Compiled::new(&schema).unwrap();
        let value = json!({"a": "a".repeat(50_000) + "b"});
        assert_eq!(refusals(|violations| compiled.check(&value, "", violations))[0].0, "/a");
    }

    #[test]
    fn a_value_is_refused_with_its_place_and_without_its_content() {
        let schema = json!({"type": "object", "required": ["b"], "additionalProperties": false,
                            "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {}}});
        let compiled = Compiled::new(&schema).unwrap();
        let refused = refusals(|violations| compiled.check(&json!({"a": [1, "secret"]}), "/input", violations));
        let pointers: Vec<&str> = refused.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/input/a/1", "/input"]);
        assert!(refused.iter().all(|(_, detail)| !detail.contains("secret")), "{refused:?}");
        let many = json!({"b": 1, "a": vec!["x"; 500]});
        assert_eq!(refusals(|violations| compiled.check(&many, "", violations)).len(), MAX_TOLD);
    }

    #[test]
    fn what_cannot_be_stored_is_named() {
        let value = json!({"a": ["fine", {"b/c": "no\0t"}]});
        assert_eq!(refusals(|violations| check_storable(&value, "/input", violations))[0].0, "/input/a/1/b~1c");
    }

    #[test]
    fn a_field_is_found_through_references_and_alternatives() {
        let schema = json!({"type": "object", "properties": {"stop": {"$ref": "#/$defs/stop"}, "loop": {"$ref": "#"}},
            "anyOf": [{"properties": {"other": {}}}], "$defs": {"stop": {"properties": {"city": {}}}}});
        for (path, known) in [
            (&["stop"][..], true),
            (&["stop", "city"], true),
            (&["other"], true),
            (&["loop", "loop", "stop", "city"], true),
            (&["city"], false),
            (&["stop", "state"], false),
        ] {
            assert_eq!(has_field(&schema, path), known, "{path:?}");
        }
    }
}
