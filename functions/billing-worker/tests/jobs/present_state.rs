//! With a key of Stripe's the worker asks for the present state instead of trusting an event's copy; what it knows already it
//! does not unlearn, and what it cannot learn now it does later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use carhaul_core::base::error::Error;
use carhaul_core::billing::apply::{self, Outcome};
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::client::{Patience, Stripe};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::secrets::Secret;
use carhaul_testkit::{Database, Fault, StripeFault, StripeServer, StripeShape, TripCounter};
use serde_json::{Value, json};

use crate::support::{Carrier, End, ROLE, START, job, life, one, record, waits, worker};

/// Somebody who does not wait for long.
const HASTY: Patience = Patience {
    overall: Duration::from_millis(600),
    attempt: Duration::from_millis(150),
    pause: Duration::from_millis(20),
};

fn client(server: &StripeServer) -> Stripe {
    Stripe::new(server.url(), Secret::new(server.key())).with_patience(HASTY)
}

/// Stripe, and a carrier that has bought the plan starter there; its subscription.
async fn bought() -> (StripeServer, Carrier, String) {
    let server = StripeServer::start().await;
    server.add_price("price_starter", 4_900, "month");
    server.add_price("price_pro", 14_900, "month");
    let customer = server.create_customer();
    let carrier = Carrier::with_customer(&customer).await;
    let subscription = server.subscribe(&customer, "price_starter");
    (server, carrier, subscription)
}

/// The last event of this kind.
fn event(server: &StripeServer, kind: &str) -> Value {
    server.events().into_iter().rfind(|event| event["type"] == kind).expect("Stripe tells it")
}

async fn status_and_plan(carrier: &Carrier) -> (Value, Value) {
    let state = carrier.state().await;
    (state["subscriptions"][0]["status"].clone(), state["plan"].clone())
}

#[tokio::test]
async fn the_present_state_counts_and_not_the_events_copy() {
    let (server, carrier, subscription) = bought().await;
    let (other, db) = (Carrier::create().await, worker().await);
    let before = other.state().await;
    let created = event(&server, "customer.subscription.created");
    server.change_price(&subscription, "price_pro");
    record(&db, &created).await;
    assert_eq!(
        apply::process(&db, Some(&client(&server)), &job(&created)).await.expect("it is done"),
        Outcome::Applied
    );
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("pro")));
    // What tells of it afterwards is nothing new, in whatever order.
    for event in server.events().iter().rev() {
        record(&db, event).await;
        apply::process(&db, Some(&client(&server)), &job(event)).await.expect("it is done");
    }
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("pro")));
    server.cancel(&subscription);
    let deleted = event(&server, "customer.subscription.deleted");
    record(&db, &deleted).await;
    apply::process(&db, Some(&client(&server)), &job(&deleted)).await.expect("it is done");
    assert_eq!(status_and_plan(&carrier).await, (json!("canceled"), json!("free")));
    assert_eq!(other.state().await, before);
}

/// What Stripe said is overtaken while the worker that asked is held up on its way to the database.
#[tokio::test]
async fn an_answer_that_was_overtaken_takes_nothing_back() {
    let database = Database::get().await;
    let (server, carrier, subscription) = bought().await;
    let db = worker().await;
    let created = event(&server, "customer.subscription.created");
    record(&db, &created).await;
    let wire = TripCounter::start(database.pooler()).await;
    let slow = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
    let stripe = client(&server);
    assert_eq!(apply::process(&slow, Some(&stripe), &job(&created)).await.expect("it is done"), Outcome::Applied);

    server.change_price(&subscription, "price_pro");
    let raised = event(&server, "customer.subscription.updated");
    record(&db, &raised).await;
    // By the first trip it knows the event, then it asks Stripe, and by the second it opens the carrier's books.
    wire.reset();
    wire.fail_trip(2, Fault::Stall);
    let overtaken = async { apply::process(&slow, Some(&stripe), &job(&raised)).await.expect("it is done") };
    let overtaking = async {
        while wire.trips() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.cancel(&subscription);
        let deleted = event(&server, "customer.subscription.deleted");
        record(&db, &deleted).await;
        apply::process(&db, Some(&client(&server)), &job(&deleted)).await.expect("it is done");
        wire.resume();
    };
    let (outcome, ()) = tokio::join!(overtaken, overtaking);
    assert_eq!(outcome, Outcome::Superseded);
    assert_eq!(status_and_plan(&carrier).await, (json!("canceled"), json!("free")));
}

