//! What follows from the kind of an operation: the headers it takes, the refusals it knows, and what its answers say beside
//! their bodies.

use std::collections::{BTreeMap, BTreeSet};

use carhaul_core::base::words::{self as core_words, Word};
use carhaul_core::identity::permissions::Action;
use serde_json::{Map, Value, json};

use super::words;

/// What each operation in a carrier needs, whatever its body says.
const PERMISSIONS: &str = include_str!("permissions.json");
const UUID: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";

/// What is taken back as a whole, whatever it says now: these have no ETag.
const WITHOUT_ETAG: [&str; 3] = ["/v1/invitations/", "/v1/api-keys/", "/v1/documents/"];
/// What a person does outside any carrier.
const WITHOUT_TENANT: [&str; 3] = ["/v1/me", "/v1/tenants", "/v1/invitations/accept"];
/// What no limit of the plan refuses, as `calls::quota` has it: to see what is bought and used and to buy more, to go with what is
/// theirs, and to record what happens on the road. Nor what a person does before there is a plan.
const WITHOUT_LIMIT: [&str; 26] = [
    "get_me",
    "delete_me",
    "delete_tenant",
    "list_exports",
    "create_export",
    "get_export",
    "download_export",
    "create_tenant",
    "get_usage",
    "get_billing",
    "list_billing_prices",
    "list_billing_invoices",
    "list_billing_events",
    "create_checkout_session",
    "create_portal_session",
    "pick_up_order",
    "depart_order",
    "depart_order_vehicle",
    "deliver_order",
    "pick_up_order_vehicle",
    "deliver_order_vehicle",
    "create_order_document",
    "start_trip",
    "deliver_trip",
    "arrive_at_trip_stop",
    "depart_from_trip_stop",
];
/// What is read and replaced as a whole, and has a version without saying it.
const WITH_ETAG: [&str; 1] = ["/v1/notification-preferences"];
/// What is read only in a certain state.
const IN_A_STATE: [&str; 2] = ["download_document", "download_export"];
/// What is put beside others, of whatever version what it belongs to is.
const BESIDE_OTHERS: [&str; 1] = ["create_order_document"];
/// A POST that changes nothing: it can be repeated as it is, and is of no version.
const WITHOUT_EFFECT: [&str; 1] = ["test_skill"];
/// What is created and has no address of its own.
const WITHOUT_LOCATION: [&str; 1] = ["create_realtime_ticket"];

/// A refusal: its status, its name among the document's responses, what it means, and what its headers tell.
type Refusal = (u16, &'static str, &'static str, &'static [&'static str]);

const REFUSALS: [Refusal; 15] = [
    (400, "Malformed", "The body is not JSON", &[]),
    (401, "Unauthenticated", "No valid credential", &["WWW-Authenticate"]),
    (402, "OverLimit", "The plan's limit is used up: `limit`, `max`, `used`, `resets_at` say which", &RATE_LIMIT),
    (403, "Forbidden", "Not allowed", &RATE_LIMIT),
    (404, "NotFound", "No such thing in your carrier", &RATE_LIMIT),
    (405, "MethodNotAllowed", "The address is another one, which does not take this method", &["Allow"]),
    (409, "Conflict", "The present state does not allow it: `code` says why, `allowed` what it allows", &RATE_LIMIT),
    (412, "Stale", "It has changed since you read it, or `If-Match` is no strong ETag of it", &RATE_LIMIT),
    (413, "TooLarge", "The body is larger than 1 MB", &[]),
    (415, "UnsupportedMediaType", "The body is not JSON", &[]),
    (422, "Invalid", "Invalid input: `errors` names each bad field", &RATE_LIMIT),
    (428, "VersionRequired", "If-Match is missing", &[]),
    (
        429,
        "TooManyRequests",
        "Too many requests: `rate_limited` by the plan, or `throttled` after too many credentials that were refused",
        &LATER,
    ),
    (500, "Internal", "A fault on our side", &[]),
    (503, "Unavailable", "Temporarily unavailable; see Retry-After", &["Retry-After"]),
];
const RATE_LIMIT: [&str; 4] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"];
const LATER: [&str; 5] = [RATE_LIMIT[0], RATE_LIMIT[1], RATE_LIMIT[2], RATE_LIMIT[3], "Retry-After"];

