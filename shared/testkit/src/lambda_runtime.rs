//! A Lambda runtime: starts a function's `bootstrap`, hands it events and measures how long it takes.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Router, body::Bytes};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:under-test";
/// What the function is told that it may take, and how long a caller of [`LambdaRuntime::invoke`] waits for it.
const INVOCATION_DEADLINE: Duration = Duration::from_secs(60);

/// One instance of a function. Ends with the value.
pub struct LambdaRuntime {
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Invocation>,
    child: Child,
    spawned_at: Instant,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Finished>>>,
    first_poll: watch::Sender<Option<Instant>>,
    log: Mutex<Vec<String>>,
}

struct Invocation {
    id: String,
    event: String,
    answer: oneshot::Sender<Finished>,
}

struct Finished {
    at: Instant,
    result: Result<Bytes, Bytes>,
}

/// What a function made of an event.
#[derive(Debug)]
pub struct Answer {
    /// The answer, or what the function reported as its error.
    pub result: Result<Value, Value>,
    /// From handing the event out to having its answer.
    pub elapsed: Duration,
}

/// Why there is no [`Answer`].
#[derive(Debug)]
pub enum RuntimeError {
    Spawn(std::io::Error),
    /// The process ended, or took too long; with what it logged.
    Gone {
        log: String,
    },
}

/// What a function's process has used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The most memory that it ever held, in KiB (VmHWM).
    pub peak_memory_kib: u64,
    /// On all cores, in user and system mode; to 10 ms.
    pub cpu_time: Duration,
}

impl LambdaRuntime {
    /// Starts `bootstrap` with nothing in its environment but `PATH`, what Lambda sets and `environment`.
    pub async fn spawn<K: AsRef<str>, V: AsRef<str>>(
        bootstrap: &Path,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, RuntimeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(RuntimeError::Spawn)?;
        let address = listener.local_addr().map_err(RuntimeError::Spawn)?.to_string();
        let (events, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue: tokio::sync::Mutex::new(queue),
            waiting: Mutex::default(),
            first_poll: watch::Sender::new(None),
            log: Mutex::default(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        let mut command = Command::new(bootstrap);
        command.env_clear().envs(lambda_environment(&address));
        command
            .envs(environment.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned())));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let spawned_at = Instant::now();
        let mut child = command.spawn().map_err(RuntimeError::Spawn)?;
        let stderr = child.stderr.take().expect("it was piped just now");
        let log = tokio::spawn(keep_log(BufReader::new(stderr), Arc::clone(&shared)));
        Ok(Self { shared, events, child, spawned_at, tasks: vec![server, log] })
    }

    /// Waits for the function's first request for an event; gives the time from the start of the process.
    pub async fn until_ready(&mut self) -> Result<Duration, RuntimeError> {
        let mut first_poll = self.shared.first_poll.subscribe();
        let ready = tokio::select! {
            poll = tokio::time::timeout(INVOCATION_DEADLINE, first_poll.wait_for(Option::is_some)) => {
                poll.ok().and_then(|poll| poll.ok().and_then(|poll| *poll))
            }
            _ = self.child.wait() => None,
        };
        let ready = ready.ok_or_else(|| self.gone())?;
        Ok(ready.duration_since(self.spawned_at))
    }

    /// Hands the function one event and waits for the answer. Events are given out one after another.
    pub async fn invoke(&mut self, event: &Value) -> Result<Answer, RuntimeError> {
        let (answer, finished) = oneshot::channel();
        let started = Instant::now();
        let invocation = Invocation { id: Uuid::now_v7().to_string(), event: event.to_string(), answer };
        self.events.send(invocation).map_err(|_| self.gone())?;
        let finished = tokio::select! {
            finished = tokio::time::timeout(INVOCATION_DEADLINE, finished) => finished.ok().and_then(Result::ok),
            _ = self.child.wait() => None,
        };
        let finished = finished.ok_or_else(|| self.gone())?;
        let parse = |bytes: Bytes| {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()))
        };
        let result = finished.result.map(parse).map_err(parse);
        Ok(Answer { result, elapsed: finished.at.duration_since(started) })
    }

    /// The lines that the function has written to stderr so far.
    pub fn log(&self) -> Vec<String> {
        self.shared.log().clone()
    }

    /// What the process has used so far, as Linux counts it; `None` once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.child.id()?)
    }

    /// Kills the process (SIGKILL), whatever it is doing, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a process of ours can be killed");
    }

    fn gone(&self) -> RuntimeError {
        RuntimeError::Gone { log: self.log().join("\n") }
    }
}

