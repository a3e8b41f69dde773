//! One line for each request, by which it is found: whose it was, what it asked for, how it ended. Nothing secret.

use carhaul_core::platform::telemetry;
use serde_json::{Value, json};

use crate::support::{Lines, Reply, TestApp, a_customer};

/// The line of the request that was answered with this.
#[track_caller]
fn line_of(lines: &Lines, reply: &Reply) -> Value {
    let text = lines.text();
    let id = reply.headers["request-id"].to_str().expect("an id is ASCII");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let mut lines = lines.filter(|line| line["message"] == "request" && line["request_id"] == id);
    let line = lines.next().unwrap_or_else(|| panic!("no line of {id}: {text}"));
    assert!(lines.next().is_none(), "one line for each request: {text}");
    line
}

#[tokio::test]
async fn a_request_is_logged_with_whose_it_was() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let me = carrier.owner.get("/v1/me").await.expect(200)["id"].clone();
    let driver = app.member(&carrier, "driver").await;
    let key =
        carrier.owner.post("/v1/api-keys", json!({"name": "Bot", "scopes": ["customers:read"]})).await.expect(201);
    let secret = key["key"].as_str().expect("it is shown once");
    let lines = Lines::default();
    let _guard = telemetry::divert("info", {
        let lines = lines.clone();
        move || lines.clone()
    });

    let read = carrier.owner.get("/v1/customers?q=lakeside").await;
    let line = line_of(&lines, &read);
    assert_eq!((&line["tenant_id"], &line["actor_id"]), (&json!(carrier.id), &me));
    let (method, route, status) = (&line["method"], &line["route"], &line["status"]);
    assert_eq!((method, route, status), (&json!("GET"), &json!("/v1/customers"), &json!(200)));
    assert!(line["milliseconds"].is_number(), "{line}");

    let written = line_of(&lines, &carrier.owner.post("/v1/customers", a_customer()).await);
    assert_eq!(
        (&written["tenant_id"], &written["actor_id"], &written["status"]),
        (&json!(carrier.id), &me, &json!(201))
    );
    let refused = line_of(&lines, &driver.post("/v1/customers", a_customer()).await);
    assert_eq!((&refused["tenant_id"], &refused["actor_id"]), (&json!(carrier.id), &json!(driver.user_id)));
    assert_eq!(refused["status"], 403);
    let by_key = line_of(&lines, &carrier.owner.with_key(secret).get("/v1/customers").await);
    assert_eq!((&by_key["tenant_id"], &by_key["actor_id"]), (&json!(carrier.id), &key["id"]));

    // Who is not let in is nobody, and has not acted for the carrier that they name.
    let stranger = line_of(&lines, &rival.owner.clone().of(carrier.id).get("/v1/customers").await);
    assert_eq!((&stranger["status"], stranger.get("tenant_id"), stranger.get("actor_id")), (&json!(403), None, None));

    let text = lines.text();
    let token = carrier.owner.authorization.as_deref().and_then(|it| it.strip_prefix("Bearer ")).unwrap();
    for hidden in [token, secret, "lakeside"] {
        assert!(!text.contains(hidden), "the log tells {hidden}");
    }
}
