//! A queue of SQS on a real socket that keeps what it is sent, and can fail or not answer.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_sqs::Client;
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
        Queue::with_client(&self.url(), Client::new(&config))
    }

    /// Where the API is, for `AWS_ENDPOINT_URL_SQS`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The queue's own.
    pub fn url(&self) -> String {
        format!("{}/000000000000/queue", self.endpoint)
    }

    /// The bodies of the messages, with `DelaySeconds` if they have one.
    pub fn sent(&self) -> Vec<Value> {
        lock(&self.state).sent.clone()
    }

    /// What has been sent since the last time, and is forgotten.
    pub fn take_sent(&self) -> Vec<Value> {
        std::mem::take(&mut lock(&self.state).sent)
    }

    /// No longer answers.
    pub fn hang(&self) {
        lock(&self.state).hangs = true;
    }

    /// Answers that it is unavailable.
    pub fn fail(&self) {
        lock(&self.state).fails = true;
    }

    /// Answers again.
    pub fn recover(&self) {
        let mut inner = lock(&self.state);
        (inner.hangs, inner.fails) = (false, false);
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
    let mut inner = lock(&state);
    let Some(batch) = request["Entries"].as_array() else {
        return Json(inner.keep(&request)).into_response();
    };
    let sent: Vec<Value> = batch.iter().map(|entry| inner.keep(entry)).collect();
    Json(json!({"Successful": sent, "Failed": []})).into_response()
}

impl Inner {
    /// Keeps what a request, or an entry of one, sends; gives the answer to it.
    fn keep(&mut self, entry: &Value) -> Value {
        let mut message: Value =
            serde_json::from_str(entry["MessageBody"].as_str().unwrap_or("null")).expect("our messages are JSON");
        if let Some(delay) = entry.get("DelaySeconds") {
            message["DelaySeconds"] = delay.clone();
        }
        self.sent.push(message);
        json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": ""})
    }
}
