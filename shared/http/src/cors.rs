//! CORS for configured origins only: no wildcard, no reflection of an unlisted origin.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

const EXPOSED: &[&str] = &[
    "etag",
    "location",
    "request-id",
    "retry-after",
    "www-authenticate",
    "idempotency-replayed",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
];

pub fn layer(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let names = |names: &[&'static str]| names.iter().map(|&n| HeaderName::from_static(n)).collect::<Vec<_>>();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers(names(&["authorization", "content-type", "if-match", "idempotency-key", "tenant-id"]))
        .expose_headers(names(EXPOSED))
        .max_age(Duration::from_secs(3600))
}
