//! How a subscription lives, with the events and invoices that Stripe makes of it.
//! <https://docs.stripe.com/billing/subscriptions/overview>

use chrono::{DateTime, Months};
use serde_json::{Value, json};

use super::account::{Account, SHAPE, random_id, text};
use super::documents::Line;
use super::objects::merge;
use super::price::Price;
use super::refusal::Refusal;

const UPDATED: &str = "customer.subscription.updated";

impl Account {
    pub(super) fn subscription(&self, id: &str) -> Result<&Value, Refusal> {
        self.subscriptions.get(id).ok_or_else(|| Refusal::not_found("subscription", id))
    }

    /// A subscription that is not over.
    fn live(&self, id: &str) -> Result<&Value, Refusal> {
        let subscription = self.subscription(id)?;
        match subscription["status"] == "canceled" {
            true => {
                Err(Refusal::state("A canceled subscription can only update its cancellation_details and metadata."))
            }
            false => Ok(subscription),
        }
    }

    /// Ids of a customer's subscriptions that are not over.
    pub(super) fn live_subscriptions(&self, customer: &str) -> Vec<String> {
        let of = self.subscriptions.of("customer", customer);
        of.filter(|subscription| subscription["status"] != "canceled").map(|live| text(live, "id")).collect()
    }

    /// A new subscription, whose first invoice is paid at once. Returns its id.
    pub(super) fn subscribe(&mut self, customer: &str, price: &str, quantity: i64, at: i64) -> Result<String, Refusal> {
        self.customer(customer)?;
        let price = self.price(price, "items[0][price]")?.clone();
        let (id, invoice) = (random_id("sub_1", 23), random_id("in_1", 23));
        let mut subscription = SHAPE.subscription(&id, customer, &price.id, at);
        let item = item(&subscription, &price, quantity, at);
        merge(&mut subscription, &json!({"items": {"data": [item]}, "latest_invoice": invoice}));
        let changes = SHAPE.period(&subscription, at, end_of_period(&price, at));
        merge(&mut subscription, &changes);
        self.subscriptions.push(subscription.clone());
        self.tell("customer.subscription.created", &subscription, at);
        self.bill(&invoice, &id, "subscription_create", &[whole_period(&subscription, price)], at)?;
        self.settle(&invoice, at);
        self.change_subscription(&id, &json!({"status": "active"}), at);
        Ok(id)
    }

    /// Another price from now on. What is left of the paid period is credited, and charged at the new price.
    pub(super) fn change_price(&mut self, id: &str, price: &str, at: i64) -> Result<(), Refusal> {
        let new = self.price(price, "items[0][price]")?.clone();
        let subscription = self.live(id)?.clone();
        let (old, quantity, start, end) = terms(&subscription);
        let old = self.price(&old, "items[0][price]")?.clone();
        if old.id == new.id {
            return Ok(());
        }
        let left = |price: &Price, sign: i64| Line {
            amount: sign * share(price.amount * quantity, end - at.clamp(start, end), end - start),
            price: price.clone(),
            quantity,
            start: at,
            end,
            is_proration: true,
        };
        let item = item(&subscription, &new, quantity, at);
        let mut changed = subscription.clone();
        merge(&mut changed, &json!({"items": {"data": [item]}}));
        let mut lines = vec![left(&old, -1)];
        if old.interval == new.interval {
            lines.push(left(&new, 1));
        } else {
            // Another interval begins a period.
            let period = SHAPE.period(&changed, at, end_of_period(&new, at));
            merge(&mut changed, &period);
            merge(&mut changed, &json!({"billing_cycle_anchor": at}));
            lines.push(whole_period(&changed, new));
        }
        let invoice = random_id("in_1", 23);
        let changes = json!({
            "items": changed["items"], "billing_cycle_anchor": changed["billing_cycle_anchor"], "latest_invoice": invoice,
        });
        self.change_subscription(id, &changes, at);
        self.bill(&invoice, id, "subscription_update", &lines, at)?;
        if subscription["status"] == "active" {
            self.settle(&invoice, at);
        }
        Ok(())
    }

    /// Pays what is open; if nothing is, the period is over now, and the next one is paid.
    pub(super) fn pay(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        self.live(id)?;
        let mut open = self.open_invoices(id);
        if open.is_empty() {
            open.extend(self.renew(id, at)?);
        }
        for invoice in open {
            self.settle(&invoice, at);
        }
        if self.subscription(id)?["status"] != "canceled" {
            self.change_subscription(id, &json!({"status": "active"}), at);
        }
        Ok(())
    }

