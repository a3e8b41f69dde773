//! As much of AWS as functions speak to, on a socket: secrets, and queues whose messages a test takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use carhaul_core::platform::aws;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Database;

/// Secrets Manager and SQS. Ends with the value.
pub struct Aws {
    url: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    secrets: HashMap<String, String>,
    messages: Vec<Message>,
    hidden: Vec<(String, i64)>,
    queues: Queues,
}

/// How queues answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Queues {
    #[default]
    Take,
    Refuse,
    Fail,
    Hang,
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub queue_url: String,
    pub body: Value,
    pub delay_seconds: i64,
}

impl Aws {
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

    pub fn keep_secret(&self, id: &str, text: &Value) {
        self.shared().secrets.insert(id.to_owned(), text.to_string());
    }

    /// A client in the test's own process.
    pub fn sqs(&self) -> Client {
        client(&self.url, RetryConfig::standard())
    }

    /// A client of an AWS that does not answer.
    pub fn nobody() -> Client {
        client("http://127.0.0.1:9", RetryConfig::disabled())
    }

    /// Where it is, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn queue_url(&self) -> String {
        format!("{}/000000000000/billing", self.url)
    }

    /// What has been sent, the first first.
    pub fn messages(&self) -> Vec<Message> {
        self.shared().messages.clone()
    }

    /// What has been sent since the last time, the first first.
    pub fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut self.shared().messages)
    }

    /// Receipts of messages that were hidden since the last time, each with the seconds.
    pub fn take_hidden(&self) -> Vec<(String, i64)> {
        std::mem::take(&mut self.shared().hidden)
    }

    /// Whether queues answer from now on that they cannot.
    pub fn refuse_messages(&self, refuse: bool) {
        self.set_queues(if refuse { Queues::Refuse } else { Queues::Take });
    }

    pub(crate) fn set_queues(&self, queues: Queues) {
        self.shared().queues = queues;
    }

    /// What every function has in its environment that reaches the database at `place` (`host:port`) as `role`.
    pub fn environment(&self, database: &Database, role: &str, place: &str) -> Vec<(&'static str, String)> {
        let (host, port) = place.rsplit_once(':').expect("a place reads host:port");
        let login = database.login(role);
        self.keep_secret(role, &json!({"username": login.username, "password": login.password.expose()}));
        [
            ("ENVIRONMENT", "local"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port),
            ("DATABASE_NAME", database.name()),
            ("DATABASE_TLS", "disable"),
            ("DATABASE_SECRET", role),
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ACCESS_KEY_ID", "testkit"),
            ("AWS_SECRET_ACCESS_KEY", "testkit"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn client(url: &str, retries: RetryConfig) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("testkit", "testkit", None, None, "testkit"))
        .http_client(aws::http_client(Duration::from_secs(1)))
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .retry_config(retries);
    Client::from_conf(config.build())
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody panics while they hold this lock")
}

/// One address for all services: a header says what is wanted.
async fn call(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let queues = lock(&shared).queues;
    if matches!(queues, Queues::Hang) {
        std::future::pending::<()>().await;
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    // AWS has a content type of its own for it.
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut shared = lock(&shared);
    let refused =
        |code: &str| (StatusCode::BAD_REQUEST, Json(json!({"__type": code, "message": "refused by the test"})));
    match target {
        "secretsmanager.GetSecretValue" => {
            let id = request["SecretId"].as_str().unwrap_or_default();
            match shared.secrets.get(id) {
                Some(text) => (StatusCode::OK, Json(json!({"ARN": id, "Name": id, "SecretString": text}))),
                None => refused("ResourceNotFoundException"),
            }
        }
        _ if matches!(queues, Queues::Refuse) => refused("com.amazonaws.sqs#QueueDoesNotExist"),
        _ if matches!(queues, Queues::Fail) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({}))),
        "AmazonSQS.SendMessage" => (StatusCode::OK, Json(shared.take(&request["QueueUrl"], &request))),
        "AmazonSQS.SendMessageBatch" => {
            let entries = request["Entries"].as_array().cloned().unwrap_or_default();
            let sent: Vec<Value> = entries.iter().map(|entry| shared.take(&request["QueueUrl"], entry)).collect();
            (StatusCode::OK, Json(json!({"Successful": sent, "Failed": []})))
        }
        "AmazonSQS.ChangeMessageVisibility" => {
            let receipt = request["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
            shared.hidden.push((receipt, request["VisibilityTimeout"].as_i64().unwrap_or_default()));
            (StatusCode::OK, Json(json!({})))
        }
        _ => refused("UnknownOperationException"),
    }
}

impl Shared {
    fn take(&mut self, queue_url: &Value, message: &Value) -> Value {
        let body = message["MessageBody"].as_str().unwrap_or_default();
        self.messages.push(Message {
            queue_url: queue_url.as_str().unwrap_or_default().to_owned(),
            body: serde_json::from_str(body).expect("our messages are JSON"),
            delay_seconds: message["DelaySeconds"].as_i64().unwrap_or_default(),
        });
        json!({"Id": message["Id"], "MessageId": Uuid::now_v7().to_string(), "MD5OfMessageBody": ""})
    }
}
