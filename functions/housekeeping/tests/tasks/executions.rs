//! Executions that were accepted while the queue was down, or whose worker died: from the request to the result.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use carhaul_ai_dispatch::app::{App, Nudges, service};
use carhaul_ai_worker::Worker;
use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Error;
use carhaul_core::executions::run::Runner;
use carhaul_core::identity::api_key_secret::ApiKeySecret;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::platform::config::{OidcConfig, ProvidersConfig, SigningAlgorithm};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::envelope::Envelope;
use carhaul_core::provider_keys::Vault;
use carhaul_core::providers::Providers;
use carhaul_housekeeping::{Tended, tend_executions};
use carhaul_testkit::QueueServer;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::support::{OwnDatabase, ROLE};

const SLOTS: i32 = 50;

/// Who accepts, who tends, who runs, and the queue between them.
struct World {
    database: OwnDatabase,
    server: QueueServer,
    dispatch: Router,
    worker: Worker,
    housekeeping: Db,
}

/// A carrier, and the API key that it asks with.
struct Carrier {
    id: Uuid,
    key: ApiKeySecret,
}

impl World {
    async fn create() -> Self {
        let (database, server, clock) = (OwnDatabase::create().await, QueueServer::start().await, Clock::system());
        // An API key asks no issuer, and rules no provider.
        let nobody = "http://127.0.0.1:9".to_owned();
        let oidc = OidcConfig {
            issuer: nobody.clone(),
            discovery_url: None,
            audiences: vec!["carhaul".into()],
            algorithms: vec![SigningAlgorithm::Rs256],
        };
        let app = App {
            db: database.seen_by("carhaul_api").await,
            verifier: TokenVerifier::new(&oidc, clock.clone()),
            queue: server.queue().await,
            nudges: Nudges(server.queue().await),
            clock: clock.clone(),
            environment: "local",
        };
        let providers = ProvidersConfig {
            anthropic_api_base: nobody.clone(),
            gemini_api_base: nobody.clone(),
            openai_api_base: nobody,
            allow_private_base_urls: true,
        };
        let vault = Vault::new(Providers::new(providers, clock.clone()), Envelope::new("none"), clock.clone());
        let worker = Worker {
            runner: Runner {
                db: database.seen_by("carhaul_ai").await,
                vault,
                nudges: server.queue().await,
                clock,
                slots: SLOTS,
            },
            queue: server.queue().await,
            dead_letters: server.queue().await,
            environment: "local",
        };
        let housekeeping = database.seen_by(ROLE).await;
        Self { dispatch: service(app), worker, housekeeping, database, server }
    }

    async fn carrier(&self) -> Carrier {
        let carrier = Carrier { id: Uuid::now_v7(), key: ApiKeySecret::generate() };
        let (id, hash) = (carrier.id, carrier.key.hash());
        self.database
            .run(&format!(
                "INSERT INTO tenants (id, name, time_zone, plan) VALUES ('{id}', 'Carrier', 'America/New_York', 'pro'); \
                 INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by, last_used_at) VALUES \
                 ('{id}', '{id}', 'Key', '{hash}', '1234', '{{executions:create,executions:read}}', '{id}', now())"
            ))
            .await;
        carrier
    }

    async fn ask(&self, carrier: &Carrier, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", carrier.key.expose()));
        let answer = self.dispatch.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Accepts so many executions; their ids.
    async fn accept(&self, carrier: &Carrier, count: usize) -> Vec<Value> {
        let wanted = json!({"skill": "extract_order", "input": {"text": "Rate: $900\nVIN 1G4AH59H45G118341"}});
        let (status, batch) =
            self.ask(carrier, Method::POST, "/v1/executions/batch", &json!({"executions": vec![wanted; count]})).await;
        assert_eq!(status, 202, "{batch}");
        batch["data"].as_array().unwrap().iter().map(|execution| execution["id"].clone()).collect()
    }

    async fn get(&self, carrier: &Carrier, id: &Value) -> (u16, Value) {
        self.ask(carrier, Method::GET, &format!("/v1/executions/{}", id.as_str().unwrap()), &Value::Null).await
    }

    async fn tend(&self) -> Result<Tended, Error> {
        tend_executions(&self.housekeeping, &self.server.queue().await, SLOTS).await
    }

    /// As if all that waits had waited for longer than the queue is given.
    async fn time_passes(&self) {
        self.database.run("UPDATE executions SET due_at = due_at - interval '3 minutes'").await;
    }

    /// Delivers each message of the queue so many times.
    async fn work(&self, times: usize) {
        let messages = self.server.take_sent();
        let record = |message: &Value| json!({"messageId": "1", "receiptHandle": "1", "body": message.to_string()});
        let records: Vec<Value> = messages.iter().flat_map(|message| vec![record(message); times]).collect();
        let batch = serde_json::from_value(json!({"Records": records})).unwrap();
        let failures = self.worker.work(batch, Clock::system().now() + TimeDelta::seconds(300)).await;
        assert_eq!(serde_json::to_value(failures).unwrap(), json!({"batchItemFailures": []}));
    }

    /// What the plan has counted, and what was booked as succeeded.
    async fn counted(&self, carrier: &Carrier) -> Value {
        let of = |table: &str, what: &str, more: &str| {
            format!("coalesce((SELECT sum({what}) FROM {table} WHERE tenant_id = '{}'{more}), 0)", carrier.id)
        };
        let used = of("counters", "used", " AND name = 'ai_executions'");
        self.database.one(&format!("SELECT jsonb_build_array({used}, {})", of("ai_usage", "succeeded", ""))).await
    }
}

fn permits(ids: &[Value]) -> Vec<Value> {
    ids.iter().map(|id| json!({"kind": "run", "execution_id": id})).collect()
}

#[tokio::test]
async fn what_is_accepted_while_the_queue_is_down_is_run_once_it_is_up_and_counts_once() {
    let world = World::create().await;
    let (carrier, other) = (world.carrier().await, world.carrier().await);
    world.server.fail();
    let ids = world.accept(&carrier, 3).await;
    // Its message may be on the way.
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 0, expired: 0, held: 0 });

    world.time_passes().await;
    for _ in 0..2 {
        let failed = world.tend().await.unwrap_err();
        assert!(matches!(failed, Error::Unavailable { .. }), "{failed:?}");
        assert_eq!(world.server.sent(), [json!(null); 0]);
        for id in &ids {
            assert_eq!(world.get(&carrier, id).await.1["status"], "queued", "nothing is lost");
        }
    }

    world.server.recover();
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 3, expired: 0, held: 0 });
    assert_eq!(world.server.sent(), permits(&ids));
    world.work(2).await;
    for id in &ids {
        let (_, done) = world.get(&carrier, id).await;
        assert_eq!((&done["status"], &done["attempt"]), (&json!("succeeded"), &json!(1)), "{done}");
        assert_eq!(world.get(&other, id).await.0, 404);
    }
    assert_eq!((world.counted(&carrier).await, world.counted(&other).await), (json!([3, 3]), json!([0, 0])));
    world.time_passes().await;
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 0, expired: 0, held: 0 });
    world.database.drop().await;
}

