//! What a carrier has bought, what it owes and what it may do for it, in one answer.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::prices::Price;
use super::restriction::{Enforced, Restriction, restriction};
use super::standing::{PriceList, Terms, counting};
use super::subscription::{Subscription, SubscriptionStatus};
use crate::base::error::Result;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::Db;
use crate::tenants::{LIMITS, LimitUsage};

/// What the carrier has bought, and what that allows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Billing {
    /// The plan that counts now.
    #[schema(example = "starter")]
    pub plan: String,
    /// Of several the one that the plan follows from; one that is over if there is no other; null before the first.
    #[schema(required)]
    pub subscription: Option<SubscriptionTerms>,
    /// Why the carrier may do less than it has bought, or soon will; null if it has what it pays for.
    #[schema(required)]
    pub restriction: Option<Restriction>,
    /// Null if nothing will be billed by itself.
    #[schema(required)]
    pub next_invoice: Option<NextInvoice>,
    /// What the plan allows, and how much of it is used.
    pub limits: Vec<LimitUsage>,
}

/// What was bought, and until when.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionTerms {
    pub status: SubscriptionStatus,
    /// What was bought; null while its price is none that we know.
    #[schema(required, example = "starter")]
    pub plan: Option<String>,
    /// Null while it is none that we know.
    #[schema(required)]
    pub price: Option<Price>,
    /// How many of the price were bought.
    pub quantity: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Start of the period that is paid for.
    #[schema(required)]
    pub current_period_start_at: Option<DateTime<Utc>>,
    /// End of the period that is paid for.
    #[schema(required)]
    pub current_period_end_at: Option<DateTime<Utc>>,
    /// Until when it costs nothing.
    #[schema(required)]
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// When it ends, if that was asked for.
    #[schema(required)]
    pub cancel_at: Option<DateTime<Utc>>,
    /// Whether it ends with the current period.
    pub cancel_at_period_end: bool,
    /// When it ended; null while it goes on.
    #[schema(required)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Since when a payment is missing.
    #[schema(required)]
    pub past_due_since_at: Option<DateTime<Utc>>,
    /// Until when the plan goes on without that payment; `restriction` says what happens then.
    #[schema(required)]
    pub grace_ends_at: Option<DateTime<Utc>>,
}

/// What will be billed at the end of the period, as far as it follows from what is known here: the price as it is now, times
/// the quantity. Taxes, credits and what a change within the period adds or takes are Stripe's to know: its invoice is what
/// counts.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NextInvoice {
    pub at: DateTime<Utc>,
    /// Before tax, credits and proration.
    #[schema(example = "49.00")]
    pub estimated_amount: Decimal,
    #[schema(example = "USD")]
    pub currency: String,
}

/// What is read beside the limits.
#[derive(Debug, Deserialize)]
struct Known {
    plan_ends_at: Option<DateTime<Utc>>,
    /// Those that are not over first, then the one that ended last.
    subscriptions: Vec<Subscription>,
    prices: Vec<KnownPrice>,
    ranks: Vec<(String, i16)>,
}

#[derive(Debug, Deserialize)]
struct KnownPrice {
    stripe_price_id: String,
    #[serde(flatten)]
    price: Price,
}

/// Amounts go through JSON as text: a number would become a float.
const KNOWN: &str = "SELECT jsonb_build_object( \
    'plan_ends_at', t.plan_ends_at, \
    'subscriptions', (SELECT coalesce(jsonb_agg(s), '[]') FROM ( \
        SELECT * FROM subscriptions s WHERE s.tenant_id = e.tenant_id \
        ORDER BY s.status IN ('canceled', 'incomplete_expired'), s.ended_at DESC NULLS LAST, s.id DESC LIMIT 10) s), \
    'prices', (SELECT coalesce(jsonb_agg(to_jsonb(p) || jsonb_build_object('amount', p.amount::text)), '[]') FROM prices p \
        WHERE p.stripe_price_id IN (SELECT s.stripe_price_id FROM subscriptions s WHERE s.tenant_id = e.tenant_id)), \
    'ranks', (SELECT jsonb_agg(jsonb_build_array(plans.code, plans.rank)) FROM plans) \
    ) AS aside FROM tenants t WHERE t.id = e.tenant_id";

pub async fn get(db: &Db, actor: &Actor) -> Result<Billing> {
    let limits = |sql: &mut crate::platform::db::Sql| {
        sql.push(LIMITS);
    };
    let known = |sql: &mut crate::platform::db::Sql| {
        sql.push(KNOWN);
    };
    let (entered, limits, Json(known)) =
        db.read_with::<LimitUsage, Json<Known>>(actor, Action::BillingRead, limits, known).await?;
    let enforced = Enforced { plan: &entered.plan, plan_ends_at: known.plan_ends_at, time_zone: entered.time_zone };
    let subscription = known.subscription();
    let price = subscription.and_then(|subscription| known.price(subscription));
    Ok(Billing {
        restriction: subscription.and_then(|subscription| restriction(subscription, enforced)),
        next_invoice: subscription.zip(price.as_ref()).and_then(|(subscription, price)| next(subscription, price)),
        subscription: subscription.map(|subscription| terms(subscription, price, known.plan_ends_at)),
        plan: entered.plan,
        limits,
    })
}

impl Known {
    fn subscription(&self) -> Option<&Subscription> {
        let terms =
            |(plan, rank): &(String, i16)| (plan.clone(), Terms { rank: *rank, grace: chrono::TimeDelta::zero() });
        let ranks = PriceList { terms: self.ranks.iter().map(terms).collect(), ..PriceList::default() };
        counting(&self.subscriptions, &ranks).or(self.subscriptions.first())
    }

    fn price(&self, subscription: &Subscription) -> Option<Price> {
        let id = subscription.stripe_price_id.as_deref()?;
        let known = self.prices.iter().find(|known| known.stripe_price_id == id)?;
        Some(known.price.clone().in_its_currency())
    }
}

fn terms(subscription: &Subscription, price: Option<Price>, plan_ends_at: Option<DateTime<Utc>>) -> SubscriptionTerms {
    let subscription = subscription.clone();
    SubscriptionTerms {
        grace_ends_at: plan_ends_at.filter(|_| subscription.status.owes()),
        status: subscription.status,
        plan: subscription.plan,
        price,
        quantity: subscription.quantity,
        started_at: subscription.started_at,
        current_period_start_at: subscription.current_period_start_at,
        current_period_end_at: subscription.current_period_end_at,
        trial_ends_at: subscription.trial_ends_at,
        cancel_at: subscription.cancel_at,
        cancel_at_period_end: subscription.cancel_at_period_end,
        ended_at: subscription.ended_at,
        past_due_since_at: subscription.past_due_since_at,
    }
}

fn next(subscription: &Subscription, price: &Price) -> Option<NextInvoice> {
    let is_paid = matches!(subscription.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing);
    let at = subscription.current_period_end_at?;
    let ends = subscription.cancel_at_period_end || subscription.cancel_at.is_some_and(|cancel_at| cancel_at <= at);
    if !is_paid || ends {
        return None;
    }
    let estimated_amount = price.amount.checked_mul(subscription.quantity.into())?;
    Some(NextInvoice { at, estimated_amount, currency: price.currency.clone() })
}