#[tokio::test]
async fn of_what_stripe_has_no_more_the_events_tell() {
    let (server, db) = (StripeServer::start().await, worker().await);
    let carrier = Carrier::create().await;
    for event in &life(StripeShape::Endive, &carrier, "", START, End::Deleted)[..2] {
        record(&db, event).await;
        assert_eq!(
            apply::process(&db, Some(&client(&server)), &job(event)).await.expect("it is done"),
            Outcome::Applied
        );
    }
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
    let repaired = apply::process(&db, Some(&client(&server)), &Job::Subscription { id: carrier.name("sub") }).await;
    assert_eq!(repaired.expect("it is done"), Outcome::Ignored);
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
}

#[tokio::test]
async fn while_stripe_cannot_answer_the_job_fails_and_is_done_later() {
    let (server, carrier, subscription) = bought().await;
    let db = worker().await;
    let created = event(&server, "customer.subscription.created");
    record(&db, &created).await;
    let before = carrier.state().await;
    let faults = [
        StripeFault::Refuse,
        StripeFault::Hang,
        StripeFault::Slow(Duration::from_secs(2)),
        StripeFault::LoseAnswer,
        StripeFault::Status(429),
        StripeFault::Status(500),
        StripeFault::Status(503),
    ];
    for fault in faults {
        server.fault(Some(fault));
        for job in [job(&created), Job::Subscription { id: subscription.clone() }] {
            let failed = apply::process(&db, Some(&client(&server)), &job).await;
            assert!(matches!(failed, Err(Error::Unavailable { .. })), "{fault:?}: {failed:?}");
        }
        assert!(waits(&created).await, "{fault:?}");
        assert_eq!(carrier.state().await, before, "{fault:?}");
    }
    server.fault(None);
    assert_eq!(
        apply::process(&db, Some(&client(&server)), &job(&created)).await.expect("it is done"),
        Outcome::Applied
    );
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
}

