//! What a carrier may do: the plan that follows from all its subscriptions.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::subscription::{Subscription, SubscriptionStatus};

/// What everybody has.
pub const FREE: &str = "free";

/// What prices buy, and what holds for the plans.
#[derive(Debug, Default)]
pub struct PriceList {
    /// Stripe's id of a price, and the plan.
    pub plans: HashMap<String, String>,
    pub terms: HashMap<String, Terms>,
}

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Of two plans that are paid at once the higher counts.
    pub rank: i16,
    /// How long a carrier keeps the plan after a payment has failed.
    pub grace: TimeDelta,
}

impl Terms {
    pub fn new(rank: i16, grace_days: i16) -> Self {
        Self { rank, grace: TimeDelta::days(grace_days.into()) }
    }
}

impl PriceList {
    pub fn plan(&self, stripe_price_id: &str) -> Option<&str> {
        self.plans.get(stripe_price_id).map(String::as_str)
    }

    pub fn rank(&self, plan: &str) -> i16 {
        self.terms.get(plan).map_or(0, |terms| terms.rank)
    }
}

/// The plan of a carrier, and when it ends if nothing is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub plan: String,
    pub plan_ends_at: Option<DateTime<Utc>>,
}

/// The plan that follows from all subscriptions, and until when it goes on if one is owed.
pub fn standing(subscriptions: &[Subscription], prices: &PriceList) -> Standing {
    let best = counting(subscriptions, prices);
    match best.and_then(|subscription| Some((subscription, subscription.plan.clone()?))) {
        Some((subscription, plan)) => Standing { plan_ends_at: ends_at(subscription, &plan, prices), plan },
        None => Standing { plan: FREE.to_owned(), plan_ends_at: None },
    }
}

/// The subscription that the plan follows from. What is paid counts before what is owed, so that nobody who pays is
/// restricted for what else they owe; then the higher plan, then the later subscription.
pub fn counting<'a>(subscriptions: &'a [Subscription], prices: &PriceList) -> Option<&'a Subscription> {
    let is_live = |status| matches!(status, SubscriptionStatus::Trialing | SubscriptionStatus::Active);
    let live = subscriptions.iter().filter_map(|subscription| {
        let plan = subscription.plan.as_deref()?;
        (is_live(subscription.status) || subscription.status.owes()).then_some((plan, subscription))
    });
    let best = live.max_by_key(|(plan, subscription)| {
        (is_live(subscription.status), prices.rank(plan), subscription.started_at, &subscription.stripe_id)
    });
    best.map(|(_, subscription)| subscription)
}

/// When the plan of a subscription ends unless a payment comes; None if none is missing.
fn ends_at(subscription: &Subscription, plan: &str, prices: &PriceList) -> Option<DateTime<Utc>> {
    let since = subscription.past_due_since_at.unwrap_or(subscription.as_of_at);
    let grace = prices.terms.get(plan).map_or(TimeDelta::zero(), |terms| terms.grace);
    subscription.status.owes().then_some(since + grace)
}
