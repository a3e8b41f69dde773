//! What a carrier was billed, as its owner reads it.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::invoice::InvoiceStatus;
use super::stripe::objects::in_currency;
use crate::base::error::Result;
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::Db;

crate::id!(BillingInvoiceId);

/// An invoice of Stripe's to the carrier.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct BillingInvoice {
    pub id: BillingInvoiceId,
    /// Null for a draft.
    #[schema(required)]
    pub number: Option<String>,
    pub status: InvoiceStatus,
    #[schema(example = "USD")]
    pub currency: String,
    /// Before tax.
    #[schema(example = "49.00")]
    pub subtotal_amount: Decimal,
    /// Tax in the total, in decimals of the currency.
    #[schema(example = "0.00")]
    pub tax_amount: Decimal,
    /// With tax, in decimals of the currency.
    #[schema(example = "49.00")]
    pub total_amount: Decimal,
    /// What is paid of it, in decimals of the currency.
    #[schema(example = "49.00")]
    pub paid_amount: Decimal,
    /// What is still to be paid, in decimals of the currency.
    #[schema(example = "0.00")]
    pub remaining_amount: Decimal,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// Start of the time that it is for.
    #[schema(required)]
    pub period_start_at: Option<DateTime<Utc>>,
    /// End of the time that it is for.
    #[schema(required)]
    pub period_end_at: Option<DateTime<Utc>>,
    /// Null for what is charged to a card at once.
    #[schema(required)]
    pub due_at: Option<DateTime<Utc>>,
    /// When it was paid in full.
    #[schema(required)]
    pub paid_at: Option<DateTime<Utc>>,
    /// How often a payment was tried.
    pub attempts: i32,
    /// When it is tried next.
    #[schema(required)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The page where it can be seen and paid.
    #[schema(required)]
    pub url: Option<String>,
    /// Where it can be downloaded as PDF.
    #[schema(required)]
    pub pdf_url: Option<String>,
}

impl BillingInvoice {
    fn in_its_currency(mut self) -> Self {
        for amount in [
            &mut self.subtotal_amount,
            &mut self.tax_amount,
            &mut self.total_amount,
            &mut self.paid_amount,
            &mut self.remaining_amount,
        ] {
            *amount = in_currency(*amount, &self.currency);
        }
        self
    }
}

/// By the time when they were issued, which is not the order in which we heard of them.
pub async fn list(db: &Db, actor: &Actor, cursor: Option<&str>, limit: Limit) -> Result<Page<BillingInvoice>> {
    let after: Option<(DateTime<Utc>, BillingInvoiceId)> = page::after("billing_invoices", cursor)?;
    let (_, invoices) = db
        .read::<BillingInvoice>(actor, Action::BillingRead, |sql| {
            sql.push(
                "SELECT t.id, t.number, t.status, t.currency, t.subtotal_amount, t.tax_amount, t.total_amount, t.paid_amount, \
                 t.remaining_amount, t.issued_at, t.period_start_at, t.period_end_at, t.due_at, t.paid_at, t.attempts, \
                 t.next_attempt_at, t.url, t.pdf_url FROM billing_invoices t WHERE t.tenant_id = e.tenant_id",
            );
            if let Some((issued_at, id)) = after {
                sql.push(" AND (t.issued_at, t.id) < (").push_bind(issued_at).push(", ").push_bind(id).push(")");
            }
            sql.push(" ORDER BY t.issued_at DESC, t.id DESC LIMIT ").push(limit.fetch());
        })
        .await?;
    let page = Page::from_rows("billing_invoices", invoices, limit, |invoice| (invoice.issued_at, invoice.id));
    Ok(Page { data: page.data.into_iter().map(BillingInvoice::in_its_currency).collect(), ..page })
}
