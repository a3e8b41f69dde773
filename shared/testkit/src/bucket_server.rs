//! A bucket of S3 on a real socket, with objects in memory. It looks at no signature: the local stack's does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use base64::prelude::{BASE64_STANDARD, Engine};
use carhaul_core::platform::aws;
use carhaul_core::platform::bucket::Bucket;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Stops answering when dropped.
pub struct BucketServer {
    url: String,
    state: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    /// Type and bytes.
    objects: BTreeMap<String, (String, Vec<u8>)>,
    fails: bool,
    fails_after: Option<usize>,
}

impl Inner {
    fn is_down(&mut self) -> bool {
        if let Some(left) = &mut self.fails_after {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => (self.fails, self.fails_after) = (true, None),
            }
        }
        self.fails
    }
}

impl BucketServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let url = format!("http://{}/bucket", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Mutex::default());
        let router = Router::new()
            .route("/bucket", get(list))
            .route("/bucket/{*key}", any(answer))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, state, server }
    }

    /// It, as a function has it.
    pub async fn bucket(&self) -> Bucket {
        Bucket::with_access(&self.url, aws::config_at(&self.url, Duration::from_secs(2)).await)
    }

    /// For `DOCUMENTS_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts an object there, as an upload does.
    pub fn put(&self, key: &str, content_type: &str, bytes: &[u8]) {
        lock(&self.state).objects.insert(key.to_owned(), (content_type.to_owned(), bytes.to_owned()));
    }

    /// What is there.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.state).objects.keys().cloned().collect()
    }

    /// The bytes of an object.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.state).objects.get(key).map(|(_, bytes)| bytes.clone())
    }

    /// Answers that it is unavailable, or answers again.
    pub fn fail(&self, fails: bool) {
        lock(&self.state).fails = fails;
    }

    /// Breaks down after so many more requests.
    pub fn fail_after(&self, requests: usize) {
        lock(&self.state).fails_after = Some(requests);
    }
}

/// In hex, as documents are announced.
pub fn sha256_of(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    state.lock().expect("nobody panics while they hold this lock")
}

#[derive(serde::Deserialize)]
struct ListQuery {
    prefix: String,
}

/// A thousand at most, as S3 lists them.
async fn list(State(state): State<Arc<Mutex<Inner>>>, RawQuery(query): RawQuery) -> Response {
    let Ok(query) = serde_html_form::from_str::<ListQuery>(&query.unwrap_or_default()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut inner = lock(&state);
    if inner.is_down() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let found = inner.objects.keys().filter(|key| key.starts_with(&query.prefix)).take(1000);
    let contents: String =
        found.map(|key| format!("<Contents><Key>{}</Key></Contents>", key.replace(' ', "+"))).collect();
    format!("<ListBucketResult><Prefix>{}</Prefix>{contents}</ListBucketResult>", query.prefix).into_response()
}

async fn answer(
    State(state): State<Arc<Mutex<Inner>>>,
    method: Method,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = lock(&state);
    if inner.is_down() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match method {
        Method::PUT => {
            let checksum = headers.get("x-amz-checksum-sha256").and_then(|value| value.to_str().ok());
            if checksum.is_some_and(|checksum| checksum != BASE64_STANDARD.encode(digest(&SHA256, &body))) {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
            inner.objects.insert(key, (content_type.to_owned(), body.to_vec()));
            StatusCode::OK.into_response()
        }
        Method::DELETE => {
            inner.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::HEAD => match inner.objects.get(&key) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some((content_type, bytes)) => {
                let checksum = BASE64_STANDARD.encode(digest(&SHA256, bytes));
                let headers = [
                    ("content-type", content_type.clone()),
                    ("content-length", bytes.len().to_string()),
                    ("x-amz-checksum-sha256", checksum),
                ];
                (headers, ()).into_response()
            }
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
