//! What is owed, and that it adds up. <https://docs.stripe.com/billing/customer/balance>

use serde_json::{Value, json};

use super::account::{Account, SHAPE, random_id, text};
use super::documents::Line;
use super::life::{terms, whole_period};
use super::objects::{list, merge};
use super::refusal::Refusal;

impl Account {
    /// Draws up an invoice and finalizes it. What the customer has to its credit is used first; an invoice of less than
    /// nothing adds to it.
    pub(super) fn bill(
        &mut self,
        id: &str,
        subscription: &str,
        reason: &str,
        lines: &[Line],
        at: i64,
    ) -> Result<(), Refusal> {
        let subscription = self.subscription(subscription)?.clone();
        let mut invoice = self.draw_up(id, &subscription, reason, lines, at)?;
        let finalized = json!({
            "status": invoice["status"], "number": invoice["number"], "effective_at": at,
            "status_transitions": {"finalized_at": at}, "ending_balance": invoice["ending_balance"],
            "hosted_invoice_url": invoice["hosted_invoice_url"], "invoice_pdf": invoice["invoice_pdf"],
        });
        let draft = json!({
            "status": "draft", "number": null, "effective_at": null, "status_transitions": {"finalized_at": null},
            "ending_balance": null, "hosted_invoice_url": null, "invoice_pdf": null,
        });
        let balance = invoice["ending_balance"].clone();
        merge(&mut invoice, &draft);
        self.tell("invoice.created", &invoice, at);
        self.invoices.push(invoice);
        self.change(|account| &mut account.invoices, id, "invoice.finalized", &finalized, at);
        let customer = text(&subscription, "customer");
        self.change(|account| &mut account.customers, &customer, "customer.updated", &json!({"balance": balance}), at);
        // Nothing is to be paid, and so it is.
        if self.invoices.get(id).is_some_and(|invoice| invoice["amount_due"] == 0) {
            self.settle(id, at);
        }
        Ok(())
    }

    /// Pays an invoice, if it is to be paid.
    pub(super) fn settle(&mut self, id: &str, at: i64) {
        let Some(invoice) = self.invoices.get(id).filter(|invoice| invoice["status"] == "open") else { return };
        let changes = SHAPE.paid(invoice, at);
        self.change(|account| &mut account.invoices, id, "invoice.paid", &changes, at);
        self.change(|account| &mut account.invoices, id, "invoice.payment_succeeded", &json!({}), at);
    }

    /// Ids of a subscription's invoices that are to be paid, the oldest first.
    pub(super) fn open_invoices(&self, subscription: &str) -> Vec<String> {
        let open = self.invoices.of("status", "open").filter(|invoice| subscription_of(invoice) == subscription);
        open.map(|invoice| text(invoice, "id")).collect()
    }

    /// The invoice that is to come when the period is over.
    pub(super) fn preview(&self, subscription: &str, at: i64) -> Result<Value, Refusal> {
        let subscription = self
            .subscriptions
            .get(subscription)
            .ok_or_else(|| Refusal::missing("subscription", "subscription", subscription))?;
        if subscription["status"] == "canceled" || subscription["cancel_at_period_end"] == true {
            let customer = text(subscription, "customer");
            let message = format!("No upcoming invoices for customer: {customer}");
            return Err(Refusal::invalid("customer", "invoice_upcoming_none", message).with_not_found());
        }
        let (price, _, _, end) = terms(subscription);
        let mut line = whole_period(subscription, self.price(&price, "items[0][price]")?.clone());
        (line.start, line.end) = (end, end + line.end - line.start);
        let id = random_id("upcoming_in_1", 23);
        let mut invoice = self.draw_up(&id, subscription, "upcoming", &[line], at)?;
        let preview = json!({
            "status": "draft", "number": null, "effective_at": null, "status_transitions": {"finalized_at": null},
            "created": end, "next_payment_attempt": end + 3600, "hosted_invoice_url": null, "invoice_pdf": null,
        });
        merge(&mut invoice, &preview);
        Ok(invoice)
    }

    /// An open invoice that adds up.
    fn draw_up(&self, id: &str, subscription: &Value, reason: &str, lines: &[Line], at: i64) -> Result<Value, Refusal> {
        let customer = self.customer(&text(subscription, "customer"))?;
        let total: i64 = lines.iter().map(|line| line.amount).sum();
        // A balance below zero is a credit.
        let balance = customer["balance"].as_i64().unwrap_or_default();
        let due = (total + balance).max(0);
        let rows = lines.iter().map(|line| line.object(&random_id("il_1", 23), id, subscription)).collect();
        let (_, _, start, end) = terms(subscription);
        let number = format!(
            "{}-{:04}",
            customer["invoice_prefix"].as_str().unwrap_or_default(),
            self.invoices.of("customer", &text(customer, "id")).count() + 1
        );
        let mut invoice = SHAPE.invoice(id, subscription, "usd", total, 0, at);
        merge(
            &mut invoice,
            &json!({
                "amount_due": due, "amount_remaining": due, "billing_reason": reason,
                "customer_email": customer["email"], "customer_name": customer["name"], "ending_balance": total + balance - due,
                "lines": list(&format!("/v1/invoices/{id}/lines"), rows), "number": number, "period_end": end,
                "period_start": start, "starting_balance": balance, "total_taxes": [], "webhooks_delivered_at": null,
            }),
        );
        Ok(invoice)
    }
}

pub(super) fn subscription_of(invoice: &Value) -> &Value {
    &invoice["parent"]["subscription_details"]["subscription"]
}
