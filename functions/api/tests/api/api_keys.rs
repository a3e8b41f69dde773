use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor, Row};

use crate::support::{Carrier, Client, TestApp, a_customer, id, ids};

async fn key_with(carrier: &Carrier, scopes: &[&str]) -> (Value, Client) {
    let issued = carrier.owner.post("/v1/api-keys", json!({"name": "Sync", "scopes": scopes})).await.expect(201);
    let client = carrier.owner.with_key(issued["key"].as_str().expect("a new key is shown"));
    (issued, client)
}

#[tokio::test]
async fn a_key_acts_within_its_scopes_for_its_carrier_alone() {
    let app = TestApp::start().await;
    let (carrier, other) = (app.carrier().await, app.carrier().await);
    let (issued, program) = key_with(&carrier, &["customers:read", "customers:write"]).await;

    let customer = program.post("/v1/customers", a_customer()).await.expect(201);
    assert_eq!(ids(&program.get("/v1/customers").await.expect(200)), [id(&customer)]);
    let detail = program.get("/v1/trucks").await.refused(403, "forbidden")["detail"].clone();
    assert_eq!(detail, "the API key lacks the scope equipment:read");
    program.get("/v1/api-keys").await.refused(403, "forbidden");
    program.get("/v1/members").await.refused(403, "forbidden");

    program.clone().of(carrier.id).get("/v1/customers").await.expect(200);
    program.clone().of(other.id).get("/v1/customers").await.refused(403, "forbidden");
    assert!(ids(&other.owner.get("/v1/customers").await.expect(200)).is_empty());
    let theirs = other.owner.post("/v1/customers", a_customer()).await.expect(201);
    program.get(&format!("/v1/customers/{}", id(&theirs))).await.refused(404, "not_found");

    let written = format!(
        "SELECT count(*) FROM audit_log WHERE tenant_id = '{}' AND table_name = 'customers' AND actor_id = '{}'",
        carrier.id,
        id(&issued)
    );
    assert_eq!(app.count(&written).await, 1);
    let read = carrier.owner.get(&format!("/v1/api-keys/{}", id(&issued))).await.expect(200);
    assert!(read["last_used_at"].is_string(), "{read}");
}

#[tokio::test]
async fn the_key_is_shown_once_and_only_its_hash_is_kept() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let body = json!({"name": "Sync", "scopes": ["orders:read", "orders:read"]});
    let created = carrier.owner.post_once("/v1/api-keys", "k1", body.clone()).await;
    let path = created.headers["location"].to_str().unwrap().to_owned();
    let issued = created.expect(201);
    let secret = issued["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("chk_") && secret.ends_with(issued["last_four"].as_str().unwrap()));
    assert_eq!(issued["scopes"], json!(["orders:read"]));
    let again = carrier.owner.post_once("/v1/api-keys", "k1", body).await.expect(201);
    assert_eq!((id(&again), &again["key"]), (id(&issued), &json!(null)));
    let read = carrier.owner.get(&path).await.expect(200);
    assert!(read.get("key").is_none(), "{read}");
    assert_eq!(carrier.owner.get("/v1/api-keys").await.expect(200)["data"], json!([read]));

    // No table has the key anywhere, whatever column it might hide in.
    let mut superuser = app.database.direct().connect().await.unwrap();
    let tables = superuser.fetch_all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await.unwrap();
    for table in tables {
        let table: String = table.get(0);
        let found = app.count(&format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%{secret}%'")).await;
        assert_eq!(found, 0, "{table}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_the_next_request() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (issued, program) = key_with(&carrier, &["customers:read"]).await;
    let elsewhere = program.through(&app.another_instance());
    program.get("/v1/customers").await.expect(200);
    elsewhere.get("/v1/customers").await.expect(200);

    let path = format!("/v1/api-keys/{}", id(&issued));
    carrier.owner.delete(&path).await.expect(204);
    for client in [&program, &elsewhere] {
        let refused = client.get("/v1/customers").await;
        assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
        refused.refused(401, "unauthenticated");
    }
    let revoked = carrier.owner.get(&path).await.expect(200);
    assert!(revoked["revoked_at"].is_string());
    carrier.owner.delete(&path).await.expect(204);
    assert_eq!(carrier.owner.get(&path).await.expect(200), revoked);
}

#[tokio::test]
async fn an_expired_an_unknown_and_a_mistyped_key_are_refused() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (issued, program) = key_with(&carrier, &["customers:read"]).await;
    let past = format!("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = '{}'", id(&issued));
    app.run(&past).await;
    program.get("/v1/customers").await.refused(401, "unauthenticated");

    let (forgotten, unknown) = key_with(&carrier, &["customers:read"]).await;
    app.run(&format!("DELETE FROM api_keys WHERE id = '{}'", id(&forgotten))).await;
    unknown.get("/v1/customers").await.refused(401, "unauthenticated");
    let mistyped = issued["key"].as_str().unwrap().replacen("chk_", "chk_x", 1);
    carrier.owner.with_key(&mistyped).get("/v1/customers").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_gets_no_scope_that_is_for_people_or_that_its_creator_lacks() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    for (body, pointer) in [
        (json!({"name": "K", "scopes": []}), "/scopes"),
        (json!({"name": "K", "scopes": ["orders:read", "members:write"]}), "/scopes/1"),
        (json!({"name": "K", "scopes": ["api_keys:manage"]}), "/scopes/0"),
        (json!({"name": "K", "scopes": ["everything"]}), "/scopes/0"),
        (json!({"name": "", "scopes": ["orders:read"]}), "/name"),
        (json!({"name": "K", "scopes": ["orders:read"], "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"name": "K", "scopes": ["orders:read"], "expires_at": "9020-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"name": "K", "scopes": ["orders:read"], "expires_at": "tomorrow"}), "/expires_at"),
    ] {
        assert_eq!(carrier.owner.post("/v1/api-keys", body.clone()).await.invalid_fields(), [pointer], "{body}");
    }
    for role in ["dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        member.post("/v1/api-keys", json!({"name": "K", "scopes": ["orders:read"]})).await.refused(403, "forbidden");
        member.get("/v1/api-keys").await.refused(403, "forbidden");
    }
    // A key cannot make keys, whatever somebody writes into its row.
    let (issued, program) = key_with(&carrier, &["orders:read"]).await;
    app.run(&format!("UPDATE api_keys SET scopes = '{{api_keys:manage}}' WHERE id = '{}'", id(&issued))).await;
    program.post("/v1/api-keys", json!({"name": "K", "scopes": ["orders:read"]})).await.refused(403, "forbidden");
}

#[tokio::test]
async fn another_carrier_sees_and_revokes_no_key() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let (issued, program) = key_with(&carrier, &["customers:read"]).await;
    let path = format!("/v1/api-keys/{}", id(&issued));
    rival.get(&path).await.refused(404, "not_found");
    rival.delete(&path).await.refused(404, "not_found");
    assert!(ids(&rival.get("/v1/api-keys").await.expect(200)).is_empty());
    rival.of(carrier.id).get("/v1/api-keys").await.refused(403, "forbidden");
    program.get("/v1/customers").await.expect(200);
}
