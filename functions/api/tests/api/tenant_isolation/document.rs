//! The API document as the tests walk it.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::Value;

use crate::support::Reply;

pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub parameters: Vec<Parameter>,
    /// Needs no credential.
    pub is_open: bool,
    /// Members of the body that name something: `/pickup/location_id`, `/tag_ids/-`.
    pub references: BTreeSet<String>,
    /// Each status that it answers with, and the headers of that answer.
    answers: BTreeMap<String, BTreeSet<String>>,
    /// The schema of its body.
    pub body: Value,
    /// Answers with rows, as `data`.
    pub is_list: bool,
}

/// Headers that a client reads.
const TELLING: [&str; 10] = [
    "etag",
    "idempotency-replayed",
    "location",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "request-id",
    "retry-after",
    "www-authenticate",
];

pub struct Parameter {
    pub name: String,
    pub place: String,
    pub is_reference: bool,
    /// The words that it can be.
    pub words: Vec<String>,
    /// True or false.
    pub is_flag: bool,
}

pub fn operations() -> Vec<Operation> {
    let document = carhaul_api::openapi::document();
    let paths = document["paths"].as_object().expect("there are paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("a path has methods").clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| (path.clone(), method, operation))
    };
    paths.iter().flat_map(of_path).map(|(path, method, it)| Operation::new(&document, path, &method, &it)).collect()
}

impl Operation {
    fn new(document: &Value, path: String, method: &str, operation: &Value) -> Self {
        let mut references = BTreeSet::new();
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        find_references(document, body, "", &mut references);
        Self {
            id: operation["operationId"].as_str().expect("every operation has a name").to_owned(),
            method: method.to_uppercase().parse().expect("a method of HTTP"),
            path,
            parameters: members(&operation["parameters"]).map(|it| Parameter::new(document, it)).collect(),
            is_open: operation["security"] == serde_json::json!([{}]),
            references,
            answers: answers(document, operation),
            body: body.clone(),
            is_list: has_rows(document, &operation["responses"]["200"]["content"]["application/json"]["schema"]),
        }
    }

    pub fn answers_with(&self, status: u16) -> bool {
        self.answers.contains_key(&status.to_string())
    }

    /// That this answer, with its headers, is one of those which the document has.
    #[track_caller]
    pub fn require_described(&self, reply: &Reply) {
        let (id, status) = (&self.id, reply.status.as_u16());
        let Some(described) = self.answers.get(&status.to_string()) else {
            panic!("the document has no {status} of {id}: {}", reply.text);
        };
        for header in TELLING {
            let told = reply.headers.contains_key(header);
            assert!(!told || described.contains(header), "the document has no {header} with {status} of {id}");
            // The others are not in every answer.
            if ["etag", "location", "request-id"].contains(&header) {
                assert!(told || !described.contains(header), "{status} of {id} has no {header}");
            }
        }
    }

    /// The parameters in this place: `path`, `query` or `header`.
    pub fn parameters(&self, place: &str) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |parameter| parameter.place == place)
    }

    pub fn takes(&self, place: &str, name: &str) -> bool {
        self.parameters(place).any(|parameter| parameter.name == name)
    }

    /// Where the things come from that the path names: of `/v1/orders/{order_id}/vehicles/{vehicle_id}` that is `orders`
    /// and `vehicles`.
    pub fn collections(&self) -> Vec<&str> {
        let segments: Vec<&str> = self.path.split('/').collect();
        let is_id = |segment: &str| {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            name.is_some_and(|name| self.parameters("path").any(|it| it.name == name && it.is_reference))
        };
        segments.windows(2).filter(|pair| is_id(pair[1])).map(|pair| pair[0]).collect()
    }

    /// The path with the id of each collection, and with a word where it takes one.
    pub fn path_with(&self, id: impl Fn(&str) -> String) -> String {
        let mut filled: Vec<String> = Vec::new();
        for segment in self.path.split('/') {
            let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let Some(parameter) = parameter.map(|name| self.parameters("path").find(|it| it.name == name)) else {
                filled.push(segment.to_owned());
                continue;
            };
            let word = parameter.and_then(|it| it.words.first().cloned());
            filled.push(word.unwrap_or_else(|| id(filled.last().expect("a path starts with a slash"))));
        }
        filled.join("/")
    }
}

impl Parameter {
    fn new(document: &Value, parameter: &Value) -> Self {
        let name = parameter["name"].as_str().expect("a parameter has a name").to_owned();
        let mut references = BTreeSet::new();
        find_references(document, &parameter["schema"], &format!("/{name}"), &mut references);
        Self {
            place: parameter["in"].as_str().expect("a parameter has a place").to_owned(),
            is_reference: !references.is_empty(),
            words: words(document, &parameter["schema"]),
            is_flag: resolve(document, &parameter["schema"])["type"] == "boolean",
            name,
        }
    }
}

fn answers(document: &Value, operation: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let headers = |response: &Value| resolve(document, response)["headers"].as_object().cloned().unwrap_or_default();
    let names = |response| headers(response).keys().map(|name| name.to_lowercase()).collect();
    let responses = operation["responses"].as_object().expect("every operation answers");
    responses.iter().map(|(status, response)| (status.clone(), names(response))).collect()
}

/// Of a parameter, or of each of its values.
fn words(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolve(document, schema);
    if schema["items"].is_object() {
        return words(document, &schema["items"]);
    }
    members(&schema["enum"]).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has_rows(document: &Value, schema: &Value) -> bool {
    let schema = resolve(document, schema);
    resolve(document, &schema["properties"]["data"])["type"] == "array"
        || members(&schema["allOf"]).any(|part| has_rows(document, part))
}

fn members(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

pub fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("all schemas are in this document");
            resolve(document, document.pointer(pointer).unwrap_or_else(|| panic!("{reference} is not in the document")))
        }
        None => schema,
    }
}

/// Whatever is a UUID, and whatever is called an id.
fn find_references(document: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let schema = resolve(document, schema);
    let is_called_id = at.trim_end_matches("/-").ends_with("_id") || at.trim_end_matches("/-").ends_with("_ids");
    let is_plain = schema["type"] == "string" || members(&schema["type"]).any(|it| it == "string");
    if schema["format"] == "uuid" || (is_called_id && is_plain) {
        found.insert(at.to_owned());
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        find_references(document, member, &format!("{at}/{name}"), found);
    }
    if schema["items"].is_object() {
        find_references(document, &schema["items"], &format!("{at}/-"), found);
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        members(&schema[part]).for_each(|part| find_references(document, part, at, found));
    }
}