    /// The payment of what is open fails once more; if nothing is, the period is over now, and the next one is not paid.
    pub(super) fn fail_payment(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        self.live(id)?;
        let open = self.open_invoices(id).pop();
        let invoice = match open {
            Some(invoice) => Some(invoice),
            None => self.renew(id, at)?,
        };
        // None is left to be paid if the subscription has ended with its period, or the customer has a credit.
        let open = invoice.and_then(|id| self.invoices.get(&id)).filter(|invoice| invoice["status"] == "open");
        let Some(open) = open else { return Ok(()) };
        let (invoice, attempts) = (text(open, "id"), open["attempt_count"].as_i64());
        let changes = json!({
            "attempted": true, "attempt_count": attempts.unwrap_or_default() + 1, "next_payment_attempt": at + 3 * 24 * 3600,
        });
        self.change(|account| &mut account.invoices, &invoice, "invoice.payment_failed", &changes, at);
        self.change_subscription(id, &json!({"status": "past_due"}), at);
        Ok(())
    }

    /// Ends at once.
    pub(super) fn cancel(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        let was_asked = self.live(id)?["canceled_at"].as_i64();
        let changes = json!({
            "status": "canceled", "canceled_at": was_asked.unwrap_or(at), "ended_at": at,
            "cancellation_details": {"reason": "cancellation_requested"},
        });
        self.change(|account| &mut account.subscriptions, id, "customer.subscription.deleted", &changes, at);
        Ok(())
    }

    pub(super) fn cancel_at_period_end(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        let (.., end) = terms(self.live(id)?);
        let changes = json!({
            "cancel_at_period_end": true, "cancel_at": end, "canceled_at": at,
            "cancellation_details": {"reason": "cancellation_requested"},
        });
        self.change_subscription(id, &changes, at);
        Ok(())
    }

    /// What was to end goes on.
    pub(super) fn resume(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        self.live(id)?;
        let changes = json!({
            "cancel_at_period_end": false, "cancel_at": null, "canceled_at": null, "cancellation_details": {"reason": null},
        });
        self.change_subscription(id, &changes, at);
        Ok(())
    }

    /// The period is over now. Returns the invoice of the next, which is open; none if the subscription ends with the period.
    fn renew(&mut self, id: &str, at: i64) -> Result<Option<String>, Refusal> {
        let subscription = self.live(id)?.clone();
        if subscription["cancel_at_period_end"] == true {
            self.cancel(id, at)?;
            return Ok(None);
        }
        let (price, ..) = terms(&subscription);
        let price = self.price(&price, "items[0][price]")?.clone();
        let mut next = subscription.clone();
        merge(&mut next, &SHAPE.period(&subscription, at, end_of_period(&price, at)));
        let invoice = random_id("in_1", 23);
        self.change_subscription(id, &json!({"items": next["items"], "latest_invoice": invoice}), at);
        self.bill(&invoice, id, "subscription_cycle", &[whole_period(&next, price)], at)?;
        Ok(Some(invoice))
    }

    fn change_subscription(&mut self, id: &str, changes: &Value, at: i64) {
        self.change(|account| &mut account.subscriptions, id, UPDATED, changes, at);
    }
}

/// The only item's price and quantity, and the period.
pub(super) fn terms(subscription: &Value) -> (String, i64, i64, i64) {
    let item = &subscription["items"]["data"][0];
    let number = |field: &str| item[field].as_i64().unwrap_or_default();
    (text(&item["price"], "id"), number("quantity"), number("current_period_start"), number("current_period_end"))
}

/// The subscription's item, at this price.
fn item(subscription: &Value, price: &Price, quantity: i64, at: i64) -> Value {
    let mut item = subscription["items"]["data"][0].clone();
    merge(&mut item, &json!({"price": price.object(at), "plan": price.plan(at), "quantity": quantity}));
    item
}

/// A calendar month or year later.
fn end_of_period(price: &Price, start: i64) -> i64 {
    let months = Months::new(if price.interval == "year" { 12 } else { 1 });
    let end = DateTime::from_timestamp(start, 0).and_then(|start| start.checked_add_months(months));
    end.map_or(start, |end| end.timestamp())
}

pub(super) fn whole_period(subscription: &Value, price: Price) -> Line {
    let (_, quantity, start, end) = terms(subscription);
    Line { amount: price.amount * quantity, price, quantity, start, end, is_proration: false }
}

/// `part` of `whole` of an amount, rounded to the cent, half a cent up.
fn share(amount: i64, part: i64, whole: i64) -> i64 {
    let (amount, part, whole) = (i128::from(amount), i128::from(part), i128::from(whole.max(1)));
    let cents = (2 * amount * part + whole) / (2 * whole);
    i64::try_from(cents).expect("a part of an amount is not larger than it")
}
