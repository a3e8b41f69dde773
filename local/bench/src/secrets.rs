//! As much of AWS Secrets Manager as a function reads: one answer, at the speed of this machine.

use axum::Json;
use axum::Router;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::database::{API, password};

pub struct SecretsManager {
    /// `host:port`.
    pub address: String,
    server: JoinHandle<()>,
}

impl SecretsManager {
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new().route("/", post(secret_value));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, server })
    }
}

impl Drop for SecretsManager {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn secret_value() -> Json<Value> {
    let login = json!({"username": API, "password": password(API)}).to_string();
    Json(
        json!({"ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:api", "Name": "api", "SecretString": login}),
    )
}
