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

/// Whatever is shown as an example can be sent, or answered, as it is.
#[test]
fn each_body_has_an_example_and_examples_fit_their_schemas() {
    let document = carhaul_api::openapi::document();
    let schemas = document["components"]["schemas"].as_object().expect("there are schemas");
    let mut without = Vec::new();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has methods") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let has_members = resolve(&document, body)["properties"].is_object();
            let silent = has_members && !resolve(&document, body)["examples"].is_array();
            without.extend(silent.then(|| format!("{method} {path}")));
        }
    }
    assert!(without.is_empty(), "write an example into src/openapi/examples.json for: {without:#?}");
    let mut examples = 0;
    for (name, schema) in schemas {
        let root = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": schemas}});
        let validator = jsonschema::options().build(&root).unwrap_or_else(|error| panic!("{name}: {error}"));
        for example in schema["examples"].as_array().into_iter().flatten() {
            let faults: Vec<_> =
                validator.iter_errors(example).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
            assert!(faults.is_empty(), "{name}: {faults:#?}");
            examples += 1;
        }
    }
    assert!(examples > 80, "{examples}");
}

#[test]
fn a_change_takes_the_same_types_within_the_same_bounds_as_a_creation() {
    let document = carhaul_api::openapi::document();
    let schemas = document["components"]["schemas"].as_object().expect("there are schemas");
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let or_null = |name: &str| json!([reference(name), {"type": "null"}]);
    let patch = &schemas["OrderPatch"]["properties"];
    assert_eq!(patch["transport_type"]["$ref"], reference("TransportType")["$ref"]);
    assert_eq!(patch["payment_method"]["oneOf"], or_null("PaymentMethod"));
    assert_eq!(patch["customer_id"]["$ref"], reference("CustomerId")["$ref"]);
    assert_eq!((&patch["tag_ids"]["items"], &patch["tag_ids"]["maxItems"]), (&reference("TagId"), &json!(20)));
    assert_eq!(schemas["TripPatch"]["properties"]["stops"]["items"], reference("TripStopPatch"));
    assert_eq!(schemas["Relay"]["properties"]["trailer_id"]["oneOf"], or_null("TrailerId"));
    let vehicle = &schemas["VehiclePatch"]["properties"];
    assert_eq!((&vehicle["year"]["minimum"], &vehicle["year"]["maximum"]), (&json!(1886), &json!(2100)));
    assert_eq!((&vehicle["weight_lbs"]["minimum"], &vehicle["weight_lbs"]["maximum"]), (&json!(1), &json!(200_000)));
    assert_eq!(vehicle["year"]["type"], json!(["integer", "null"]));
    assert_eq!(schemas["Stop"]["properties"]["state"]["$ref"], reference("StateCode")["$ref"]);
    assert_eq!(schemas["Customer"]["properties"]["email"]["oneOf"], or_null("Email"));
    assert_eq!(schemas["Vehicle"]["properties"]["vin"]["oneOf"], or_null("Vin"));
    for (name, schema) in schemas {
        // `NewOrder` is what makes an `Order` in Go.
        assert!(!name.strip_prefix("New").is_some_and(|thing| schemas.contains_key(thing)), "{name}");
        for (property, member) in schema["properties"].as_object().into_iter().flatten() {
            assert!(member.get("enum").is_none(), "the values of {name}.{property} have no type of their own");
        }
    }
}

#[test]
fn what_generators_stumble_over_is_not_there() {
    let document = carhaul_api::openapi::document();
    assert_eq!(document["info"]["license"]["identifier"], "LicenseRef-Proprietary");
    let names = &document["components"]["schemas"]["OrderSort"];
    assert_eq!(names["x-enum-varnames"].as_array().map(Vec::len), names["enum"].as_array().map(Vec::len));
    assert_eq!(names["x-enum-varnames"][0], "CREATED_AT_DESCENDING");
    let mut several = 0;
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has methods") {
            for parameter in operation["parameters"].as_array().expect("it is an array, maybe empty") {
                let at = format!("{method} {path} {}", parameter["name"]);
                // The value of a header is a string in every language.
                assert!(parameter["in"] != "header" || parameter["schema"].get("format").is_none(), "{at}");
                if parameter["schema"]["type"] == "array" {
                    assert_eq!((&parameter["style"], &parameter["explode"]), (&json!("form"), &json!(true)), "{at}");
                    several += 1;
                }
            }
            for (status, response) in operation["responses"].as_object().expect("every operation answers") {
                assert_ne!(response["description"], "Done", "{method} {path} {status} says nothing");
            }
        }
    }
    assert!(several > 8, "{several}");
}

#[test]
fn a_problem_names_its_kind_and_its_code() {
    let document = carhaul_api::openapi::document();
    let schemas = &document["components"]["schemas"];
    let problem = &schemas["Problem"]["properties"];
    assert_eq!(problem["type"]["$ref"], "#/components/schemas/ProblemType");
    for member in ["code", "limit", "max", "used", "resets_at", "allowed"] {
        assert!(is_described(&problem[member]), "{member}");
    }
    let words =
        |name: &str| -> Vec<String> { serde_json::from_value(schemas[name]["enum"].clone()).expect("it is an enum") };
    assert!(words("ConflictCode").contains(&"illegal_move".to_owned()));
    assert!(words("ProblemType").contains(&"urn:carhaul:problem:throttled".to_owned()));
}

/// A browser that opens the page asks for the document and nothing else, of us or of others; a reader hears the title first.
#[test]
fn the_page_needs_nothing_but_the_document_and_begins_with_its_title() {
    let page = carhaul_api::docs::PAGE;
    let addresses = page.split("href=\"").chain(page.split("src=\"")).skip(1).filter_map(|rest| rest.split('"').next());
    let asked: Vec<_> = addresses.filter(|it| !it.starts_with("data:") && !it.starts_with('<')).collect();
    assert_eq!(asked, ["v1/openapi.json", "v1/openapi.json"], "the links to the document");
    assert!(page.contains("<link rel=\"icon\" href=\"data:"), "or the browser asks for /favicon.ico");
    assert_eq!(page.matches("fetch(").count(), 1);
    let first = ["<h1", "<h2", "<h3"].map(|heading| page.find(heading).unwrap_or(usize::MAX));
    assert!(first.is_sorted(), "{first:?}");
    // What a filter hides is hidden, however it is laid out.
    assert!(page.contains("[hidden] { display: none !important; }"));
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
