//! What Stripe knows and no event told us is found and mended, as far as time allows.

use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Error;
use carhaul_core::billing::apply::Outcome;
use carhaul_core::billing::inbox;
use carhaul_core::billing::stripe::client::{Patience, Stripe};
use carhaul_core::billing::stripe::event::{Event, TYPES};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secret;
use carhaul_housekeeping::{Reconciled, Reconciler};
use carhaul_testkit::{QueueServer, StripeFault, StripeServer};
use chrono::TimeDelta;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::support::{OwnDatabase, ROLE, work};

/// Stripe, a database of our own, a queue, and housekeeping ten minutes from now: what has just happened is no longer on its way.
struct World {
    server: StripeServer,
    database: OwnDatabase,
    sqs: QueueServer,
    db: Db,
    queue: Queue,
    stripe: Stripe,
    clock: Clock,
}

impl World {
    async fn create() -> Self {
        let (server, database, sqs) =
            (StripeServer::start().await, OwnDatabase::create().await, QueueServer::start().await);
        server.add_price("price_starter", 4_900, "month");
        server.add_price("price_pro", 14_900, "month");
        let patience = Patience {
            overall: Duration::from_millis(600),
            attempt: Duration::from_millis(300),
            pause: Duration::from_millis(20),
        };
        Self {
            db: database.seen_by(ROLE).await,
            queue: sqs.queue().await,
            stripe: Stripe::new(server.url(), Secret::new(server.key())).with_patience(patience),
            clock: Clock::fixed(Clock::system().now() + TimeDelta::minutes(10)),
            server,
            database,
            sqs,
        }
    }

    async fn reconcile(&self) -> (Result<(), Error>, Reconciled) {
        self.reconcile_for(TimeDelta::minutes(4)).await
    }

    async fn reconcile_for(&self, time: TimeDelta) -> (Result<(), Error>, Reconciled) {
        let Self { db, queue, stripe, clock, .. } = self;
        let mut done = Reconciled::default();
        let until = clock.now() + time;
        let result = Reconciler { db, queue, stripe, clock, livemode: false }.run(until, &mut done).await;
        (result, done)
    }

    /// What it found, and what the worker made of it.
    async fn reconcile_and_work(&self) -> (Reconciled, Vec<Outcome>) {
        let (result, done) = self.reconcile().await;
        result.expect("everything is up");
        let messages = self.sqs.take_sent();
        let delayed = |message: &Value| message["DelaySeconds"] == 30;
        let is_event = |message: &Value| message["kind"] == "event";
        assert!(messages.iter().all(|message| delayed(message) != is_event(message)), "{messages:?}");
        (done, work(&self.database, Some(&self.stripe), &messages).await)
    }

    /// As if the webhook had got them all.
    async fn everything_arrives(&self) {
        let webhook = self.database.seen_by("carhaul_billing").await;
        for event in self.server.events() {
            let parsed = Event::parse(event.to_string().as_bytes()).unwrap();
            inbox::record(&webhook, &parsed, &to_raw_value(&event).unwrap(), false).await.unwrap();
        }
    }

    async fn count(&self, what: &str) -> Value {
        self.database.one(&format!("SELECT to_jsonb(count(*)) FROM {what}")).await
    }
}

fn found(events_recovered: usize, subscriptions_drifting: usize) -> Reconciled {
    Reconciled { events_recovered, subscriptions_drifting, complete: true }
}

#[tokio::test]
async fn events_that_never_arrived_are_stored_and_queued_once() {
    let world = World::create().await;
    let customer = world.server.create_customer();
    let carrier = world.database.carrier(&customer).await;
    let other = world.database.carrier("cus_of_another").await;
    world.server.subscribe(&customer, "price_starter");
    let told = world.server.events().iter().filter(|event| TYPES.contains(&event["type"].as_str().unwrap())).count();
    assert!(told > 1);

    let (done, outcomes) = world.reconcile_and_work().await;
    assert_eq!(done.events_recovered, told);
    assert!(outcomes.contains(&Outcome::Applied), "{outcomes:?}");
    assert_eq!(world.database.plan(carrier).await, json!("starter"));
    assert_eq!(world.reconcile_and_work().await, (found(0, 0), vec![]));
    assert_eq!(world.database.plan(other).await, json!("free"));
    let told_to_other = format!("billing_events WHERE tenant_id = '{other}'");
    assert_eq!(world.count(&told_to_other).await, json!(0));
    world.database.drop().await;
}

