//! The worker as the process that Lambda runs: batches, and what becomes of them when it is killed or loses what it needs.

use std::path::Path;
use std::time::Duration;

use carhaul_testkit::{Aws, Database, Fault, LambdaRuntime, StripeFault, StripeServer, StripeShape, TripCounter};
use serde_json::{Value, json};

use crate::support::{Carrier, End, ROLE, START, effects, life, one, record, waits, worker};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_carhaul-billing-worker");

/// An instance that finds the database at this place.
async fn instance(secrets: &Aws, place: &str) -> LambdaRuntime {
    let environment = secrets.environment(Database::get().await, ROLE, place);
    LambdaRuntime::spawn(Path::new(BOOTSTRAP), environment).await.expect("the worker starts")
}

async fn instance_with_stripe(secrets: &Aws, stripe: &StripeServer) -> LambdaRuntime {
    let database = Database::get().await;
    let mut environment = secrets.environment(database, ROLE, database.pooler());
    secrets.keep_secret("stripe", &json!({"api_key": stripe.key()}));
    environment.extend([("STRIPE_SECRET", "stripe".to_owned()), ("STRIPE_API_BASE", stripe.url().to_owned())]);
    LambdaRuntime::spawn(Path::new(BOOTSTRAP), environment).await.expect("the worker starts")
}

