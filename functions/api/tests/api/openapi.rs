//! The committed API document is what the code says. `make openapi` writes it anew.

use serde_json::Value;

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
                assert!(response["description"].as_str().is_some_and(|it| !it.is_empty()), "{method} {path} {status}");
            }
        }
    }
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
