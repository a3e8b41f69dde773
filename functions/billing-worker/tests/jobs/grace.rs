//! A carrier that owes keeps its plan for its days of grace, then has what the free plan allows; nothing of it is deleted.

use carhaul_core::base::clock::Clock;
use carhaul_core::billing::apply::Outcome;
use carhaul_testkit::StripeShape;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use crate::support::{Carrier, arrive, one, superuser, worker};

const DAY: i64 = 24 * 3600;

/// What counts now, and how many trucks there are.
async fn plan_and_trucks(carrier: &Carrier) -> (String, i64) {
    let found = one(format!(
        "SELECT jsonb_build_object('plan', app.plan_now(plan, plan_ends_at), 'trucks', \
         (SELECT count(*) FROM trucks k WHERE k.tenant_id = t.id)) FROM tenants t WHERE id = '{}'",
        carrier.id
    ))
    .await;
    (found["plan"].as_str().expect("a plan has a name").to_owned(), found["trucks"].as_i64().expect("a number"))
}

/// The SQLSTATE if it is refused.
async fn buy_truck(carrier: &Carrier, unit: &str) -> Result<(), String> {
    let sql = format!(
        "INSERT INTO trucks (tenant_id, id, unit_number, capacity) VALUES ('{}', gen_random_uuid(), '{unit}', 1)",
        carrier.id
    );
    let bought = superuser().await.execute(AssertSqlSafe(sql)).await;
    bought.map(drop).map_err(|error| error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned())
}

/// A subscription to the plan starter, paid twenty days ago.
fn paid(carrier: &Carrier, now: i64) -> (Value, Value) {
    let shape = StripeShape::Endive;
    let mut subscription =
        shape.subscription(&carrier.name("sub"), carrier.customer(), "price_starter", now - 20 * DAY);
    let event = change(carrier, &mut subscription, "paid", now - 20 * DAY, "active");
    (subscription, event)
}

fn change(carrier: &Carrier, subscription: &mut Value, name: &str, at: i64, status: &str) -> Value {
    let id = carrier.name(&format!("evt_{name}"));
    StripeShape::Endive.update(&id, "customer.subscription.updated", at, subscription, &json!({"status": status}))
}

#[tokio::test]
async fn who_owes_for_longer_than_the_days_of_grace_can_do_what_the_free_plan_allows_and_keeps_what_there_is() {
    let (carrier, other, db) = (Carrier::create().await, Carrier::create().await, worker().await);
    let now = Clock::system().now().timestamp();
    for carrier in [&carrier, &other] {
        assert_eq!(arrive(&db, &paid(carrier, now).1).await, Outcome::Applied);
        for unit in ["T1", "T2", "T3"] {
            buy_truck(carrier, unit).await.expect("the plan starter has ten trucks");
        }
    }
    let (mut subscription, _) = paid(&carrier, now);
    let failed = change(&carrier, &mut subscription, "failed", now - 8 * DAY, "past_due");
    assert_eq!(arrive(&db, &failed).await, Outcome::Applied);
    assert_eq!(plan_and_trucks(&carrier).await, ("free".to_owned(), 3));
    assert_eq!(buy_truck(&carrier, "T4").await, Err("CH402".to_owned()));
    // What there is can be changed still.
    let rename =
        format!("UPDATE trucks SET unit_number = 'T3b' WHERE tenant_id = '{}' AND unit_number = 'T3'", carrier.id);
    let renamed = superuser().await.execute(AssertSqlSafe(rename)).await.expect("it is theirs");
    assert_eq!(renamed.rows_affected(), 1);

    // That Stripe tries no more does not begin the days of grace again.
    let unpaid = change(&carrier, &mut subscription, "unpaid", now - DAY, "unpaid");
    assert_eq!(arrive(&db, &unpaid).await, Outcome::Applied);
    assert_eq!(plan_and_trucks(&carrier).await, ("free".to_owned(), 3));

    let paid_again = change(&carrier, &mut subscription, "paid_again", now - 60, "active");
    assert_eq!(arrive(&db, &paid_again).await, Outcome::Applied);
    assert_eq!(plan_and_trucks(&carrier).await, ("starter".to_owned(), 3));
    buy_truck(&carrier, "T4").await.expect("the plan is back");

    assert_eq!(plan_and_trucks(&other).await, ("starter".to_owned(), 3));
}

#[tokio::test]
async fn who_owes_for_less_keeps_the_plan_and_the_day_when_it_ends_is_told() {
    let (carrier, db) = (Carrier::create().await, worker().await);
    let now = Clock::system().now().timestamp();
    let (mut subscription, bought) = paid(&carrier, now);
    arrive(&db, &bought).await;
    arrive(&db, &change(&carrier, &mut subscription, "failed", now - 6 * DAY, "past_due")).await;
    assert_eq!(plan_and_trucks(&carrier).await.0, "starter");
    buy_truck(&carrier, "T1").await.expect("the plan is theirs");
    buy_truck(&carrier, "T2").await.expect("the plan is theirs");
    let ends_at = one(format!("SELECT to_jsonb(to_timestamp({now}) + interval '1 day')")).await;
    assert_eq!(carrier.state().await["plan_ends_at"], ends_at);
}
