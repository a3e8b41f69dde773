//! What the derives cannot say about schemas, or say in a way that reads badly in a generated client.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A whole example of each body, and of the answers that are read most, by the name that the code has for it.
const EXAMPLES: &str = include_str!("examples.json");

pub fn tidy(document: &mut Value) {
    name_patched_values(document);
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).expect("examples.json is JSON");
    for (name, example) in examples {
        document["components"]["schemas"][name]["examples"] = json!([example]);
    }
    inline_plain_strings(document);
    name_rows(document);
    unite_with_null(&mut document["components"]["schemas"]);
    rename(document);
    merge_tagged_unions(document);
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    bound_patches(schemas);
    name_answered_values(schemas);
    schemas.values_mut().for_each(name_descending);
    let paths = document["paths"].as_object_mut().expect("there are routes");
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    operations.for_each(require_an_object);
}

/// A body that can be left out is left out, not null.
fn require_an_object(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else {
        return;
    };
    for content in body["content"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let schema = &mut content["schema"];
        let others =
            schema["oneOf"].as_array().map(|any| any.iter().filter(|of| of["type"] != "null").collect::<Vec<_>>());
        if let Some([only]) = others.as_deref() {
            *schema = (*only).clone();
        }
    }
}

/// `{"type": "assign", ..}`: a derive says all of the parts' schema and of the tag's, but each part takes no member that it
/// does not know, such as the tag. One schema for each, which knows both, and the tag tells which.
fn merge_tagged_unions(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let mut merged = Map::new();
    for (name, schema) in schemas.clone() {
        let variants: Option<Vec<_>> = schema["oneOf"].as_array().map(|of| of.iter().filter_map(tagged).collect());
        let variants = variants.unwrap_or_default();
        for (tag, part) in &variants {
            let mut variant = schemas[*part].clone();
            variant["properties"]["type"] =
                json!({"type": "string", "const": tag, "description": "Which action it is."});
            for example in variant.get_mut("examples").and_then(Value::as_array_mut).into_iter().flatten() {
                example["type"] = json!(tag);
            }
            let required = variant["required"].as_array().into_iter().flatten().cloned();
            variant["required"] = std::iter::once(json!("type")).chain(required).collect();
            merged.insert(variant_name(tag), variant);
        }
        if !variants.is_empty() {
            let reference = |tag: &str| format!("#/components/schemas/{}", variant_name(tag));
            let mapping: Map<_, _> =
                variants.iter().map(|(tag, _)| ((*tag).to_owned(), json!(reference(tag)))).collect();
            let one_of: Vec<_> = variants.iter().map(|(tag, _)| json!({"$ref": reference(tag)})).collect();
            let mut union = schema.clone();
            union["oneOf"] = json!(one_of);
            union["discriminator"] = json!({"propertyName": "type", "mapping": mapping});
            merged.insert(name, union);
        }
    }
    schemas.extend(merged);
}

/// The tag of a variant, and the name of the schema that it adds the tag to.
fn tagged(variant: &Value) -> Option<(&str, &str)> {
    let [part, tag] = variant["allOf"].as_array()?.as_slice() else {
        return None;
    };
    let name = part["$ref"].as_str()?.strip_prefix("#/components/schemas/")?;
    Some((tag["properties"]["type"]["enum"][0].as_str()?, name))
}

/// `AssignAction`.
fn variant_name(tag: &str) -> String {
    let (first, rest) = tag.split_at(1);
    format!("{}{rest}Action", first.to_uppercase())
}

