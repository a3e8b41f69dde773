//! What properties, parameters and schemas mean where the code does not say it. A doc comment at the type always wins; here
//! is what would be the same comment in twenty places.

use serde_json::{Map, Value, json};

const WORDS: &str = include_str!("words.json");

/// Describes what has no description yet.
pub fn describe(document: &mut Value) {
    let words: Value = serde_json::from_str(WORDS).expect("words.json is JSON");
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        describe_members(&words, name, schema);
        let said = words["schemas"][name].as_str().map(str::to_owned).or_else(|| by_form(name));
        describe_as(schema, said);
    }
    for operation in document["paths"].as_object_mut().into_iter().flatten().flat_map(|(_, item)| super::methods(item))
    {
        summarize(operation);
        let thing = thing_of(operation["operationId"].as_str().unwrap_or_default());
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let said = words["parameters"][name].as_str().map(str::to_owned);
            let said = match name.strip_suffix("_id") {
                Some(thing) => Some(format!("The id of the {}.", thing.replace('_', " "))),
                None if name == "id" => Some(format!("The id of the {thing}.")),
                None => said,
            };
            describe_as(parameter, said);
            if parameter["explode"] == true {
                let says = parameter["description"].as_str().unwrap_or_default();
                parameter["description"] = json!(format!("{says} Several: repeat it, or put commas between them."));
            }
        }
    }
}

/// One sentence is the summary, in lists of operations; what follows it is the beginning of the description. A doc comment
/// breaks its lines where the code does.
fn summarize(operation: &mut Value) {
    let [told, described] = ["summary", "description"].map(|part| flow(operation[part].as_str().unwrap_or_default()));
    let (summary, rest) = told.split_once(". ").map_or((told.as_str(), ""), |(first, rest)| (first, rest));
    let description = [rest, described.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    if !summary.is_empty() {
        operation["summary"] = json!(format!("{}.", summary.trim_end_matches('.')));
    }
    if !description.is_empty() {
        operation["description"] = json!(description.join("\n\n"));
    }
}

/// Lines that belong together in one; an empty one stays.
fn flow(text: &str) -> String {
    text.split("\n\n")
        .map(|part| part.split('\n').map(str::trim).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// `expense category` of `update_expense_category`.
fn thing_of(operation_id: &str) -> String {
    operation_id.split_once('_').map(|(_, thing)| thing.replace('_', " ")).unwrap_or_default()
}

/// What the form of a name says: ids, bodies of POST and PATCH, the members of the union of actions.
fn by_form(name: &str) -> Option<String> {
    if let Some(thing) = name.strip_suffix("Id") {
        Some(format!("The id of {}.", a(thing)))
    } else if let Some(thing) = name.strip_suffix("Patch") {
        Some(format!("What to change of {}: what is absent is kept, null empties.", a(thing)))
    } else if let Some(thing) = name.strip_suffix("Create") {
        Some(format!("What {} is created with.", a(thing)))
    } else {
        name.strip_suffix("Action").map(|verb| format!("To {} it.", verb.to_lowercase()))
    }
}

/// The words of a name with their article: `a new order`.
fn a(name: &str) -> String {
    let words = apart(name);
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) && !words.starts_with("us") { "an" } else { "a" };
    format!("{article} {words}")
}

/// `api key` of `ApiKey`.
pub fn apart(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words.replace("api key", "API key")
}

fn describe_members(words: &Value, of: &str, schema: &mut Value) {
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        lift(member);
        let own = words["members"][format!("{of}.{name}")].as_str();
        describe_as(member, own.or(words["properties"][name].as_str()).map(str::to_owned));
        describe_members(words, of, member);
    }
    for part in ["oneOf", "allOf", "anyOf"] {
        let parts = schema.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten();
        parts.for_each(|part| describe_members(words, of, part));
    }
}

fn describe_as(it: &mut Value, said: Option<String>) {
    if let (Some(said), Some(members)) = (said, it.as_object_mut()) {
        members.entry("description").or_insert_with(|| json!(said));
    }
}

/// Of a member that can be null, the derive writes what is said of it into the other part.
fn lift(member: &mut Value) {
    let of_part = |part: &mut Value| part.as_object_mut().and_then(|part: &mut Map<_, _>| part.remove("description"));
    let parts = member.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
    let said: Vec<Value> = parts.filter_map(of_part).collect();
    if let ([said], Some(members)) = (said.as_slice(), member.as_object_mut()) {
        members.entry("description").or_insert_with(|| said.clone());
    }
}
