//! Finds what no event of Stripe's told us: stores and queues the events that never arrived, and has the worker look at
//! subscriptions that are not here as they are there.

use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::{Error, Result};
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::billing::reconcile::{self, Listing, Walk};
use carhaul_core::billing::stripe::client::{List, Stripe, StripeError};
use carhaul_core::billing::stripe::event::{Event, TYPES};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// Stripe tries to deliver an event for as long as this.
const WINDOW: TimeDelta = TimeDelta::days(3);
/// A younger event may be on its way.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(5);
/// What drifts may have changed just now: its event gets this long to arrive and be applied before the worker looks.
const EVENT_FIRST: Duration = Duration::from_secs(30);
/// Who has stopped for longer begins anew.
const WALK_LIFE: TimeDelta = TimeDelta::days(1);

pub struct Reconciler<'a> {
    pub db: &'a Db,
    pub queue: &'a Queue,
    pub stripe: &'a Stripe,
    pub clock: &'a Clock,
    pub livemode: bool,
}

/// What a run has found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Stored now, though Stripe has had them for minutes.
    pub events_recovered: usize,
    /// Queued for the worker, which repairs them.
    pub subscriptions_drifting: usize,
    /// False if time ran out; the next run goes on.
    pub complete: bool,
}

impl Reconciler<'_> {
    /// Looks at both lists until their ends or `until` has come. `done` also tells what was done before an error.
    ///
    /// # Errors
    /// Unavailable when Stripe, database or queue are; the next run goes on with the part that failed.
    pub async fn run(&self, until: DateTime<Utc>, done: &mut Reconciled) -> Result<()> {
        // However many events there are, subscriptions get their half of the time.
        let now = self.clock.now();
        let events = self.events(now + (until - now) / 2, done).await?;
        let subscriptions = self.subscriptions(until, done).await?;
        done.complete = events && subscriptions;
        Ok(())
    }

    async fn events(&self, until: DateTime<Utc>, done: &mut Reconciled) -> Result<bool> {
        let page =
            async |walk: &Walk| self.stripe.list_events(walk.started_at - WINDOW, walk.last_id.as_deref(), TYPES).await;
        self.walk(Listing::Events, until, page, async |page: List| self.recover(&page.data, done).await).await
    }

    async fn subscriptions(&self, until: DateTime<Utc>, done: &mut Reconciled) -> Result<bool> {
        let prices = reconcile::price_list(self.db).await?;
        let page = async |walk: &Walk| self.stripe.list_subscriptions(walk.last_id.as_deref()).await;
        let compare = async |page: List| {
            let ids = reconcile::drifting_subscriptions(self.db, &page.data, self.clock.now(), &prices).await?;
            let jobs: Vec<Job> = ids.into_iter().map(|id| Job::Subscription { id }).collect();
            self.queue.send_all_in(EVENT_FIRST, &jobs).await?;
            done.subscriptions_drifting += jobs.len();
            Ok(())
        };
        self.walk(Listing::Subscriptions, until, page, compare).await
    }

    /// Takes a list page by page, from where the last run stopped, and keeps the place after each. Returns whether it came
    /// to the end.
    async fn walk(
        &self,
        listing: Listing,
        until: DateTime<Utc>,
        page: impl AsyncFn(&Walk) -> Result<List, StripeError>,
        mut take: impl AsyncFnMut(List) -> Result<()>,
    ) -> Result<bool> {
        let now = self.clock.now();
        let unfinished = reconcile::unfinished_walk(self.db, listing).await?;
        let recent = unfinished.filter(|walk| walk.started_at > now - WALK_LIFE);
        let mut walk = recent.unwrap_or(Walk { started_at: now, last_id: None });
        while self.clock.now() < until {
            let list = match page(&walk).await {
                Ok(list) => list,
                Err(refused @ StripeError::Refused { .. }) if walk.last_id.is_some() => {
                    // The place may be the reason: it is not tried for ever.
                    reconcile::save_walk(self.db, listing, &Walk { last_id: None, ..walk }).await?;
                    return Err(refused.into());
                }
                Err(error) => return Err(error.into()),
            };
            walk.last_id = list.next().map(str::to_owned);
            take(list).await?;
            reconcile::save_walk(self.db, listing, &walk).await?;
            if walk.last_id.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn recover(&self, events: &[Value], done: &mut Reconciled) -> Result<()> {
        let arrived_by = (self.clock.now() - ON_ITS_WAY).timestamp();
        let old = events.iter().filter(|event| event["created"].as_i64().is_some_and(|at| at <= arrived_by));
        let old: Vec<(&str, &Value)> = old.filter_map(|event| Some((event["id"].as_str()?, event))).collect();
        let missing = reconcile::missing_events(self.db, &old.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
        let mut jobs = Vec::new();
        for (id, event) in old.into_iter().filter(|(id, _)| missing.iter().any(|missing| missing == id)) {
            let Some((event, body)) = readable(id, event)? else { continue };
            let recorded = inbox::record(self.db, &event, &body, self.livemode).await?;
            if recorded.is_new && recorded.waiting {
                tracing::warn!(event_id = id, r#type = event.r#type, "recovered: it never arrived");
                done.events_recovered += 1;
                jobs.push(Job::Event { id: event.id });
            }
        }
        // If they cannot be queued now, they are stored and requeued as any that wait.
        self.queue.send_all(&jobs).await
    }
}

/// None for what is no event or cannot be stored: it is told to the log and keeps no other from being recovered.
fn readable(id: &str, event: &Value) -> Result<Option<(Event, Box<RawValue>)>> {
    let body = to_raw_value(event).map_err(Error::internal)?;
    if !inbox::is_storable(&body) {
        tracing::error!(event_id = id, "the event has the character U+0000");
        return Ok(None);
    }
    let parsed = Event::parse(body.get().as_bytes());
    let parsed = parsed.inspect_err(|error| tracing::error!(event_id = id, %error, "cannot be recovered"));
    Ok(parsed.ok().map(|event| (event, body)))
}
