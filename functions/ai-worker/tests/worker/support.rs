//! Carriers, what they ask for, and workers.

use std::sync::OnceLock;

use carhaul_ai_worker::Worker;
use carhaul_core::base::clock::Clock;
use carhaul_core::base::ids::TenantId;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::accept::{self, Wanted};
use carhaul_core::executions::run::Runner;
use carhaul_core::identity::actor::{Actor, Verified};
use carhaul_core::identity::tokens::VerifiedToken;
use carhaul_core::platform::batch::{Batch, Failures};
use carhaul_core::platform::config::ProvidersConfig;
use carhaul_core::platform::db::{Counted, Db};
use carhaul_core::platform::envelope::Envelope;
use carhaul_core::platform::idempotency::StoredAnswer;
use carhaul_core::platform::queue::Queue;
use carhaul_core::provider_keys::Vault;
use carhaul_core::providers::Providers;
use carhaul_testkit::{Aws, Database};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

pub const ROLE: &str = "carhaul_ai";

/// More than most tests ever use, so that a carrier may have as many as it likes.
const SLOTS: i32 = 1_000;

/// Whose turn it is is decided over all carriers, those of other tests too: these tests take turns, and start with nothing due.
pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: OnceLock<Mutex<()>> = OnceLock::new();
    // What a worker logs is worth seeing in a failed test.
    carhaul_core::platform::telemetry::init("error");
    let turn = TURN.get_or_init(Mutex::default).lock().await;
    run("UPDATE executions SET status = 'cancelled' WHERE status IN ('queued', 'running'); DELETE FROM ai_slots").await;
    turn
}

/// As if the time of every lease and back-off were over.
pub async fn time_passes() {
    run("UPDATE executions SET due_at = now() - interval '1 second' WHERE status IN ('queued', 'running') AND due_at > now(); \
         UPDATE ai_slots SET held_until = now() - interval '1 second'")
    .await;
}

pub async fn superuser() -> PgConnection {
    Database::get().await.direct().connect().await.expect("the database is up")
}

pub async fn run(sql: impl Into<String>) {
    superuser().await.execute(sqlx::raw_sql(AssertSqlSafe(sql.into()))).await.expect("the statement is SQL");
}

pub async fn one(sql: impl Into<String>) -> Value {
    let sql = format!("SELECT coalesce(to_jsonb(({})), 'null')", sql.into());
    superuser().await.fetch_one(AssertSqlSafe(sql)).await.expect("the question is SQL").get(0)
}

pub async fn runner() -> Runner {
    runner_on(Db::with_options(Database::get().await.options(ROLE)))
}

/// One that can open no key of a provider.
pub fn runner_on(db: Db) -> Runner {
    runner_with(db, vault("http://127.0.0.1:9", Envelope::new("none")))
}

/// One that nudges nobody.
pub fn runner_with(db: Db, vault: Vault) -> Runner {
    let nudges = Queue::new("http://127.0.0.1:9/realtime");
    Runner { db, vault, nudges, clock: Clock::system(), slots: SLOTS }
}

/// All providers are asked at this address.
pub fn vault(url: &str, envelope: Envelope) -> Vault {
    let config = ProvidersConfig {
        anthropic_api_base: url.to_owned(),
        gemini_api_base: url.to_owned(),
        openai_api_base: format!("{url}/v1"),
        allow_private_base_urls: true,
    };
    Vault::new(Providers::new(config, Clock::system()), envelope, Clock::system())
}

pub async fn worker(aws: &Aws) -> Worker {
    worker_with(aws, runner().await)
}

pub fn worker_with(aws: &Aws, runner: Runner) -> Worker {
    let queue = |name: &str| Queue::with_client(&format!("{}/{name}", aws.queue_url()), aws.sqs());
    Worker {
        runner: Runner { nudges: queue("realtime"), ..runner },
        queue: queue("ai"),
        dead_letters: queue("ai-dead-letters"),
        environment: "local",
    }
}

/// A batch as SQS delivers it: the receipt of each message is its id.
pub fn batch(messages: &[(&str, Value)]) -> Batch {
    let record = |(id, body): &(&str, Value)| json!({"messageId": id, "receiptHandle": id, "body": body.to_string()});
    let records: Vec<Value> = messages.iter().map(record).collect();
    serde_json::from_value(json!({"Records": records})).expect("a batch")
}

pub fn permit(id: ExecutionId) -> Value {
    json!({"kind": "run", "execution_id": id})
}

/// Does a batch with all the time that a worker has.
pub async fn work(worker: &Worker, messages: &[(&str, Value)]) -> Value {
    let until = Clock::system().now() + TimeDelta::seconds(300);
    let failures: Failures = worker.work(batch(messages), until).await;
    let failures = serde_json::to_value(failures).expect("an answer is JSON");
    let ids = failures["batchItemFailures"].as_array().expect("a list").iter().map(|it| it["itemIdentifier"].clone());
    ids.collect()
}

