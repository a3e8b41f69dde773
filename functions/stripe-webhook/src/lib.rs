//! Takes in Stripe's events: verifies the raw bytes, stores the event once, hands its id on. What it means is the business
//! of `billing-worker`.

mod signing;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, middleware};
use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Error;
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::event::Event;
use carhaul_core::billing::stripe::signature::BadSignature;
use carhaul_core::platform::config::StripeWebhookConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::telemetry;
use carhaul_http::envelope;
use carhaul_http::problem::{self, Failure, ProblemType, Refusal};
use http::{HeaderMap, StatusCode};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

pub use signing::Signing;

/// Stripe's largest events are some hundred kilobytes.
const MAX_BODY: usize = 1024 * 1024;

/// Stripe waits for the answer, and need not wait for the queue: what is stored is queued later all the same.
const HAND_ON: Duration = Duration::from_millis(500);

/// What requests share; cloning is cheap.
#[derive(Clone, FromRef)]
pub struct App {
    pub db: Db,
    pub queue: Queue,
    pub signing: Signing,
    pub clock: Clock,
    pub mode: Mode,
}

/// Whose events count here.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    pub livemode: bool,
    pub environment: &'static str,
}

impl App {
    pub fn from_config(config: &StripeWebhookConfig, clock: Clock) -> Self {
        Self {
            db: Db::new(&config.function),
            queue: Queue::new(&config.billing_queue_url),
            signing: Signing::in_secret(&config.webhook_secret, clock.clone()),
            clock,
            mode: Mode { livemode: config.livemode, environment: config.function.environment.as_str() },
        }
    }
}

pub fn service(app: App) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(receive))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(middleware::from_fn_with_state(app.db.clone(), envelope::wrap))
        .with_state(app)
}

/// Verifies before it reads. Whatever is signed and an event is stored and answered with 200, also if nobody here knows its
/// type or its customer: Stripe could not do better by sending it again.
async fn receive(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    let signature = headers.get("stripe-signature");
    let taken = take(&app, signature.and_then(|value| value.to_str().ok()).unwrap_or_default(), body).await;
    if let Err(Failure::Refused(refusal)) = &taken
        && refusal.problem.status < 500
        && signature.is_some()
    {
        // What Stripe sends is refused only if something is wrong here, as a signing secret of another endpoint, and Stripe
        // alone would know of it. What shows no signature is a stranger's, and no news.
        telemetry::count(&app.clock, &[("Environment", app.mode.environment)], "StripeEventsRefused", 1);
    }
    taken
}

async fn take(app: &App, signature: &str, body: Body) -> Result<Response, Failure> {
    let too_large =
        |_| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemType::TooLarge, "The body is larger than 1 MB");
    let body = to_bytes(body, MAX_BODY).await.map_err(too_large)?;
    app.signing.verify(signature, &body).await?;

    let event = Event::parse(&body).map_err(|error| Refusal::malformed(error.to_string()))?;
    let not_json = |_| Refusal::malformed("the body is not JSON");
    // Read as a whole and written anew, since Postgres is stricter than a reader that skips what it does not need.
    let whole: Value = serde_json::from_slice(&body).map_err(not_json)?;
    let stored = to_raw_value(&whole).map_err(not_json)?;
    if !inbox::is_storable(&stored) {
        return Err(Refusal::malformed("the event has the character U+0000").into());
    }
    let recorded = inbox::record(&app.db, &event, &stored, app.mode.livemode).await?;
    if recorded.waiting {
        hand_on(app, &event).await;
    }
    tracing::info!(
        event_id = event.id,
        r#type = event.r#type,
        api_version = event.api_version,
        is_new = recorded.is_new,
        "stored"
    );
    Ok(Json(json!({"received": true, "id": event.id, "duplicate": !recorded.is_new})).into_response())
}

/// The event is stored by now and not lost if the queue cannot be reached: housekeeping queues what waits too long.
async fn hand_on(app: &App, event: &Event) {
    let job = Job::Event { id: event.id.clone() };
    let late = |_| Err(Error::Unavailable { detail: "the queue does not answer", retry_after_seconds: 1 });
    if let Err(error) = tokio::time::timeout(HAND_ON, app.queue.send(&job)).await.unwrap_or_else(late) {
        tracing::error!(event_id = event.id, %error, "stored and not queued");
        telemetry::count(&app.clock, &[("Environment", app.mode.environment)], "StripeEventsUnqueued", 1);
    }
}

/// A signature that is none is the sender's fault; without a secret nobody's is any.
fn refuse(bad: BadSignature) -> Failure {
    match bad {
        BadSignature::NoSecret => {
            Error::Forbidden("no signing secret is configured, so nothing can be accepted".into()).into()
        }
        bad => Refusal::new(StatusCode::BAD_REQUEST, ProblemType::BadSignature, "The signature is not valid")
            .detail(bad.to_string())
            .into(),
    }
}
