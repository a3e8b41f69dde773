//! What Stripe knows and no event told us: events that never arrived, and subscriptions that are not here as they are there.
//!
//! Subscriptions are compared by walking Stripe's list, a hundred at a time, and not ours, one call each: it also has those
//! that we have never heard of. That one is missing there says nothing, and is not taken for its end: Stripe forgets none,
//! but a key of another account knows none of ours.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::standing::{PriceList, Terms};
use super::stripe::objects;
use super::subscription::Subscription;
use crate::base::error::{Error, Result};
use crate::platform::db::Db;

/// A list of Stripe's that is walked from its newest to its oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    Events,
    Subscriptions,
}

impl Listing {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Subscriptions => "subscriptions",
        }
    }
}

/// How far a walk has come.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Walk {
    pub started_at: DateTime<Utc>,
    /// Stripe's id of the last one that was looked at; none at the beginning, and at the end.
    pub last_id: Option<String>,
}

/// The walk that was begun and not finished, if there is one.
///
/// # Errors
/// What the database refuses; [`Error::Unavailable`].
pub async fn unfinished_walk(db: &Db, listing: Listing) -> Result<Option<Walk>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT started_at, last_id FROM app.stripe_walk(").push_bind(listing.name()).push(")");
        })
        .await?;
    rows.first().map(Walk::from_row).transpose().map_err(Error::internal)
}

/// Keeps the place; one without an id is finished.
///
/// # Errors
/// As [`unfinished_walk`].
pub async fn save_walk(db: &Db, listing: Listing, walk: &Walk) -> Result<()> {
    db.fetch(|sql| {
        sql.push("SELECT app.save_stripe_walk(").push_bind(listing.name()).push(", ");
        sql.push_bind(walk.started_at).push(", ").push_bind(walk.last_id.clone()).push(")");
    })
    .await?;
    Ok(())
}

/// Which of these events never arrived.
///
/// # Errors
/// As [`unfinished_walk`].
pub async fn missing_events(db: &Db, ids: &[&str]) -> Result<Vec<String>> {
    let ids: Vec<String> = ids.iter().copied().map(str::to_owned).collect();
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT id FROM app.missing_stripe_events(").push_bind(ids.clone()).push(")");
        })
        .await?;
    rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>().map_err(Error::internal)
}

/// What prices buy.
///
/// # Errors
/// As [`unfinished_walk`].
pub async fn price_list(db: &Db) -> Result<PriceList> {
    let rows = db
        .fetch(|sql| {
            sql.push(
                "SELECT p.stripe_price_id, p.plan, l.rank, l.grace_days FROM prices p JOIN plans l ON l.code = p.plan",
            );
        })
        .await?;
    let mut prices = PriceList::default();
    for row in rows {
        let (price, plan, rank, grace_days) = <(String, String, i16, i16)>::from_row(&row).map_err(Error::internal)?;
        prices.terms.insert(plan.clone(), Terms::new(rank, grace_days));
        prices.plans.insert(price, plan);
    }
    Ok(prices)
}

/// The ids of those subscriptions of our customers that are not here as Stripe says. `objects` is what Stripe said at
/// `said_at`; one that cannot be read is told to the log and left out, so that the others are compared.
///
/// # Errors
/// As [`unfinished_walk`].
pub async fn drifting_subscriptions(
    db: &Db,
    objects: &[Value],
    said_at: DateTime<Utc>,
    prices: &PriceList,
) -> Result<Vec<String>> {
    let read = |object| {
        let read = objects::read::<objects::Subscription>(object);
        read.inspect_err(|error| tracing::error!(%error, id = ?object["id"], "a subscription cannot be compared")).ok()
    };
    let said: Vec<_> =
        objects.iter().filter_map(read).map(|object| Subscription::new(object, said_at, prices)).collect();
    let said = serde_json::to_value(said).map_err(Error::internal)?;
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT stripe_id FROM app.drifting_subscriptions(").push_bind(Json(said.clone())).push(")");
        })
        .await?;
    rows.iter().map(|row| row.try_get("stripe_id")).collect::<Result<_, _>>().map_err(Error::internal)
}
