//! What is accepted is handed on once it is committed, and is not lost when nobody takes it.

mod support;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use carhaul_core::executions::job::Job;
use carhaul_core::executions::{ExecutionId, stuck};
use carhaul_core::identity::api_key_secret::ApiKeySecret;
use carhaul_core::platform::db::Db;
use carhaul_testkit::{Aws, Database, TripCounter};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use self::support::{instance, role, run};

/// An instance, a carrier with an API key, and the queue that the instance sends to.
struct Stage {
    instance: Router,
    key: ApiKeySecret,
    aws: Aws,
}

impl Stage {
    async fn set() -> Self {
        Self::on(role("carhaul_api").await).await
    }

    async fn on(db: Db) -> Self {
        let (aws, key, id) = (Aws::start().await, ApiKeySecret::generate(), Uuid::now_v7());
        run(format!(
            "INSERT INTO tenants (id, name, time_zone, plan) VALUES ('{id}', 'Carrier', 'America/New_York', 'pro'); \
             INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by, last_used_at) VALUES \
             ('{id}', '{id}', 'Key', '{}', '1234', '{{executions:create,executions:read}}', '{id}', now())",
            key.hash()
        ))
        .await;
        Self { instance: instance(db, &aws), key, aws }
    }

    async fn post(&self, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
        request = request.header("authorization", format!("Bearer {}", self.key.expose()));
        request = key.iter().fold(request, |request, key| request.header("idempotency-key", *key));
        let request = request.body(Body::from(body.to_string())).expect("a test writes good requests");
        let response = self.instance.clone().oneshot(request).await.expect("the router answers everything");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body is whole");
        (status, serde_json::from_slice(&body).expect("a body is JSON"))
    }

    fn queued(&self) -> Vec<Value> {
        let messages = self.aws.take_messages();
        assert!(messages.iter().all(|message| message.queue_url.ends_with("/ai")));
        messages.into_iter().map(|message| message.body).collect()
    }
}

fn wanted() -> Value {
    json!({"skill": "extract_order", "input": {"text": "a tender"}})
}

fn permit(execution: &Value) -> Value {
    json!({"kind": "run", "execution_id": execution["id"]})
}

#[tokio::test]
async fn each_accepted_execution_is_handed_on_once_and_a_refused_one_never() {
    let stage = Stage::set().await;
    let (status, execution) = stage.post("/v1/executions", Some("key"), wanted()).await;
    assert_eq!((status, stage.queued()), (202, vec![permit(&execution)]));
    let (status, again) = stage.post("/v1/executions", Some("key"), wanted()).await;
    assert_eq!((status, again, stage.queued()), (202, execution, vec![]));
    let (status, _) = stage.post("/v1/executions", None, json!({"skill": "extract_order", "input": {}})).await;
    assert_eq!((status, stage.queued()), (422, vec![]));

    let batch = json!({"executions": vec![wanted(); 23]});
    let (status, batch) = stage.post("/v1/executions/batch", None, batch).await;
    let permits: Vec<Value> = batch["data"].as_array().expect("a batch has data").iter().map(permit).collect();
    assert_eq!((status, permits.len(), stage.queued()), (202, 23, permits));
}

#[tokio::test]
async fn what_could_not_be_queued_is_accepted_all_the_same_and_queued_by_housekeeping() {
    let stage = Stage::set().await;
    stage.aws.refuse_messages(true);
    let (status, execution) = stage.post("/v1/executions", None, wanted()).await;
    assert_eq!((status, &execution["status"]), (202, &json!("queued")));
    stage.aws.refuse_messages(false);
    let housekeeping = role("carhaul_housekeeping").await;
    let id = ExecutionId(execution["id"].as_str().and_then(|id| id.parse().ok()).expect("an id is a UUID"));
    let overdue = async || stuck::overdue(&housekeeping, 10_000, 50).await.expect("the database is up");
    assert!(!overdue().await.contains(&Job::Run { execution_id: id }), "its message may be on the way");
    run(format!("UPDATE executions SET due_at = now() - interval '3 minutes' WHERE id = '{id}'")).await;
    assert!(overdue().await.contains(&Job::Run { execution_id: id }));
    // And in the end nobody wants it any more.
    run(format!("UPDATE executions SET expires_at = now() - interval '1 minute' WHERE id = '{id}'")).await;
    assert!(stuck::expire(&housekeeping, 10_000).await.expect("the database is up") > 0);
    assert!(!overdue().await.contains(&Job::Run { execution_id: id }));
}

#[tokio::test]
async fn one_is_accepted_in_three_trips_and_a_hundred_are_too() {
    let database = Database::get().await;
    let wire = TripCounter::start(database.pooler()).await;
    let stage = Stage::on(Db::with_options(database.options_at("carhaul_api", &wire.host(), wire.port()))).await;
    let bodies = [("/v1/executions", wanted()), ("/v1/executions/batch", json!({"executions": vec![wanted(); 100]}))];
    for (path, body) in bodies {
        assert_eq!(stage.post(path, None, body.clone()).await.0, 202);
        wire.reset();
        assert_eq!(stage.post(path, None, body).await.0, 202);
        assert_eq!(wire.seen().trips, 3, "{path}");
        let text = wire.seen().statements.iter().map(String::len).max();
        assert!(text.is_some_and(|longest| longest < 16 * 1024), "{path}: {text:?}");
    }
}
