//! A database of its own for a test: housekeeping works for all carriers, other tests' too.

use carhaul_core::billing::apply;
use carhaul_core::billing::job::Job;
use carhaul_core::platform::db::Db;
use carhaul_migrate::migrate;
use carhaul_testkit::Database;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use uuid::Uuid;

pub const ROLE: &str = "carhaul_housekeeping";
const ROLES: [&str; 5] = ["carhaul_api", "carhaul_billing", "carhaul_ai", "carhaul_realtime", ROLE];

pub struct OwnDatabase {
    pub name: String,
}

impl OwnDatabase {
    pub async fn create() -> Self {
        let testkit = Database::get().await;
        let own = Self { name: format!("housekeeping_{}", Uuid::now_v7().simple()) };
        let roles = ROLES.map(|role| testkit.login(role).clone());
        migrate(&own.superuser(testkit), testkit.login("carhaul_owner"), &roles).await.unwrap();
        own
    }

    /// The database as a function of this role sees it.
    pub async fn seen_by(&self, role: &str) -> Db {
        Db::with_options(Database::get().await.options(role).database(&self.name))
    }

    pub async fn run(&self, sql: &str) {
        let mut server = self.superuser(Database::get().await).connect().await.unwrap();
        server.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    pub async fn one(&self, sql: &str) -> Value {
        let mut server = self.superuser(Database::get().await).connect().await.unwrap();
        server.fetch_one(AssertSqlSafe(sql)).await.unwrap().get(0)
    }

    /// A carrier with this customer at Stripe.
    pub async fn carrier(&self, customer: &str) -> Uuid {
        let id = Uuid::now_v7();
        self.run(&format!(
            "INSERT INTO tenants (id, name, time_zone) VALUES ('{id}', 'Carrier', 'UTC'); \
             INSERT INTO stripe_customers (tenant_id, id) VALUES ('{id}', '{customer}'); \
             INSERT INTO prices (stripe_price_id, name, plan, interval, currency, amount) VALUES \
             ('price_starter', 'STARTER_MONTHLY', 'starter', 'month', 'USD', 49), \
             ('price_pro', 'PRO_MONTHLY', 'pro', 'month', 'USD', 149) ON CONFLICT DO NOTHING"
        ))
        .await;
        id
    }

    pub async fn plan(&self, carrier: Uuid) -> Value {
        self.one(&format!("SELECT to_jsonb(plan) FROM tenants WHERE id = '{carrier}'")).await
    }

    pub async fn drop(self) {
        let mut server = Database::get().await.direct().connect().await.unwrap();
        server.execute(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name))).await.unwrap();
    }

    fn superuser(&self, testkit: &Database) -> PgConnectOptions {
        testkit.direct().database(&self.name)
    }
}

/// What the worker makes of these messages.
pub async fn work(
    database: &OwnDatabase,
    stripe: Option<&carhaul_core::billing::stripe::client::Stripe>,
    messages: &[Value],
) -> Vec<apply::Outcome> {
    let db = database.seen_by("carhaul_billing").await;
    let mut outcomes = Vec::new();
    for message in messages {
        let job: Job = serde_json::from_value(message.clone()).unwrap();
        outcomes.push(apply::process(&db, stripe, &job).await.unwrap());
    }
    outcomes
}
