use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, id};

#[tokio::test]
async fn the_first_call_makes_a_person_known_and_later_ones_find_them() {
    let app = TestApp::start().await;
    let subject = Uuid::now_v7().to_string();
    let token = app.issuer.token().subject(&subject);

    let first = app.client_with(&token.clone().email("kim@example.com").name("Kim")).get("/v1/me").await.expect(200);
    assert_eq!(
        (&first["email"], &first["name"], &first["memberships"]),
        (&json!("kim@example.com"), &json!("Kim"), &json!([]))
    );
    let again =
        app.client_with(&token.clone().email("kim@example.com").name("Kim Lee")).get("/v1/me").await.expect(200);
    assert_eq!((id(&again), &again["name"]), (id(&first), &json!("Kim Lee")));
    // An access token may say neither: what is known stays.
    let bare = app.client_with(&token).get("/v1/me").await.expect(200);
    assert_eq!((&bare["email"], &bare["name"]), (&json!("kim@example.com"), &json!("Kim Lee")));
    assert_eq!(app.count(&format!("SELECT count(*) FROM users WHERE subject = '{subject}'")).await, 1);
}

#[tokio::test]
async fn everybody_sees_their_own_carriers_and_roles() {
    let app = TestApp::start().await;
    let (one, other) = (app.carrier().await, app.carrier().await);
    let dispatcher = app.member(&one, "dispatcher").await;

    let memberships = dispatcher.get("/v1/me").await.expect(200)["memberships"].clone();
    assert_eq!(memberships.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&memberships[0]["tenant_id"], &memberships[0]["tenant_name"], &memberships[0]["role"]),
        (&json!(one.id), &json!("Carrier"), &json!("dispatcher"))
    );
    let rival = other.owner.get("/v1/me").await.expect(200);
    assert_eq!(rival["memberships"][0]["tenant_id"], json!(other.id));
    assert_eq!(rival["memberships"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn nobody_is_somebody_without_a_token_and_a_key_is_no_person() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let mut anonymous = carrier.owner.clone();
    anonymous.authorization = None;
    let refused = anonymous.get("/v1/me").await;
    // No error: there was no credential that a refresh could mend.
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    refused.refused(401, "unauthenticated");

    let key = carrier.owner.post("/v1/api-keys", json!({"name": "Sync", "scopes": ["orders:read"]})).await.expect(201);
    carrier.owner.with_key(key["key"].as_str().unwrap()).get("/v1/me").await.refused(403, "forbidden");
}
