//! A queue of SQS on a real socket that keeps what it is sent, and can fail or not answer.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use carhaul_core::platform::aws;
use carhaul_core::platform::queue::Queue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Stops answering when dropped.
pub struct QueueServer {
    endpoint: String,
    state: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    sent: Vec<Value>,
    hangs: bool,
    fails: bool,
}

impl QueueServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Mutex::default());
        let router = Router::new().route("/", post(take)).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { endpoint, state, server }
    }

    /// A client of this server, as a function has one.
    pub async fn queue(&self) -> Queue {
        let config = aws::config_at(&self.endpoint, Duration::from_secs(2)).await;
        Queue::with_config(&format!("{}/000000000000/queue", self.endpoint), &config)
    }

    /// The bodies of the messages, with `DelaySeconds` if they have one.
    pub fn sent(&self) -> Vec<Value> {
        lock(&self.state).sent.clone()
    }

    /// No longer answers.
    pub fn hang(&self) {
        lock(&self.state).hangs = true;
    }

    /// Answers that it is unavailable.
    pub fn fail(&self) {
        lock(&self.state).fails = true;
    }
}

impl Drop for QueueServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    state.lock().expect("nobody panics while they hold this lock")
}

async fn take(State(state): State<Arc<Mutex<Inner>>>, body: String) -> Response {
    let (hangs, fails) = {
        let inner = lock(&state);
        (inner.hangs, inner.fails)
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    if fails {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let request: Value = serde_json::from_str(&body).expect("SQS is spoken in JSON");
    let mut message: Value =
        serde_json::from_str(request["MessageBody"].as_str().unwrap_or("null")).expect("our messages are JSON");
    if let Some(delay) = request.get("DelaySeconds") {
        message["DelaySeconds"] = delay.clone();
    }
    lock(&state).sent.push(message);
    Json(json!({"MessageId": "1"})).into_response()
}
