//! Tickets over HTTP, and who is told that something has changed. What comes of a ticket is tested with the function realtime.

use std::time::{Duration, Instant};

use axum::http::Method;
use carhaul_testkit::QueueServer;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Carrier, Client, TestApp, a_customer, id};

const TICKETS: &str = "/v1/realtime/tickets";

/// Somebody is connected.
async fn listen(app: &TestApp, carrier: &Carrier) {
    app.run(&format!(
        "INSERT INTO realtime_connections (tenant_id, id, user_id, xid, seq) \
         SELECT tenant_id, 'of ' || tenant_id, user_id, 0, 0 FROM memberships WHERE tenant_id = '{}' LIMIT 1",
        carrier.id
    ))
    .await;
}

#[tokio::test]
async fn a_ticket_lasts_a_minute_and_only_its_hash_is_kept() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let key = json!({"name": "Board", "scopes": ["events:read", "orders:read"]});
    let key = carrier.owner.post("/v1/api-keys", key).await.expect(201);
    let program = carrier.owner.with_key(key["key"].as_str().unwrap());
    for client in [&carrier.owner, &app.member(&carrier, "driver").await, &program] {
        let issued = client.post(TICKETS, json!({})).await.expect(201);
        assert_eq!(issued["url"], "wss://realtime.example.com/live");
        let ticket = issued["ticket"].as_str().unwrap();
        assert!(ticket.len() >= 43, "{ticket}");
        let expires: DateTime<Utc> = issued["expires_at"].as_str().unwrap().parse().unwrap();
        let stored = format!(
            "SELECT count(*) FROM realtime_tickets t WHERE tenant_id = '{}' AND expires_at = '{expires}' \
             AND expires_at BETWEEN now() + interval '50 seconds' AND now() + interval '1 minute' \
             AND t::text NOT LIKE '%{ticket}%'",
            carrier.id
        );
        assert_eq!(app.count(&stored).await, 1);
    }
    // Without a body, too; and a repeated request does not show the ticket again.
    carrier.owner.send(Method::POST, TICKETS, &[], None).await.expect(201);
    let first = carrier.owner.post_once(TICKETS, "once", json!({})).await.expect(201);
    let again = carrier.owner.post_once(TICKETS, "once", json!({})).await.expect(201);
    assert_eq!(again, json!({"ticket": null, "expires_at": first["expires_at"], "url": first["url"]}));
}

#[tokio::test]
async fn a_ticket_is_for_whom_events_are() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    rival.of(carrier.id).post(TICKETS, json!({})).await.refused(403, "forbidden");
    let key = carrier.owner.post("/v1/api-keys", json!({"name": "K", "scopes": ["orders:read"]})).await.expect(201);
    let program = carrier.owner.with_key(key["key"].as_str().unwrap());
    program.post(TICKETS, json!({})).await.refused(403, "forbidden");
    let nobody = Client { authorization: None, ..carrier.owner.clone() };
    nobody.post(TICKETS, json!({})).await.refused(401, "unauthenticated");
    assert_eq!(carrier.owner.post(TICKETS, json!({"topics": []})).await.invalid_fields(), ["/topics"]);
}

#[tokio::test]
async fn no_ticket_is_issued_to_a_carrier_with_as_many_connections_as_its_plan_allows() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    app.run(&format!("UPDATE tenants SET plan = 'free' WHERE id IN ('{}', '{}')", carrier.id, rival.id)).await;
    app.run(&format!(
        "INSERT INTO realtime_connections (tenant_id, id, user_id, xid, seq) \
         SELECT tenant_id, n || ' of ' || tenant_id, user_id, 0, 0 FROM memberships, generate_series(1, 10) n \
         WHERE tenant_id = '{}' AND role = 'owner'",
        carrier.id
    ))
    .await;
    let refused = carrier.owner.post(TICKETS, json!({})).await.refused(402, "over_limit");
    assert_eq!(
        (&refused["limit"], &refused["max"], &refused["used"]),
        (&json!("connections"), &json!(10), &json!(10)),
        "{refused}"
    );
    rival.owner.post(TICKETS, json!({})).await.expect(201);
    app.run(&format!("DELETE FROM realtime_connections WHERE id = '3 of {}'", carrier.id)).await;
    carrier.owner.post(TICKETS, json!({})).await.expect(201);
}

#[tokio::test]
async fn a_change_nudges_once_and_only_where_somebody_listens() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let server = QueueServer::start().await;
    let instance = app.instance_with(server.queue().await);
    let (owner, other) = (carrier.owner.through(&instance), rival.owner.through(&instance));
    owner.post("/v1/customers", a_customer()).await.expect(201);
    assert_eq!(server.sent(), [] as [Value; 0], "nobody listens");

    listen(&app, &carrier).await;
    other.post("/v1/customers", a_customer()).await.expect(201);
    assert_eq!(server.sent(), [] as [Value; 0], "somebody else's listener is none");
    let nudge = json!({"tenant_id": carrier.id, "looks": 0});
    let customer = owner.post_once("/v1/customers", "key", a_customer()).await.expect(201);
    assert_eq!(server.sent(), std::slice::from_ref(&nudge));
    let path = format!("/v1/customers/{}", id(&customer));
    owner.patch(&path, json!({"notes": "x".repeat(4000)})).await.expect(200);
    assert_eq!(server.sent(), [nudge.clone(), nudge]);

    // What changes nothing tells nobody: reads, refusals, answers that were given before.
    owner.get(&path).await.expect(200);
    owner.get("/v1/customers").await.expect(200);
    owner.post("/v1/customers", json!({"name": ""})).await.invalid_fields();
    owner.send(Method::PATCH, &path, &[("if-match", "\"1\"")], Some(json!({"notes": "y"}))).await.refused(412, "stale");
    owner.post_once("/v1/customers", "key", a_customer()).await.expect(201);
    assert_eq!(server.sent().len(), 2);
}

#[tokio::test]
async fn a_queue_that_is_away_costs_a_second_and_no_answer() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    listen(&app, &carrier).await;
    let (hanging, failing) = (QueueServer::start().await, QueueServer::start().await);
    hanging.hang();
    failing.fail();
    for server in [hanging, failing] {
        let owner = carrier.owner.through(&app.instance_with(server.queue().await));
        owner.get("/v1/customers").await.expect(200);
        let begun = Instant::now();
        owner.post("/v1/customers", a_customer()).await.expect(201);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
