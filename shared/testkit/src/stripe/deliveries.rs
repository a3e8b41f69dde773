//! Brings each event to the webhook until it is taken, signed with every secret that the endpoint has at the time, as Stripe
//! does while one is rolled. <https://docs.stripe.com/webhooks#verify-manually>

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use futures_util::future::join_all;
use reqwest::{Client, redirect};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::account::text;
use super::server::Shared;

/// Stripe's own is up to twenty seconds.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// As long as Stripe tries.
const LIFE: i64 = 3 * 24 * 3600;
/// So many at once: order is none that a receiver may count on.
const AT_ONCE: usize = 8;

/// Where events go.
pub(super) struct Endpoint {
    pub url: String,
    /// Asked for each delivery, so that a secret can be rolled.
    pub secrets: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// Never ends.
pub(super) async fn deliver(shared: Arc<Shared>, endpoint: Endpoint) {
    let http = Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).build();
    let http = http.expect("a client without TLS settings of its own can be made");
    // When the next attempt of an event that failed is, and the pause after that.
    let mut waiting: HashMap<String, (Instant, Duration)> = HashMap::new();
    loop {
        let due: Vec<Value> =
            pending(&shared).into_iter().filter(|event| is_due(&waiting, event)).take(AT_ONCE).collect();
        if due.is_empty() {
            let next = waiting.values().map(|(at, _)| *at).min();
            let pause = next.map_or(LONGEST_PAUSE, |at| at.saturating_duration_since(Instant::now()));
            let _ = timeout(pause, shared.changed.notified()).await;
            continue;
        }
        let attempts = due.iter().map(|event| attempt(&http, &endpoint, event, shared.now()));
        let taken = join_all(attempts).await;
        for (event, taken) in due.iter().zip(taken) {
            let id = text(event, "id");
            match taken {
                Ok(()) => {
                    waiting.remove(&id);
                    shared.change(|account, _| {
                        if let Some(event) = account.events.get_mut(&id) {
                            event["pending_webhooks"] = 0.into();
                        }
                    });
                }
                Err(reason) => {
                    let pause = waiting.get(&id).map_or(FIRST_PAUSE, |(_, pause)| *pause);
                    eprintln!("{id} was not taken, next attempt in {pause:?}: {reason}");
                    waiting.insert(id, (Instant::now() + pause, (2 * pause).min(LONGEST_PAUSE)));
                }
            }
        }
    }
}

fn pending(shared: &Shared) -> Vec<Value> {
    let oldest = shared.now() - LIFE;
    let inner = shared.lock();
    let pending = inner.account.events.all().iter().filter(|event| event["pending_webhooks"] == 1);
    pending.filter(|event| event["created"].as_i64() > Some(oldest)).cloned().collect()
}

fn is_due(waiting: &HashMap<String, (Instant, Duration)>, event: &Value) -> bool {
    waiting.get(&text(event, "id")).is_none_or(|(at, _)| *at <= Instant::now())
}

async fn attempt(http: &Client, endpoint: &Endpoint, event: &Value, now: i64) -> Result<(), String> {
    let body = event.to_string();
    let request = http.post(&endpoint.url).header("content-type", "application/json; charset=utf-8");
    let request = request.header("stripe-signature", signature(&(endpoint.secrets)(), now, body.as_bytes()));
    let answer = request.body(body).send().await.map_err(|error| format!("{error:?}"))?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("status {}", answer.status().as_u16())),
    }
}

/// `t=<seconds>,v1=<code>`, with a code for each secret.
fn signature(secrets: &[String], now: i64, body: &[u8]) -> String {
    let signed = [format!("{now}.").as_bytes(), body].concat();
    let code = |secret: &String| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed);
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let codes = secrets.iter().map(|secret| format!(",v1={}", code(secret)));
    format!("t={now}{}", codes.collect::<String>())
}