#[tokio::test]
async fn what_may_be_on_its_way_is_left_to_the_webhook_and_what_is_too_old_to_itself() {
    let world = World::create().await;
    world.database.carrier("cus_1").await;
    let customer = world.server.create_customer();
    world.server.subscribe(&customer, "price_starter");
    world.clock.advance(TimeDelta::minutes(-6));
    assert_eq!(world.reconcile().await.1, found(0, 0));
    world.clock.advance(TimeDelta::days(4));
    assert_eq!(world.reconcile().await.1, found(0, 0));
    assert_eq!(world.count("stripe_events").await, json!(0));
    world.database.drop().await;
}

#[tokio::test]
async fn a_subscription_that_drifts_is_repaired_and_one_that_nobody_told_us_of_is_found() {
    let world = World::create().await;
    let (known, unheard, foreign) =
        (world.server.create_customer(), world.server.create_customer(), world.server.create_customer());
    let drifting = world.database.carrier(&known).await;
    let subscription = world.server.subscribe(&known, "price_starter");
    world.everything_arrives().await;
    world.database.run("UPDATE stripe_events SET received_at = now() - interval '3 minutes'").await;
    carhaul_housekeeping::requeue(&world.db, &world.queue).await.unwrap();
    work(&world.database, Some(&world.stripe), &world.sqs.take_sent()).await;
    assert_eq!(world.database.plan(drifting).await, json!("starter"));
    assert_eq!(world.reconcile_and_work().await, (found(0, 0), vec![]));

    // From here on no event is told.
    let new = world.database.carrier(&unheard).await;
    world.server.change_price(&subscription, "price_pro");
    world.server.subscribe(&unheard, "price_starter");
    // Another product of the same account.
    world.server.subscribe(&foreign, "price_pro");
    world.everything_arrives().await;
    world
        .database
        .run("UPDATE stripe_events SET processed_at = now(), outcome = 'superseded' WHERE outcome IS NULL")
        .await;
    let (done, outcomes) = world.reconcile_and_work().await;
    assert_eq!((done, outcomes), (found(0, 2), vec![Outcome::Repaired; 2]));
    assert_eq!((world.database.plan(drifting).await, world.database.plan(new).await), (json!("pro"), json!("starter")));
    for carrier in [drifting, new] {
        let audited = format!("audit_log WHERE tenant_id = '{carrier}' AND table_name = 'billing_events'");
        assert_eq!(world.count(&audited).await, json!(1));
    }
    assert_eq!(world.reconcile_and_work().await, (found(0, 0), vec![]));

    // An end that nobody told of; and what is over here is not looked at any more.
    world.server.cancel(&subscription);
    world.everything_arrives().await;
    world
        .database
        .run("UPDATE stripe_events SET processed_at = now(), outcome = 'superseded' WHERE outcome IS NULL")
        .await;
    let (done, outcomes) = world.reconcile_and_work().await;
    assert_eq!((done, outcomes), (found(0, 1), vec![Outcome::Repaired]));
    assert_eq!(
        (world.database.plan(drifting).await, world.database.plan(new).await),
        (json!("free"), json!("starter"))
    );
    world.database.run("UPDATE subscriptions SET quantity = 7 WHERE status = 'canceled'").await;
    assert_eq!(world.reconcile_and_work().await, (found(0, 0), vec![]));
    world.database.drop().await;
}

