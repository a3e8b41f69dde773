//! The permission table as callers meet it: every role, a few operations of each kind.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, a_customer};

const ROLES: [&str; 5] = ["owner", "admin", "dispatcher", "accountant", "driver"];
const ALL: &str = "owner admin dispatcher accountant driver";
const OFFICE: &str = "owner admin dispatcher accountant";
const DISPATCH: &str = "owner admin dispatcher";
const MANAGEMENT: &str = "owner admin";

/// Who may, the method, the path, and the body for the n-th role.
type Operation = (&'static str, &'static str, &'static str, fn(usize) -> Value);

#[tokio::test]
async fn every_role_does_what_the_table_says_and_nothing_else() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let tag = |n: usize| json!({"name": format!("Tag {n}"), "color": "#000000"});
    let truck = |n: usize| json!({"unit_number": format!("T-{n}"), "capacity": 1});
    let operations: [Operation; 24] = [
        (ALL, "GET", "/v1/tenant", |_| Value::Null),
        (ALL, "GET", "/v1/tags", |_| Value::Null),
        (ALL, "GET", "/v1/events", |_| Value::Null),
        (ALL, "GET", "/v1/drivers", |_| Value::Null),
        (ALL, "GET", "/v1/trips", |_| Value::Null),
        (DISPATCH, "POST", "/v1/trips", |_| json!({})),
        (OFFICE, "GET", "/v1/usage", |_| Value::Null),
        (OFFICE, "GET", "/v1/members", |_| Value::Null),
        (OFFICE, "GET", "/v1/customers", |_| Value::Null),
        (OFFICE, "GET", "/v1/locations", |_| Value::Null),
        (OFFICE, "GET", "/v1/trucks", |_| Value::Null),
        (OFFICE, "POST", "/v1/customers", |_| a_customer()),
        (OFFICE, "POST", "/v1/tags", tag),
        (DISPATCH, "POST", "/v1/trucks", truck),
        (DISPATCH, "POST", "/v1/drivers", |_| json!({"name": "Sam"})),
        (OFFICE, "GET", "/v1/skills", |_| Value::Null),
        (OFFICE, "POST", "/v1/executions", |_| json!({"skill": "extract_order", "input": {"text": "a tender"}})),
        (MANAGEMENT, "POST", "/v1/skills", |n| json!({"name": format!("Skill {n}"), "based_on": "extract_order"})),
        (MANAGEMENT, "PATCH", "/v1/tenant", |_| json!({"name": "Ours"})),
        (MANAGEMENT, "GET", "/v1/api-keys", |_| Value::Null),
        (MANAGEMENT, "GET", "/v1/billing", |_| Value::Null),
        (MANAGEMENT, "GET", "/v1/provider-keys", |_| Value::Null),
        (MANAGEMENT, "GET", "/v1/exports", |_| Value::Null),
        (MANAGEMENT, "POST", "/v1/invitations", |_| json!({"email": "kim@example.com", "role": "driver"})),
    ];
    for (n, role) in ROLES.into_iter().enumerate() {
        let member = app.member(&carrier, role).await;
        for (allowed, method, path, body) in &operations {
            let body = Some(body(n)).filter(|body| !body.is_null());
            let method: Method = method.parse().unwrap();
            let reply = member.send(method.clone(), path, &[("if-match", "*")], body).await;
            if allowed.split(' ').any(|one| one == role) {
                assert!(reply.status.is_success(), "{role} {method} {path}: {}", reply.text);
            } else {
                let detail = reply.refused(403, "forbidden")["detail"].clone();
                assert!(detail.as_str().unwrap().starts_with(&format!("the role {role} may not ")), "{detail}");
            }
        }
    }
}
