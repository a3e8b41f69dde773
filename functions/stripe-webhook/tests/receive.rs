//! What Stripe has signed is stored once and answered quickly; everything else is refused and changes nothing.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use carhaul_core::base::clock::Clock;
use carhaul_core::billing::stripe::signature::SigningSecrets;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secret;
use carhaul_stripe_webhook::{App, Mode, Signing, service};
use carhaul_testkit::{Database, QueueServer, StripeShape, TripCounter};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use tokio::task::{JoinSet, LocalSet};
use tower::ServiceExt;
use uuid::Uuid;

const SECRET: &str = "whsec_present";
const ROLLED: &str = "whsec_former";

/// An instance whose queue nobody answers for: what is stored is not lost by that.
async fn instance() -> Router {
    instance_on(Db::with_options(Database::get().await.options("carhaul_billing")), &[ROLLED, SECRET])
}

fn instance_on(db: Db, secrets: &[&str]) -> Router {
    instance_with(db, secrets, Queue::new("http://127.0.0.1:9/000000000000/billing"))
}

fn instance_with(db: Db, secrets: &[&str], queue: Queue) -> Router {
    let clock = Clock::system();
    let secrets = SigningSecrets::new(secrets.iter().map(|secret| Secret::new(*secret)).collect());
    service(App {
        db,
        queue,
        signing: Signing::fixed(secrets, clock.clone()),
        clock,
        mode: Mode { livemode: false, environment: "local" },
    })
}

fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[format!("{at}.").as_bytes(), body].concat());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

fn now() -> i64 {
    Clock::system().now().timestamp()
}

async fn send(instance: &Router, signature: Option<&str>, body: &[u8]) -> (u16, Value) {
    let mut request = Request::builder().method(Method::POST).uri("/webhooks/stripe");
    request = signature.iter().fold(request, |request, value| request.header("stripe-signature", *value));
    let request = request.body(Body::from(body.to_vec())).expect("a test writes good requests");
    let response = instance.clone().oneshot(request).await.expect("the router answers everything");
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().expect("ASCII").to_owned();
    assert_eq!(kind == "application/problem+json", status >= 400, "{status}: {kind}");
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body is whole");
    (status, serde_json::from_slice(&body).expect("a body is JSON"))
}

async fn deliver(instance: &Router, event: &Value) -> (u16, Value) {
    let body = event.to_string();
    send(instance, Some(&sign(SECRET, now(), body.as_bytes())), body.as_bytes()).await
}

fn an_event(kind: &str) -> Value {
    let id = format!("evt_{}", Uuid::now_v7().simple());
    let object = json!({"object": "subscription", "id": "sub_x", "customer": "cus_of_nobody"});
    StripeShape::Endive.event(&id, kind, 1_790_000_000, &object)
}

