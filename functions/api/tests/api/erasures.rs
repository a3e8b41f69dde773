//! Who may end a carrier or themselves, what keeps them, and that everybody is a stranger from the next request on.

use axum::http::Method;
use carhaul_testkit::QueueServer;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Carrier, Client, Reply, TestApp, id};

const CONFIRMED: &str = "/v1/tenant?confirm=Carrier";

async fn with_socket(app: &TestApp, carrier: &Carrier, client: &Client) -> String {
    let socket = format!("socket-{}", Uuid::now_v7());
    let me = client.get("/v1/me").await.expect(200);
    app.run(&format!(
        "INSERT INTO realtime_connections (tenant_id, id, user_id, topics, xid, seq) \
         VALUES ('{}', '{socket}', '{}', '{{orders}}', 0, 0)",
        carrier.id,
        id(&me)
    ))
    .await;
    socket
}

/// What a socket's owner may do now: null is nothing.
async fn rights_of(app: &TestApp, socket: &str) -> Value {
    let rights = format!("SELECT count(*) FROM app.connection_owner('{socket}') WHERE role IS NOT NULL");
    json!(app.count(&rights).await)
}

fn same_refusal(reply: Reply, of_a_stranger: &Reply) {
    let without_id = |json: &Value| {
        let mut json = json.clone();
        json["request_id"] = Value::Null;
        json
    };
    assert_eq!(reply.status, of_a_stranger.status);
    assert_eq!(without_id(&reply.json), without_id(&of_a_stranger.json));
}

#[tokio::test]
async fn a_deleted_carrier_is_nobodys_from_the_next_request_on() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let (dispatcher, driver) = (app.member(&carrier, "dispatcher").await, app.member(&carrier, "driver").await);
    let key = carrier.owner.post("/v1/api-keys", json!({"name": "Sync", "scopes": ["orders:read"]})).await.expect(201);
    let key = carrier.owner.with_key(key["key"].as_str().unwrap());
    key.get("/v1/orders").await.expect(200);
    let invitation =
        carrier.owner.post("/v1/invitations", json!({"email": "new@example.com", "role": "driver"})).await.expect(201);
    let ticket = carrier.owner.post("/v1/realtime/tickets", json!({})).await.expect(201);
    assert!(ticket["ticket"].is_string());
    let execution = json!({"skill": "extract_order", "input": {"text": "a tender"}});
    let execution = id(&dispatcher.post("/v1/executions", execution).await.expect(202));
    // The rival works for it as well, and somebody of it for the rival.
    let both = app.member(&rival, "dispatcher").await;
    app.run(&format!(
        "INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{}', '{}', 'accountant')",
        carrier.id,
        both.user_id.unwrap()
    ))
    .await;
    let sockets = [with_socket(&app, &carrier, &dispatcher).await, with_socket(&app, &rival, &rival.owner).await];
    assert_eq!(both.get("/v1/me").await.expect(200)["memberships"].as_array().unwrap().len(), 2);

    let queue = QueueServer::start().await;
    let owner = carrier.owner.through(&app.instance_with(queue.queue().await));
    let version = owner.get("/v1/tenant").await.etag().to_owned();
    owner.send(Method::DELETE, CONFIRMED, &[("if-match", &version)], None).await.expect(204);
    let sent = queue.sent();
    assert!(sent.contains(&json!({"chore": "erase_tenant", "id": carrier.id})), "{sent:?}");
    assert!(sent.contains(&json!({"tenant_id": carrier.id, "looks": 0})), "those who listen are closed: {sent:?}");

    let stranger = app.client(&Uuid::now_v7().to_string()).of(carrier.id).get("/v1/orders").await;
    for member in [&carrier.owner, &dispatcher, &driver, &both.clone().of(carrier.id)] {
        same_refusal(member.get("/v1/orders").await, &stranger);
        same_refusal(member.post("/v1/executions", json!({"skill": "extract_order", "input": {}})).await, &stranger);
        same_refusal(member.delete(CONFIRMED).await, &stranger);
    }
    stranger.refused(403, "forbidden");
    let unknown = key.with_key("ck_unknown").get("/v1/orders").await;
    assert_eq!(key.get("/v1/orders").await.status, unknown.status);
    key.get("/v1/orders").await.refused(401, "unauthenticated");
    assert_eq!(carrier.owner.get("/v1/me").await.expect(200)["memberships"], json!([]));
    let token = invitation["token"].as_str().unwrap();
    let joiner = app.client(&Uuid::now_v7().to_string());
    joiner.post("/v1/invitations/accept", json!({"token": token})).await.refused(404, "not_found");
    assert_eq!(rights_of(&app, &sockets[0]).await, 0);
    let of_carrier = format!("WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(app.count(&format!("SELECT count(*) FROM realtime_tickets {of_carrier}")).await, 0);
    let waits = format!("SELECT count(*) FROM executions WHERE id = '{execution}' AND status IN ('queued', 'running')");
    assert_eq!(app.count(&waits).await, 0);

    // Of two carriers one is left, and need not be named.
    let mut both = both;
    both.tenant = None;
    assert_eq!(both.get("/v1/tenant").await.expect(200)["id"], json!(rival.id));
    rival.owner.get("/v1/orders").await.expect(200);
    assert_eq!(rights_of(&app, &sockets[1]).await, 1);
}

