//! How Stripe is spoken to: one request, its attempts, and what their failures mean.
//!
//! - <https://docs.stripe.com/error-low-level>: what may be sent again, and the headers that say so
//! - <https://docs.stripe.com/api/idempotent_requests>

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

use crate::base::error::Error;
use crate::platform::crypto;
use crate::platform::http::{self, ReadError};
use crate::platform::secrets::{Secret, SecretsError};

/// What the answers look like. Later versions that Stripe publishes change nothing of what is sent in this one.
/// <https://docs.stripe.com/changelog/clover>
pub const API_VERSION: &str = "2025-09-30.clover";

const ATTEMPTS: u32 = 3;
/// A hundred events, each with an invoice of many lines, are about a megabyte.
const ANSWER_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The secret holds no key: this environment takes no money.
    #[error("no key of Stripe is configured")]
    NotConfigured,
    #[error(transparent)]
    Key(#[from] SecretsError),
    /// Stripe did not answer, or that it cannot now. What was sent may have had its effect: the same idempotency key finds out.
    #[error("Stripe is unavailable: {reason}")]
    Unavailable { reason: String, retry_after: Option<Duration> },
    /// Stripe understood and said no; the same again gets the same answer.
    #[error("Stripe refused with status {status}, code {code:?}, parameter {param:?}: {message}")]
    Refused { status: u16, code: Option<String>, message: String, param: Option<String> },
}

impl From<StripeError> for Error {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::NotConfigured => {
                Self::Unavailable { detail: "payments are not set up here", retry_after_seconds: 3600 }
            }
            StripeError::Unavailable { ref reason, retry_after } => {
                tracing::error!(reason, "Stripe is unavailable");
                let seconds = retry_after.map_or(5, |after| after.as_secs().clamp(1, 3600) as u32);
                Self::Unavailable { detail: "the payment service cannot be reached", retry_after_seconds: seconds }
            }
            error => Self::internal(error),
        }
    }
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the call with all its attempts and the pauses between them.
    pub overall: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// Before the second attempt; it doubles with each, and up to a half of it is left out at random, so that many who
    /// failed at once do not come back at once.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { overall: Duration::from_secs(10), attempt: Duration::from_secs(4), pause: Duration::from_millis(500) }
    }
}

pub(super) struct Request<'a> {
    pub path: &'a [&'a str],
    pub parameters: &'a [(&'a str, &'a str)],
    pub method: Method<'a>,
}

pub(super) enum Method<'a> {
    Get,
    /// With this idempotency key.
    Post(&'a str),
    /// What is deleted twice is gone.
    Delete,
}

pub(super) struct Transport {
    base: String,
    pub(super) patience: Patience,
    /// Made at the first call, as reading the machine's certificates costs a cold start milliseconds.
    http: OnceCell<Client>,
}

/// Why an attempt came to nothing.
enum Failure {
    /// Worth another attempt.
    Passing {
        reason: String,
        retry_after: Option<Duration>,
    },
    Final(StripeError),
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

impl Transport {
    pub(super) fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), patience: Patience::default(), http: OnceCell::new() }
    }

    pub(super) async fn call(&self, key: &Secret, request: &Request<'_>) -> Result<Value, StripeError> {
        let deadline = Instant::now() + self.patience.overall;
        let mut attempt = 1;
        loop {
            let attempt_ends = deadline.min(Instant::now() + self.patience.attempt);
            let (reason, retry_after) = match timeout_at(attempt_ends, self.attempt(key, request)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Passing { reason, retry_after })) => (reason, retry_after),
                Err(_) => ("no answer in time".to_owned(), None),
            };
            let pause = self.pause_after(attempt).max(retry_after.unwrap_or_default());
            if attempt == ATTEMPTS || Instant::now() + pause >= deadline {
                return Err(StripeError::Unavailable { reason, retry_after });
            }
            tracing::warn!(path = ?request.path, attempt, reason, "asking Stripe again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, key: &Secret, request: &Request<'_>) -> Result<Value, Failure> {
        let sent = self.build(key, request).await.map_err(Failure::Final)?.send().await;
        let response = sent.map_err(|error| passing(http::chain(&error.without_url())))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::read(response, ANSWER_MAX).await.map_err(|error| match error {
            ReadError::TooLarge(_) => Failure::Final(unusable(error.to_string())),
            ReadError::Broken(_) => passing(error.to_string()),
        })?;
        if status == StatusCode::OK {
            // Half an answer, or that of something between us and Stripe.
            return serde_json::from_slice(&body).map_err(|_| passing("it did not send JSON".to_owned()));
        }
        let error = refused(status, &body, key);
        tracing::warn!(path = ?request.path, stripe_request_id = header(&headers, "request-id"), %error, "not what was asked for");
        if is_worth_another_attempt(status, &headers) {
            let retry_after = header(&headers, RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
            return Err(Failure::Passing {
                reason: format!("it answered with status {}", status.as_u16()),
                retry_after: retry_after.map(Duration::from_secs),
            });
        }
        Err(Failure::Final(error))
    }

    async fn build(&self, key: &Secret, request: &Request<'_>) -> Result<reqwest::RequestBuilder, StripeError> {
        let bad_base = || unusable("its address is not configured rightly".to_owned());
        let mut url = Url::parse(&self.base).map_err(|_| bad_base())?;
        url.path_segments_mut().map_err(|()| bad_base())?.pop_if_empty().extend(request.path);
        let bearer = http::sensitive(&format!("Bearer {}", key.expose()));
        let bearer = bearer.ok_or_else(|| unusable("its key has characters that no key has".to_owned()))?;
        let form = serde_html_form::to_string(request.parameters);
        let form = form.map_err(|error| unusable(error.to_string()))?;
        let http = self.http.get_or_try_init(async || http::client().build()).await;
        let http = http.map_err(|error| unusable(http::chain(&error)))?;
        let builder = match request.method {
            Method::Post(idempotency_key) => http
                .post(url)
                .header("idempotency-key", idempotency_key)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form),
            Method::Get => {
                url.set_query((!form.is_empty()).then_some(&form));
                http.get(url)
            }
            Method::Delete => http.delete(url),
        };
        Ok(builder.header(AUTHORIZATION, bearer).header("stripe-version", API_VERSION))
    }

    fn pause_after(&self, attempt: u32) -> Duration {
        let longest = self.patience.pause * 2_u32.pow(attempt - 1);
        longest.mul_f64(1.0 - crypto::random_fraction() / 2.0)
    }
}

/// As Stripe's own libraries decide it, but for rate limits (429), which they leave to their callers.
fn is_worth_another_attempt(status: StatusCode, headers: &HeaderMap) -> bool {
    match header(headers, "stripe-should-retry") {
        Some("true") => true,
        Some("false") => false,
        _ => matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error(),
    }
}

fn refused(status: StatusCode, body: &[u8], key: &Secret) -> StripeError {
    let body = serde_json::from_slice(body).map(|answer: ErrorAnswer| answer.error);
    let body = body.unwrap_or(ErrorBody { code: None, message: None, param: None });
    // Stripe shows the ends of a wrong key alone; what sits between us and Stripe may show more.
    let shown = |text: String| text.replace(key.expose(), "***");
    StripeError::Refused {
        status: status.as_u16(),
        code: body.code.map(shown),
        message: body.message.map_or_else(|| "without a message".to_owned(), shown),
        param: body.param.map(shown),
    }
}

fn unusable(reason: String) -> StripeError {
    StripeError::Unavailable { reason, retry_after: None }
}

fn passing(reason: String) -> Failure {
    Failure::Passing { reason, retry_after: None }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
