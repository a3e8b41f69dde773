//! An OpenID Connect issuer on a real socket, which can rotate its keys, answer slowly, wrongly or not at all.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::keys::SigningKey;
use crate::token::TokenBuilder;

/// The audience that tokens are made for unless a test says otherwise.
pub const AUDIENCE: &str = "carhaul-test";

/// Stops answering when dropped.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<IssuerState>,
    server: Mutex<Option<JoinHandle<()>>>,
}

struct IssuerState {
    url: String,
    behaviour: Mutex<Behaviour>,
    discovery_fetches: AtomicUsize,
    key_fetches: AtomicUsize,
}

#[derive(Default)]
struct Behaviour {
    /// The last one signs.
    keys: Vec<Arc<SigningKey>>,
    extra_keys: Vec<Value>,
    discovery: Option<Value>,
    delay: Duration,
    status: Option<StatusCode>,
}

impl Issuer {
    /// Signs with RS256.
    pub async fn start() -> Self {
        Self::with_key(SigningKey::rsa()).await
    }

    /// Signs with ES256.
    pub async fn start_es256() -> Self {
        Self::with_key(SigningKey::ec()).await
    }

    async fn with_key(key: SigningKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let address = listener.local_addr().expect("a bound socket has an address");
        let behaviour = Behaviour { keys: vec![Arc::new(key)], ..Behaviour::default() };
        let state = Arc::new(IssuerState {
            url: format!("http://{address}"),
            behaviour: Mutex::new(behaviour),
            discovery_fetches: AtomicUsize::new(0),
            key_fetches: AtomicUsize::new(0),
        });
        let server = Mutex::new(Some(serve(listener, Arc::clone(&state))));
        Self { address, state, server }
    }

    /// What tokens name as their issuer.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.state.url)
    }

    /// A token of this issuer, good for an hour, signed with its present key.
    pub fn token(&self) -> TokenBuilder {
        TokenBuilder::new(self.url(), AUDIENCE, self.key())
    }

    /// The key that signs now.
    pub fn key(&self) -> Arc<SigningKey> {
        Arc::clone(self.behaviour().keys.last().expect("an issuer always has a key"))
    }

    /// Signs with a new key of the same kind from now on; the old ones stay published.
    pub fn rotate(&self) {
        let next = Arc::new(self.key().another());
        self.behaviour().keys.push(next);
    }

    /// No longer publishes any key but the one that signs now.
    pub fn withdraw_old_keys(&self) {
        let current = self.key();
        self.behaviour().keys = vec![current];
    }

    /// Publishes `jwk` beside its own keys.
    pub fn publish(&self, jwk: Value) {
        self.behaviour().extra_keys.push(jwk);
    }

    /// Answers with `document` instead of its own discovery document.
    pub fn answer_discovery_with(&self, document: Value) {
        self.behaviour().discovery = Some(document);
    }

    /// Waits so long before each answer.
    pub fn delay(&self, delay: Duration) {
        self.behaviour().delay = delay;
    }

    /// Answers every request with this status; `None` ends it.
    pub fn fail_with(&self, status: Option<u16>) {
        self.behaviour().status = status.map(|code| StatusCode::from_u16(code).expect("an HTTP status"));
    }

    /// From now on connections are refused.
    pub async fn stop(&self) {
        let server = self.server.lock().expect("no test panics while it holds this lock").take();
        if let Some(server) = server {
            server.abort();
            // Its socket is closed once it is gone.
            let _ = server.await;
        }
    }

    /// Answers again, at the same address, after [`Issuer::stop`].
    pub async fn restart(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        let server = serve(listener, Arc::clone(&self.state));
        *self.server.lock().expect("no test panics while it holds this lock") = Some(server);
    }

    /// How often the discovery document was asked for.
    pub fn discovery_fetches(&self) -> usize {
        self.state.discovery_fetches.load(Ordering::SeqCst)
    }

    /// How often the key set was asked for.
    pub fn key_fetches(&self) -> usize {
        self.state.key_fetches.load(Ordering::SeqCst)
    }

    fn behaviour(&self) -> std::sync::MutexGuard<'_, Behaviour> {
        self.state.behaviour()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Ok(Some(server)) = self.server.get_mut().map(Option::take) {
            server.abort();
        }
    }
}

impl IssuerState {
    fn behaviour(&self) -> std::sync::MutexGuard<'_, Behaviour> {
        self.behaviour.lock().expect("no test panics while it holds this lock")
    }

    async fn answer(&self, document: Value) -> Response {
        let (delay, status) = {
            let behaviour = self.behaviour();
            (behaviour.delay, behaviour.status)
        };
        tokio::time::sleep(delay).await;
        match status {
            Some(status) => status.into_response(),
            None => Json(document).into_response(),
        }
    }
}

fn serve(listener: TcpListener, state: Arc<IssuerState>) -> JoinHandle<()> {
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .with_state(state);
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
}

async fn discovery(State(issuer): State<Arc<IssuerState>>) -> Response {
    issuer.discovery_fetches.fetch_add(1, Ordering::SeqCst);
    let own = || json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)});
    let document = issuer.behaviour().discovery.clone().unwrap_or_else(own);
    issuer.answer(document).await
}

async fn keys(State(issuer): State<Arc<IssuerState>>) -> Response {
    issuer.key_fetches.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<Value> = {
        let behaviour = issuer.behaviour();
        behaviour.keys.iter().map(|key| key.jwk()).chain(behaviour.extra_keys.iter().cloned()).collect()
    };
    issuer.answer(json!({"keys": keys})).await
}