/// Status, `Retry-After`, body.
type Answer = (u16, &'static str, String);

/// Something in Stripe's place that answers what it is told to, whatever is asked. The last answer stays.
struct Scripted {
    url: String,
    left: Arc<Mutex<Vec<Answer>>>,
}

impl Scripted {
    async fn start(mut answers: Vec<Answer>) -> Self {
        answers.reverse();
        let left = Arc::new(Mutex::new(answers));
        let answers = Arc::clone(&left);
        let answer = async move || {
            let mut left = answers.lock().expect("nobody panics while they hold this lock");
            let last = if left.len() > 1 { left.pop() } else { left.first().cloned() };
            let (status, retry_after, body) = last.expect("a script has an end that stays");
            (StatusCode::from_u16(status).expect("a status"), [("retry-after", retry_after)], body).into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, left }
    }

    fn client(&self) -> Stripe {
        Stripe::new(&*self.url, Secret::new("sk_test_scripted")).with_patience(HASTY)
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_it_says_and_no_longer_than_the_job_may_take() {
    let (carrier, db) = (Carrier::create().await, worker().await);
    let paid = life(StripeShape::Endive, &carrier, "", START, End::PastDue).remove(1);
    record(&db, &paid).await;
    let limited = |seconds| (429, seconds, json!({"error": {"message": "Too many requests"}}).to_string());
    let object = paid["data"]["object"].to_string();

    let too_long = Scripted::start(vec![limited("30"), (200, "0", object.clone())]).await;
    let started = tokio::time::Instant::now();
    let failed = apply::process(&db, Some(&too_long.client()), &job(&paid)).await;
    assert!(matches!(failed, Err(Error::Unavailable { retry_after_seconds: 30, .. })), "{failed:?}");
    assert!(started.elapsed() < HASTY.overall, "it does not sleep through its deadline");
    assert!(waits(&paid).await);
    assert_eq!(too_long.left.lock().expect("unpoisoned").len(), 1, "it was asked once");

    let soon = Scripted::start(vec![limited("0"), (200, "0", object)]).await;
    assert_eq!(apply::process(&db, Some(&soon.client()), &job(&paid)).await.expect("it is done"), Outcome::Applied);
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
}

#[tokio::test]
async fn an_answer_that_is_not_the_object_changes_nothing_and_the_job_is_done_later() {
    let (carrier, other, db) = (Carrier::create().await, Carrier::create().await, worker().await);
    let events = life(StripeShape::Endive, &carrier, "", START, End::PastDue);
    let paid = &events[1];
    record(&db, paid).await;
    let before = (carrier.state().await, other.state().await);
    let object = &paid["data"]["object"];
    let with = |field: &str, value: Value| {
        let mut changed = object.clone();
        changed[field] = value;
        changed.to_string()
    };
    let without = |field: &str| {
        let mut changed = object.clone();
        changed.as_object_mut().expect("an object").remove(field);
        changed.to_string()
    };
    let answers = [
        String::new(),
        "<html>Bad gateway</html>".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"object": "list", "data": [object], "has_more": false}).to_string(),
        StripeShape::Endive.invoice(&carrier.name("sub"), object, "usd", 4_900, 0, START).to_string(),
        with("id", json!(carrier.name("sub_another"))),
        with("customer", json!(other.customer())),
        with("customer", json!("cus_of_nobody")),
        with("status", json!("a state of next year")),
        with("items", json!(null)),
        with("start_date", json!("yesterday")),
        without("customer"),
        without("status"),
        object.to_string()[..200].to_owned(),
    ];
    for answer in answers {
        let scripted = Scripted::start(vec![(200, "0", answer.clone())]).await;
        let failed = apply::process(&db, Some(&scripted.client()), &job(paid)).await;
        assert!(failed.is_err(), "{failed:?}: {answer}");
        assert!(waits(paid).await, "{answer}");
        assert_eq!((carrier.state().await, other.state().await), before, "{answer}");
    }
    let good = Scripted::start(vec![(200, "0", object.to_string())]).await;
    assert_eq!(apply::process(&db, Some(&good.client()), &job(paid)).await.expect("it is done"), Outcome::Applied);
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
    let told = format!("SELECT to_jsonb(count(*)) FROM billing_events WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(one(told).await, json!(1));
}

#[tokio::test]
async fn a_repair_is_told_to_the_carrier_in_its_billing_events_and_its_audit_log() {
    let (server, carrier, subscription) = bought().await;
    let (other, db) = (Carrier::create().await, worker().await);
    let repair = Job::Subscription { id: subscription.clone() };
    let process = async || apply::process(&db, Some(&client(&server)), &repair).await.expect("it is done");
    // Never heard of.
    assert_eq!(process().await, Outcome::Repaired);
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("starter")));
    assert_eq!(process().await, Outcome::Superseded);
    server.change_price(&subscription, "price_pro");
    assert_eq!(process().await, Outcome::Repaired);
    assert_eq!(status_and_plan(&carrier).await, (json!("active"), json!("pro")));
    let told = |carrier: &Carrier| {
        one(format!(
            "SELECT jsonb_build_object( \
                 'events', (SELECT count(*) FROM billing_events WHERE tenant_id = '{id}' AND outcome = 'repaired'), \
                 'audit', (SELECT jsonb_agg(jsonb_build_array(action, changes ->> 'type', changes ->> 'stripe_object_id', \
                                                              changes ->> 'plan') ORDER BY id) \
                           FROM audit_log WHERE tenant_id = '{id}' AND table_name = 'billing_events'), \
                 'changed', (SELECT jsonb_agg(changes -> 'stripe_price_id' ORDER BY id) FROM audit_log \
                             WHERE tenant_id = '{id}' AND table_name = 'subscriptions' AND changes ? 'stripe_price_id'))",
            id = carrier.id
        ))
    };
    let line = |plan: &str| json!(["created", "subscription.reconciled", subscription, plan]);
    let expected = json!({
        "events": 2, "audit": [line("starter"), line("pro")], "changed": ["price_starter", ["price_starter", "price_pro"]],
    });
    assert_eq!(told(&carrier).await, expected);
    assert_eq!(told(&other).await, json!({"events": 0, "audit": null, "changed": null}));
}
