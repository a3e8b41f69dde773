//! The socket, what tests do to the account as if somebody had done it at Stripe, and the faults.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use carhaul_core::base::clock::Clock;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::account::{Account, random_id, text};
use super::price::Price;
use super::refusal::Refusal;
use super::{api, pages};

/// What can go wrong on the way to Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeFault {
    /// Drops connections as soon as they are there.
    Refuse,
    /// Takes requests and never answers.
    Hang,
    /// Waits so long before it does anything.
    Slow(Duration),
    /// Answers everything with this status, and does nothing.
    Status(u16),
    /// Does what it is asked, and breaks the answer off.
    LoseAnswer,
}

/// A request that came, in time or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeRequest {
    pub method: String,
    pub path: String,
    /// Of the query or the body.
    pub parameters: Vec<(String, String)>,
    pub idempotency_key: Option<String>,
}

/// Stops answering when dropped.
pub struct StripeServer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

pub(super) struct Shared {
    pub url: String,
    pub key: String,
    clock: Clock,
    inner: Mutex<Inner>,
    /// Where the account is kept, if it outlives the process.
    file: Option<PathBuf>,
    /// Rung when something has changed.
    pub changed: Notify,
}

#[derive(Default)]
pub(super) struct Inner {
    pub account: Account,
    pub fault: Option<StripeFault>,
    pub requests: Vec<StripeRequest>,
}

impl StripeServer {
    /// An account without anything in it, on a free port of the loopback address.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let address = listener.local_addr().expect("a bound socket has an address");
        let url = format!("http://{address}");
        let shared = Shared::new(url, random_id("sk_test_", 24), Account::default(), None);
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Where the API is.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The key that the API wants.
    pub fn key(&self) -> &str {
        &self.shared.key
    }

    /// Has everything go wrong in this way from now on; `None` ends it.
    pub fn fault(&self, fault: Option<StripeFault>) {
        self.shared.lock().fault = fault;
    }

    /// What has come so far.
    pub fn requests(&self) -> Vec<StripeRequest> {
        self.shared.lock().requests.clone()
    }

    /// Sells at this price from now on. `interval` is `month` or `year`.
    pub fn add_price(&self, id: &str, amount_cents: i64, interval: &str) {
        let price = Price { amount: amount_cents, interval: interval.to_owned(), ..Price::monthly(id) };
        self.shared.change(|account, _| account.add_price(price));
    }

    /// A customer that somebody made in the dashboard.
    pub fn create_customer(&self) -> String {
        text(&self.shared.change(|account, at| account.create_customer(None, None, json!({}), at)), "id")
    }

    /// A paid subscription. Returns its id.
    pub fn subscribe(&self, customer: &str, price: &str) -> String {
        self.shared.happen(|account, at| account.subscribe(customer, price, 1, at))
    }

    /// Another price from now on; what that makes of the paid period is invoiced at once.
    pub fn change_price(&self, subscription: &str, price: &str) {
        self.shared.happen(|account, at| account.change_price(subscription, price, at));
    }

    /// The period is over and its successor is not paid; if that was so already, one more attempt fails.
    pub fn fail_payment(&self, subscription: &str) {
        self.shared.happen(|account, at| account.fail_payment(subscription, at));
    }

    /// What is open is paid; if nothing is, the period is over and its successor is paid.
    pub fn pay(&self, subscription: &str) {
        self.shared.happen(|account, at| account.pay(subscription, at));
    }

    /// Ends at once.
    pub fn cancel(&self, subscription: &str) {
        self.shared.happen(|account, at| account.cancel(subscription, at));
    }

    /// Goes on until the period is over.
    pub fn cancel_at_period_end(&self, subscription: &str) {
        self.shared.happen(|account, at| account.cancel_at_period_end(subscription, at));
    }

    /// Takes [`StripeServer::cancel_at_period_end`] back.
    pub fn resume(&self, subscription: &str) {
        self.shared.happen(|account, at| account.resume(subscription, at));
    }

    /// Its subscriptions end with it.
    pub fn delete_customer(&self, customer: &str) {
        self.shared.happen(|account, at| account.delete_customer(customer, at));
    }

    /// Somebody pays on the page of a checkout session. Returns the subscription.
    pub fn complete_checkout(&self, session: &str) -> String {
        self.shared.happen(|account, at| account.complete_checkout(session, at))
    }

    /// All events, the oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().account.events.all().to_vec()
    }
}

impl Drop for StripeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    pub(super) fn new(url: String, key: String, account: Account, file: Option<PathBuf>) -> Arc<Self> {
        let inner = Mutex::new(Inner { account, ..Inner::default() });
        Arc::new(Self { url, key, clock: Clock::system(), inner, file, changed: Notify::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding this lock")
    }

    /// In whole seconds since 1970, as Stripe counts.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// Looks at the account as it is now.
    pub(super) fn look<T>(&self, what: impl FnOnce(&mut Account, i64) -> T) -> T {
        what(&mut self.lock().account, self.now())
    }

    /// Does something to the account now. It is kept before anybody is answered.
    pub(super) fn change<T>(&self, what: impl FnOnce(&mut Account, i64) -> T) -> T {
        let mut inner = self.lock();
        let done = what(&mut inner.account, self.now());
        if let Some(file) = &self.file {
            keep(&inner.account, file).unwrap_or_else(|error| panic!("{} cannot be written: {error}", file.display()));
        }
        drop(inner);
        self.changed.notify_one();
        done
    }

    /// # Panics
    /// If the account refuses: the test is wrong.
    fn happen<T>(&self, what: impl FnOnce(&mut Account, i64) -> Result<T, Refusal>) -> T {
        self.change(what).unwrap_or_else(|refusal| panic!("this cannot happen at Stripe: {}", refusal.message))
    }
}

/// Whole or not at all.
fn keep(account: &Account, file: &Path) -> io::Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, serde_json::to_vec(account)?)?;
    fs::rename(fresh, file)
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = pages::router()
        .fallback(api::answer)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), misbehave))
        .with_state(Arc::clone(&shared));
    let _ = axum::serve(Door { listener, shared }, router).await;
}

/// Drops connections while it is told to.
struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = Listener::accept(&mut self.listener).await;
            if self.shared.lock().fault != Some(StripeFault::Refuse) {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn misbehave(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let fault = shared.lock().fault;
    let mut response = match fault {
        Some(StripeFault::Hang) => std::future::pending().await,
        Some(StripeFault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(StripeFault::LoseAnswer) => {
            next.run(request).await;
            let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("told to")) });
            Body::from_stream(broken).into_response()
        }
        Some(StripeFault::Status(status)) => {
            Refusal::fault(StatusCode::from_u16(status).expect("an HTTP status")).into_response()
        }
        Some(StripeFault::Refuse) | None => next.run(request).await,
    };
    // Nobody keeps a connection through which a later fault would not be felt.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