/// Waits until the worker has come so far.
async fn until_trip(wire: &TripCounter, number: usize) {
    while wire.trips() < number {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn place(wire: &TripCounter) -> String {
    format!("{}:{}", wire.host(), wire.port())
}

/// What SQS hands over: one message for each body, numbered from 1.
fn batch<'a>(bodies: impl IntoIterator<Item = &'a Value>) -> Value {
    let message = |(n, body): (usize, &Value)| {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        json!({"messageId": (n + 1).to_string(), "body": text, "eventSource": "aws:sqs"})
    };
    json!({"Records": bodies.into_iter().enumerate().map(message).collect::<Vec<_>>()})
}

fn job(event: &Value) -> Value {
    json!({"kind": "event", "id": event["id"]})
}

/// The numbers of the messages that are to come again.
async fn failures(instance: &mut LambdaRuntime, batch: &Value) -> Vec<usize> {
    let answer = instance.invoke(batch).await.expect("it lives").result.expect("it answers");
    let failures = answer["batchItemFailures"].as_array().expect("it tells which failed").clone();
    let number = |failure: &Value| failure["itemIdentifier"].as_str().and_then(|id| id.parse().ok());
    failures.iter().map(|failure| number(failure).expect("a message of the batch")).collect()
}

/// A carrier that has just paid, and the event that tells it, stored.
async fn buyer() -> (Carrier, Value) {
    let carrier = Carrier::create().await;
    let event = life(StripeShape::Endive, &carrier, "", START, End::PastDue).remove(1);
    record(&worker().await, &event).await;
    (carrier, event)
}

#[tokio::test]
async fn a_worker_that_is_killed_at_any_step_beside_two_others_leaves_one_effect() {
    let (database, secrets) = (Database::get().await, Aws::start().await);
    let (mut one, mut two) = (instance(&secrets, database.pooler()).await, instance(&secrets, database.pooler()).await);
    // What it had sent when it died reaches the database, or does not.
    for arrives in [false, true] {
        for step in 1.. {
            let (carrier, event) = buyer().await;
            let messages = batch([&job(&event)]);
            let wire = TripCounter::start(database.pooler()).await;
            wire.fail_trip(step, Fault::Stall);
            let mut dying = instance(&secrets, &place(&wire)).await;
            let is_stalled = tokio::select! {
                failed = failures(&mut dying, &messages) => {
                    assert!(failed.is_empty(), "step {step}: {failed:?}");
                    false
                }
                () = until_trip(&wire, step) => true,
            };
            let dies = async {
                // The others come to wait for what it has locked.
                tokio::time::sleep(Duration::from_millis(50)).await;
                dying.kill().await;
                if !arrives {
                    wire.cut();
                }
                wire.resume();
            };
            let ((), first, second) = tokio::join!(dies, failures(&mut one, &messages), failures(&mut two, &messages));
            // SQS delivers again what the dead one had.
            let again = failures(&mut one, &messages).await;
            let logs = || [one.log(), two.log()].concat().into_iter().rev().take(12).collect::<Vec<_>>().join("\n");
            assert!(first.is_empty() && second.is_empty() && again.is_empty(), "step {step}, {arrives}: {}", logs());
            assert_eq!(effects(&carrier).await, json!([1, 1, 2]), "step {step}, {arrives}");
            assert_eq!(carrier.state().await["plan"], "starter");
            if !is_stalled {
                assert!(step > 5, "all steps were tried: {step}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn of_ten_messages_with_three_copies_each_event_has_one_effect_and_only_what_is_no_job_fails() {
    let (database, secrets) = (Database::get().await, Aws::start().await);
    let mut worker = instance(&secrets, database.pooler()).await;
    let mut buyers = Vec::new();
    for _ in 0..4 {
        buyers.push(buyer().await);
    }
    let bystander = Carrier::create().await;
    let before = bystander.state().await;
    let event = |n: usize| job(&buyers[n].1);
    let messages = [
        event(0),
        event(1),
        json!("no job"),
        event(0),
        json!({"kind": "event", "id": "evt_of_nobody"}),
        event(2),
        event(0),
        json!({"kind": "refund", "id": "re_1"}),
        json!({"kind": "subscription", "id": "sub_without_a_key_of_stripe"}),
        event(3),
    ];
    assert_eq!(failures(&mut worker, &batch(&messages)).await, [3, 5, 8]);
    for (carrier, _) in &buyers {
        assert_eq!(effects(carrier).await, json!([1, 1, 2]));
    }
    assert_eq!(bystander.state().await, before);
}

#[tokio::test]
async fn when_the_database_goes_down_midway_exactly_what_was_not_done_comes_again() {
    let (database, secrets) = (Database::get().await, Aws::start().await);
    let wire = TripCounter::start(database.pooler()).await;
    let mut worker = instance(&secrets, &place(&wire)).await;
    let mut buyers = Vec::new();
    for _ in 0..10 {
        buyers.push(buyer().await);
    }
    let jobs: Vec<Value> = buyers.iter().map(|(_, event)| job(event)).collect();
    // Somewhere in the third or fourth job.
    let step = 25;
    wire.fail_trip(step, Fault::Stall);
    let goes_down = async {
        until_trip(&wire, step).await;
        wire.refuse();
        wire.resume();
    };
    let messages = batch(&jobs);
    let both = async { tokio::join!(failures(&mut worker, &messages), goes_down) };
    let (failed, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it comes to that trip");
    let mut waiting = Vec::new();
    for (n, (_, event)) in buyers.iter().enumerate() {
        if waits(event).await {
            waiting.push(n + 1);
        }
    }
    assert_eq!(failed, waiting);
    assert!((3..9).contains(&failed.len()), "some were done and some were not: {failed:?}");

    wire.accept();
    let again: Vec<&Value> = failed.iter().map(|n| &jobs[n - 1]).collect();
    assert_eq!(failures(&mut worker, &batch(again)).await, [0; 0]);
    for (carrier, _) in &buyers {
        assert_eq!(effects(carrier).await, json!([1, 1, 2]));
    }
}

#[tokio::test]
async fn while_stripe_is_down_exactly_what_needs_it_comes_again() {
    let (secrets, stripe) = (Aws::start().await, StripeServer::start().await);
    stripe.add_price("price_starter", 4_900, "month");
    let customer = stripe.create_customer();
    let carrier = Carrier::with_customer(&customer).await;
    let subscription = stripe.subscribe(&customer, "price_starter");
    let mut worker = instance_with_stripe(&secrets, &stripe).await;
    let events = stripe.events();
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind).expect("Stripe tells it");
    let (created, paid) = (of("customer.subscription.created"), of("invoice.paid"));
    let ping = StripeShape::Endive.event(&carrier.name("evt_ping"), "ping", START, &json!({"object": "ping"}));
    for event in [created, paid, &ping] {
        record(&crate::support::worker().await, event).await;
    }
    let jobs = [job(created), job(&ping), job(paid), json!({"kind": "subscription", "id": subscription}), job(&ping)];

    stripe.fault(Some(StripeFault::Refuse));
    assert_eq!(failures(&mut worker, &batch(&jobs)).await, [1, 3, 4]);
    assert!(waits(created).await && waits(paid).await && !waits(&ping).await);
    let told = format!("SELECT to_jsonb(count(*)) FROM billing_events WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(one(told).await, json!(0));

    stripe.fault(None);
    assert_eq!(failures(&mut worker, &batch(&jobs)).await, [0; 0]);
    let state = carrier.state().await;
    assert_eq!((&state["plan"], &state["invoices"][0]["status"]), (&json!("starter"), &json!("paid")));
    let repairs = |worker: &LambdaRuntime| worker.log().iter().filter(|line| line.contains("BillingRepairs")).count();
    assert_eq!(repairs(&worker), 0, "nothing was amiss");
    stripe.cancel(&subscription);
    assert_eq!(failures(&mut worker, &batch(&jobs)).await, [0; 0]);
    assert_eq!(carrier.state().await["plan"], "free");
    assert_eq!(repairs(&worker), 1, "{:?}", worker.log());
}
