//! What we bill a carrier, and which state of an invoice follows from what is known, as in [`super::subscription`].

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::history::{Reading, Source, State, StoredEvent, Timeline, history};
use super::stripe::objects::{self, Unreadable, amount};

/// In the order in which invoices usually go through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BillingInvoiceStatus)]
pub enum InvoiceStatus {
    /// May still change, and is not to be paid yet.
    Draft,
    Open,
    /// Nobody expects it to be paid any more.
    Uncollectible,
    Paid,
    Void,
}

crate::text_column!(InvoiceStatus);

/// A row of `billing_invoices`, without what the database adds. Amounts are in the currency itself.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub struct Invoice {
    pub stripe_id: String,
    pub customer_id: String,
    pub stripe_subscription_id: Option<String>,
    pub number: Option<String>,
    pub status: InvoiceStatus,
    pub currency: String,
    pub subtotal_amount: Decimal,
    pub tax_amount: Decimal,
    pub total_amount: Decimal,
    pub paid_amount: Decimal,
    pub remaining_amount: Decimal,
    pub issued_at: DateTime<Utc>,
    pub period_start_at: Option<DateTime<Utc>>,
    pub period_end_at: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    /// How often a payment was tried, and when the next try is.
    pub attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub url: Option<String>,
    pub pdf_url: Option<String>,
    /// What is known is as of then: when Stripe made the event, or when we began to ask.
    pub as_of_at: DateTime<Utc>,
}

impl Invoice {
    fn new(object: objects::Invoice, as_of_at: DateTime<Utc>) -> Self {
        let amount = |smallest_units: i64| amount(smallest_units, &object.currency);
        Self {
            stripe_subscription_id: object.subscription().map(str::to_owned),
            subtotal_amount: amount(object.subtotal),
            tax_amount: amount(object.tax()),
            total_amount: amount(object.total),
            paid_amount: amount(object.amount_paid),
            remaining_amount: amount(object.amount_remaining),
            currency: object.currency.to_ascii_uppercase(),
            stripe_id: object.id,
            customer_id: object.customer,
            number: object.number,
            status: object.status,
            issued_at: object.status_transitions.finalized_at.unwrap_or(object.created),
            period_start_at: Some(object.period_start),
            period_end_at: Some(object.period_end),
            due_at: object.due_date,
            paid_at: object.status_transitions.paid_at,
            attempts: object.attempt_count,
            next_attempt_at: object.next_payment_attempt,
            url: object.hosted_invoice_url,
            pdf_url: object.invoice_pdf,
            as_of_at,
        }
    }

    /// A draft that was deleted: nothing is owed for it.
    fn deleted(self) -> Self {
        Self { status: InvoiceStatus::Void, ..self }
    }
}

impl State for Invoice {
    fn as_of_at(&self) -> DateTime<Utc> {
        self.as_of_at
    }

    fn is_over(&self) -> bool {
        matches!(self.status, InvoiceStatus::Paid | InvoiceStatus::Void)
    }
}

/// The state that follows, and what says so; None if nothing says anything.
///
/// # Errors
/// [`Unreadable`] if Stripe's answer is.
pub fn decide(
    stored: Option<&Invoice>,
    events: &[StoredEvent],
    reading: Option<&Reading>,
) -> Result<Option<(Invoice, Source)>, Unreadable> {
    let mut said = Vec::new();
    for event in history::<objects::Invoice>(events) {
        let is_deleted = event.is_deleted();
        let state = Invoice::new(event.object, event.at);
        said.push((if is_deleted { state.deleted() } else { state }, Source::Event(event.id)));
    }
    if let Some(reading) = reading {
        said.push((Invoice::new(objects::read(&reading.object)?, reading.at), Source::Reading));
    }
    let mut timeline = Timeline::new(stored.cloned(), said);
    Ok(timeline.last_word(true).map(|last| timeline.states.swap_remove(last)))
}

#[cfg(test)]
#[path = "invoice_tests.rs"]
mod tests;
