use axum::http::{Method, header};
use serde_json::json;

use crate::support::{ORIGIN, Reply, TestApp};

fn allowed(reply: &Reply) -> Option<&str> {
    reply.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().expect("an origin is ASCII"))
}

fn lists(reply: &Reply, name: header::HeaderName, member: &str) -> bool {
    let value = reply.headers[name].to_str().expect("names are ASCII").to_lowercase();
    value.split(',').any(|one| one.trim() == member)
}

#[tokio::test]
async fn a_configured_origin_may_call_and_read_what_it_needs() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let reply = owner.send(Method::GET, "/v1/tenant", &[("origin", ORIGIN)], None).await;
    assert_eq!(allowed(&reply), Some(ORIGIN));
    for name in ["etag", "location", "request-id", "retry-after", "www-authenticate", "idempotency-replayed"] {
        assert!(lists(&reply, header::ACCESS_CONTROL_EXPOSE_HEADERS, name), "{name}");
    }
    assert!(lists(&reply, header::VARY, "origin"));
    // Also a refusal, or the page could not tell what is wrong.
    let mut anonymous = owner;
    anonymous.authorization = None;
    let refused = anonymous.send(Method::GET, "/v1/tenant", &[("origin", ORIGIN)], None).await;
    assert_eq!(allowed(&refused), Some(ORIGIN));
    refused.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential() {
    let app = TestApp::start().await;
    let mut page = app.client("nobody");
    page.authorization = None;
    for (path, method) in [("/v1/customers", "POST"), ("/v1/tenant", "PATCH"), ("/v1/notification-preferences", "PUT")]
    {
        let asks = [
            ("origin", ORIGIN),
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization,content-type,idempotency-key,if-match,tenant-id"),
        ];
        let reply = page.send(Method::OPTIONS, path, &asks, None).await;
        assert_eq!((reply.status.as_u16(), allowed(&reply)), (200, Some(ORIGIN)));
        assert!(lists(&reply, header::ACCESS_CONTROL_ALLOW_METHODS, &method.to_lowercase()));
        for name in ["authorization", "content-type", "idempotency-key", "if-match", "tenant-id"] {
            assert!(lists(&reply, header::ACCESS_CONTROL_ALLOW_HEADERS, name), "{name}");
        }
        assert!(reply.headers.get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).is_none());
    }
}

#[tokio::test]
async fn no_other_origin_gets_anything() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for origin in
        ["https://evil.example.com", "https://app.example.com.evil.example", "http://app.example.com", "null", "*"]
    {
        let reply = owner.send(Method::GET, "/v1/tenant", &[("origin", origin)], None).await;
        assert_eq!(allowed(&reply), None, "{origin}");
        let asks = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = owner.send(Method::OPTIONS, "/v1/customers", &asks, Some(json!({}))).await;
        assert_eq!(allowed(&preflight), None, "{origin}");
    }
}