#[tokio::test]
async fn a_queue_that_hangs_is_not_waited_for_and_loses_nothing() {
    let world = World::create().await;
    let carrier = world.carrier().await;
    world.server.hang();
    // As many messages as ten calls of the queue take.
    let begun = Instant::now();
    let ids = world.accept(&carrier, 100).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    world.server.recover();
    world.time_passes().await;
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 100, expired: 0, held: 0 });
    assert_eq!(world.server.sent().len(), 100);
    world.work(1).await;
    assert_eq!((ids.len(), world.counted(&carrier).await), (100, json!([100, 100])));
    world.database.drop().await;
}

#[tokio::test]
async fn what_a_dead_worker_had_is_queued_again_once_its_lease_is_over_and_what_nobody_wants_any_more_ends() {
    let world = World::create().await;
    let (carrier, other) = (world.carrier().await, world.carrier().await);
    let (ids, theirs) = (world.accept(&carrier, 3).await, world.accept(&other, 1).await);
    world.server.take_sent();
    let set = async |id: &Value, what: &str| {
        world.database.run(&format!("UPDATE executions SET {what} WHERE id = '{}'", id.as_str().unwrap())).await;
    };
    set(&ids[0], "status = 'running', attempt = 1, due_at = now() - interval '3 minutes'").await;
    set(&ids[1], "status = 'running', attempt = 1, due_at = now() + interval '1 minute'").await;
    set(&ids[2], "expires_at = now() - interval '1 second'").await;
    set(&theirs[0], "status = 'running', attempt = 3, due_at = now() - interval '1 hour'").await;
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 2, expired: 1, held: 0 });
    // Whoever waits for longest comes first, whoever it belongs to.
    assert_eq!(world.server.sent(), permits(&[theirs[0].clone(), ids[0].clone()]));
    world.work(2).await;
    let seen = async |carrier: &Carrier, id: &Value| {
        let (_, now) = world.get(carrier, id).await;
        (now["status"].clone(), now["attempt"].clone())
    };
    assert_eq!(seen(&carrier, &ids[0]).await, (json!("succeeded"), json!(2)));
    assert_eq!(seen(&carrier, &ids[1]).await, (json!("running"), json!(1)), "its worker is alive");
    assert_eq!(seen(&carrier, &ids[2]).await.0, "expired");
    assert_eq!(seen(&other, &theirs[0]).await, (json!("succeeded"), json!(4)));
    // What runs counts, what expired does not.
    assert_eq!((world.counted(&carrier).await, world.counted(&other).await), (json!([2, 1]), json!([1, 1])));
    world.database.drop().await;
}

#[tokio::test]
async fn what_waits_for_its_own_carriers_others_is_no_message_lost_until_they_are_dead() {
    let world = World::create().await;
    let (carrier, other) = (world.carrier().await, world.carrier().await);
    let (ids, theirs) = (world.accept(&carrier, 30).await, world.accept(&other, 1).await);
    world.server.take_sent();
    world.time_passes().await;
    // Half of the slots are the carrier's, and its workers are alive.
    let held = |until: &str| {
        format!(
            "INSERT INTO ai_slots (tenant_id, execution_id, attempt, claim_id, held_until) \
             SELECT tenant_id, id, 1, id, now() + interval '{until}' FROM executions WHERE tenant_id = '{}' ORDER BY id LIMIT {} \
             ON CONFLICT (tenant_id, execution_id) DO UPDATE SET held_until = excluded.held_until; \
             UPDATE executions e SET status = 'running', attempt = 1, due_at = s.held_until FROM ai_slots s WHERE s.execution_id = e.id",
            carrier.id,
            SLOTS / 2
        )
    };
    world.database.run(&held("1 minute")).await;
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 1, expired: 0, held: 5 });
    assert_eq!(world.server.take_sent(), permits(&theirs));
    // They died.
    world.database.run(&held("-3 minutes")).await;
    assert_eq!(world.tend().await.unwrap(), Tended { requeued: 31, expired: 0, held: 0 });
    world.work(1).await;
    assert_eq!(
        (ids.len(), world.counted(&carrier).await, world.counted(&other).await),
        (30, json!([30, 30]), json!([1, 1]))
    );
    world.database.drop().await;
}
