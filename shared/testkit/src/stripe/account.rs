//! All that the stand-in knows: one account at Stripe, its objects in the order in which they were made, and its events.

use std::collections::HashMap;

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::documents::{self, Checkout};
use super::objects::StripeShape;
use super::price::Price;
use super::refusal::Refusal;
use super::server::StripeRequest;

pub(super) const SHAPE: StripeShape = StripeShape::Endive;

/// Survives in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    pub prices: Vec<Price>,
    pub customers: Shelf,
    pub subscriptions: Shelf,
    pub invoices: Shelf,
    pub checkouts: Shelf,
    /// What each checkout sells, in their order: a price and how many of it.
    pub baskets: Vec<(String, i64)>,
    pub portals: Shelf,
    pub events: Shelf,
    /// What was answered to an idempotency key, and to which request.
    pub answers: HashMap<String, (StripeRequest, Value)>,
}

/// Objects of one kind, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shelf(Vec<Value>);

impl Shelf {
    pub(super) fn all(&self) -> &[Value] {
        &self.0
    }

    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.0.iter().rposition(|object| object["id"] == id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.position(id).map(|at| &self.0[at])
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.position(id).map(|at| &mut self.0[at])
    }

    pub(super) fn push(&mut self, object: Value) {
        self.0.push(object);
    }

    /// Those that have this value in a field, the oldest first.
    pub(super) fn of<'a>(&'a self, field: &'a str, value: &'a str) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object[field] == value)
    }
}

impl Account {
    /// Sells at a price from now on; one of the same id is replaced.
    pub(super) fn add_price(&mut self, price: Price) {
        self.prices.retain(|known| known.id != price.id);
        self.prices.push(price);
    }

    pub(super) fn price(&self, id: &str, param: &str) -> Result<&Price, Refusal> {
        self.prices.iter().find(|price| price.id == id).ok_or_else(|| Refusal::missing(param, "price", id))
    }

    /// A customer that is not deleted.
    pub(super) fn customer(&self, id: &str) -> Result<&Value, Refusal> {
        let customer = self.customers.get(id).filter(|customer| customer["deleted"] != true);
        customer.ok_or_else(|| Refusal::missing("customer", "customer", id))
    }

    pub(super) fn create_customer(
        &mut self,
        name: Option<&str>,
        email: Option<&str>,
        metadata: Value,
        at: i64,
    ) -> Value {
        let customer = documents::customer(&random_id("cus_", 14), name, email, metadata, at);
        self.customers.push(customer.clone());
        self.tell("customer.created", &customer, at);
        customer
    }

    /// Its subscriptions end with it.
    pub(super) fn delete_customer(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        let customer = self.customer(id)?.clone();
        for subscription in self.live_subscriptions(id) {
            self.cancel(&subscription, at)?;
        }
        self.tell("customer.deleted", &customer, at);
        if let Some(kept) = self.customers.get_mut(id) {
            *kept = json!({"id": id, "object": "customer", "deleted": true});
        }
        Ok(())
    }

    pub(super) fn open_checkout(&mut self, base: &str, new: NewCheckout, at: i64) -> Result<Value, Refusal> {
        let price = self.price(&new.price, "line_items[0][price]")?;
        let id = random_id("cs_test_a1", 56);
        let checkout = Checkout {
            customer: self.customer(&new.customer)?,
            reference: new.reference,
            metadata: new.metadata,
            success_url: new.success_url,
            cancel_url: new.cancel_url,
            amount: price.amount * new.quantity,
        };
        let session = documents::checkout_session(&id, &format!("{base}/checkout/{id}"), checkout, at);
        self.checkouts.push(session.clone());
        self.baskets.push((new.price, new.quantity));
        Ok(session)
    }

