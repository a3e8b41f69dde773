//! The inbox of Stripe's events: each is stored once, before anything is done with it.

use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::stripe::event::Event;
use crate::base::error::{Error, Result};
use crate::platform::db::Db;

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Recorded {
    /// False if it has come before.
    pub is_new: bool,
    /// Whether it is still to be processed.
    pub waiting: bool,
}

/// Whether Postgres takes the body: its texts have no character U+0000. Stripe's events have none either.
pub fn is_storable(body: &RawValue) -> bool {
    !body.get().contains("\\u0000")
}

/// Stores an event; `body` is what it was read from. One of the other mode is stored as done.
///
/// # Errors
/// What the database refuses; [`Error::Unavailable`].
pub async fn record(db: &Db, event: &Event, body: &RawValue, livemode: bool) -> Result<Recorded> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT is_new, waiting FROM app.record_stripe_event(");
            let mut arguments = sql.separated(", ");
            arguments
                .push_bind(event.id.clone())
                .push_bind(event.r#type.clone())
                .push_bind(event.api_version.clone())
                .push_bind(event.livemode)
                .push_bind(event.created)
                .push_bind(event.object_id().map(str::to_owned))
                .push_bind(event.customer_id().map(str::to_owned))
                .push_bind(Json(body.to_owned()))
                .push_bind(livemode);
            sql.push(")");
        })
        .await?;
    let row = rows.first().ok_or_else(|| Error::internal("an event was neither stored nor found"))?;
    Recorded::from_row(row).map_err(Error::internal)
}

/// Ids of events that wait for longer than two minutes, or whose price or customer is known by now; the oldest first.
///
/// # Errors
/// As [`record`].
pub async fn stuck(db: &Db, limit: i32) -> Result<Vec<String>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT id FROM app.stuck_stripe_events(interval '2 minutes', ").push_bind(limit).push(")");
        })
        .await?;
    rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>().map_err(Error::internal)
}
