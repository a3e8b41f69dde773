//! What is stored and waits is queued again.

use std::time::Duration;

use carhaul_core::billing::apply::Outcome;
use carhaul_core::billing::inbox;
use carhaul_core::billing::stripe::event::Event;
use carhaul_housekeeping::{Requeued, requeue};
use carhaul_testkit::{QueueServer, StripeShape};
use serde_json::json;
use serde_json::value::to_raw_value;

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
async fn more_than_ten_are_sent_in_parts_and_a_delay_goes_with_each() {
    let server = QueueServer::start().await;
    let queue = server.queue().await;
    let sent: Vec<_> = (0..23).map(|n| json!({"kind": "event", "id": format!("evt_{n}")})).collect();
    queue.send_all_in(Duration::from_secs(30), &sent).await.unwrap();
    let delayed = |n| json!({"kind": "event", "id": format!("evt_{n}"), "DelaySeconds": 30});
    assert_eq!(server.sent(), (0..23).map(delayed).collect::<Vec<_>>());
}
