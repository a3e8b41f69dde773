//! What the derives cannot say about schemas, or say in a way that reads badly in a generated client.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A whole example of each body that creates something.
const EXAMPLES: &str = include_str!("examples.json");

pub fn tidy(document: &mut Value) {
    name_patched_parts(document);
    inline_plain_strings(document);
    name_rows(document);
    rename_pages(document);
    merge_tagged_unions(document);
    let paths = document["paths"].as_object_mut().expect("there are routes");
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    operations.for_each(require_an_object);
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).expect("examples.json is JSON");
    for (name, example) in examples {
        document["components"]["schemas"][name]["examples"] = json!([example]);
    }
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

/// A patch of a part, such as a stop of an order, is a type of its own and no plain value.
fn name_patched_parts(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let mut named = Map::new();
    for (name, schema) in schemas.clone().iter().filter(|(_, schema)| schema["properties"].is_object()) {
        if let Some(part) = name.strip_prefix("Patch_") {
            schemas.entry(part).or_insert_with(|| schema.clone());
            named.insert(name.clone(), json!({"$ref": format!("#/components/schemas/{part}")}));
        }
    }
    replace_refs(document, &named);
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

/// `Page_Customer` is a fine name in Rust and an odd one in a generated client.
fn rename_pages(document: &mut Value) {
    let text = document.to_string();
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("Page_") {
        let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
        renamed.push_str(before);
        renamed.push_str(&after[..end]);
        renamed.push_str("Page");
        rest = &after[end..];
    }
    renamed.push_str(rest);
    *document = serde_json::from_str(&renamed).expect("only names were changed");
}