async fn stored(event: &Value) -> Vec<(Option<String>, Value)> {
    let mut superuser = Database::get().await.direct().connect().await.expect("the database is up");
    let id = event["id"].as_str().unwrap_or("none");
    let sql = format!("SELECT outcome, payload FROM stripe_events WHERE id = '{id}'");
    let rows = superuser.fetch_all(AssertSqlSafe(sql)).await.expect("the question is SQL");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_signed_event_is_stored_once_and_waits_also_when_the_queue_is_down() {
    let instance = instance().await;
    let event = an_event("customer.subscription.updated");
    let answer = |duplicate: bool| (200, json!({"received": true, "id": event["id"], "duplicate": duplicate}));
    assert_eq!(deliver(&instance, &event).await, answer(false));
    assert_eq!(deliver(&instance, &event).await, answer(true));
    assert_eq!(stored(&event).await, [(None, event.clone())]);
    // A secret that is being rolled away.
    let body = event.to_string();
    let former = sign(ROLLED, now(), body.as_bytes());
    assert_eq!(send(&instance, Some(&former), body.as_bytes()).await, answer(true));
}

#[tokio::test]
async fn stripe_does_not_wait_for_a_queue_that_does_not_answer() {
    let queue = QueueServer::start().await;
    let db = Db::with_options(Database::get().await.options("carhaul_billing"));
    let instance = instance_with(db, &[SECRET], queue.queue().await);
    assert_eq!(deliver(&instance, &an_event("invoice.paid")).await.0, 200);
    assert_eq!(queue.take_sent().len(), 1);
    queue.hang();
    let event = an_event("invoice.paid");
    let begun = Instant::now();
    assert_eq!(deliver(&instance, &event).await.0, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(stored(&event).await, [(None, event.clone())], "housekeeping queues it");
}

#[tokio::test]
async fn fifty_copies_at_once_are_stored_once() {
    let event = an_event("invoice.paid");
    let (local, mut copies) = (LocalSet::new(), JoinSet::new());
    for _ in 0..50 {
        let event = event.clone();
        copies.spawn_local_on(async move { deliver(&instance().await, &event).await }, &local);
    }
    let answers = local.run_until(copies.join_all()).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, answer)| answer["duplicate"] == false).count(), 1);
    assert_eq!(stored(&event).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_type_another_version_and_the_other_mode_are_recorded() {
    let instance = instance().await;
    let unknown = an_event("treasury.something.new");
    let mut old = an_event("invoice.paid");
    old["api_version"] = json!("2014-01-31");
    let mut no_object = an_event("ping");
    no_object["data"]["object"] = json!({});
    let mut live = an_event("customer.subscription.updated");
    live["livemode"] = json!(true);
    for (event, outcome) in [(unknown, None), (old, None), (no_object, None), (live, Some("wrong_mode".to_owned()))] {
        assert_eq!(deliver(&instance, &event).await.0, 200, "{event}");
        assert_eq!(stored(&event).await, [(outcome, event)]);
    }
}

#[tokio::test]
async fn what_is_not_signed_by_stripe_now_is_refused_and_changes_nothing() {
    let instance = instance().await;
    let event = an_event("customer.subscription.updated");
    let body = event.to_string();
    let body = body.as_bytes();
    let good = sign(SECRET, now(), body);
    let (_, code) = good.split_once(",v1=").expect("a signature has a code");
    let hostile = [
        None,
        Some(String::new()),
        Some("nonsense".to_owned()),
        Some(sign("whsec_guessed", now(), body)),
        Some(sign("", now(), body)),
        Some(sign(SECRET, now(), b"another body")),
        Some(sign(SECRET, now() - 301, body)),
        Some(sign(SECRET, now() + 360, body)),
        Some(format!("t={},v1={code}", now() + 7)),
        Some(format!("t={},v0={code}", now())),
        Some(format!("t=0,{good}")),
        Some(format!("v1={code}")),
        Some(format!("{}\u{e9}", good.replace(code, &"0".repeat(64)))),
        Some("t=1,v1=".to_owned() + &"a".repeat(100_000)),
    ];
    for signature in hostile {
        let (status, problem) = send(&instance, signature.as_deref(), body).await;
        assert_eq!((status, &problem["type"]), (400, &json!("urn:carhaul:problem:bad_signature")), "{signature:?}");
    }
    assert_eq!(stored(&event).await, []);
    let unset = instance_on(Db::with_options(Database::get().await.options("carhaul_billing")), &[]);
    assert_eq!(send(&unset, Some(&good), body).await.0, 403);
    assert_eq!(stored(&event).await, []);
}

#[tokio::test]
async fn what_is_signed_and_no_event_is_refused_with_its_field() {
    let instance = instance().await;
    let mut no_id = an_event("ping");
    no_id["id"] = Value::Null;
    let mut nul = an_event("ping");
    nul["data"]["object"]["note"] = json!("\u{0}");
    let surrogate = an_event("ping").to_string().replace("\"request\":", "\"more\":\"\\ud800\",\"request\":");
    let endless = an_event("ping").to_string().replace("\"request\":", "\"more\":1e999,\"request\":");
    let deep =
        an_event("ping").to_string().replace("\"request\":", &format!("\"more\":{},\"request\":", "[".repeat(9000)));
    let bodies = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        no_id.to_string(),
        nul.to_string(),
        surrogate,
        endless,
        deep,
    ];
    for body in bodies {
        let signature = sign(SECRET, now(), body.as_bytes());
        let (status, problem) = send(&instance, Some(&signature), body.as_bytes()).await;
        assert_eq!((status, &problem["type"]), (400, &json!("urn:carhaul:problem:malformed")), "{problem}");
    }
    let binary = b"\xff\xfe\x00";
    assert_eq!(send(&instance, Some(&sign(SECRET, now(), binary)), binary).await.0, 400);
    let large = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(send(&instance, Some(&sign(SECRET, now(), &large)), &large).await.0, 413);
}

#[tokio::test]
async fn while_the_database_is_down_stripe_is_told_to_come_again() {
    let database = Database::get().await;
    let wire = TripCounter::start(database.pooler()).await;
    let db = Db::with_options(database.options_at("carhaul_billing", &wire.host(), wire.port()));
    let instance = instance_on(db, &[SECRET]);
    let event = an_event("invoice.paid");
    wire.refuse();
    assert_eq!(deliver(&instance, &event).await.0, 503);
    wire.accept();
    assert_eq!(deliver(&instance, &event).await.0, 200);
    wire.reset();
    tokio::time::timeout(Duration::from_secs(8), deliver(&instance, &event)).await.expect("the queue has a deadline");
    assert_eq!(wire.trips(), 1);
    assert_eq!(stored(&event).await.len(), 1);
}
