//! API Gateway's management API of WebSocket connections, on a real socket: keeps what is posted to each connection, and can
//! say that one is gone, fail, be slow, or not answer at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use carhaul_core::platform::aws;
use carhaul_core::platform::sockets::{POST_DEADLINE, Sockets};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Stops answering when dropped.
pub struct ConnectionServer {
    endpoint: String,
    state: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What becomes of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// The client has it.
    Taken,
    /// The client has it after so long.
    Slow(Duration),
    /// There is no such connection any more.
    Gone,
    /// The service answers with this status.
    Fails(u16),
    /// The service does not answer.
    Hangs,
    /// The client has it, and the service does not answer.
    TakenAndHangs,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    receptions: HashMap<String, Reception>,
    received: HashMap<String, Vec<Value>>,
    closed: Vec<String>,
}

impl ConnectionServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let endpoint = format!("http://{}/live", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Shared::default());
        let router =
            Router::new().route("/live/@connections/{id}", post(take).delete(close)).with_state(Arc::clone(&state));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { endpoint, state, server }
    }

    /// Where it is, for `REALTIME_ENDPOINT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of this server, as a function has one.
    pub async fn sockets(&self) -> Sockets {
        Sockets::with_config(&self.endpoint, &aws::config_at(&self.endpoint, POST_DEADLINE).await)
    }

    /// From now on, posts to this connection end so.
    pub fn receive(&self, id: &str, reception: Reception) {
        self.state.lock().receptions.insert(id.to_owned(), reception);
    }

    /// What the client at the other end has got.
    pub fn received(&self, id: &str) -> Vec<Value> {
        self.state.lock().received.get(id).cloned().unwrap_or_default()
    }

    /// Connections that were closed by us.
    pub fn closed(&self) -> Vec<String> {
        self.state.lock().closed.clone()
    }

    /// All messages that clients have got.
    pub fn posts(&self) -> usize {
        self.state.lock().received.values().map(Vec::len).sum()
    }
}

impl Drop for ConnectionServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while they hold this lock")
    }

    fn take(&self, id: String, body: &Bytes) {
        let message = serde_json::from_slice(body).unwrap_or(Value::Null);
        self.lock().received.entry(id).or_default().push(message);
    }
}

async fn take(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let reception = shared.lock().receptions.get(&id).copied().unwrap_or(Reception::Taken);
    match reception {
        Reception::Taken => shared.take(id, &body),
        Reception::Slow(delay) => {
            tokio::time::sleep(delay).await;
            shared.take(id, &body);
        }
        Reception::Gone => return gone(),
        Reception::Fails(status) => {
            return StatusCode::from_u16(status).expect("an HTTP status").into_response();
        }
        Reception::Hangs => std::future::pending().await,
        Reception::TakenAndHangs => {
            shared.take(id, &body);
            std::future::pending().await
        }
    }
    StatusCode::OK.into_response()
}

async fn close(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let reception = shared.lock().receptions.get(&id).copied();
    match reception {
        Some(Reception::Gone) => gone(),
        Some(Reception::Fails(status)) => StatusCode::from_u16(status).expect("an HTTP status").into_response(),
        _ => {
            shared.lock().closed.push(id);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

fn gone() -> Response {
    (StatusCode::GONE, [("x-amzn-errortype", "GoneException")], "{}").into_response()
}
