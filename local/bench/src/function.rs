//! The function under measurement, and what it needs around it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use carhaul_testkit::{AUDIENCE, Issuer, LambdaRuntime, http_event};
use serde_json::{Value, json};

use crate::Outcome;
use crate::database::{Database, ISSUER};
use crate::report::milliseconds;
use crate::secrets::SecretsManager;
use crate::settings::Settings;

/// The largest carrier, whose owner calls unless told otherwise.
pub const LARGEST: u32 = 1;

pub struct World {
    pub issuer: Issuer,
    pub secrets: SecretsManager,
    pub bootstrap: PathBuf,
    pub pooler: String,
}

/// One instance.
pub struct Function {
    pub runtime: LambdaRuntime,
    token: String,
}

#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

/// Where an instance finds its surroundings: `host:port` each.
pub struct Places {
    pub database: String,
    pub secrets: String,
    pub issuer: String,
}

/// Latencies of many requests, in milliseconds, ascending.
pub struct Latencies(Vec<f64>);

impl World {
    pub async fn start(settings: &Settings) -> Outcome<Self> {
        let issuer = Issuer::start().await;
        let secrets = SecretsManager::start().await?;
        let world = Self { issuer, secrets, bootstrap: settings.bootstrap.clone(), pooler: settings.pooler.clone() };
        world.publish_keys_at(&world.places().issuer);
        Ok(world)
    }

    /// What the discovery document says from now on: `host:port`.
    pub fn publish_keys_at(&self, address: &str) {
        self.issuer.answer_discovery_with(json!({"issuer": ISSUER, "jwks_uri": format!("http://{address}/keys")}));
    }

    pub fn places(&self) -> Places {
        Places {
            database: self.pooler.clone(),
            secrets: self.secrets.address.clone(),
            issuer: self.issuer.url().trim_start_matches("http://").to_owned(),
        }
    }

    /// A token of the owner of this carrier.
    pub fn token(&self, carrier: u32) -> String {
        self.issuer.token().claim("iss", ISSUER).subject(&format!("member-{carrier}-0")).sign()
    }

    /// An instance, through the pooler.
    pub async fn instance(&self, database: &Database, carrier: u32) -> Outcome<Function> {
        self.instance_at(database, carrier, &self.places()).await
    }

    pub async fn instance_at(&self, database: &Database, carrier: u32, places: &Places) -> Outcome<Function> {
        let (host, port) = places.database.rsplit_once(':').ok_or("a place reads host:port")?;
        let environment = [
            ("ENVIRONMENT", "local"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port),
            ("DATABASE_NAME", &database.name),
            ("DATABASE_TLS", "disable"),
            ("DATABASE_SECRET", "api"),
            ("OIDC_ISSUER", ISSUER),
            ("OIDC_DISCOVERY_URL", &format!("http://{}/.well-known/openid-configuration", places.issuer)),
            ("OIDC_AUDIENCE", AUDIENCE),
            ("PROVIDER_KEYS_KMS_KEY", "bench"),
            // Nobody listens: nothing is sent.
            ("DOCUMENTS_URL", "http://127.0.0.1/documents"),
            ("CHORES_QUEUE_URL", "http://127.0.0.1/chores"),
            ("REALTIME_URL", "ws://127.0.0.1/live"),
            ("REALTIME_QUEUE_URL", "http://127.0.0.1/queue"),
            ("AWS_ENDPOINT_URL", &format!("http://{}", places.secrets)),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            // As in the template.
            ("MALLOC_TRIM_THRESHOLD_", "67108864"),
            ("MALLOC_MMAP_THRESHOLD_", "16777216"),
        ];
        let runtime = LambdaRuntime::spawn(&self.bootstrap, environment).await.map_err(|e| format!("{e:?}"))?;
        Ok(Function { runtime, token: self.token(carrier) })
    }
}

impl Function {
    pub fn from_runtime(runtime: LambdaRuntime, token: String) -> Self {
        Self { runtime, token }
    }

    /// A function that gives this answer, whatever it is sent.
    pub async fn floor(settings: &Settings, answer: &Value) -> Outcome<Self> {
        let file = settings.work.join("floor.json");
        tokio::fs::write(&file, answer.to_string()).await?;
        let environment = [("FLOOR_ANSWER", file.to_string_lossy())];
        let runtime = LambdaRuntime::spawn(&settings.floor, environment).await.map_err(|e| format!("{e:?}"))?;
        Ok(Self { runtime, token: String::new() })
    }

    /// The answer's body, if the status says success, and how long it took.
    pub async fn send(&mut self, request: &Request) -> Outcome<(Value, Duration)> {
        let (response, elapsed) = self.answer(request).await?;
        let body = response["body"].as_str().unwrap_or_default();
        Ok((serde_json::from_str(body).unwrap_or(Value::Null), elapsed))
    }

    /// The whole answer as the gateway is given it, if the status says success, and how long it took.
    pub async fn answer(&mut self, request: &Request) -> Outcome<(Value, Duration)> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(request.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let event = http_event(request.method, &request.path, &headers, request.body.as_ref());
        let answer = self.runtime.invoke(&event).await.map_err(|e| format!("{e:?}"))?;
        let response = answer.result.map_err(|e| format!("{} {}: {e}", request.method, request.path))?;
        let status = response["statusCode"].as_u64().unwrap_or(0);
        if !(200..300).contains(&status) {
            let body = &response["body"];
            return Err(format!("{} {} was answered {status}: {body}", request.method, request.path).into());
        }
        Ok((response, answer.elapsed))
    }

    pub async fn get(&mut self, path: &str) -> Outcome<(Value, Duration)> {
        self.send(&Request::get(path)).await
    }

    /// Sends requests one after another for so long.
    pub async fn repeat(&mut self, span: Duration, request: impl Fn(usize) -> Request) -> Outcome<Latencies> {
        let (started, mut latencies) = (Instant::now(), Vec::new());
        while started.elapsed() < span {
            let (_, elapsed) = self.send(&request(latencies.len())).await?;
            latencies.push(milliseconds(elapsed));
        }
        Ok(Latencies::of(latencies))
    }

    /// Sends a request to this instance and to another by turns, so that whatever else the machine does hits both.
    pub async fn by_turns(
        &mut self,
        other: &mut Self,
        span: Duration,
        request: &Request,
    ) -> Outcome<(Latencies, Latencies)> {
        let (started, mut latencies) = (Instant::now(), [Vec::new(), Vec::new()]);
        while started.elapsed() < span {
            for (function, latencies) in [&mut *self, &mut *other].into_iter().zip(&mut latencies) {
                latencies.push(milliseconds(function.send(request).await?.1));
            }
        }
        let [own, others] = latencies.map(Latencies::of);
        Ok((own, others))
    }
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: None }
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: "POST", path: path.into(), headers: Vec::new(), body: Some(body) }
    }

    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: "PATCH", path: path.into(), headers: Vec::new(), body: Some(body) }.with("if-match", "*")
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: "DELETE", path: path.into(), headers: Vec::new(), body: None }.with("if-match", "*")
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

impl Latencies {
    pub fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_unstable_by(f64::total_cmp);
        Self(milliseconds)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn p50(&self) -> f64 {
        self.percentile(0.5)
    }

    pub fn p99(&self) -> f64 {
        self.percentile(0.99)
    }

    fn percentile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// The middle one of an odd number of figures.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    Latencies::of(figures.into_iter().collect()).p50()
}
