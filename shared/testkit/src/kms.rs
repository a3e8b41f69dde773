//! AWS KMS, as far as envelopes need it, on a socket: data keys that open only with the encryption context that they were
//! made with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::rand;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carhaul_core::platform::aws;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Ends with the value.
pub struct Kms {
    url: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// By the ciphertext: the key, and the key in KMS and context that it was made with.
    made: HashMap<String, (String, Value)>,
    is_down: bool,
}

impl Kms {
    pub const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/of-the-test";

    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::<Mutex<Shared>>::default();
        let router = Router::new().route("/", post(call)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, shared, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> Client {
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("testkit", "testkit", None, None, "testkit"))
            .http_client(aws::http_client(Duration::from_secs(1)))
            .endpoint_url(&self.url)
            .region(Region::from_static("us-east-1"));
        Client::from_conf(config.build())
    }

    /// Whether it answers from now on that it cannot.
    pub fn go_down(&self, is_down: bool) {
        self.shared().is_down = is_down;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody panics while they hold this lock")
}

fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system has random bytes");
    BASE64_STANDARD.encode(bytes)
}

async fn call(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    // Its type is not one that axum takes for JSON.
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut shared = lock(&shared);
    if shared.is_down {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "KMSInternalException");
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let made_with = json!([request["KeyId"], request["EncryptionContext"]]);
    let answer = match target {
        "TrentService.GenerateDataKey" => {
            let (plaintext, ciphertext) = (random(), random());
            shared.made.insert(ciphertext.clone(), (plaintext.clone(), made_with));
            json!({"KeyId": request["KeyId"], "Plaintext": plaintext, "CiphertextBlob": ciphertext})
        }
        "TrentService.Decrypt" => match shared.made.get(request["CiphertextBlob"].as_str().unwrap_or_default()) {
            Some((plaintext, of)) if *of == made_with => json!({"KeyId": request["KeyId"], "Plaintext": plaintext}),
            _ => return refusal(StatusCode::BAD_REQUEST, "InvalidCiphertextException"),
        },
        _ => return refusal(StatusCode::BAD_REQUEST, "UnknownOperationException"),
    };
    Json(answer).into_response()
}

fn refusal(status: StatusCode, kind: &str) -> Response {
    (status, Json(json!({"__type": kind, "message": "refused by the test"}))).into_response()
}