/// The schema of a patch member is that of its value, which has a name if others name it: of `Patch_Option_PaymentMethod`
/// that is `PaymentMethod`, or null.
fn name_patched_values(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let mut named = Map::new();
    for (name, schema) in schemas.clone() {
        let Some(wrapped) = name.strip_prefix("Patch_") else { continue };
        let (value, inner, wrap): (_, _, fn(Value) -> Value) = if let Some(value) = wrapped.strip_prefix("Option_") {
            let mut parts = schema["oneOf"].as_array().into_iter().flatten();
            (value, parts.find(|part| part["type"] != "null"), |of| json!({"oneOf": [of, {"type": "null"}]}))
        } else if let Some(value) = wrapped.strip_prefix("Vec_") {
            (value, schema.get("items"), |of| json!({"type": "array", "items": of}))
        } else {
            (wrapped, Some(&schema), |of| of)
        };
        let Some(inner) = inner else { continue };
        let has_a_form = ["enum", "format", "pattern", "properties"].iter().any(|key| inner.get(key).is_some());
        let is_primitive = value.starts_with(|first: char| first.is_lowercase());
        if has_a_form && !is_primitive && !is_plain(value) {
            schemas.entry(value).or_insert_with(|| inner.clone());
            named.insert(name.clone(), wrap(json!({"$ref": format!("#/components/schemas/{value}")})));
        }
    }
    replace_refs(document, &named);
}