#[tokio::test]
async fn only_an_owner_who_names_the_carrier_and_has_seen_it_ends_it() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    for role in ["admin", "dispatcher", "accountant", "driver"] {
        app.member(&carrier, role).await.delete(CONFIRMED).await.refused(403, "forbidden");
    }
    rival.owner.clone().of(carrier.id).delete(CONFIRMED).await.refused(403, "forbidden");
    let scopes = json!({"name": "Sync", "scopes": ["tenant:erase"]});
    assert_eq!(carrier.owner.post("/v1/api-keys", scopes).await.invalid_fields(), ["/scopes/0"]);
    let key = carrier.owner.post("/v1/api-keys", json!({"name": "Sync", "scopes": ["orders:read"]})).await.expect(201);
    let key = key["key"].as_str().unwrap();
    app.run(&format!("UPDATE api_keys SET scopes = '{{tenant:erase}}' WHERE tenant_id = '{}'", carrier.id)).await;
    carrier.owner.with_key(key).delete(CONFIRMED).await.refused(403, "forbidden");

    let owner = &carrier.owner;
    assert_eq!(owner.delete("/v1/tenant").await.invalid_fields(), ["confirm"]);
    for name in ["", "carrier", "Carrier%20", "Rival"] {
        assert_eq!(owner.delete(&format!("/v1/tenant?confirm={name}")).await.invalid_fields(), ["confirm"], "{name}");
    }
    owner.send(Method::DELETE, CONFIRMED, &[], None).await.refused(428, "version_required");
    owner.send(Method::DELETE, CONFIRMED, &[("if-match", "\"77\"")], None).await.refused(412, "stale");
    owner.get("/v1/orders").await.expect(200);
    rival.owner.get("/v1/orders").await.expect(200);
    // A plan that is used up keeps nobody.
    app.run("INSERT INTO plans (code, name) VALUES ('used_up', 'Used up') ON CONFLICT DO NOTHING").await;
    app.run(
        "INSERT INTO plan_limits (plan, name, max, per) VALUES ('used_up', 'api_calls', 0, 'month'), \
         ('used_up', 'requests', 100, 'second') ON CONFLICT DO NOTHING",
    )
    .await;
    app.change_plan(&carrier, "used_up").await;
    owner.get("/v1/orders").await.refused(402, "over_limit");
    owner.delete(CONFIRMED).await.expect(204);
}

#[tokio::test]
async fn nobody_goes_on_paying_for_a_carrier_that_is_gone() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let customer = format!("cus_{}", carrier.id.simple());
    app.run(&format!(
        "INSERT INTO stripe_customers (tenant_id, id) VALUES ('{0}', '{customer}'); \
         INSERT INTO subscriptions (tenant_id, stripe_id, customer_id, status, plan, started_at, as_of_at) \
         VALUES ('{0}', 'sub_{customer}', '{customer}', 'active', 'starter', now(), now())",
        carrier.id
    ))
    .await;
    for status in ["active", "trialing", "past_due", "unpaid", "paused", "incomplete"] {
        app.run(&format!("UPDATE subscriptions SET status = '{status}' WHERE customer_id = '{customer}'")).await;
        let refused = carrier.owner.delete(CONFIRMED).await.refused(409, "conflict");
        assert_eq!(refused["code"], "subscription_is_live", "{status}");
        carrier.owner.get("/v1/orders").await.expect(200);
    }
    app.run(&format!("UPDATE subscriptions SET status = 'canceled' WHERE customer_id = '{customer}'")).await;
    carrier.owner.delete(CONFIRMED).await.expect(204);
    rival.owner.get("/v1/orders").await.expect(200);
}

