//! Each event has one effect, and every order of arrival ends in the same state: through the worker's own code, as its own
//! database role, behind the pooler, with another carrier looking on.

use carhaul_core::billing::apply::{self, Outcome};
use carhaul_core::platform::db::{Db, Sql};
use carhaul_testkit::{Database, Fault, StripeShape, TripCounter};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::support::{Carrier, End, ROLE, START, arrive, effects, job, life, one, record, run, worker};

/// All orders of `n` things.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut order = order.clone();
            order.insert(at, n - 1);
            order
        })
    };
    permutations(n - 1).into_iter().flat_map(insert).collect()
}

async fn every_order_ends_as_the_true_one(shape: StripeShape, end: End) -> Value {
    let expected = {
        let (carrier, db) = (Carrier::create().await, worker().await);
        for event in life(shape, &carrier, "", START, end) {
            arrive(&db, &event).await;
        }
        carrier.state().await
    };
    let orders = permutations(6);
    assert_eq!(orders.len(), 720);
    let (local, mut workers) = (LocalSet::new(), JoinSet::new());
    for orders in orders.chunks(180) {
        let (orders, expected) = (orders.to_vec(), expected.clone());
        let work = async move {
            let db = worker().await;
            for order in orders {
                let carrier = Carrier::create().await;
                let events = life(shape, &carrier, "", START, end);
                for &n in &order {
                    arrive(&db, &events[n]).await;
                }
                assert_eq!(carrier.state().await, expected, "{order:?}");
            }
        };
        workers.spawn_local_on(work, &local);
    }
    while let Some(done) = local.run_until(workers.join_next()).await {
        done.expect("every order ends in the same state");
    }
    expected
}

#[tokio::test]
async fn every_order_of_a_life_that_ends_leaves_the_free_plan() {
    let state = every_order_ends_as_the_true_one(StripeShape::Endive, End::Deleted).await;
    assert_eq!((&state["plan"], &state["plan_ends_at"]), (&json!("free"), &Value::Null));
    assert_eq!(state["subscriptions"][0]["status"], "canceled");
}

#[tokio::test]
async fn every_order_of_a_life_that_owes_leaves_the_plan_for_its_days_of_grace() {
    let state = every_order_ends_as_the_true_one(StripeShape::Acacia, End::PastDue).await;
    assert_eq!(state["plan"], "pro");
    let subscription = &state["subscriptions"][0];
    assert_eq!((&subscription["status"], &subscription["stripe_price_id"]), (&json!("past_due"), &json!("price_pro")));
    let grace = format!("SELECT to_jsonb(to_timestamp({START} + 3000) + interval '7 days')");
    assert_eq!(state["plan_ends_at"], one(grace).await);
}

/// A small generator of numbers that look random and are the same in each run.
struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for n in (1..things.len()).rev() {
            things.swap(n, self.below(n + 1));
        }
    }
}

#[tokio::test]
async fn three_subscriptions_in_any_interleaving_end_in_the_same_state() {
    let lives = |carrier: &Carrier| -> Vec<Value> {
        // Ended, subscribed again while late events of the first still come, and a third that owes.
        [("a", START, End::Deleted), ("b", START + 2500, End::Deleted), ("c", START + 2500, End::PastDue)]
            .into_iter()
            .flat_map(|(name, start, end)| life(StripeShape::Endive, carrier, name, start, end))
            .collect()
    };
    let db = worker().await;
    let mut expected = None;
    for seed in 0..60 {
        let carrier = Carrier::create().await;
        let mut events = lives(&carrier);
        // The first round is the true order; later ones also see some events twice.
        if seed > 0 {
            let mut random = Shuffle(seed);
            let twice: Vec<Value> = (0..4).map(|_| events[random.below(events.len())].clone()).collect();
            events.extend(twice);
            random.shuffle(&mut events);
        }
        for event in &events {
            arrive(&db, event).await;
        }
        let state = carrier.state().await;
        assert_eq!(&state, expected.get_or_insert_with(|| state.clone()), "seed {seed}");
    }
    assert_eq!(expected.map(|state| state["plan"].clone()), Some(json!("pro")));
}

