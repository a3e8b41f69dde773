//! The committed API document is what the code says. `make openapi` writes it anew.

use serde_json::{Value, json};

#[test]
fn the_committed_document_is_what_the_code_says() {
    let generated = format!("{:#}\n", carhaul_api::openapi::document());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    #[allow(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
    if std::env::var("WRITE_OPENAPI").is_ok() {
        std::fs::write(path, &generated).expect("openapi.json can be written");
    }
    assert!(
        generated == std::fs::read_to_string(path).expect("openapi.json is committed"),
        "openapi.json is not what the code says; run `make openapi` and commit it"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_answer_is_described() {
    let document = carhaul_api::openapi::document();
    require_references(&document, &document);
    for (path, methods) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            for (status, response) in operation["responses"].as_object().expect("every operation answers") {
                let response = resolve(&document, response);
                assert!(is_described(response), "{method} {path} {status}");
            }
        }
    }
}

/// A generated client has one type for each thing, and each is used.
#[test]
fn every_schema_has_a_name_and_is_used() {
    let document = carhaul_api::openapi::document();
    let schemas = document["components"]["schemas"].as_object().expect("there are schemas");
    let mut lists = 0;
    for (name, schema) in schemas {
        let items = &schema["properties"]["data"]["items"];
        if items.is_object() {
            assert!(items["$ref"].is_string(), "the rows of {name} have no type of their own");
            lists += 1;
        }
        for (property, member) in schema["properties"].as_object().into_iter().flatten() {
            assert!(member.get("properties").is_none(), "{name}.{property} has no type of its own");
        }
        let reference = format!("#/components/schemas/{name}");
        assert!(document.to_string().matches(&format!("\"{reference}\"")).count() > 0, "{name} is used nowhere");
    }
    assert!(lists > 20, "{lists}");
}

#[test]
fn every_schema_property_and_parameter_says_what_it_is() {
    let document = carhaul_api::openapi::document();
    let mut silent = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().expect("there are schemas") {
        silent.extend((!is_described(schema)).then(|| name.clone()));
        find_silent(name, schema, &mut silent);
    }
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has methods") {
            let summary = operation["summary"].as_str().unwrap_or_default();
            silent.extend(summary.is_empty().then(|| format!("{method} {path}")));
            for parameter in operation["parameters"].as_array().expect("it is an array, maybe empty") {
                silent.extend((!is_described(parameter)).then(|| format!("{method} {path} {}", parameter["name"])));
            }
        }
    }
    assert!(silent.is_empty(), "write a doc comment, or a word into src/openapi/words.json, for: {silent:#?}");
}

fn is_described(it: &Value) -> bool {
    it["description"].as_str().is_some_and(|it| !it.is_empty())
}

fn find_silent(at: &str, schema: &Value, silent: &mut Vec<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        silent.extend((!is_described(member)).then(|| at.clone()));
        find_silent(&at, member, silent);
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        schema[part].as_array().into_iter().flatten().for_each(|part| find_silent(at, part, silent));
    }
}

#[test]
fn a_token_and_an_api_key_are_two_credentials_and_a_person_needs_the_first() {
    let document = carhaul_api::openapi::document();
    let schemes = document["components"]["securitySchemes"].as_object().expect("there are schemes");
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["api_key", "token"]);
    let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(security("/v1/orders", "get"), Value::Null, "as the document says for all");
    assert_eq!(security("/v1/me", "get"), json!([{"token": []}]), "an API key is nobody");
}

fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    part["$ref"].as_str().map_or(part, |reference| document.pointer(&reference[1..]).expect("it leads somewhere"))
}

fn require_references(document: &Value, part: &Value) {
    if let Some(reference) = part["$ref"].as_str() {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} is not in the document");
    }
    match part {
        Value::Object(members) => members.values().for_each(|member| require_references(document, member)),
        Value::Array(items) => items.iter().for_each(|item| require_references(document, item)),
        _ => {}
    }
}
