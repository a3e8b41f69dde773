//! The catalogue's schemas against the types of the code: the same fields, the same words, and nothing that the schema takes and
//! the type does not.

use std::collections::BTreeSet;

use carhaul_core::skills::rules::{audit_billing, draft_message, match_driver};
use serde_json::{Value, json};

use crate::support::one;

type Parse = fn(Value) -> Result<(), String>;

macro_rules! parse {
    ($type:ty) => {
        |value| serde_json::from_value::<$type>(value).map(drop).map_err(|error| error.to_string())
    };
}

/// A schema beside the type that reads what it describes, and a value with everything in it.
struct Pair {
    name: &'static str,
    schema: Value,
    parse: Parse,
    sample: Value,
    /// Whether the type refuses fields that it does not know.
    is_closed: bool,
}

impl Pair {
    fn parse_with(&self, at: &str, value: Option<Value>) -> Result<(), String> {
        let mut changed = self.sample.clone();
        let (parent, field) = at.rsplit_once('/').expect("the root is not changed");
        let parent = changed.pointer_mut(parent).expect("the sample has it");
        match (parent, value) {
            (Value::Object(members), Some(value)) => drop(members.insert(field.to_owned(), value)),
            (Value::Object(members), None) => drop(members.remove(field)),
            (Value::Array(items), Some(value)) => items[field.parse::<usize>().expect("an index")] = value,
            other => panic!("{at}: {other:?}"),
        }
        (self.parse)(changed)
    }

    fn compare(&self, schema: &Value, at: &str) {
        let told = format!("{} {at}", self.name);
        if let Some(either) = schema["anyOf"].as_array() {
            assert!(either.iter().any(|it| it["type"] == "null") && either.len() == 2, "{told}");
            assert_eq!(self.parse_with(at, Some(Value::Null)), Ok(()), "{told}");
            return self.compare(either.iter().find(|it| it["type"] != "null").expect("the other"), at);
        }
        if let Some(words) = schema["enum"].as_array() {
            let refused = self.parse_with(at, Some(json!("zzz"))).expect_err(&told);
            assert_eq!(
                expected(&refused),
                words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect(),
                "{told}"
            );
            return;
        }
        match schema["type"].as_str().unwrap_or_default() {
            "object" => self.compare_object(schema, at),
            "array" => self.compare(&schema["items"], &format!("{at}/0")),
            "string" => {
                assert!(self.parse_with(at, Some(json!(7))).is_err(), "{told}");
                let is_formed =
                    schema.get("format").is_some() || schema["pattern"].as_str().is_some_and(|it| it.contains("[0-9]"));
                assert_eq!(self.parse_with(at, Some(json!("zzz"))).is_err(), is_formed, "{told}");
                let longest = schema["maxLength"].as_u64().and_then(|longest| usize::try_from(longest).ok());
                if let Some(longest) = longest {
                    assert_eq!(self.parse_with(at, Some(json!("x".repeat(longest)))), Ok(()), "{told}");
                }
            }
            "integer" => {
                assert!(
                    self.parse_with(at, Some(json!("7"))).is_err() && self.parse_with(at, Some(json!(7.5))).is_err(),
                    "{told}"
                );
                assert_eq!(self.parse_with(at, Some(schema["minimum"].clone())), Ok(()), "{told}");
            }
            "boolean" => assert!(self.parse_with(at, Some(json!("true"))).is_err(), "{told}"),
            other => panic!("{told}: {other}"),
        }
    }

    fn compare_object(&self, schema: &Value, at: &str) {
        let told = format!("{} {at}", self.name);
        assert_eq!(schema["additionalProperties"], json!(false), "{told}");
        let properties = schema["properties"].as_object().expect("an object has properties");
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if self.is_closed {
            let refused = self.parse_with(&format!("{at}/zzz"), Some(json!(1))).expect_err(&told);
            assert_eq!(expected(&refused), properties.keys().cloned().collect(), "{told}");
        }
        for (name, property) in properties {
            let at = format!("{at}/{name}");
            assert!(self.sample.pointer(&at).is_some(), "the sample of {told} lacks {name}");
            if !required.contains(&**name) {
                assert_eq!(self.parse_with(&at, None), Ok(()), "{told}/{name} may be left out");
            } else if property.get("anyOf").is_none() {
                assert!(self.parse_with(&at, None).is_err(), "{told}/{name} must not be left out");
            }
            self.compare(property, &at);
        }
    }
}

/// What serde says that it would have taken.
fn expected(refused: &str) -> BTreeSet<String> {
    let (_, expected) = refused.split_once("expected").unwrap_or_else(|| panic!("{refused}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_built_in_skill_takes_and_gives_what_the_code_does() {
    let schemas = one("SELECT jsonb_object_agg(code, jsonb_build_object('input', input_schema, 'output', output_schema)) \
                       FROM builtin_skills b WHERE version = (SELECT max(version) FROM builtin_skills l WHERE l.code = b.code)")
    .await;
    let id = "0192d3a4-0000-7000-8000-000000000001";
    let reason = json!({"code": "capacity", "detail": "no room"});
    let pair = |name: &'static str, parse: Parse, is_closed: bool, sample: Value| {
        let (code, side) = name.split_once(' ').expect("a skill and a side");
        Pair { name, schema: schemas[code][side].clone(), parse, sample, is_closed }
    };
    let pairs = [
        pair("match_driver input", parse!(match_driver::Asked), false, json!({"order_ids": [id]})),
        pair(
            "match_driver output",
            parse!(match_driver::Output),
            true,
            json!({"drivers": [{
                "driver_id": id, "name": "Kim", "rank": 1, "score": 7,
                "factors": [{"code": "fill", "points": 7, "of": 10, "detail": "well"}],
                "blockers": [reason], "cautions": [{"code": "winch_needed", "detail": "ask"}],
            }]}),
        ),
        pair(
            "draft_message input",
            parse!(draft_message::Asked),
            true,
            json!({
                "order_id": id, "intent": "delay", "channel": "sms", "recipient": "Kim", "eta": "2026-11-25T16:00:00",
                "reason": "snow", "amount_due": "450.00", "due_on": "2026-12-25",
            }),
        ),
        pair(
            "draft_message output",
            parse!(draft_message::Output),
            true,
            json!({
                "subject": "News", "body": "Hello", "segments": 1, "facts_used": ["/order/number"],
            }),
        ),
        pair("audit_billing input", parse!(audit_billing::Asked), false, json!({"order_id": id})),
        pair(
            "audit_billing output",
            parse!(audit_billing::Output),
            true,
            json!({"ready": true, "issues": [
                {"code": "on_hold", "severity": "error", "message": "it is", "field": "/on_hold"},
            ]}),
        ),
    ];
    // extract_order's are the code's own.
    assert_eq!(pairs.len() + 2, schemas.as_object().expect("the catalogue").len() * 2);
    for pair in pairs {
        assert_eq!((pair.parse)(pair.sample.clone()), Ok(()), "{}", pair.name);
        pair.compare_object(&pair.schema, "");
    }
}