    /// Pays what the page sells. Returns the subscription.
    pub(super) fn complete_checkout(&mut self, id: &str, at: i64) -> Result<String, Refusal> {
        let position = self.checkouts.position(id).ok_or_else(|| Refusal::not_found("checkout.session", id))?;
        let session = &self.checkouts.all()[position];
        if session["status"] != "open" {
            return Err(Refusal::state("This checkout session is no longer open."));
        }
        let customer = text(session, "customer");
        let (price, quantity) = self.baskets[position].clone();
        let subscription = self.subscribe(&customer, &price, quantity, at)?;
        let sold = self.subscription(&subscription)?;
        let changes = json!({
            "invoice": sold["latest_invoice"], "payment_status": "paid", "status": "complete",
            "subscription": subscription, "url": null,
            "customer_details": {"address": null, "email": null, "name": null, "phone": null, "tax_exempt": "none", "tax_ids": []},
        });
        self.change(|account| &mut account.checkouts, id, "checkout.session.completed", &changes, at);
        Ok(subscription)
    }

    /// What a checkout sells, for people, and how many of it.
    pub(super) fn basket(&self, id: &str) -> (String, i64) {
        let basket = self.checkouts.position(id).and_then(|position| self.baskets.get(position));
        let label = |id: &String| self.price(id, "price").map_or_else(|_| id.clone(), Price::label);
        basket.map(|(price, quantity)| (label(price), *quantity)).unwrap_or_default()
    }

    /// Closes a page that can still be paid on.
    pub(super) fn expire_checkout(&mut self, id: &str, at: i64) -> Result<Value, Refusal> {
        let session = self.checkouts.get(id).ok_or_else(|| Refusal::missing("session", "checkout.session", id))?;
        if session["status"] != "open" {
            return Err(Refusal::state("Only Checkout Sessions with a status in [\"open\"] can be expired."));
        }
        let changes = json!({"status": "expired", "url": null});
        self.change(|account| &mut account.checkouts, id, "checkout.session.expired", &changes, at);
        Ok(self.checkouts.get(id).cloned().unwrap_or_default())
    }

    /// Closes the pages whose day is over.
    pub(super) fn expire_old_checkouts(&mut self, at: i64) -> Result<(), Refusal> {
        let old = self.checkouts.of("status", "open").filter(|session| session["expires_at"].as_i64() <= Some(at));
        let old: Vec<String> = old.map(|session| text(session, "id")).collect();
        old.iter().try_for_each(|id| self.expire_checkout(id, at).map(drop))
    }

    pub(super) fn open_portal(
        &mut self,
        base: &str,
        customer: &str,
        return_url: Option<String>,
        at: i64,
    ) -> Result<Value, Refusal> {
        self.customer(customer)?;
        let id = random_id("bps_1", 23);
        let session = documents::portal_session(&id, &format!("{base}/portal/{id}"), customer, return_url, at);
        self.portals.push(session.clone());
        Ok(session)
    }

    /// Makes an event that tells of an object as it is now.
    pub(super) fn tell(&mut self, kind: &str, object: &Value, at: i64) {
        self.events.push(SHAPE.event(&random_id("evt_1", 23), kind, at, object));
    }

    /// Changes an object that is there, and tells of it. Only events of the kind `updated` say what was before.
    pub(super) fn change(
        &mut self,
        shelf: impl FnOnce(&mut Self) -> &mut Shelf,
        id: &str,
        kind: &str,
        changes: &Value,
        at: i64,
    ) {
        let Some(object) = shelf(self).get_mut(id) else { return };
        let mut event = SHAPE.update(&random_id("evt_1", 23), kind, at, object, changes);
        match kind.ends_with(".updated") {
            true if event["data"]["previous_attributes"] == json!({}) => return,
            true => {}
            false => event["data"] = json!({"object": event["data"]["object"]}),
        }
        self.events.push(event);
    }
}

/// What is asked of a checkout.
pub(super) struct NewCheckout {
    pub customer: String,
    pub price: String,
    pub quantity: i64,
    pub reference: Option<String>,
    pub metadata: Value,
    pub success_url: String,
    pub cancel_url: Option<String>,
}

/// An id as Stripe makes them.
pub(super) fn random_id(prefix: &str, length: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).expect("the operating system has random bytes");
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    prefix.chars().chain(letters).collect()
}

/// A text that is there.
pub(super) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}