/// Each call takes Stripe a minute, of which a run has three.
#[tokio::test]
async fn a_run_stops_in_time_and_the_next_goes_on_where_it_stopped() {
    let world = World::create().await;
    let customer = world.server.create_customer();
    let carrier = world.database.carrier(&customer).await;
    let mut subscriptions = Vec::new();
    for _ in 0..120 {
        subscriptions.push(world.server.subscribe(&customer, "price_starter"));
    }
    world.server.fault(Some(StripeFault::Slow(Duration::from_millis(50))));
    let minutes_pass = async {
        let mut seen = 0;
        loop {
            let asked = world.server.requests().len();
            world.clock.advance(TimeDelta::minutes(i64::try_from(asked - seen).unwrap()));
            seen = asked;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let unfinished =
        async |listing: &str| world.count(&format!("stripe_walks WHERE list = '{listing}'")).await != json!(0);
    let until_both_have_ended = async {
        let (mut runs, mut events, mut listed) = (Vec::new(), true, true);
        while events || listed {
            let (result, done) = world.reconcile_for(TimeDelta::minutes(3)).await;
            result.expect("it only takes long");
            assert_eq!(done.complete, !(unfinished("events").await || unfinished("subscriptions").await), "{done:?}");
            (events, listed) = (events && unfinished("events").await, listed && unfinished("subscriptions").await);
            runs.push(done);
            assert!(runs.len() < 20, "{runs:?}");
        }
        runs
    };
    let runs = tokio::select! {
        runs = until_both_have_ended => runs,
        () = minutes_pass => unreachable!("it ends with the other"),
    };
    assert!(runs.len() > 1 && !runs[0].complete, "{runs:?}");

    let asked = world.server.requests().into_iter().filter(|request| request.path == "/v1/events");
    let place = |(name, id): (String, String)| (name == "starting_after").then_some(id);
    let places: Vec<_> = asked.map(|request| request.parameters.into_iter().find_map(place)).collect();
    assert_eq!(places[0], None);
    assert!(places.len() > runs.len() && places.iter().skip(1).all(Option::is_some), "it never began anew: {places:?}");
    let mut once = places.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), places.len(), "no part was asked for twice");

    let told = world.server.events().iter().filter(|event| TYPES.contains(&event["type"].as_str().unwrap())).count();
    assert!(told > 300, "Stripe gives a hundred at once");
    assert_eq!(runs.iter().map(|done| done.events_recovered).sum::<usize>(), told);
    let mut queued = world.sqs.take_sent();
    queued.retain(|job| job["kind"] == "subscription");
    assert!(subscriptions.iter().all(|id| queued.iter().any(|job| job["id"] == id.as_str())), "each is found");
    assert_eq!(world.database.plan(carrier).await, json!("free"), "only the worker changes a plan");
    world.database.drop().await;
}

#[tokio::test]
async fn a_place_that_stripe_no_longer_knows_or_that_is_old_is_given_up() {
    let world = World::create().await;
    let customer = world.server.create_customer();
    world.database.carrier(&customer).await;
    world.server.subscribe(&customer, "price_starter");
    let unfinished = "INSERT INTO stripe_walks VALUES ('events', now(), 'evt_of_nobody')";
    world.database.run(unfinished).await;
    let (refused, done) = world.reconcile().await;
    assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
    assert_eq!(done, Reconciled::default());
    assert!(world.reconcile().await.1.events_recovered > 0);
    world.sqs.take_sent();

    world.database.run(&unfinished.replace("now()", "now() - interval '2 days'")).await;
    let (result, done) = world.reconcile().await;
    result.expect("it begins anew");
    assert!(done.complete);
    world.database.drop().await;
}

#[tokio::test]
async fn while_stripe_the_queue_or_the_database_is_down_it_fails_and_the_next_run_does_it_all() {
    let world = World::create().await;
    let customer = world.server.create_customer();
    let carrier = world.database.carrier(&customer).await;
    world.server.subscribe(&customer, "price_starter");
    for fault in [StripeFault::Refuse, StripeFault::Hang, StripeFault::LoseAnswer, StripeFault::Status(500)] {
        world.server.fault(Some(fault));
        let (failed, done) = world.reconcile().await;
        assert!(matches!(failed, Err(Error::Unavailable { .. })), "{fault:?}: {failed:?}");
        assert_eq!(done, Reconciled::default(), "{fault:?}");
        assert_eq!(world.count("stripe_events").await, json!(0));
    }
    world.server.fault(None);

    // What is stored is told, and goes the way of all that waits.
    world.sqs.fail();
    let (failed, done) = world.reconcile().await;
    assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
    assert!(done.events_recovered > 0 && !done.complete, "{done:?}");
    world.sqs.recover();
    world.database.run("UPDATE stripe_events SET received_at = now() - interval '3 minutes'").await;
    let requeued = carhaul_housekeeping::requeue(&world.db, &world.queue).await.unwrap().requeued;
    assert_eq!(requeued, done.events_recovered);
    work(&world.database, Some(&world.stripe), &world.sqs.take_sent()).await;
    assert_eq!(world.database.plan(carrier).await, json!("starter"));
    assert_eq!(world.reconcile_and_work().await, (found(0, 0), vec![]));
    world.database.drop().await;
}
