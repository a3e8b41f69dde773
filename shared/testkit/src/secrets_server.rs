//! Secrets Manager on a real socket, for functions that run as processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Database;

type Secrets = Arc<Mutex<HashMap<String, String>>>;

/// Stops answering when dropped.
pub struct SecretsServer {
    endpoint: String,
    secrets: Secrets,
    server: JoinHandle<()>,
}

impl SecretsServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let secrets = Secrets::default();
        let router = Router::new().route("/", post(read)).with_state(Arc::clone(&secrets));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { endpoint, secrets, server }
    }

    pub fn keep(&self, id: &str, text: &Value) {
        let mut secrets = self.secrets.lock().expect("nobody panics while they hold this lock");
        secrets.insert(id.to_owned(), text.to_string());
    }

    /// What is in the environment of every function that reaches the database at `place` (`host:port`) as `role`.
    pub fn environment(&self, database: &Database, role: &str, place: &str) -> Vec<(&'static str, String)> {
        let (host, port) = place.rsplit_once(':').expect("a place reads host:port");
        let login = database.login(role);
        self.keep(role, &json!({"username": login.username, "password": login.password.expose()}));
        [
            ("ENVIRONMENT", "local"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port),
            ("DATABASE_NAME", database.name()),
            ("DATABASE_TLS", "disable"),
            ("DATABASE_SECRET", role),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", "testkit"),
            ("AWS_SECRET_ACCESS_KEY", "testkit"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }
}

impl Drop for SecretsServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The body is JSON under a content type of AWS's own.
async fn read(State(secrets): State<Secrets>, body: String) -> (StatusCode, Json<Value>) {
    let request: Value = serde_json::from_str(&body).expect("Secrets Manager is spoken in JSON");
    let id = &request["SecretId"];
    let secrets = secrets.lock().expect("nobody panics while they hold this lock");
    match id.as_str().and_then(|id| secrets.get(id)) {
        Some(text) => (StatusCode::OK, Json(json!({"ARN": id, "Name": id, "SecretString": text}))),
        None => {
            (StatusCode::BAD_REQUEST, Json(json!({"__type": "ResourceNotFoundException", "message": "no such secret"})))
        }
    }
}
