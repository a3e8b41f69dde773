//! The API document (OpenAPI 3.1): generated from the routes, committed as `openapi.json`, served as committed. What is the
//! same for every operation is added here, so that the routes say only what is theirs: headers and refusals by `operations`,
//! descriptions by `words`.

mod operations;
mod schemas;
mod words;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::routes;

/// The document as committed; a test fails when the code says something else.
pub const COMMITTED: &str = include_str!("../../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "carhaul",
        license(name = "Proprietary", identifier = "LicenseRef-Proprietary")
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
        (name = "documents", description = "Files of orders: bills of lading, proofs of delivery, photos"),
        (name = "trips", description = "Which driver hauls which orders, stop by stop"),
        (name = "billing", description = "What the carrier has bought, and the pages where it pays"),
        (name = "skills", description = "What AI can be asked: the catalogue, and the carrier's own"),
        (name = "executions", description = "Skills at work, and what people make of their proposals"),
        (name = "exports", description = "All that the carrier has, as files"),
        (name = "lookups", description = "The carrier's own words: statuses, tags, categories, reasons"),
        (name = "events", description = "What has changed"),
        (name = "meta", description = "The service about itself"),
    )
)]
struct Base;

/// How to call it: what holds for every operation, in Markdown.
const INTRODUCTION: &str = include_str!("introduction.md");

/// The document as the code has it now.
pub fn document() -> Value {
    let mut api = Base::openapi();
    api.merge(routes::all().document());
    api.merge(carhaul_ai_dispatch::routes::all().document());
    let mut document = serde_json::to_value(api).expect("an OpenAPI document is JSON");
    schemas::tidy(&mut document);
    operations::complete(&mut document);
    words::describe(&mut document);
    schemas::drop_unused(&mut document);
    document["info"]["description"] = json!(INTRODUCTION.trim_end());
    document["components"]["securitySchemes"] = json!({
        "token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token of the identity provider: a person."
        },
        "api_key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "chk_..",
            "description": "An API key of `POST /v1/api-keys`: a program, for one carrier and within the key's scopes."
        }
    });
    document["security"] = json!([{"token": []}, {"api_key": []}]);
    document["servers"] = json!([{
        "url": "{origin}",
        "description": "Where the service is deployed: the output `ApiUrl` of the template, locally what `make -s url` prints.",
        "variables": {"origin": {"default": "http://localhost:4566", "description": "Without a slash at the end."}}
    }]);
    document
}

/// The operations of a path.
fn methods(item: &mut Value) -> impl Iterator<Item = &mut Value> {
    item.as_object_mut().into_iter().flat_map(Map::values_mut)
}