#[tokio::test]
async fn fifty_copies_at_once_have_one_effect() {
    let (carrier, other) = (Carrier::create().await, Carrier::create().await);
    let before = other.state().await;
    let events = life(StripeShape::Endive, &carrier, "", START, End::PastDue);
    let (local, mut copies) = (LocalSet::new(), JoinSet::new());
    for _ in 0..50 {
        let event = events[1].clone();
        copies.spawn_local_on(async move { arrive(&worker().await, &event).await }, &local);
    }
    let outcomes = local.run_until(copies.join_all()).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied | Outcome::Done)));
    assert_eq!(effects(&carrier).await, json!([1, 1, 2]));
    assert_eq!(carrier.state().await["plan"], "starter");
    assert_eq!(other.state().await, before);
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_leaves_the_event_to_the_next() {
    let database = Database::get().await;
    for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
        for step in 1.. {
            let carrier = Carrier::create().await;
            let event = &life(StripeShape::Endive, &carrier, "", START, End::PastDue)[1];
            let healthy = worker().await;
            record(&healthy, event).await;
            let wire = TripCounter::start(database.pooler()).await;
            let dying = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
            let connect = |sql: &mut Sql| {
                sql.push("SELECT 1");
            };
            dying.fetch(connect).await.expect("it is connected");
            wire.reset();
            wire.fail_trip(step, fault);
            let died = apply::process(&dying, None, &job(event)).await.is_err();
            let trips = wire.seen().trips;
            // SQS delivers it again.
            let again = apply::process(&healthy, None, &job(event)).await.expect("the next does it");
            assert!(matches!(again, Outcome::Applied | Outcome::Done), "step {step}, {fault:?}: {again:?}");
            assert_eq!(carrier.state().await["plan"], "starter", "step {step}, {fault:?}");
            let told = format!("SELECT to_jsonb(count(*)) FROM billing_events WHERE tenant_id = '{}'", carrier.id);
            assert_eq!(one(told).await, json!(1), "step {step}, {fault:?}");
            if trips < step {
                assert!(!died && step > 5, "all steps were tried: {step}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_invoice_is_kept_to_the_cent_and_a_deleted_customer_ends_what_it_had() {
    let (carrier, other, db) = (Carrier::create().await, Carrier::create().await, worker().await);
    let before = other.state().await;
    let shape = StripeShape::Acacia;
    let events = life(shape, &carrier, "", START, End::PastDue);
    for event in &events[..3] {
        assert_eq!(arrive(&db, event).await, Outcome::Applied);
    }
    let subscription = &events[2]["data"]["object"];
    let mut invoice = shape.invoice(&carrier.name("in"), subscription, "usd", 4_999, 413, START);
    let open = shape.event(&carrier.name("evti1"), "invoice.finalized", START, &invoice);
    let changes = shape.paid(&invoice, START);
    let paid = shape.update(&carrier.name("evti2"), "invoice.paid", START, &mut invoice, &changes);
    // Paid arrives first, and stays.
    assert_eq!(arrive(&db, &paid).await, Outcome::Applied);
    assert_eq!(arrive(&db, &open).await, Outcome::Superseded);
    let stored = &carrier.state().await["invoices"][0];
    assert_eq!((&stored["status"], &stored["remaining_amount"]), (&json!("paid"), &json!(0.0)));
    let exact = format!(
        "SELECT jsonb_build_array(subtotal_amount::text, tax_amount::text, total_amount::text, paid_amount::text) \
         FROM billing_invoices WHERE tenant_id = '{}'",
        carrier.id
    );
    assert_eq!(one(exact).await, json!(["49.990", "4.130", "54.120", "54.120"]));

    let customer = json!({"id": carrier.customer(), "object": "customer", "deleted": true});
    let deleted = shape.event(&carrier.name("evtd"), "customer.deleted", START + 1500, &customer);
    assert_eq!(arrive(&db, &deleted).await, Outcome::Applied);
    // What was on its way brings nothing back.
    for event in &events[3..] {
        arrive(&db, event).await;
    }
    let state = carrier.state().await;
    assert_eq!((&state["plan"], &state["subscriptions"][0]["status"]), (&json!("free"), &json!("canceled")));
    assert_eq!(other.state().await, before);
}

#[tokio::test]
async fn what_is_unknown_is_recorded_and_changes_nothing_until_it_is_known() {
    let (carrier, db) = (Carrier::create().await, worker().await);
    let events = life(StripeShape::Endive, &carrier, "", START, End::PastDue);
    arrive(&db, &events[1]).await;
    let price = carrier.name("price");
    let mut object = events[1]["data"]["object"].clone();
    let changes = StripeShape::Endive.other_price(&object, &price, START);
    let id = carrier.name("evtp");
    let raised = StripeShape::Endive.update(&id, "customer.subscription.updated", START + 10, &mut object, &changes);
    assert_eq!(arrive(&db, &raised).await, Outcome::UnknownPrice);
    assert_eq!(carrier.state().await["plan"], "starter");
    run(format!(
        "INSERT INTO prices (stripe_price_id, name, plan, is_current, interval, currency, amount) \
         VALUES ('{price}', 'PRO_MONTHLY', 'pro', false, 'month', 'USD', 150)"
    ))
    .await;
    assert_eq!(apply::process(&db, None, &job(&raised)).await.expect("it is tried again"), Outcome::Applied);
    assert_eq!(carrier.state().await["plan"], "pro");

    // A customer of nobody, an object that we do not keep, and another account's mode.
    let stranger = Carrier::stranger();
    let strange = &life(StripeShape::Endive, &stranger, "", START, End::PastDue)[1];
    assert_eq!(arrive(&db, strange).await, Outcome::UnknownCustomer);
    let ping = StripeShape::Endive.event(&carrier.name("evtping"), "ping", START, &json!({"object": "ping"}));
    assert_eq!(arrive(&db, &ping).await, Outcome::Ignored);
    let mut live = life(StripeShape::Endive, &carrier, "z", START + 9000, End::Deleted).remove(1);
    live["livemode"] = json!(true);
    assert_eq!(arrive(&db, &live).await, Outcome::Done);
    assert_eq!(carrier.state().await["subscriptions"].as_array().map(Vec::len), Some(1));
}
