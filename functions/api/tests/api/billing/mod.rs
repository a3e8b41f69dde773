//! What an owner sees of the carrier's billing and buys, with a stand-in of Stripe on a real socket whose events a real worker
//! applies.

mod bad_days;
mod checkout;
mod overview;

use carhaul_core::billing::apply;
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::event::Event;
use carhaul_core::platform::db::Db;
use carhaul_testkit::StripeServer;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{Carrier, ORIGIN, Reply, TestApp};

const CHECKOUT: &str = "/v1/billing/checkout-sessions";
const PORTAL: &str = "/v1/billing/portal-sessions";

/// A carrier on the plan free that can buy.
struct Shop {
    stripe: StripeServer,
    app: TestApp,
    carrier: Carrier,
}

impl Shop {
    async fn open() -> Self {
        let stripe = StripeServer::start().await;
        let app = TestApp::selling(&stripe).await;
        let carrier = app.carrier_on("free").await;
        Self { stripe, app, carrier }
    }

    async fn checkout(&self) -> Reply {
        self.carrier.owner.post(CHECKOUT, an_order("STARTER_MONTHLY")).await
    }

    /// Pays on the page. Returns the subscription.
    fn pay_on(&self, page: &Value) -> String {
        self.stripe.complete_checkout(&session(page))
    }

    /// Returns the subscription, once we have heard of it.
    async fn buy(&self) -> String {
        let subscription = self.pay_on(&self.checkout().await.expect(201));
        self.deliver().await;
        subscription
    }

    /// Does what the webhook and the worker do with all that Stripe has told.
    async fn deliver(&self) {
        let worker = Db::with_options(self.app.database.options("carhaul_billing"));
        for event in self.stripe.events() {
            let text = event.to_string();
            let parsed = Event::parse(text.as_bytes()).expect("an event");
            let raw = RawValue::from_string(text).expect("JSON");
            inbox::record(&worker, &parsed, &raw, false).await.expect("it is stored");
            apply::process(&worker, None, &Job::Event { id: parsed.id }).await.expect("it is applied");
        }
    }

    async fn billing(&self) -> Value {
        self.carrier.owner.get("/v1/billing").await.expect(200)
    }

    /// The carrier's customers at Stripe as we have recorded them, those that are deleted there among them.
    async fn recorded_customers(&self) -> i64 {
        self.app.count(&format!("SELECT count(*) FROM stripe_customers WHERE tenant_id = '{}'", self.carrier.id)).await
    }

    /// How often Stripe has told of such a thing.
    fn told(&self, kind: &str) -> usize {
        self.stripe.events().iter().filter(|event| event["type"] == kind).count()
    }
}

fn an_order(price: &str) -> Value {
    json!({"price": price, "success_url": format!("{ORIGIN}/billing?paid={{CHECKOUT_SESSION_ID}}"), "cancel_url": ORIGIN})
}

fn a_return() -> Value {
    json!({"return_url": format!("{ORIGIN}/billing")})
}

/// The id of the session that a page is of.
fn session(page: &Value) -> String {
    let url = page["url"].as_str().expect("a page has a URL");
    url.rsplit('/').next().unwrap_or_default().to_owned()
}
