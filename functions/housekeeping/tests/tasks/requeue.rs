//! What is stored and waits is queued again.

use std::time::Duration;

use carhaul_core::base::error::Error;
use carhaul_core::billing::apply::{self, Outcome};
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::event::Event;
use carhaul_housekeeping::{Requeued, requeue};
use carhaul_testkit::{QueueServer, StripeShape};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::support::{OwnDatabase, ROLE, work};

const PAID: i64 = 1_790_000_000;

#[tokio::test]
async fn what_the_webhook_could_not_queue_is_queued_later_and_the_state_ends_right() {
    let (database, server) = (OwnDatabase::create().await, QueueServer::start().await);
    let (carrier, other) = (database.carrier("cus_1").await, database.carrier("cus_2").await);
    let shape = StripeShape::Endive;
    let mut subscription = shape.subscription("sub_1", "cus_1", "price_starter", PAID);
    let created = shape.event("evt_1", "customer.subscription.created", PAID, &subscription);
    let kind = "customer.subscription.updated";
    let paid = shape.update("evt_2", kind, PAID, &mut subscription, &json!({"status": "active"}));
    // Nobody knows this one's customer, whenever it is asked; it does not come again and again.
    let strange = shape.event("evt_3", kind, PAID, &shape.subscription("sub_3", "cus_of_nobody", "price_pro", PAID));
    let queue = server.queue().await;
    let webhook = database.seen_by("carhaul_billing").await;
    server.fail();
    for event in [&paid, &created, &strange] {
        let parsed = Event::parse(event.to_string().as_bytes()).unwrap();
        let recorded = inbox::record(&webhook, &parsed, &to_raw_value(event).unwrap(), false).await.unwrap();
        assert!(recorded.waiting);
        queue.send(&json!({"kind": "event", "id": parsed.id})).await.unwrap_err();
    }
    let db = database.seen_by(ROLE).await;
    // Two minutes are the queue's own.
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 0 });
    database.run("UPDATE stripe_events SET received_at = now() - interval '3 minutes'").await;
    // As long as the queue is down, it says so, and they wait.
    requeue(&db, &queue).await.unwrap_err();
    assert_eq!(server.sent(), [json!(null); 0]);

    server.recover();
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 3 });
    let messages = server.take_sent();
    assert!(messages.iter().all(|message| message["DelaySeconds"].is_null()), "{messages:?}");
    let mut outcomes = work(&database, None, &messages).await;
    outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Superseded, Outcome::UnknownCustomer]);
    assert_eq!((database.plan(carrier).await, database.plan(other).await), (json!("starter"), json!("free")));
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 0 });
    database.drop().await;
}

