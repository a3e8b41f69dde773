//! Carriers, what happens to their subscriptions at Stripe, and a worker that hears of it.

use carhaul_core::billing::apply::{self, Outcome};
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::event::Event;
use carhaul_core::platform::db::Db;
use carhaul_testkit::{Database, StripeShape};
use serde_json::{Value, json, value::RawValue};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use uuid::Uuid;

pub const ROLE: &str = "carhaul_billing";
pub const START: i64 = 1_790_000_000;

pub async fn worker() -> Db {
    Db::with_options(Database::get().await.options(ROLE))
}

pub async fn superuser() -> PgConnection {
    Database::get().await.direct().connect().await.expect("the database is up")
}

pub async fn run(sql: String) {
    superuser().await.execute(AssertSqlSafe(sql)).await.expect("the statement is SQL");
}

pub async fn one(sql: String) -> Value {
    superuser().await.fetch_one(AssertSqlSafe(sql)).await.expect("the question is SQL").get(0)
}

/// A carrier with a customer at Stripe. Its ids at Stripe end with its own.
pub struct Carrier {
    pub id: Uuid,
    pub suffix: String,
    customer: String,
}

impl Carrier {
    pub async fn create() -> Self {
        let carrier = Self::stranger();
        carrier.save().await;
        carrier
    }

    /// One whose customer is there already.
    pub async fn with_customer(customer: &str) -> Self {
        let carrier = Self { customer: customer.to_owned(), ..Self::stranger() };
        carrier.save().await;
        carrier
    }

    /// Nobody here knows it.
    pub fn stranger() -> Self {
        let id = Uuid::now_v7();
        let suffix = id.simple().to_string();
        Self { id, customer: format!("cus_{suffix}"), suffix }
    }

    async fn save(&self) {
        let Self { id, customer, .. } = self;
        run(format!(
            "INSERT INTO tenants (id, name, time_zone) VALUES ('{id}', 'Carrier', 'America/New_York'); \
             INSERT INTO stripe_customers (tenant_id, id) VALUES ('{id}', '{customer}'); \
             INSERT INTO prices (stripe_price_id, name, plan, interval, currency, amount) VALUES \
             ('price_starter', 'STARTER_MONTHLY', 'starter', 'month', 'USD', 49), \
             ('price_pro', 'PRO_MONTHLY', 'pro', 'month', 'USD', 149) ON CONFLICT DO NOTHING"
        ))
        .await;
    }

    pub fn name(&self, kind: &str) -> String {
        format!("{kind}_{}", self.suffix)
    }

    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// What billing knows of it, without what differs from carrier to carrier.
    pub async fn state(&self) -> Value {
        let state = one(format!(
            "SELECT jsonb_build_object('plan', t.plan, 'plan_ends_at', t.plan_ends_at, \
                 'subscriptions', (SELECT jsonb_agg(to_jsonb(s) - '{{id,tenant_id,version,created_at,updated_at}}'::text[] \
                                                    ORDER BY s.stripe_id) \
                                   FROM subscriptions s WHERE s.tenant_id = t.id), \
                 'invoices', (SELECT jsonb_agg(to_jsonb(i) - '{{id,tenant_id,version,created_at,updated_at}}'::text[] \
                                               ORDER BY i.stripe_id) \
                              FROM billing_invoices i WHERE i.tenant_id = t.id)) \
             FROM tenants t WHERE t.id = '{}'",
            self.id
        ))
        .await;
        serde_json::from_str(&state.to_string().replace(&self.suffix, "x")).expect("names are not JSON")
    }
}

/// How often something of a carrier was done: events told, changes of its subscriptions, its own version.
pub async fn effects(carrier: &Carrier) -> Value {
    one(format!(
        "SELECT jsonb_build_array((SELECT count(*) FROM billing_events WHERE tenant_id = '{id}'), \
         (SELECT sum(version) FROM subscriptions WHERE tenant_id = '{id}'), (SELECT version FROM tenants WHERE id = '{id}'))",
        id = carrier.id
    ))
    .await
}

/// Whether an event waits to be processed.
pub async fn waits(event: &Value) -> bool {
    let id = event["id"].as_str().expect("an event has an id");
    one(format!("SELECT to_jsonb(processed_at IS NULL) FROM stripe_events WHERE id = '{id}'")).await == json!(true)
}

pub async fn record(db: &Db, event: &Value) {
    let text = event.to_string();
    let parsed = Event::parse(text.as_bytes()).expect("the test kit writes events as Stripe does");
    inbox::record(db, &parsed, &RawValue::from_string(text).expect("it is JSON"), false).await.expect("it is stored");
}

pub fn job(event: &Value) -> Job {
    Job::Event { id: event["id"].as_str().expect("an event has an id").to_owned() }
}

/// Stores an event and does its job.
pub async fn arrive(db: &Db, event: &Value) -> Outcome {
    record(db, event).await;
    apply::process(db, None, &job(event)).await.expect("the job is done")
}

/// How a subscription lives: bought, paid within the same second, raised to the plan pro, past due, paid within the same second,
/// and then what its end is.
#[derive(Clone, Copy)]
pub enum End {
    Deleted,
    PastDue,
}

pub fn life(shape: StripeShape, carrier: &Carrier, name: &str, start: i64, end: End) -> Vec<Value> {
    let id = carrier.name(&format!("sub{name}"));
    let event_id = |n: u8| carrier.name(&format!("evt{name}{n}"));
    let mut object = shape.subscription(&id, carrier.customer(), "price_starter", start);
    let updated = "customer.subscription.updated";
    let mut events = vec![shape.event(&event_id(1), "customer.subscription.created", start, &object)];
    let mut update = |n: u8, at: i64, changes: &Value| shape.update(&event_id(n), updated, at, &mut object, changes);
    events.push(update(2, start, &json!({"status": "active"})));
    let pro = shape.other_price(&events[1]["data"]["object"], "price_pro", start);
    events.push(update(3, start + 1000, &pro));
    events.push(update(4, start + 2000, &json!({"status": "past_due"})));
    events.push(update(5, start + 2000, &json!({"status": "active"})));
    events.push(match end {
        End::PastDue => update(6, start + 3000, &json!({"status": "past_due"})),
        End::Deleted => {
            let ended = json!({"status": "canceled", "ended_at": start + 3000, "canceled_at": start + 3000});
            let mut event = update(6, start + 3000, &ended);
            event["type"] = json!("customer.subscription.deleted");
            event["data"].as_object_mut().expect("an event has data").remove("previous_attributes");
            event
        }
    });
    events
}
