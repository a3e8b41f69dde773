//! All that is wrong with a body. serde stops at the first fault; here, once there is one, the bad value is taken out and the
//! rest is read again, until nothing is left to complain of. A body that is right never comes here.

use std::collections::{BTreeMap, BTreeSet};

use carhaul_core::base::error::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use utoipa::ToSchema;

use crate::objects::Objects;
use crate::sentences::{missing, sentence, unknown};

/// Who has made that many mistakes has made one of another kind.
const MOST: usize = 20;
/// Readings, at the most: what is taken out can make something around it bad that was not.
const READINGS: usize = 60;
/// What tells the kinds of a thing apart.
const TYPE: &str = "type";
/// Members of an object that are tried one after the other.
const TRIED: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    Item(usize),
}

/// Each fault with the pointer to it in what was sent.
pub fn of<T: DeserializeOwned + ToSchema>(body: Value) -> Vec<FieldError> {
    let mut rest = Rest { body, taken: BTreeSet::new(), items: BTreeMap::new() };
    let mut faults = Vec::new();
    for _ in 0..READINGS {
        let Some((steps, message)) = rest.read::<T>() else { break };
        let place = rest.as_sent(&steps);
        let mut add = |place: &[Step], detail: String| faults.push(FieldError { pointer: pointer(place), detail });
        if let Some(member) = missing(&message) {
            // serde has seen all that this object has, and names the first that it lacks.
            let mut names = rest.lacks::<T>(&steps);
            if !names.iter().any(|name| name == member) {
                names.push(member.to_owned());
            }
            for name in names {
                let place = [&place[..], &[Step::Member(name)]].concat();
                if !rest.taken.contains(&place) {
                    add(&place, sentence(&message));
                }
            }
        } else if !rest.taken.iter().any(|taken| taken.starts_with(&place)) {
            add(&place, sentence(&rest.words::<T>(&steps, message)));
        }
        if faults.len() >= MOST || !rest.take(&steps) {
            break;
        }
    }
    faults.truncate(MOST);
    faults
}

/// What is left of a body, and what was taken out of it.
struct Rest {
    body: Value,
    /// As they were sent.
    taken: BTreeSet<Vec<Step>>,
    /// Of each array, as it was sent, the items that are gone.
    items: BTreeMap<Vec<Step>, BTreeSet<usize>>,
}

impl Rest {
    /// The first fault, and where it is now.
    fn read<T: DeserializeOwned>(&mut self) -> Option<(Vec<Step>, String)> {
        let (mut steps, message) = first::<T>(&self.body)?;
        if let Some(member) = unknown(&message) {
            let step = Step::Member(member.to_owned());
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        } else if missing(&message).is_none() {
            steps.extend(self.culprit::<T>(&steps, &message).map(Step::Member));
        }
        Some((steps, message))
    }

    /// The member that is meant where only the object around it is named, as serde has it for what has a `type`: the one
    /// without which something else is said.
    fn culprit<T: DeserializeOwned>(&mut self, steps: &[Step], message: &str) -> Option<String> {
        let Value::Object(members) = at(&mut self.body, steps)? else { return None };
        members.get(TYPE)?;
        let names: Vec<String> = members.keys().take(TRIED).cloned().collect();
        let mut found = Vec::new();
        for name in names {
            let Some(Value::Object(members)) = at(&mut self.body, steps) else { break };
            let Some(value) = members.remove(&name) else { continue };
            if first::<T>(&self.body).is_none_or(|(other, says)| other != steps || says != message) {
                found.push(name.clone());
            }
            if let Some(Value::Object(members)) = at(&mut self.body, steps) {
                members.insert(name, value);
            }
        }
        // Without its type nothing of it is read.
        if found.len() > 1 {
            found.retain(|name| name != TYPE);
        }
        if found.len() == 1 { found.pop() } else { None }
    }

    /// Of a value that should be one of some words and is none at all, serde does not say which: of a wrong word it does.
    fn words<T: DeserializeOwned>(&mut self, steps: &[Step], message: String) -> String {
        if !message.ends_with(", expected string or map") {
            return message;
        }
        let Some(value) = at(&mut self.body, steps) else { return message };
        *value = Value::from("");
        match first::<T>(&self.body) {
            Some((same, says)) if same == steps && says.starts_with("unknown variant ") => says,
            _ => message,
        }
    }

    /// The required members that an object does not have.
    fn lacks<T: ToSchema>(&mut self, steps: &[Step]) -> Vec<String> {
        let Some(Value::Object(members)) = at(&mut self.body, steps) else { return Vec::new() };
        required::<T>(steps).into_iter().filter(|name| !members.contains_key(name)).collect()
    }

    /// Where it was when it was sent.
    fn as_sent(&self, steps: &[Step]) -> Vec<Step> {
        let mut place = Vec::new();
        for step in steps {
            let step = match step {
                Step::Item(index) => {
                    let gone = self.items.get(&place).into_iter().flatten();
                    Step::Item(gone.fold(*index, |index, gone| if *gone <= index { index + 1 } else { index }))
                }
                member @ Step::Member(_) => member.clone(),
            };
            place.push(step);
        }
        place
    }

    /// Takes it out, unless it is all that there is.
    fn take(&mut self, steps: &[Step]) -> bool {
        let Some((last, above)) = steps.split_last() else { return false };
        let place = self.as_sent(steps);
        match (at(&mut self.body, above), last) {
            (Some(Value::Object(members)), Step::Member(name)) if members.contains_key(name) => {
                members.remove(name);
            }
            (Some(Value::Array(items)), Step::Item(index)) if *index < items.len() => {
                items.remove(*index);
            }
            _ => return false,
        }
        if let Some((Step::Item(index), above)) = place.split_last() {
            self.items.entry(above.to_vec()).or_default().insert(*index);
        }
        self.taken.insert(place)
    }
}