/// A carrier, and the API key that it asks with.
#[derive(Clone)]
pub struct Carrier {
    pub id: Uuid,
    user: Uuid,
    hash: String,
}

impl Carrier {
    pub async fn create() -> Self {
        Self::create_on("pro").await
    }

    pub async fn create_on(plan: &str) -> Self {
        let (id, user, hash) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7().simple().to_string());
        run(format!(
            "INSERT INTO users (id, issuer, subject) VALUES ('{user}', 'https://issuer.test', '{user}'); \
             INSERT INTO tenants (id, name, time_zone, plan) VALUES ('{id}', 'Carrier', 'America/New_York', '{plan}'); \
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{id}', '{user}', 'owner'); \
             INSERT INTO number_sequences (tenant_id, kind) VALUES ('{id}', 'order'); \
             INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by, last_used_at) VALUES \
             ('{id}', '{user}', 'Key', '{hash}', '1234', '{{executions:create,executions:read,executions:review,orders:write}}', \
              '{user}', now())"
        ))
        .await;
        Self { id, user, hash }
    }

    pub fn actor(&self) -> Actor {
        Actor {
            credential: Verified::ApiKey { hash: self.hash.clone() },
            tenant: Some(TenantId(self.id)),
            request_id: Uuid::now_v7(),
            counted: Counted::default(),
        }
    }

    /// Its owner, signed in.
    pub fn owner(&self) -> Actor {
        let token = VerifiedToken {
            issuer: "https://issuer.test".into(),
            subject: self.user.to_string(),
            email: None,
            email_verified: false,
            name: None,
            expires_at: Clock::system().now() + TimeDelta::hours(1),
        };
        Actor { credential: Verified::User(token), ..self.actor() }
    }

    /// As the API closes it.
    pub async fn close(&self) {
        run(format!(
            "BEGIN; SELECT FROM app.enter('user', 'https://issuer.test', '{}', '{}', NULL); SELECT app.close_tenant(); COMMIT",
            self.user, self.id
        ))
        .await;
    }

    /// Asks for executions, as `ai-dispatch` does; the refusal as text.
    pub async fn try_ask(&self, skill: &str, inputs: &[Value]) -> Result<Vec<ExecutionId>, String> {
        self.try_ask_while(skill, inputs, async {}).await
    }

    /// Something else happens before it is committed.
    pub async fn try_ask_while(
        &self,
        skill: &str,
        inputs: &[Value],
        meanwhile: impl Future<Output = ()>,
    ) -> Result<Vec<ExecutionId>, String> {
        let db = Db::with_options(Database::get().await.options("carhaul_api"));
        let wanted = inputs.iter().map(|input| json!({"skill": skill, "input": input})).collect();
        let wanted = Wanted::many(serde_json::from_value(Value::Array(wanted)).expect("what can be asked for"));
        let accepted = accept::accept(&db, &self.actor(), None, wanted.expect("not too many")).await;
        let (tx, accepted) = accepted.map_err(|refusal| refusal.to_string())?;
        meanwhile.await;
        let answer = StoredAnswer { status: 202, headers: json!({}), body: String::new() };
        tx.commit(&answer).await.map_err(|error| error.to_string())?;
        Ok(accepted.into_iter().map(|execution| execution.id).collect())
    }

    pub async fn ask(&self, skill: &str, inputs: &[Value]) -> Vec<ExecutionId> {
        self.try_ask(skill, inputs).await.expect("it is accepted")
    }

    /// Asks for so many drafts of orders.
    pub async fn ask_for(&self, count: usize) -> Vec<ExecutionId> {
        let mut ids = Vec::new();
        let inputs = vec![a_tender(); count];
        for inputs in inputs.chunks(100) {
            ids.extend(self.ask("extract_order", inputs).await);
        }
        ids
    }

    pub async fn used(&self) -> Value {
        one(format!(
            "SELECT coalesce((SELECT used FROM counters WHERE tenant_id = '{}' AND name = 'ai_executions'), 0)",
            self.id
        ))
        .await
    }

    /// How many of its executions are in this status.
    pub async fn in_status(&self, status: &str) -> Value {
        one(format!("SELECT count(*) FROM executions WHERE tenant_id = '{}' AND status = '{status}'", self.id)).await
    }
}

pub async fn execution(id: ExecutionId) -> Value {
    one(format!("SELECT to_jsonb(e) FROM executions e WHERE id = '{id}'")).await
}

pub fn a_tender() -> Value {
    json!({"text": "Load ID: LB-48213\nPickup: Lexington, KY 40511\nDelivery: Dallas, TX 75201\nRate: $900\n\
                    2005 Buick LeSabre VIN 1G4AH59H45G118341"})
}
