//! Bodies as Stripe writes them, with every field of its published objects, in both shapes that we read.

use serde_json::{Map, Value, json};

use super::price::Price;

/// An API version, for the shape that its objects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeShape {
    /// One billing period for the whole subscription; an invoice names its subscription itself.
    Acacia,
    /// Each item has its billing period; an invoice's parent names the subscription.
    Endive,
}

impl StripeShape {
    pub const ALL: [Self; 2] = [Self::Acacia, Self::Endive];

    pub fn api_version(self) -> &'static str {
        match self {
            Self::Acacia => "2025-02-24.acacia",
            Self::Endive => "2026-10-28.endive",
        }
    }

    /// A monthly subscription that waits for its first payment. Times are in seconds since 1970.
    pub fn subscription(self, id: &str, customer: &str, price: &str, at: i64) -> Value {
        let (price, start, end) = (Price::monthly(price), at, at + MONTH);
        let mut item = json!({
            "id": id.replace("sub_", "si_"), "object": "subscription_item", "billing_thresholds": null, "created": at,
            "discounts": [], "metadata": {}, "plan": price.plan(at), "price": price.object(at), "quantity": 1,
            "subscription": id, "tax_rates": [],
        });
        let mut subscription = json!({
            "id": id, "object": "subscription", "application": null, "application_fee_percent": null,
            "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null}, "billing_cycle_anchor": at,
            "billing_cycle_anchor_config": null, "billing_thresholds": null, "cancel_at": null,
            "cancel_at_period_end": false, "canceled_at": null,
            "cancellation_details": {"comment": null, "feedback": null, "reason": null},
            "collection_method": "charge_automatically", "created": at, "currency": "usd", "customer": customer,
            "days_until_due": null, "default_payment_method": null, "default_source": null, "default_tax_rates": [],
            "description": null, "discounts": [], "ended_at": null,
            "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
            "latest_invoice": id.replace("sub_", "in_"), "livemode": false, "metadata": {},
            "next_pending_invoice_item_invoice": null, "on_behalf_of": null, "pause_collection": null,
            "payment_settings": {
                "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null,
            "schedule": null, "start_date": at, "status": "incomplete", "test_clock": null, "transfer_data": null,
            "trial_end": null, "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": null,
        });
        match self {
            Self::Acacia => {
                merge(
                    &mut subscription,
                    &json!({
                        "current_period_start": start, "current_period_end": end, "discount": null, "plan": price.plan(at),
                        "quantity": 1,
                    }),
                );
            }
            Self::Endive => {
                merge(
                    &mut item,
                    &json!({
                        "billed_until": null, "current_period_start": start, "current_period_end": end, "current_trial": null,
                    }),
                );
                merge(
                    &mut subscription,
                    &json!({
                        "billing_mode": {"type": "classic", "updated_at": null}, "billing_schedules": [],
                        "customer_account": null, "managed_payments": {"enabled": false}, "presentment_details": null,
                        "status_details": null,
                    }),
                );
            }
        }
        subscription["items"] = list(&format!("/v1/subscription_items?subscription={id}"), vec![item]);
        subscription
    }

    /// Changes to a subscription that move it into the billing period which begins then.
    pub fn next_period(self, subscription: &Value, start: i64) -> Value {
        self.period(subscription, start, start + MONTH)
    }

    /// Changes to a subscription that give it this billing period.
    pub(super) fn period(self, subscription: &Value, start: i64, end: i64) -> Value {
        let period = json!({"current_period_start": start, "current_period_end": end});
        match self {
            Self::Acacia => period,
            Self::Endive => {
                let mut item = subscription["items"]["data"][0].clone();
                merge(&mut item, &period);
                json!({"items": {"data": [item]}})
            }
        }
    }

    /// Changes to a subscription that exchange its price.
    pub fn other_price(self, subscription: &Value, price: &str, at: i64) -> Value {
        let mut item = subscription["items"]["data"][0].clone();
        merge(&mut item, &json!({"price": {"id": price}, "plan": {"id": price}}));
        match self {
            Self::Acacia => json!({"items": {"data": [item]}, "plan": Price::monthly(price).plan(at)}),
            Self::Endive => json!({"items": {"data": [item]}}),
        }
    }

    /// An open invoice of a subscription. Amounts are in the currency's smallest unit, the tax comes on top.
    pub fn invoice(self, id: &str, subscription: &Value, currency: &str, subtotal: i64, tax: i64, at: i64) -> Value {
        let total = subtotal + tax;
        let subscription_id = &subscription["id"];
        let mut invoice = json!({
            "id": id, "object": "invoice", "account_country": "US", "account_name": null, "account_tax_ids": null,
            "amount_due": total, "amount_paid": 0, "amount_remaining": total, "amount_shipping": 0, "application": null,
            "attempt_count": 0, "attempted": false, "auto_advance": true,
            "automatic_tax": {
                "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null,
            },
            "automatically_finalizes_at": null, "billing_reason": "subscription_cycle",
            "collection_method": "charge_automatically", "created": at, "currency": currency, "custom_fields": null,
            "customer": subscription["customer"], "customer_address": null, "customer_email": null,
            "customer_name": null, "customer_phone": null, "customer_shipping": null, "customer_tax_exempt": "none",
            "customer_tax_ids": [], "default_payment_method": null, "default_source": null, "default_tax_rates": [],
            "description": null, "discounts": [], "due_date": null, "effective_at": at, "ending_balance": 0,
            "footer": null, "from_invoice": null, "hosted_invoice_url": format!("https://invoice.stripe.com/i/{id}"),
            "invoice_pdf": format!("https://pay.stripe.com/invoice/{id}/pdf"), "issuer": {"type": "self"},
            "last_finalization_error": null, "latest_revision": null,
            "lines": list(&format!("/v1/invoices/{id}/lines"), Vec::new()), "livemode": false, "metadata": {},
            "next_payment_attempt": null, "number": id.to_uppercase(), "on_behalf_of": null,
            "payment_settings": {
                "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
            },
            "period_end": at, "period_start": at - MONTH, "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0, "receipt_number": null, "rendering": null, "shipping_cost": null,
            "shipping_details": null, "starting_balance": 0, "statement_descriptor": null, "status": "open",
            "status_transitions": {
                "finalized_at": at, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null,
            },
            "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "test_clock": null, "threshold_reason": null,
            "total": total, "total_discount_amounts": [], "total_excluding_tax": subtotal,
            "total_pretax_credit_amounts": [], "webhooks_delivered_at": at,
        });
        match self {
            Self::Acacia => merge(
                &mut invoice,
                &json!({
                    "application_fee_amount": null, "charge": null, "discount": null, "paid": false,
                    "paid_out_of_band": false, "payment_intent": null, "quote": null, "subscription": subscription_id,
                    "subscription_details": {"metadata": {}}, "tax": tax, "total_tax_amounts": [], "transfer_data": null,
                }),
            ),
            Self::Endive => merge(
                &mut invoice,
                &json!({
                    "amount_overpaid": 0, "confirmation_secret": null, "customer_account": null,
                    "parent": {
                        "quote_details": null, "type": "subscription_details",
                        "subscription_details": {"metadata": {}, "subscription": subscription_id},
                    },
                    "status_details": null,
                    "total_taxes": [{
                        "amount": tax, "tax_behavior": "exclusive", "tax_rate_details": null, "taxability_reason": "not_available",
                        "taxable_amount": subtotal, "type": "tax_rate_details",
                    }],
                }),
            ),
        }
        invoice
    }

    /// Changes to an invoice that pay it.
    pub fn paid(self, invoice: &Value, at: i64) -> Value {
        let mut paid = json!({
            "amount_paid": invoice["amount_due"], "amount_remaining": 0, "attempted": true,
            "attempt_count": invoice["attempt_count"].as_i64().unwrap_or_default() + 1, "next_payment_attempt": null,
            "status": "paid", "status_transitions": {"paid_at": at},
        });
        if self == Self::Acacia {
            paid["paid"] = json!(true);
        }
        paid
    }

    /// What a checkout that began a subscription completes with.
    pub fn checkout_session(self, id: &str, subscription: &Value, at: i64) -> Value {
        json!({
            "id": id, "object": "checkout.session", "client_reference_id": null, "created": at, "currency": "usd",
            "customer": subscription["customer"], "invoice": subscription["latest_invoice"], "livemode": false,
            "metadata": {}, "mode": "subscription", "payment_intent": null, "payment_status": "paid",
            "status": "complete", "subscription": subscription["id"], "url": null,
        })
    }

    pub fn event(self, id: &str, kind: &str, at: i64, object: &Value) -> Value {
        json!({
            "id": id, "object": "event", "api_version": self.api_version(), "created": at, "data": {"object": object},
            "livemode": false, "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "type": kind,
        })
    }

    /// Changes an object, and makes the event that tells of it with what was before.
    pub fn update(self, id: &str, kind: &str, at: i64, object: &mut Value, changes: &Value) -> Value {
        let previous = change(object, changes);
        let mut event = self.event(id, kind, at, object);
        event["data"]["previous_attributes"] = previous;
        event
    }
}

const MONTH: i64 = 30 * 24 * 3600;

pub(super) fn list(url: &str, data: Vec<Value>) -> Value {
    json!({"object": "list", "has_more": false, "total_count": data.len(), "url": url, "data": data})
}

pub(super) fn merge(object: &mut Value, changes: &Value) {
    change(object, changes);
}

/// Changes what is named and different, in nested objects too, and gives back what was before, as `previous_attributes` do:
/// of an object what has changed in it, a list as a whole, null for what was not there.
pub(super) fn change(object: &mut Value, changes: &Value) -> Value {
    let mut previous = Map::new();
    for (name, value) in changes.as_object().into_iter().flatten() {
        let present = &mut object[name];
        if present == value {
            continue;
        }
        let was = if present.is_object() && value.is_object() {
            change(present, value)
        } else {
            std::mem::replace(present, value.clone())
        };
        if was != Value::Object(Map::new()) {
            previous.insert(name.clone(), was);
        }
    }
    Value::Object(previous)
}