/// The first fault that serde finds.
fn first<T: DeserializeOwned>(body: &Value) -> Option<(Vec<Step>, String)> {
    let error = serde_path_to_error::deserialize::<_, T>(Objects(body)).err()?;
    let mut steps = Vec::new();
    for segment in error.path() {
        steps.push(match segment {
            Segment::Seq { index } => Step::Item(*index),
            Segment::Map { key: name } | Segment::Enum { variant: name } => Step::Member(name.clone()),
            Segment::Unknown => break,
        });
    }
    Some((steps, error.into_inner().to_string()))
}

fn at<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    })
}

/// As a JSON pointer (RFC 6901).
fn pointer(steps: &[Step]) -> String {
    let part = |step: &Step| match step {
        Step::Member(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        Step::Item(index) => format!("/{index}"),
    };
    steps.iter().map(part).collect()
}

/// The members that the document requires of the object there.
fn required<T: ToSchema>(steps: &[Step]) -> Vec<String> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named: BTreeMap<String, Value> =
        named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect();
    let whole = serde_json::to_value(T::schema()).unwrap_or_default();
    let there = steps.iter().try_fold(object(&named, &whole), |schema, step| {
        let inner = match step {
            Step::Member(name) => schema?.get("properties")?.get(name)?,
            Step::Item(_) => schema?.get("items")?,
        };
        Some(object(&named, inner))
    });
    let names = there.flatten().and_then(|schema| schema.get("required")?.as_array());
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The schema of what may be null without the null, and what a reference leads to. Of several that a `type` tells apart,
/// none.
fn object<'a>(named: &'a BTreeMap<String, Value>, schema: &'a Value) -> Option<&'a Value> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return object(named, named.get(reference.rsplit('/').next()?)?);
    }
    let Some(parts) = schema.get("oneOf").and_then(Value::as_array) else { return Some(schema) };
    let mut parts = parts.iter().filter(|part| part.get("type").is_none_or(|it| it != "null"));
    let only = parts.next()?;
    if parts.next().is_some() { None } else { object(named, only) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read only")]
    struct Load {
        count: i16,
        open: bool,
        stops: Vec<Stop>,
        last: Option<Stop>,
        act: Option<Act>,
    }

    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read only")]
    struct Stop {
        city: String,
        kind: Kind,
    }

    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Pickup,
        Delivery,
    }

    #[derive(Deserialize, ToSchema)]
    #[serde(tag = "type", rename_all = "snake_case")]
    #[allow(dead_code, reason = "read only")]
    enum Act {
        Move(Stop),
    }

    fn faults(body: Value) -> Vec<(String, String)> {
        of::<Load>(body).into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    }

    #[track_caller]
    fn assert_faults(body: Value, expected: &[(&str, &str)]) {
        let mut found = faults(body);
        found.sort();
        let mut expected: Vec<_> = expected.iter().map(|(at, says)| ((*at).to_owned(), (*says).to_owned())).collect();
        expected.sort();
        assert_eq!(found, expected);
    }

    const WORDS: &str = "must be one of pickup, delivery";

    #[test]
    fn each_fault_is_found_where_it_was_sent() {
        let good = json!({"city": "Reno", "kind": "pickup"});
        assert_faults(
            json!({"count": 99_999, "open": "yes", "a/b": 1, "stops": [
                5, good, {"city": 1, "kind": "x"}, ["Reno", "pickup"], {"kind": 7}, good, {"city": "Reno", "kind": null}
            ], "last": {}}),
            &[
                ("/a~1b", "is unknown; known are count, open, stops, last, act"),
                ("/count", "must be a whole number from -32768 to 32767"),
                ("/open", "must be true or false"),
                ("/stops/0", "must be an object"),
                ("/stops/2/city", "must be text"),
                ("/stops/2/kind", WORDS),
                ("/stops/3", "must be an object"),
                ("/stops/4/kind", WORDS),
                ("/stops/4/city", "is required"),
                ("/stops/6/kind", WORDS),
                ("/last/city", "is required"),
                ("/last/kind", "is required"),
            ],
        );
    }

    #[test]
    fn what_is_missing_beside_what_is_bad_is_named_too() {
        assert_faults(
            json!({"open": 1}),
            &[("/count", "is required"), ("/open", "must be true or false"), ("/stops", "is required")],
        );
        assert_faults(json!([1]), &[("", "must be an object")]);
    }

    #[test]
    fn a_fault_in_what_has_a_type_is_found() {
        let act = |act: Value| json!({"count": 1, "open": true, "stops": [], "act": act});
        assert_faults(
            act(json!({"type": "move", "city": 5, "kind": "x"})),
            &[("/act/city", "must be text"), ("/act/kind", WORDS)],
        );
        assert_faults(act(json!({"type": "move", "city": "Reno", "kind": "pickup"})), &[]);
        assert_faults(act(json!({"type": "move", "city": "Reno"})), &[("/act/kind", "is required")]);
        assert_faults(act(json!({"type": "fly"})), &[("/act/type", "must be move")]);
    }

    #[test]
    fn there_is_an_end() {
        let body = json!({"count": 1, "open": true, "stops": vec![1; 5000]});
        assert_eq!(faults(body).len(), MOST);
    }
}