/// Headers of answers: name, type, and what they say.
const HEADERS: [(&str, &str, &str); 11] = [
    ("Allow", "string", "The methods that the address takes."),
    ("ETag", "string", "The version of what the answer shows, for `If-Match`."),
    ("Idempotency-Replayed", "string", "`true` on an answer that was given before under this `Idempotency-Key`."),
    ("Location", "string", "Where the new thing is."),
    (
        "RateLimit-Limit",
        "integer",
        "If the call was counted: calls that the plan allows, in a month or a second, whichever is nearer to its end.",
    ),
    ("RateLimit-Policy", "string", "If the call was counted: both limits, calls and, as `w`, in how many seconds."),
    ("RateLimit-Remaining", "integer", "If the call was counted: calls that are left of it."),
    ("RateLimit-Reset", "integer", "If the call was counted: seconds until it starts anew."),
    ("Request-Id", "string", "Quote it when you ask for help: it finds the log line."),
    ("Retry-After", "integer", "Seconds to wait before the request is sent again."),
    ("WWW-Authenticate", "string", "Why the credential was refused, as RFC 6750 has it."),
];

/// Adds to every operation what follows from its kind, and to the components what that refers to.
pub fn complete(document: &mut Value) {
    let versioned = versioned(document);
    let told = told(document);
    let permissions: BTreeMap<String, Vec<String>> =
        serde_json::from_str(PERMISSIONS).expect("permissions.json is JSON");
    let namesakes = namesakes(&document["paths"]);
    for (path, item) in document["paths"].as_object_mut().expect("there are routes") {
        for (method, operation) in item.as_object_mut().expect("a path item is an object") {
            let kind = Kind::of(path, method, operation);
            if !kind.is_open && !kind.in_tenant() {
                operation["security"] = json!([{"token": []}]);
            }
            kind.add_parameters(operation);
            kind.add_refusals(operation, namesakes.contains(&(path.clone(), method.clone())));
            kind.describe_successes(operation, &versioned, &told);
            if let Some(needed) = permissions.get(&kind.id) {
                require(operation, needed);
            }
        }
    }
    let header = |(name, r#type, description): (&str, &str, &str)| {
        (name.to_owned(), json!({"description": description, "schema": {"type": r#type}}))
    };
    document["components"]["headers"] = Value::Object(HEADERS.into_iter().map(header).collect());
    let refusal = |(_, name, description, tells): Refusal| {
        let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        let headers = references(tells.iter().chain(&["Request-Id"]));
        let content = json!({"application/problem+json": problem});
        (name.to_owned(), json!({"description": description, "headers": headers, "content": content}))
    };
    document["components"]["responses"] = Value::Object(REFUSALS.into_iter().map(refusal).collect());
}

struct Kind<'a> {
    id: String,
    path: &'a str,
    method: &'a str,
    is_open: bool,
    /// Names a thing in its path.
    by_id: bool,
    has_body: bool,
}

impl<'a> Kind<'a> {
    fn of(path: &'a str, method: &'a str, operation: &Value) -> Self {
        Self {
            id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
            path,
            method,
            is_open: operation["security"] == json!([{}]),
            by_id: path.contains('{'),
            has_body: matches!(method, "post" | "patch" | "put"),
        }
    }

    fn is(&self, ids: &[&str]) -> bool {
        ids.contains(&self.id.as_str())
    }

    fn in_tenant(&self) -> bool {
        !self.is_open && !WITHOUT_TENANT.contains(&self.path)
    }

    fn has_effect(&self) -> bool {
        self.method != "get" && !self.is(&WITHOUT_EFFECT)
    }

    /// Whether it takes an `If-Match`, and if so, whether it needs one.
    fn if_match(&self) -> Option<bool> {
        match self.method {
            "post" => (self.by_id && self.has_effect() && !self.is(&BESIDE_OTHERS)).then_some(false),
            "get" => None,
            // A person has no version.
            _ if !self.in_tenant() => None,
            _ => (!WITHOUT_ETAG.iter().any(|start| self.path.starts_with(start))).then_some(true),
        }
    }

    fn add_parameters(&self, operation: &mut Value) {
        let mut headers: Vec<(&str, &str, bool, Value)> = Vec::new();
        if self.in_tenant() {
            // A generator that has a type for UUIDs takes the value of a header for one, and cannot send it.
            let id = json!({"type": "string", "pattern": UUID});
            headers.push(("Tenant-Id", "The carrier, when you belong to several.", false, id));
        }
        if self.method == "post" && self.has_effect() {
            let says = "Makes repeating the request safe: the same key and body get the same answer.";
            let key = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
            headers.push(("Idempotency-Key", says, false, key));
        }
        if let Some(required) = self.if_match() {
            let says = match required {
                true => "The ETag of the version that you mean to change, or `*`.",
                false => "The ETag of the version that you mean, or `*`.",
            };
            let etag = json!({"type": "string", "pattern": "^(\"[0-9]{1,18}\"|\\*)$", "examples": ["\"3\""]});
            headers.push(("If-Match", says, required, etag));
        }
        if !operation["parameters"].is_array() {
            operation["parameters"] = json!([]);
        }
        let parameters = operation["parameters"].as_array_mut().expect("made an array above");
        for (name, description, required, schema) in headers {
            parameters.push(
                json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema}),
            );
        }
        for parameter in
            parameters.iter_mut().filter(|parameter| parameter["in"] == "query" && parameter["name"] != "q")
        {
            // The extractor refuses a parameter without a value.
            if parameter["schema"] == json!({"type": "string"}) {
                parameter["schema"]["minLength"] = json!(1);
            }
            if parameter["schema"]["type"] == "array" {
                parameter["style"] = json!("form");
                parameter["explode"] = json!(true);
            }
        }
    }

    fn add_refusals(&self, operation: &mut Value, has_namesake: bool) {
        // A parameter that the operation does not have.
        let mut statuses = vec![422, 500, 503];
        if !self.is_open {
            statuses.extend([401, 403, 429]);
            if !self.is(&WITHOUT_LIMIT) {
                statuses.push(402);
            }
        }
        if self.by_id {
            statuses.push(404);
        }
        if self.has_body {
            statuses.extend([400, 413, 415]);
        }
        if (self.has_effect() && !self.is_open) || self.is(&IN_A_STATE) {
            statuses.push(409);
        }
        match self.if_match() {
            Some(true) => statuses.extend([412, 428]),
            Some(false) => statuses.push(412),
            None => {}
        }
        if has_namesake {
            statuses.push(405);
        }
        let responses = operation["responses"].as_object_mut().expect("every operation answers");
        for (status, name, ..) in REFUSALS.into_iter().filter(|refusal| statuses.contains(&refusal.0)) {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            responses.entry(status.to_string()).or_insert(reference);
        }
    }

    fn describe_successes(&self, operation: &mut Value, versioned: &BTreeSet<String>, told: &BTreeMap<String, String>) {
        let responses = operation["responses"].as_object_mut().expect("every operation answers");
        for (status, response) in responses.iter_mut().filter(|(_, response)| response.get("$ref").is_none()) {
            let mut tells = vec!["Request-Id"];
            if self.in_tenant() {
                tells.extend(RATE_LIMIT);
            }
            if status.starts_with('2') {
                let shows = response["content"]["application/json"]["schema"]["$ref"].as_str();
                // A vehicle is changed in the version of its order. What a DELETE has archived is to be read anew, and a former
                // version is not to be changed.
                let of_order = (self.path.contains("/vehicles") && status != "204") || WITH_ETAG.contains(&self.path);
                let of_resource = shows.is_some_and(|shows| versioned.contains(shows))
                    && self.method != "delete"
                    && !self.path.ends_with("/versions/{version}");
                tells.extend((of_order || of_resource).then_some("ETag"));
                let is_new = matches!(status.as_str(), "201" | "202") && !self.is(&WITHOUT_LOCATION);
                tells.extend(is_new.then_some("Location"));
                tells.extend((self.method == "post" && self.has_effect()).then_some("Idempotency-Replayed"));
            }
            response["headers"] = references(&tells);
            if response["description"].as_str().is_none_or(str::is_empty) {
                response["description"] = json!(self.says(status, response, versioned, told));
            }
        }
    }

    /// What a success shows.
    fn says(
        &self,
        status: &str,
        response: &Value,
        versioned: &BTreeSet<String>,
        told: &BTreeMap<String, String>,
    ) -> String {
        let shows = response["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        let name = shows.rsplit('/').next().unwrap_or_default();
        let thing = words::apart(name.trim_start_matches("Issued").trim_start_matches("Announced"));
        match status {
            "204" => "Done: there is nothing to show.".to_owned(),
            _ if name.ends_with("Page") || name.ends_with("List") => "A page of the list.".to_owned(),
            "201" if self.is(&WITHOUT_LOCATION) => format!("The new {thing}."),
            "201" => format!("The new {thing}; `Location` is its address."),
            "202" => format!("Accepted: the {thing} as it is now. `Location` is where to ask how far it is."),
            _ if versioned.contains(shows) => format!("The {thing} as it is now."),
            _ => told.get(shows).cloned().unwrap_or_else(|| format!("The {thing}.")),
        }
    }
}

/// Says what the caller must be allowed, and who is.
fn require(operation: &mut Value, needed: &[String]) {
    let of_one = |name: &String| {
        let action: Action = core_words::parse(name).expect("permissions.json names permissions");
        let roles: Vec<_> = action.roles().iter().map(|role| Word(role).to_string()).collect();
        let keys = if action.grantable_to_keys() { "API keys with this scope" } else { "no API key" };
        format!("`{name}` ({}; {keys})", roles.join(", "))
    };
    let all = needed.iter().map(of_one).collect::<Vec<_>>().join(" and ");
    let own = operation["description"].as_str().filter(|own| !own.is_empty()).map(|own| format!("{own}\n\n"));
    operation["description"] = json!(format!("{}Needs {all}.", own.unwrap_or_default()));
    operation["x-permissions"] = json!(needed);
}

fn references<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Value {
    let reference = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(names.into_iter().map(reference).collect())
}

/// References to the schemas of what has versions.
fn versioned(document: &Value) -> BTreeSet<String> {
    let schemas: &Map<String, Value> = document["components"]["schemas"].as_object().expect("there are schemas");
    let versioned = schemas.iter().filter(|(_, schema)| schema["properties"]["version"].is_object());
    versioned.map(|(name, _)| format!("#/components/schemas/{name}")).collect()
}

/// What the schemas say of themselves, in one sentence.
fn told(document: &Value) -> BTreeMap<String, String> {
    let schemas: &Map<String, Value> = document["components"]["schemas"].as_object().expect("there are schemas");
    let first = |text: &str| text.split_once(". ").map_or_else(|| text.to_owned(), |(first, _)| format!("{first}."));
    let says = |(name, schema): (&String, &Value)| {
        Some((format!("#/components/schemas/{name}"), first(&schema["description"].as_str()?.replace('\n', " "))))
    };
    schemas.iter().filter_map(says).collect()
}

/// Operations that an id would lead to another address: of `/v1/orders/{order_id}` those that `/v1/orders/bulk` does not have.
fn namesakes(paths: &Value) -> BTreeSet<(String, String)> {
    let paths = paths.as_object().expect("there are routes");
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, last)| (folder.to_owned(), last.starts_with('{')));
    let mut found = BTreeSet::new();
    for (path, item) in paths {
        let Some((of, true)) = folder(path) else { continue };
        let others = paths.iter().filter(|(other, _)| folder(other) == Some((of.clone(), false)));
        for (_, other) in others {
            let lacking = item.as_object().into_iter().flatten().filter(|(method, _)| other.get(method).is_none());
            found.extend(lacking.map(|(method, _)| (path.clone(), method.clone())));
        }
    }
    found
}