#[tokio::test]
async fn an_event_waits_for_the_price_of_its_subscription_and_for_no_other_that_it_names() {
    let (database, server) = (OwnDatabase::create().await, QueueServer::start().await);
    let (carrier, other) = (database.carrier("cus_1").await, database.carrier("cus_2").await);
    let shape = StripeShape::Endive;
    let kind = "customer.subscription.updated";
    let event = |id: &str, at: i64, subscription: &Value| shape.event(id, kind, at, subscription);
    let raised_to = |price: &str, id: &str, at: i64, subscription: &mut Value| {
        let changes = shape.other_price(subscription, price, at);
        shape.update(id, kind, at, subscription, &changes)
    };
    let active = |id: &str, customer: &str| {
        let mut subscription = shape.subscription(id, customer, "price_starter", PAID);
        subscription["status"] = json!("active");
        subscription
    };
    let (mut subscription, mut theirs) = (active("sub_1", "cus_1"), active("sub_2", "cus_2"));
    let created = event("evt_1", PAID, &subscription);
    // On its way for so long that its price is none any more.
    let late = event("evt_2", PAID + 5, &subscription);
    let raised = raised_to("price_new", "evt_3", PAID + 10, &mut subscription);
    let checkout = json!({"object": "checkout.session", "id": "cs_1", "customer": "cus_1", "subscription": "sub_1"});
    let checkout = shape.event("evt_4", "checkout.session.completed", PAID, &checkout);
    let their_own = event("evt_5", PAID, &theirs);
    let unheard_of = raised_to("price_unheard_of", "evt_6", PAID + 10, &mut theirs);
    for named in [&late, &raised, &unheard_of] {
        assert!(named.to_string().contains("price_starter"), "{named}");
    }
    let webhook = database.seen_by("carhaul_billing").await;
    let mut outcomes = Vec::new();
    for event in [&created, &their_own, &raised, &late, &checkout, &unheard_of] {
        let parsed = Event::parse(event.to_string().as_bytes()).unwrap();
        inbox::record(&webhook, &parsed, &to_raw_value(event).unwrap(), false).await.unwrap();
        outcomes.extend(work(&database, None, &[json!({"kind": "event", "id": parsed.id})]).await);
    }
    assert_eq!(outcomes, [[Outcome::Applied; 2].as_slice(), [Outcome::UnknownPrice; 4].as_slice()].concat());

    let (db, queue) = (database.seen_by(ROLE).await, server.queue().await);
    database.run("UPDATE stripe_events SET received_at = now() - interval '3 minutes'").await;
    for _ in 0..2 {
        assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 0 });
    }
    let list = "INSERT INTO prices (stripe_price_id, name, plan, is_current, interval, currency, amount) \
                VALUES ('price_new', 'PRO_MONTHLY', 'pro', false, 'month', 'USD', 150)";
    database.run(list).await;
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 3 });
    let messages = server.take_sent();
    let mut outcomes = work(&database, None, &messages).await;
    outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Superseded, Outcome::Superseded]);
    // Sent twice, it does nothing.
    assert_eq!(work(&database, None, &messages).await, [Outcome::Done; 3]);
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 0 });
    assert_eq!((database.plan(carrier).await, database.plan(other).await), (json!("pro"), json!("starter")));
    database.drop().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_left_to_an_operator() {
    let (database, server) = (OwnDatabase::create().await, QueueServer::start().await);
    let (carrier, other) = (database.carrier("cus_1").await, database.carrier("cus_2").await);
    let shape = StripeShape::Endive;
    let event = |id: &str, customer: &str, subscription: &str| {
        let mut object = shape.subscription(subscription, customer, "price_starter", PAID);
        object["status"] = json!("active");
        shape.event(id, "customer.subscription.created", PAID, &object)
    };
    let (mut broken, theirs) = (event("evt_1", "cus_1", "sub_1"), event("evt_2", "cus_2", "sub_2"));
    let start = std::mem::take(&mut broken["data"]["object"]["start_date"]);
    let webhook = database.seen_by("carhaul_billing").await;
    for event in [&broken, &theirs] {
        let parsed = Event::parse(event.to_string().as_bytes()).unwrap();
        inbox::record(&webhook, &parsed, &to_raw_value(event).unwrap(), false).await.unwrap();
    }
    let job = Job::Event { id: "evt_1".to_owned() };
    // As often as the queue delivers it, before it puts it aside.
    for _ in 0..2 {
        let refused = apply::process(&webhook, None, &job).await.unwrap_err();
        assert!(matches!(refused, Error::Internal(_)), "{refused}");
    }
    database.run("UPDATE stripe_events SET received_at = now() - interval '3 minutes'").await;
    let (db, queue) = (database.seen_by(ROLE).await, server.queue().await);
    assert_eq!(requeue(&db, &queue).await.unwrap(), Requeued { requeued: 1 });
    let messages = server.take_sent();
    assert_eq!(messages, [json!({"kind": "event", "id": "evt_2"})]);
    assert_eq!(work(&database, None, &messages).await, [Outcome::Applied]);
    let outcomes = "SELECT jsonb_object_agg(id, outcome) FROM stripe_events";
    assert_eq!(database.one(outcomes).await, json!({"evt_1": "unreadable", "evt_2": "applied"}));
    // As if a worker had learned to read it; then the operator sends it back.
    let learn =
        format!("UPDATE stripe_events SET payload = jsonb_set(payload, '{{data,object,start_date}}', '{start}')");
    database.run(&learn).await;
    for outcome in [Outcome::Applied, Outcome::Done] {
        assert_eq!(apply::process(&webhook, None, &job).await.unwrap(), outcome);
    }
    assert_eq!((database.plan(carrier).await, database.plan(other).await), (json!("starter"), json!("starter")));
    database.drop().await;
}

#[tokio::test]
async fn more_than_ten_are_sent_in_parts_and_a_delay_goes_with_each() {
    let server = QueueServer::start().await;
    let queue = server.queue().await;
    let sent: Vec<_> = (0..23).map(|n| json!({"kind": "event", "id": format!("evt_{n}")})).collect();
    queue.send_all_in(Duration::from_secs(30), &sent).await.unwrap();
    let delayed = |n| json!({"kind": "event", "id": format!("evt_{n}"), "DelaySeconds": 30});
    assert_eq!(server.sent(), (0..23).map(delayed).collect::<Vec<_>>());
}
