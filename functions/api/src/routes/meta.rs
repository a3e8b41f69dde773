//! The service about itself: health, the API document, the reference page.

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use carhaul_http::answer::Answer;
use serde::Serialize;
use utoipa::ToSchema;

use super::Outcome;
use crate::app::App;
use crate::{docs, openapi};

pub fn router() -> Routes {
    Routes::new().routes(routes!(health)).routes(routes!(api_document)).routes(routes!(reference))
}

/// That the service works.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`: anything else is an error.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Tell whether the service and its database work.
#[utoipa::path(get, path = "/health", operation_id = "get_health", tag = "meta", security(()),
    responses((status = OK, body = Health)))]
async fn health(State(app): State<App>) -> Outcome {
    app.db
        .fetch(|sql| {
            sql.push("SELECT 1");
        })
        .await?;
    Ok(Answer::ok(&Health { status: "ok" })?)
}

/// Get this document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "get_api_document", tag = "meta", security(()),
    responses((status = OK, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
async fn api_document() -> Response {
    cacheable("application/json", openapi::COMMITTED)
}

/// Read the reference.
#[utoipa::path(get, path = "/docs", operation_id = "get_docs", tag = "meta", security(()),
    responses((status = OK, description = "A page for people", body = String, content_type = "text/html")))]
async fn reference() -> Response {
    cacheable("text/html; charset=utf-8", docs::PAGE)
}

fn cacheable(content_type: &'static str, body: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, body).into_response()
}