#[tokio::test]
async fn a_carrier_that_was_deleted_does_not_come_back_under_its_key() {
    let app = TestApp::start().await;
    let person = app.client(&Uuid::now_v7().to_string());
    let body = json!({"name": "Carrier", "time_zone": "America/Denver"});
    let first = person.post_once("/v1/tenants", "k1", body.clone()).await.expect(201);
    person.delete(CONFIRMED).await.expect(204);
    let again = person.post_once("/v1/tenants", "k1", body.clone()).await;
    assert_eq!(again.refused(409, "conflict")["code"], "erased");
    // As when its rows are gone.
    app.run(&format!("DELETE FROM tenants WHERE id = '{}'", id(&first))).await;
    app.run(&format!("INSERT INTO erased_tenants (id, closed_at) VALUES ('{}', now())", id(&first))).await;
    let again = person.post_once("/v1/tenants", "k1", body.clone()).await;
    assert_eq!(again.refused(409, "conflict")["code"], "erased");
    person.post_once("/v1/tenants", "k2", body).await.expect(201);
    assert_eq!(person.get("/v1/me").await.expect(200)["memberships"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn who_deletes_themselves_is_somebody_new_when_they_come_again() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let subject = Uuid::now_v7().to_string();
    let token = app.issuer.token().subject(&subject).email("kim@example.com").name("Kim");
    let person = app.client_with(&token);
    let old = id(&person.get("/v1/me").await.expect(200));
    for tenant in [carrier.id, rival.id] {
        app.run(&format!(
            "INSERT INTO memberships (tenant_id, user_id, role, name, email) \
             VALUES ('{tenant}', '{old}', 'dispatcher', 'Kim', 'kim@example.com')"
        ))
        .await;
    }
    let dispatcher = person.clone().of(carrier.id);
    let socket = with_socket(&app, &carrier, &dispatcher).await;
    dispatcher.post("/v1/realtime/tickets", json!({})).await.expect(201);
    let key = carrier.owner.post("/v1/api-keys", json!({"name": "Sync", "scopes": ["orders:read"]})).await.expect(201);
    let key = key["key"].as_str().unwrap();
    carrier.owner.with_key(key).delete("/v1/me").await.refused(403, "forbidden");

    let queue = QueueServer::start().await;
    person.through(&app.instance_with(queue.queue().await)).delete("/v1/me").await.expect(204);
    let sent = queue.sent();
    assert!(sent.contains(&json!({"chore": "erase_user", "id": old})), "{sent:?}");
    assert!(sent.contains(&json!({"tenant_id": carrier.id, "looks": 0})), "{sent:?}");
    assert_eq!(rights_of(&app, &socket).await, 0);
    assert_eq!(app.count(&format!("SELECT count(*) FROM realtime_tickets WHERE user_id = '{old}'")).await, 0);
    let text = carrier.owner.get("/v1/members").await.text;
    assert!(!text.contains("Kim") && !text.contains("kim@example.com"), "{text}");
    // The old token is a stranger's, who may become somebody again.
    dispatcher.get("/v1/orders").await.refused(403, "forbidden");
    let new = person.get("/v1/me").await.expect(200);
    assert_ne!(id(&new), old);
    assert_eq!((&new["memberships"], &new["name"]), (&json!([]), &json!("Kim")));
    dispatcher.get("/v1/orders").await.refused(403, "forbidden");
    carrier.owner.with_key(key).get("/v1/orders").await.expect(200);
    rival.owner.get("/v1/orders").await.expect(200);
    // Told twice, it is the new one who goes.
    person.delete("/v1/me").await.expect(204);
}

#[tokio::test]
async fn the_last_owner_of_a_carrier_is_told_which_one() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    app.run(&format!("UPDATE tenants SET name = 'Blue Ridge' WHERE id = '{}'", carrier.id)).await;
    let refused = carrier.owner.delete("/v1/me").await.refused(409, "conflict");
    assert_eq!(refused["code"], "last_owner");
    assert!(refused["detail"].as_str().unwrap().contains("Blue Ridge"), "{refused}");
    carrier.owner.get("/v1/orders").await.expect(200);
    let second = app.member(&carrier, "owner").await;
    carrier.owner.delete("/v1/me").await.expect(204);
    second.delete("/v1/me").await.refused(409, "conflict");
    // Nor does an owner leave who would leave nobody but one who is gone.
    let left = format!("/v1/members/{}", second.user_id.unwrap());
    assert_eq!(second.delete(&left).await.refused(409, "conflict")["code"], "last_owner");
    second.delete("/v1/tenant?confirm=Blue%20Ridge").await.expect(204);
    second.delete("/v1/me").await.expect(204);
    rival.owner.get("/v1/orders").await.expect(200);
}
