//! Stripe's objects, as far as we use them: strict on that, blind to the rest. Both shapes are read: until 2025-03-31 a
//! subscription had one billing period, since then each of its items has its own, and what an invoice belongs to and its
//! taxes have moved.
//!
//! - <https://docs.stripe.com/api/subscriptions/object>, <https://docs.stripe.com/api/invoices/object>
//! - <https://docs.stripe.com/changelog/basil/2025-03-31/deprecate-subscription-current-period-start-and-end>
//! - <https://docs.stripe.com/changelog/basil/2025-03-31/adds-new-parent-field-to-invoicing-objects>

use chrono::serde::{ts_seconds, ts_seconds_option};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::billing::invoice::InvoiceStatus;
use crate::billing::subscription::SubscriptionStatus;

/// An object that is not as Stripe's documentation says. Names the field and never what is in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {object} at {path}")]
pub struct Unreadable {
    object: &'static str,
    path: String,
}

/// What events are about and the API answers.
pub trait Object: DeserializeOwned + PartialEq {
    /// What the object says in `object` that it is.
    const NAME: &'static str;
    /// Orders the states of one second, if nothing else does: how far it has come.
    type Progress: Ord;

    fn progress(&self) -> Self::Progress;
}

/// Whether this is such an object.
pub fn is<T: Object>(object: &Value) -> bool {
    object["object"] == T::NAME
}

/// # Errors
/// [`Unreadable`] if a field that we use is missing or of another type.
pub fn read<T: Object>(object: &Value) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(object)
        .map_err(|error| Unreadable { object: T::NAME, path: error.path().to_string() })
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    pub id: String,
    pub customer: String,
    pub status: SubscriptionStatus,
    #[serde(with = "ts_seconds")]
    pub start_date: DateTime<Utc>,
    pub items: List<Item>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_end: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub trial_end: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub cancel_at: Option<DateTime<Utc>>,
    pub cancel_at_period_end: bool,
    #[serde(default, with = "ts_seconds_option")]
    pub canceled_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Item {
    pub price: Id,
    /// None for what is paid by use.
    #[serde(default)]
    pub quantity: Option<i64>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_end: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Id {
    pub id: String,
}

impl Subscription {
    /// When the billing period of an item began and when it ends, or of the whole if it has no item.
    pub fn period(&self, item: Option<&Item>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let start = item.and_then(|item| item.current_period_start).or(self.current_period_start);
        let end = item.and_then(|item| item.current_period_end).or(self.current_period_end);
        (start, end)
    }
}

impl Object for Subscription {
    const NAME: &'static str = "subscription";
    type Progress = (Option<DateTime<Utc>>, SubscriptionStatus);

    fn progress(&self) -> Self::Progress {
        (self.items.data.iter().map(|item| self.period(Some(item)).1).max().flatten(), self.status)
    }
}

/// Amounts are whole numbers of the currency's smallest unit, see [`amount`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub customer: String,
    #[serde(default)]
    pub number: Option<String>,
    pub status: InvoiceStatus,
    pub currency: String,
    pub subtotal: i64,
    #[serde(default)]
    tax: Option<i64>,
    #[serde(default)]
    total_taxes: Option<Vec<Tax>>,
    pub total: i64,
    pub amount_paid: i64,
    pub amount_remaining: i64,
    #[serde(with = "ts_seconds")]
    pub created: DateTime<Utc>,
    #[serde(with = "ts_seconds")]
    pub period_start: DateTime<Utc>,
    #[serde(with = "ts_seconds")]
    pub period_end: DateTime<Utc>,
    #[serde(default, with = "ts_seconds_option")]
    pub due_date: Option<DateTime<Utc>>,
    pub status_transitions: Transitions,
    pub attempt_count: i32,
    #[serde(default, with = "ts_seconds_option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    #[serde(default)]
    pub invoice_pdf: Option<String>,
    #[serde(default)]
    subscription: Option<String>,
    #[serde(default)]
    parent: Option<Parent>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Tax {
    amount: i64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Transitions {
    #[serde(default, with = "ts_seconds_option")]
    pub finalized_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub paid_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct SubscriptionDetails {
    subscription: String,
}

impl Invoice {
    /// All taxes, those that prices include too.
    pub fn tax(&self) -> i64 {
        self.tax.unwrap_or_else(|| self.total_taxes.iter().flatten().map(|tax| tax.amount).sum())
    }

    /// The subscription that it is for.
    pub fn subscription(&self) -> Option<&str> {
        let details = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        details.map(|details| details.subscription.as_str()).or(self.subscription.as_deref())
    }
}

impl Object for Invoice {
    const NAME: &'static str = "invoice";
    type Progress = (InvoiceStatus, i64, i32);

    fn progress(&self) -> Self::Progress {
        (self.status, self.amount_paid, self.attempt_count)
    }
}

/// An amount of Stripe's in the currency itself. The currency may be in either case.
pub fn amount(smallest_units: i64, currency: &str) -> Decimal {
    Decimal::new(smallest_units, decimals(currency))
}

/// The same amount, written with as many decimals as Stripe's smallest unit of the currency has.
pub fn in_currency(mut amount: Decimal, currency: &str) -> Decimal {
    amount.rescale(decimals(currency));
    amount
}

/// Of the currencies without decimals two are written with two, for old clients' sake: ISK and UGX.
/// <https://docs.stripe.com/currencies#zero-decimal>, <https://docs.stripe.com/currencies#special-cases>
fn decimals(currency: &str) -> u32 {
    match currency.to_ascii_uppercase().as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "JPY" | "KMF" | "KRW" | "MGA" | "PYG" | "RWF" | "VND" | "VUV" | "XAF"
        | "XOF" | "XPF" => 0,
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