impl Drop for LambdaRuntime {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Usage {
    fn of(process: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The command's name, in parentheses, may hold anything; 11 more fields precede the two that count.
        let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse().unwrap_or(0)).sum();
        Some(Self {
            peak_memory_kib: peak.trim().trim_end_matches(" kB").parse().ok()?,
            // The kernel shows hundredths of a second to programs, whatever it counts in.
            cpu_time: Duration::from_millis(ticks * 10),
        })
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Finished>>> {
        self.waiting.lock().expect("nobody panics while they hold this lock")
    }

    fn log(&self) -> MutexGuard<'_, Vec<String>> {
        self.log.lock().expect("nobody panics while they hold this lock")
    }

    fn finish(&self, id: &str, result: Result<Bytes, Bytes>) -> StatusCode {
        let finished = Finished { at: Instant::now(), result };
        // A caller that no longer waits is none of the function's business.
        match self.waiting().remove(id).map(|waiting| waiting.send(finished)) {
            Some(_) => StatusCode::ACCEPTED,
            None => StatusCode::BAD_REQUEST,
        }
    }
}

fn lambda_environment(runtime_api: &str) -> Vec<(String, String)> {
    #[allow(clippy::disallowed_methods, reason = "the search path of this machine is no setting of ours")]
    let path = std::env::var("PATH").unwrap_or_default();
    let fixed = [
        ("PATH", path.as_str()),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", "under-test"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/under-test"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "under-test"),
        ("AWS_REGION", "us-east-1"),
        ("_HANDLER", "bootstrap"),
    ];
    fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    const INVOCATION: &str = "/2018-06-01/runtime/invocation";
    let router = Router::new()
        .route(&format!("{INVOCATION}/next"), get(next))
        .route(&format!("{INVOCATION}/{{id}}/response"), post(response))
        .route(&format!("{INVOCATION}/{{id}}/error"), post(error))
        .route("/2018-06-01/runtime/init/error", post(initialization_error))
        .with_state(shared);
    // Without this a small answer waits 40 ms for the other side's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let _ = axum::serve(listener, router).await;
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.first_poll.send_if_modified(|poll| poll.is_none() && poll.replace(Instant::now()).is_none());
    let Some(Invocation { id, event, answer }) = shared.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    shared.waiting().insert(id.clone(), answer);
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms()),
        ("lambda-runtime-invoked-function-arn", FUNCTION_ARN.to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, UrlPath(id): UrlPath<String>, body: Bytes) -> StatusCode {
    shared.finish(&id, Ok(body))
}

async fn error(State(shared): State<Arc<Shared>>, UrlPath(id): UrlPath<String>, body: Bytes) -> StatusCode {
    shared.finish(&id, Err(body))
}

async fn initialization_error(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.log().push(String::from_utf8_lossy(&body).into_owned());
    StatusCode::ACCEPTED
}

async fn keep_log(stderr: BufReader<tokio::process::ChildStderr>, shared: Arc<Shared>) {
    let mut lines = stderr.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        shared.log().push(line);
    }
}

#[allow(clippy::disallowed_methods, reason = "the function compares it with the real time")]
fn deadline_ms() -> String {
    (chrono::Utc::now() + INVOCATION_DEADLINE).timestamp_millis().to_string()
}
