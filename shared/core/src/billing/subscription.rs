//! A subscription, and which state of it follows from what is known: a pure function of all its events, so that the order
//! in which they arrive does not matter.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::history::{Reading, Source, State, StoredEvent, Timeline, history};
use super::standing::PriceList;
use super::stripe::objects::{self, Unreadable};

/// In the order in which subscriptions usually go through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// The first payment is missing.
    Incomplete,
    Trialing,
    Active,
    /// A payment has failed and is tried again.
    PastDue,
    /// A payment has failed and is not tried again.
    Unpaid,
    /// The trial is over and there is no way to pay.
    Paused,
    /// The first payment never came.
    IncompleteExpired,
    Canceled,
}

crate::text_column!(SubscriptionStatus);

impl SubscriptionStatus {
    /// Whether it stays so for ever.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }

    pub fn owes(self) -> bool {
        matches!(self, Self::PastDue | Self::Unpaid)
    }
}

/// A row of `subscriptions`, without what the database adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow)]
pub struct Subscription {
    pub stripe_id: String,
    pub customer_id: String,
    pub status: SubscriptionStatus,
    /// None while it has had no price that we know.
    pub plan: Option<String>,
    pub stripe_price_id: Option<String>,
    pub quantity: i64,
    pub started_at: DateTime<Utc>,
    pub current_period_start_at: Option<DateTime<Utc>>,
    pub current_period_end_at: Option<DateTime<Utc>>,
    pub trial_ends_at: Option<DateTime<Utc>>,
    pub cancel_at: Option<DateTime<Utc>>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Since when a payment is missing.
    pub past_due_since_at: Option<DateTime<Utc>>,
    /// What is known is as of then: when Stripe made the event, or when we began to ask.
    pub as_of_at: DateTime<Utc>,
}

/// All that is known of a subscription.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub stored: Option<&'a Subscription>,
    pub events: &'a [StoredEvent],
    pub reading: Option<&'a Reading>,
    /// When Stripe deleted the customer, and all that it had with it.
    pub customer_deleted_at: Option<DateTime<Utc>>,
    pub prices: &'a PriceList,
}

impl Subscription {
    pub(super) fn new(object: objects::Subscription, as_of_at: DateTime<Utc>, prices: &PriceList) -> Self {
        // Of several items the one with the highest plan; the last maximum is the first of the list.
        let known = object.items.data.iter().rev().filter_map(|item| Some((prices.plan(&item.price.id)?, item)));
        let best = known.max_by_key(|(plan, _)| prices.rank(plan)).map(|(_, item)| item);
        let item = best.or(object.items.data.first());
        let (current_period_start_at, current_period_end_at) = object.period(item);
        Self {
            plan: item.and_then(|item| prices.plan(&item.price.id)).map(str::to_owned),
            stripe_price_id: item.map(|item| item.price.id.clone()),
            quantity: item.and_then(|item| item.quantity).unwrap_or(1),
            stripe_id: object.id,
            customer_id: object.customer,
            status: object.status,
            started_at: object.start_date,
            current_period_start_at,
            current_period_end_at,
            trial_ends_at: object.trial_end,
            cancel_at: object.cancel_at,
            cancel_at_period_end: object.cancel_at_period_end,
            canceled_at: object.canceled_at,
            ended_at: object.ended_at,
            past_due_since_at: None,
            as_of_at,
        }
    }

    /// As it is when it is no more, or its customer is not.
    fn ended(mut self, at: DateTime<Utc>) -> Self {
        if !self.status.is_over() {
            self.status = SubscriptionStatus::Canceled;
            self.canceled_at = self.canceled_at.or(Some(at));
            self.ended_at = self.ended_at.or(Some(at));
        }
        self
    }

    /// Whether its price is not in our list.
    pub fn has_unknown_price(&self, prices: &PriceList) -> bool {
        self.stripe_price_id.as_deref().and_then(|price| prices.plan(price)).is_none()
    }
}

impl State for Subscription {
    fn as_of_at(&self) -> DateTime<Utc> {
        self.as_of_at
    }

    fn is_over(&self) -> bool {
        self.status.is_over()
    }
}

/// The state that follows, and what says so; None if nothing says anything.
///
/// # Errors
/// [`Unreadable`] if Stripe's answer is.
pub fn decide(known: Known) -> Result<Option<(Subscription, Source)>, Unreadable> {
    let mut said = Vec::new();
    for event in history::<objects::Subscription>(known.events) {
        let is_deleted = event.is_deleted();
        let state = Subscription::new(event.object, event.at, known.prices);
        said.push((if is_deleted { state.ended(event.at) } else { state }, Source::Event(event.id)));
    }
    if let Some(reading) = known.reading {
        let object = objects::read::<objects::Subscription>(&reading.object)?;
        said.push((Subscription::new(object, reading.at, known.prices), Source::Reading));
    }
    let timeline = Timeline::new(known.stored.cloned(), said);
    // The end of a customer is told by no event of the subscription: what else is said is still to be heard.
    let Some(last) = timeline.last_word(known.customer_deleted_at.is_none()) else { return Ok(None) };
    let (mut state, source) = timeline.states[last].clone();
    state.plan = plan(&state, &timeline, known.prices);
    state.past_due_since_at = past_due_since(&timeline.states[..=last]);
    if let Some(at) = known.customer_deleted_at {
        state = state.ended(at);
        state.past_due_since_at = state.past_due_since_at.filter(|_| !state.is_over());
    }
    Ok(Some((state, source)))
}

/// The plan of its price; of an unknown price nothing is guessed: the plan stays the one that was known last.
fn plan(state: &Subscription, timeline: &Timeline<Subscription>, prices: &PriceList) -> Option<String> {
    let bought = |state: &Subscription| state.stripe_price_id.as_deref().and_then(|price| prices.plan(price));
    let known = bought(state).or_else(|| timeline.states.iter().rev().find_map(|(state, _)| bought(state)));
    // What is stored may be all that is left of events that were forgotten since.
    known.map(str::to_owned).or_else(|| timeline.stored().and_then(|stored| stored.plan.clone()))
}

/// Since when a payment is missing: since the first of the last states that owe. The stored state may know more of them than
/// there are left, unless somebody has paid since.
fn past_due_since(states: &[(Subscription, Source)]) -> Option<DateTime<Utc>> {
    let paid = states.iter().rposition(|(state, _)| !state.status.owes());
    let owing = &states[paid.map_or(0, |paid| paid + 1)..];
    let stored = owing.iter().filter_map(|(state, source)| match source {
        Source::Stored => state.past_due_since_at,
        Source::Event(_) | Source::Reading => None,
    });
    let stored = stored.filter(|since| paid.is_none_or(|paid| states[paid].0.as_of_at < *since));
    owing.first().map(|(first, _)| first.as_of_at).into_iter().chain(stored).min()
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
