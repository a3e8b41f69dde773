//! What a carrier may do: the plan that follows from all its subscriptions.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::subscription::{Subscription, SubscriptionStatus};

/// What everybody has.
const FREE: &str = "free";

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

/// What is paid counts before what is owed, so that nobody who pays is restricted for what else they owe; then the higher
/// plan, then the later subscription.
pub fn standing(subscriptions: &[Subscription], prices: &PriceList) -> Standing {
    let live = subscriptions.iter().filter_map(|subscription| {
        let plan = subscription.plan.as_deref()?;
        let ends_at = match subscription.status {
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => None,
            SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => {
                let since = subscription.past_due_since_at.unwrap_or(subscription.as_of_at);
                Some(since + prices.terms.get(plan).map_or(TimeDelta::zero(), |terms| terms.grace))
            }
            _ => return None,
        };
        Some((plan, ends_at, subscription))
    });
    let best = live.max_by_key(|(plan, ends_at, subscription)| {
        (ends_at.is_none(), prices.rank(plan), subscription.started_at, &subscription.stripe_id)
    });
    match best {
        Some((plan, plan_ends_at, _)) => Standing { plan: plan.to_owned(), plan_ends_at },
        None => Standing { plan: FREE.to_owned(), plan_ends_at: None },
    }
}
