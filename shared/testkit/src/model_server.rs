//! Model providers on a real socket: Anthropic's Messages, Google's Gemini and OpenAI's chat completions, with everything that
//! can befall a call to them.

mod shapes;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::shapes::Api;

/// Stops answering when dropped.
pub struct ModelServer {
    url: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

/// What can befall a request.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelFault {
    /// It is taken and never answered.
    Hang,
    /// The answer begins, and stands still after so many events.
    StallAfter(usize),
    /// Refused with this status, as the API words it; the second is what `Retry-After` says.
    Status(u16, Option<&'static str>),
    /// Refused with this status and this body.
    Refuse(u16, Value),
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
    /// The answer ends in good order after so many bytes of the body, as when something between loses the rest.
    EndAfter(usize),
    /// Status 200 and a page that is none of the API's.
    Junk,
    /// An error in the midst of the stream, as the API words it.
    FailMidway,
    /// Sent elsewhere.
    Redirect(String),
    /// A pause before each event.
    Slow(Duration),
    /// The whole answer at once instead of a stream.
    Whole,
    /// A stream without end.
    Endless,
}

/// Why the model stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelStop {
    End,
    MaxTokens,
    Refusal,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl ModelRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

struct Shared {
    keys: Vec<String>,
    text: String,
    stop: ModelStop,
    /// Of single requests, the next first; then `fault` of all.
    faults: VecDeque<ModelFault>,
    fault: Option<ModelFault>,
    requests: Vec<ModelRequest>,
}

impl ModelServer {
    /// The key that is taken from the start.
    pub const KEY: &str = "sk-of-the-test-0123456789-wxyz";
    /// What every answer says of itself.
    pub const MODEL: &str = "model-of-the-test";
    pub const INPUT_TOKENS: u64 = 25;
    pub const OUTPUT_TOKENS: u64 = 15;

    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::new(Mutex::new(Shared {
            keys: vec![Self::KEY.to_owned()],
            text: r#"{"answer":"42"}"#.to_owned(),
            stop: ModelStop::End,
            faults: VecDeque::new(),
            fault: None,
            requests: Vec::new(),
        }));
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { url, shared, server }
    }

    /// The base address for Anthropic and Gemini.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The base address for chat completions.
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Takes this key, too.
    pub fn accept_key(&self, key: &str) {
        self.shared().keys.push(key.to_owned());
    }

    /// Refuses all keys from now on.
    pub fn revoke_keys(&self) {
        self.shared().keys.clear();
    }

    /// What the model says from now on, and why it stops.
    pub fn answer_with(&self, text: impl Into<String>, stop: ModelStop) {
        let mut shared = self.shared();
        shared.text = text.into();
        shared.stop = stop;
    }

    /// What befalls all requests from now on; None ends it.
    pub fn fail_with(&self, fault: Option<ModelFault>) {
        self.shared().fault = fault;
    }

    /// What befalls the next request that nothing else befalls; then others as before.
    pub fn fail_next(&self, fault: ModelFault) {
        self.shared().faults.push_back(fault);
    }

    pub fn requests(&self) -> Vec<ModelRequest> {
        self.shared().requests.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody panics while they hold this lock")
}

/// Connections end with the server.
async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _ = serve(stream, &shared).await;
        });
    }
}

/// One request after another, until something breaks the connection.
async fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    // Each event when it is written.
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let (fault, reply) = {
            let mut shared = lock(shared);
            let fault = shared.faults.pop_front().or_else(|| shared.fault.clone());
            let reply = reply(&shared, &request, fault.as_ref());
            shared.requests.push(request);
            (fault, reply)
        };
        if fault == Some(ModelFault::Hang) {
            std::future::pending::<()>().await;
        }
        if !reply.write(stream.get_mut(), fault.as_ref()).await? {
            break;
        }
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<ModelRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut request = ModelRequest { method, path, headers, body: Value::Null };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(request))
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    /// Pieces of the body, as they are sent.
    body: Vec<String>,
}

fn reply(shared: &Shared, request: &ModelRequest, fault: Option<&ModelFault>) -> Reply {
    let json = |status: u16, body: Value| Reply {
        status,
        headers: vec![("content-type", "application/json".to_owned())],
        body: vec![body.to_string()],
    };
    let Some(api) = Api::of(request) else { return json(404, json!({"error": {"message": "no such path"}})) };
    match fault {
        Some(ModelFault::Status(status, retry_after)) => {
            let mut reply = json(*status, api.error(*status));
            reply.headers.extend(retry_after.map(|value| ("retry-after", value.to_owned())));
            return reply;
        }
        Some(ModelFault::Refuse(status, body)) => return json(*status, body.clone()),
        Some(ModelFault::Redirect(to)) => {
            let mut reply = json(307, json!({}));
            reply.headers.push(("location", to.clone()));
            return reply;
        }
        Some(ModelFault::Junk) => {
            let headers = vec![("content-type", "text/html".to_owned())];
            return Reply { status: 200, headers, body: vec!["<html><body>Welcome</body></html>".to_owned()] };
        }
        _ => {}
    }
    let key = api.key(request).unwrap_or_default();
    if !shared.keys.iter().any(|known| known == key) {
        let status = api.status_of_a_wrong_key();
        return json(status, api.wrong_key(key));
    }
    if request.method == "GET" {
        return json(200, api.models());
    }
    if fault == Some(&ModelFault::Whole) {
        return json(200, api.whole(&shared.text, shared.stop));
    }
    let mut events = api.events(&shared.text, shared.stop);
    match fault {
        Some(ModelFault::FailMidway) => {
            events.truncate(events.len() / 2);
            events.push(api.error_event());
        }
        Some(ModelFault::Endless) => {
            let piece = api.events(&"x".repeat(100_000), ModelStop::End);
            events = piece[..piece.len() - 3].iter().cycle().take(5_000).cloned().collect();
        }
        _ => {}
    }
    Reply { status: 200, headers: vec![("content-type", "text/event-stream; charset=utf-8".to_owned())], body: events }
}

impl Reply {
    /// Whether the connection can go on.
    async fn write(&self, stream: &mut TcpStream, fault: Option<&ModelFault>) -> std::io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} x\r\ntransfer-encoding: chunked\r\n", self.status);
        head.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        let mut left = match fault {
            Some(ModelFault::CutAfter(bytes) | ModelFault::EndAfter(bytes)) => *bytes,
            _ => usize::MAX,
        };
        for (n, piece) in self.body.iter().enumerate() {
            match fault {
                Some(ModelFault::Slow(pause)) => tokio::time::sleep(*pause).await,
                Some(ModelFault::StallAfter(events)) if n == *events => std::future::pending().await,
                _ => {}
            }
            let bytes = &piece.as_bytes()[..piece.len().min(left)];
            left -= bytes.len();
            if !bytes.is_empty() {
                stream.write_all(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await?;
            }
        }
        if matches!(fault, Some(ModelFault::CutAfter(_))) {
            return Ok(false);
        }
        stream.write_all(b"0\r\n\r\n").await?;
        Ok(true)
    }
}
