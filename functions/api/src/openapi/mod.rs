//! The API document (OpenAPI 3.1): generated from the routes, committed as `openapi.json`, served as committed. What is the
//! same for every operation is added here, so that the routes say only what is theirs.

mod schemas;

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::routes;

/// The document as committed; a test fails when the code says something else.
pub const COMMITTED: &str = include_str!("../../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "carhaul",
        description = "Transport management for vehicle-transport carriers. Send `Authorization: Bearer` with a token of \
            your identity provider or an API key, and `Tenant-Id` if you belong to several carriers. Errors are \
            `application/problem+json`. Money is a decimal string, times are RFC 3339 in UTC, days are the carrier's or \
            the stop's local ones.",
        license(name = "Proprietary")
    ),
    components(schemas(
        carhaul_http::problem::Problem,
        carhaul_core::base::page::Limit,
        carhaul_core::orders::list::Sort,
        routes::orders::Included,
        carhaul_core::trips::list::Sort,
        routes::trips::Included
    )),
    tags(
        (name = "me", description = "The signed-in person"),
        (name = "tenant", description = "The carrier and its settings"),
        (name = "members", description = "Who works for the carrier, and in which role"),
        (name = "api-keys", description = "Keys for programs"),
        (name = "provider-keys", description = "Keys with which executions ask model providers"),
        (name = "customers", description = "Brokers, dealers, auctions, private persons"),
        (name = "locations", description = "Places where vehicles are picked up and delivered"),
        (name = "trucks", description = "Trucks"),
        (name = "trailers", description = "Trailers"),
        (name = "drivers", description = "Drivers"),
        (name = "orders", description = "The dispatch list: orders, their vehicles, and what happens to them"),
        (name = "trips", description = "Which driver hauls which orders, stop by stop"),
        (name = "billing", description = "What the carrier has bought, and the pages where it pays"),
        (name = "skills", description = "What AI can be asked: the catalogue, and the carrier's own"),
        (name = "executions", description = "Skills at work, and what people make of their proposals"),
        (name = "lookups", description = "The carrier's own words: statuses, tags, categories, reasons"),
        (name = "events", description = "What has changed"),
        (name = "meta", description = "The service about itself"),
    )
)]
struct Base;

/// What is taken back or replaced as a whole, whatever it says now: these have no ETag.
const WITHOUT_ETAG: [&str; 3] = ["/v1/invitations/", "/v1/api-keys/", "/v1/notification-preferences"];
/// What no plan limits: here it is that more is bought.
const WITHOUT_LIMIT: [&str; 2] = ["/v1/billing/checkout-sessions", "/v1/billing/portal-sessions"];
/// What a person does outside any carrier.
const WITHOUT_TENANT: [&str; 3] = ["/v1/me", "/v1/tenants", "/v1/invitations/accept"];

/// The document as the code has it now.
pub fn document() -> Value {
    let mut api = Base::openapi();
    api.merge(routes::all().document());
    api.merge(carhaul_ai_dispatch::routes::all().document());
    let mut document = serde_json::to_value(api).expect("an OpenAPI document is JSON");
    schemas::tidy(&mut document);
    document["components"]["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the identity provider, or an API key (chk_..)."}
    });
    document["security"] = json!([{"bearer": []}]);
    document["servers"] = json!([{"url": "/"}]);
    let paths = document["paths"].as_object_mut().expect("there are routes");
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().expect("a path item is an object") {
            complete(path, method, operation);
        }
    }
    document
}

/// Adds headers and error responses that follow from the kind of operation.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let open = operation.get("security").is_some_and(|s| *s == json!([{}]));
    let by_id = path.contains('{');
    let mut headers: Vec<(&str, &str, bool)> = Vec::new();
    let mut errors: Vec<(u16, &str)> =
        vec![(500, "A fault on our side"), (503, "Temporarily unavailable; see Retry-After")];
    if !open {
        errors.extend([
            (401, "No valid credential"),
            (403, "Not allowed"),
            (422, "Invalid input"),
            (429, "Too many requests; see Retry-After"),
        ]);
        if !WITHOUT_TENANT.contains(&path) {
            headers.push(("Tenant-Id", "The carrier, when you belong to several.", false));
        }
    }
    if by_id {
        errors.push((404, "No such thing in your carrier"));
    }
    if matches!(method, "post" | "patch" | "put") {
        errors.extend([
            (400, "The body is not JSON"),
            (413, "The body is larger than 1 MB"),
            (415, "The body is not JSON"),
        ]);
    }
    if matches!(method, "post" | "patch" | "put" | "delete") {
        errors.push((409, "The present state does not allow it"));
        if !WITHOUT_LIMIT.contains(&path) {
            errors.push((402, "The plan's limit is used up"));
        }
    }
    match method {
        "post" => {
            headers.push((
                "Idempotency-Key",
                "Makes repeating the request safe: the same key and body get the same answer.",
                false,
            ));
            if by_id {
                headers.push(("If-Match", "The ETag of the version that you mean, or `*`.", false));
                errors.push((412, "It has changed since you read it"));
            }
        }
        "patch" | "delete" | "put" if !WITHOUT_ETAG.iter().any(|start| path.starts_with(start)) => {
            headers.push(("If-Match", "The ETag of the version that you mean to change, or `*`.", true));
            errors.extend([(412, "It has changed since you read it"), (428, "If-Match is missing")]);
        }
        _ => {}
    }
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    let parameters = operation["parameters"].as_array_mut().expect("made an array above");
    for (name, description, required) in headers {
        let schema = match name {
            "Tenant-Id" => json!({"type": "string", "format": "uuid"}),
            "Idempotency-Key" => json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}),
            _ => json!({"type": "string", "pattern": "^(\"[0-9]{1,18}\"|\\*)$", "examples": ["\"3\""]}),
        };
        parameters.push(
            json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema}),
        );
    }
    for parameter in parameters.iter_mut().filter(|parameter| parameter["in"] == "query" && parameter["name"] != "q") {
        // The extractor refuses a parameter without a value.
        if parameter["schema"] == json!({"type": "string"}) {
            parameter["schema"]["minLength"] = json!(1);
        }
    }
    let responses = operation["responses"].as_object_mut().expect("every operation answers");
    for (status, description) in errors {
        responses.entry(status.to_string()).or_insert_with(|| {
            json!({"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}})
        });
    }
    for (_, response) in responses {
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!("Done");
        }
    }
}
