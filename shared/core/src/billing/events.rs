//! What came from Stripe for a carrier, and what it has changed, so that its owner sees why the plan is what it is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::base::error::Result;
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::Db;

crate::id!(BillingEventId);

/// Something of Stripe's that concerned the carrier, and what became of it.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct BillingEvent {
    pub id: BillingEventId,
    /// As Stripe names it; `subscription.reconciled` when we have compared our records with Stripe's.
    #[schema(example = "customer.subscription.updated")]
    pub r#type: String,
    /// What it has changed here.
    pub outcome: BillingEventOutcome,
    /// The plan after it.
    #[schema(example = "starter")]
    pub plan: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Stripe's id of the event; null for a comparison.
    #[schema(required)]
    pub stripe_event_id: Option<String>,
    /// Stripe's id of the subscription or invoice that it is about.
    #[schema(required)]
    pub stripe_object_id: Option<String>,
}

/// What became of an event of Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillingEventOutcome {
    Applied,
    /// What was known already is newer.
    Superseded,
    /// It says nothing that matters here.
    Ignored,
    /// The subscription's price is not in our list yet: its plan counts once it is.
    UnknownPrice,
    /// Our record was not as Stripe's, and is now.
    Repaired,
}

crate::text_column!(BillingEventOutcome);

/// By the time when they happened, which is not the order in which they arrived.
pub async fn list(db: &Db, actor: &Actor, cursor: Option<&str>, limit: Limit) -> Result<Page<BillingEvent>> {
    let after: Option<(DateTime<Utc>, BillingEventId)> = page::after("billing_events", cursor)?;
    let (_, events) = db
        .read::<BillingEvent>(actor, Action::BillingRead, |sql| {
            sql.push(
                "SELECT t.id, t.type, t.outcome, t.plan, t.at, t.stripe_event_id, t.stripe_object_id \
                 FROM billing_events t WHERE t.tenant_id = e.tenant_id",
            );
            if let Some((at, id)) = after {
                sql.push(" AND (t.at, t.id) < (").push_bind(at).push(", ").push_bind(id).push(")");
            }
            sql.push(" ORDER BY t.at DESC, t.id DESC LIMIT ").push(limit.fetch());
        })
        .await?;
    Ok(Page::from_rows("billing_events", events, limit, |event| (event.at, event.id)))
}
