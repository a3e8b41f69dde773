//! Why a carrier may do less than it has bought, or soon will, in words for the person who can change it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use super::standing::FREE;
use super::subscription::{Subscription, SubscriptionStatus};

/// Why the carrier may do less than it has bought, or soon will.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restriction {
    /// What is missing.
    pub reason: RestrictionReason,
    /// Since when the reason is there.
    pub since_at: DateTime<Utc>,
    /// From then on the limits of the free plan hold. In the past: they hold now.
    pub effective_at: DateTime<Utc>,
    /// For a person. Days are the carrier's.
    pub detail: String,
}

/// What is missing for the plan that was bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestrictionReason {
    PaymentOverdue,
    /// The first payment never came, or has not come yet.
    PaymentMissing,
    TrialEnded,
    SubscriptionEnded,
    /// What was bought is not in our price list yet.
    PriceUnknown,
}

/// The carrier's plan as it is stored and enforced.
#[derive(Debug, Clone, Copy)]
pub struct Enforced<'a> {
    /// The plan that counts now.
    pub plan: &'a str,
    /// When the plan ends, or has ended, unless a payment comes.
    pub plan_ends_at: Option<DateTime<Utc>>,
    pub time_zone: Tz,
}

const WHAT_HOLDS: &str =
    "the limits of the free plan hold: all that exists stays readable and editable, only creating more is refused";

/// What is to be told; None if the carrier has what it pays for.
pub fn restriction(subscription: &Subscription, enforced: Enforced) -> Option<Restriction> {
    let Subscription { status, started_at, trial_ends_at, ended_at, .. } = subscription;
    let day = |at: DateTime<Utc>| at.with_timezone(&enforced.time_zone).format("%-d %B %Y").to_string();
    let bought = subscription.plan.as_deref().unwrap_or(FREE);
    if let Some(ends_at) = enforced.plan_ends_at
        && status.owes()
    {
        let since_at = subscription.past_due_since_at.unwrap_or(subscription.as_of_at);
        let (since, ends) = (day(since_at), day(ends_at));
        let detail = if enforced.plan == FREE {
            format!(
                "A payment has been missing since {since}, and the plan {bought} ended on {ends}. Until it is paid, \
                 {WHAT_HOLDS}. Paying in the billing portal brings the plan back at once."
            )
        } else {
            format!(
                "A payment has been missing since {since}. The plan {bought} goes on until {ends}; after that {WHAT_HOLDS}. \
                 Pay or change the card in the billing portal."
            )
        };
        let reason = RestrictionReason::PaymentOverdue;
        return Some(Restriction { reason, since_at, effective_at: ends_at, detail });
    }
    if enforced.plan != FREE {
        return None;
    }
    let (reason, since_at, detail) = match status {
        SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired => (
            RestrictionReason::PaymentMissing,
            *started_at,
            format!("The first payment for the plan {bought} is missing. Until it has come, {WHAT_HOLDS}."),
        ),
        SubscriptionStatus::Paused => {
            let since_at = trial_ends_at.unwrap_or(subscription.as_of_at);
            let detail = format!(
                "The trial ended on {} and there is no way to pay yet. Add one in the billing portal; until then {WHAT_HOLDS}.",
                day(since_at)
            );
            (RestrictionReason::TrialEnded, since_at, detail)
        }
        SubscriptionStatus::Canceled => {
            let since_at = ended_at.unwrap_or(subscription.as_of_at);
            let detail = format!("The subscription ended on {}. Since then {WHAT_HOLDS}.", day(since_at));
            (RestrictionReason::SubscriptionEnded, since_at, detail)
        }
        _ if subscription.plan.is_none() => (
            RestrictionReason::PriceUnknown,
            *started_at,
            format!(
                "What was bought on {} is not in our price list yet. We know of it, and the plan counts as soon as it is; until \
                 then {WHAT_HOLDS}.",
                day(*started_at)
            ),
        ),
        _ => return None,
    };
    Some(Restriction { reason, since_at, effective_at: since_at, detail })
}

#[cfg(test)]
#[path = "restriction_tests.rs"]
mod tests;