/// `{"type": ["string", "null"], ..}` for a plain value that can be null: in most languages that is one type, where a choice
/// of two schemas is a type of its own.
fn unite_with_null(part: &mut Value) {
    match part {
        Value::Object(members) => {
            members.values_mut().for_each(unite_with_null);
            let others = members.get("oneOf").and_then(Value::as_array).filter(|parts| parts.len() == 2);
            let other = others.filter(|parts| parts.iter().any(|part| part["type"] == "null"));
            let other = other.and_then(|parts| parts.iter().find(|part| part["type"] != "null")).cloned();
            let Some(Value::Object(mut other)) = other else { return };
            let Some(kind) = other.get("type").and_then(Value::as_str).map(str::to_owned) else { return };
            if matches!(kind.as_str(), "string" | "integer" | "number" | "boolean") && !other.contains_key("enum") {
                other["type"] = json!([kind, "null"]);
                members.remove("oneOf");
                for (key, value) in other {
                    members.entry(key).or_insert(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unite_with_null),
        _ => {}
    }
}

const BOUNDS: [&str; 4] = ["minimum", "maximum", "minItems", "maxItems"];

/// A change is bound by what bounds a creation.
fn bound_patches(schemas: &mut Map<String, Value>) {
    let before = schemas.clone();
    for (name, patch) in schemas.iter_mut() {
        let Some(created) = name.strip_suffix("Patch").and_then(|thing| before.get(&format!("{thing}Create"))) else {
            continue;
        };
        for (property, member) in patch.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            let bounds = BOUNDS.iter().filter_map(|key| Some((*key, created["properties"].get(property)?.get(key)?)));
            for (key, bound) in bounds {
                member.as_object_mut().expect("a schema is an object").entry(key).or_insert_with(|| bound.clone());
            }
        }
    }
}

/// What a thing is created or changed with has a type; the same value in an answer has no other.
fn name_answered_values(schemas: &mut Map<String, Value>) {
    let before = schemas.clone();
    for (name, answer) in schemas.iter_mut() {
        let requests = ["Create", "Patch"].map(|form| before.get(&format!("{name}{form}")));
        for (property, member) in answer.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            let can_be_null = member["type"] == json!(["string", "null"]);
            let is_free = ["format", "pattern", "enum"].iter().all(|key| member.get(key).is_none());
            if !is_free || (!can_be_null && member["type"] != "string") {
                continue;
            }
            let named = requests.iter().flatten().find_map(|request| value_type(&request["properties"][property]));
            if let Some(reference) = named.map(|reference| json!({"$ref": reference})) {
                let members = member.as_object_mut().expect("a schema is an object");
                members.remove("type");
                if can_be_null {
                    members.insert("oneOf".to_owned(), json!([reference, {"type": "null"}]));
                } else {
                    members.insert("$ref".to_owned(), reference["$ref"].clone());
                }
            }
        }
    }
}

/// The type that a member has by name, null or not.
fn value_type(member: &Value) -> Option<&str> {
    let parts = member["oneOf"].as_array().into_iter().flatten();
    std::iter::once(member).chain(parts).find_map(|part| part["$ref"].as_str())
}

/// `-created_at` is a value of a sort and no name in any language.
fn name_descending(schema: &mut Value) {
    let values: Vec<_> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if values.iter().any(|value| value.starts_with('-')) {
        let name = |value: &&str| match value.strip_prefix('-') {
            Some(column) => format!("{}_DESCENDING", column.to_uppercase()),
            None => value.to_uppercase(),
        };
        let names: Vec<_> = values.iter().map(name).collect();
        schema["x-enum-varnames"] = json!(names);
    }
}

/// Schemas of bounded text and of patch members are plain strings or numbers with a rule: they read better in place than
/// behind a name such as `Text120`.
fn inline_plain_strings(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let (plain, named): (Map<_, _>, Map<_, _>) =
        std::mem::take(schemas).into_iter().partition(|(name, _)| is_plain(name));
    *schemas = named;
    replace_refs(document, &plain);
}

fn is_plain(name: &str) -> bool {
    let bounded_text = name.strip_prefix("LongText").or(name.strip_prefix("Text"));
    bounded_text.is_some_and(|max| max.bytes().all(|b| b.is_ascii_digit()))
        || name.starts_with("Patch_")
        || name.starts_with("Whole")
        || matches!(name, "Limit" | "Amount" | "Rate" | "Day")
}

fn replace_refs(value: &mut Value, plain: &Map<String, Value>) {
    match value {
        Value::Object(object) => {
            let target =
                object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/components/schemas/"));
            if let Some(schema) = target.and_then(|name| plain.get(name)).cloned() {
                object.remove("$ref");
                for (key, inner) in schema.as_object().into_iter().flatten() {
                    object.entry(key.clone()).or_insert_with(|| inner.clone());
                }
            }
            object.values_mut().for_each(|inner| replace_refs(inner, plain));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| replace_refs(inner, plain)),
        _ => {}
    }
}

/// A derive writes the row of a generic page into it; a client should have one type for each resource.
fn name_rows(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    for (page, schema) in schemas.iter_mut() {
        if let Some(row) = page.strip_prefix("Page_") {
            schema["properties"]["data"]["items"] = json!({"$ref": format!("#/components/schemas/{row}")});
        }
    }
}

/// Schemas that no operation leads to: of types that only other types are made of.
pub fn drop_unused(document: &mut Value) {
    let mut used = BTreeSet::new();
    find_used(document, &document["paths"], &mut used);
    find_used(document, &document["components"]["responses"], &mut used);
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    schemas.retain(|name, _| used.contains(&format!("#/components/schemas/{name}")));
}

fn find_used(document: &Value, part: &Value, used: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            // Also those of a discriminator's mapping.
            for reference in members.values().filter_map(Value::as_str).filter(|text| text.starts_with("#/")) {
                if used.insert(reference.to_owned()) {
                    find_used(document, document.pointer(&reference[1..]).unwrap_or(&Value::Null), used);
                }
            }
            members.values().for_each(|member| find_used(document, member, used));
        }
        Value::Array(items) => items.iter().for_each(|item| find_used(document, item, used)),
        _ => {}
    }
}

/// `Page_Customer` is a fine name in Rust and an odd one in a generated client, where `NewCustomer` may be what makes a
/// `Customer`, as constructors in Go are called.
fn rename(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let old = std::mem::take(schemas);
    schemas.extend(old.into_iter().map(|(name, schema)| (public_name(&name).unwrap_or(name), schema)));
    rename_references(document);
}

fn public_name(name: &str) -> Option<String> {
    let created = name.strip_prefix("New").filter(|thing| thing.starts_with(|first: char| first.is_uppercase()));
    let row = || Some(format!("{}Page", name.strip_prefix("Page_")?));
    created.map(|thing| format!("{thing}Create")).or_else(row)
}

fn rename_references(part: &mut Value) {
    match part {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("#/components/schemas/").and_then(public_name) {
                *text = format!("#/components/schemas/{name}");
            }
        }
        Value::Object(members) => members.values_mut().for_each(rename_references),
        Value::Array(items) => items.iter_mut().for_each(rename_references),
        _ => {}
    }
}
