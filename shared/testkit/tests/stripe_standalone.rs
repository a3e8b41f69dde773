//! The stand-in as a process: what it was told survives it, and each event is delivered until it is taken.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use carhaul_core::base::clock::Clock;
use carhaul_core::base::ids::TenantId;
use carhaul_core::billing::stripe::client::{NewCheckoutSession, NewCustomer, Stripe};
use carhaul_core::billing::stripe::signature::SigningSecrets;
use carhaul_core::platform::secrets::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Takes events, but for those that it is told to refuse.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<Value>>>,
    refuse: Arc<Mutex<usize>>,
    secrets: Arc<Mutex<Vec<&'static str>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        url
    }

    fn ids(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|event| event["id"].to_string()).collect()
    }

    async fn has(&self, events: usize) {
        let wait = async {
            while self.ids().len() < events {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.unwrap();
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut refuse = receiver.refuse.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let header = headers["stripe-signature"].to_str().unwrap();
    for secret in receiver.secrets.lock().unwrap().iter() {
        let secrets = SigningSecrets::new(vec![Secret::new(*secret)]);
        secrets.verify(header, &body, Clock::system().now()).unwrap();
    }
    receiver.taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}

struct Folder(PathBuf);

impl Folder {
    async fn new(webhook_url: &str) -> (Self, u16) {
        let folder = std::env::temp_dir().join(format!("testkit-stripe-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let prices = json!({"prices": [{
            "stripe_price_id": "price_starter", "name": "STARTER_MONTHLY", "plan": "starter", "interval": "month",
            "currency": "USD", "amount": "49.99", "is_current": true,
        }]});
        std::fs::write(folder.join("prices.json"), prices.to_string()).unwrap();
        let folder = Self(folder);
        folder.configure(free, webhook_url, &["whsec_old"]);
        (folder, free)
    }

    fn configure(&self, port: u16, webhook_url: &str, secrets: &[&str]) {
        let settings = json!({
            "port": port, "api_key": "sk_test_local", "webhook_url": webhook_url, "signing_secrets": secrets,
            "prices": self.0.join("prices.json"), "account": self.0.join("account.json"),
        });
        std::fs::write(self.settings(), settings.to_string()).unwrap();
    }

    fn settings(&self) -> PathBuf {
        self.0.join("settings.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(settings: &Path, port: u16) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_testkit-stripe"));
    let child = command.arg(settings).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let up = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), up).await.unwrap();
    child
}

#[tokio::test]
async fn events_reach_a_receiver_that_fails_and_a_stand_in_that_was_killed_forgets_nothing() {
    let receiver = Receiver::default();
    *receiver.secrets.lock().unwrap() = vec!["whsec_old"];
    let url = receiver.start().await;
    let (folder, port) = Folder::new(&url).await;
    let mut process = start(&folder.settings(), port).await;
    let stripe = Stripe::new(format!("http://127.0.0.1:{port}"), Secret::new("sk_test_local"));
    let new = NewCustomer { tenant_id: TenantId::new(), name: "Carrier", email: None };
    let customer = stripe.create_customer(&new, "customer").await.unwrap();
    receiver.has(1).await;

    // Nobody takes the next events until after the stand-in has died.
    *receiver.refuse.lock().unwrap() = usize::MAX;
    let new = NewCheckoutSession {
        tenant_id: TenantId::new(),
        customer_id: &customer.id,
        price_id: "price_starter",
        success_url: "https://app.example",
        cancel_url: "https://app.example",
    };
    let session = stripe.create_checkout_session(&new, "checkout").await.unwrap();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
        .post(format!("{}/pay", session.url))
        .send()
        .await
        .unwrap();
    process.kill().await.unwrap();
    assert_eq!(receiver.ids().len(), 1);

    // A secret is rolled meanwhile: for a while both sign.
    folder.configure(port, &url, &["whsec_new", "whsec_old"]);
    *receiver.secrets.lock().unwrap() = vec!["whsec_new", "whsec_old"];
    *receiver.refuse.lock().unwrap() = 3;
    let _process = start(&folder.settings(), port).await;
    receiver.has(8).await;
    let taken = receiver.ids();
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 8, "each once: {taken:?}");
    let subscriptions = stripe.list_subscriptions(None).await.unwrap().data;
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(subscriptions[0]["items"]["data"][0]["price"]["unit_amount"], 4_999);
    let again = stripe.create_checkout_session(&new, "checkout").await.unwrap();
    assert_eq!(again.id, session.id, "answers outlive the process, too");
}
