//! What keeps executions from being stuck: a new permit for what is due and was not taken, an end for what was never begun, and
//! another life for what an operator sends back.

use sqlx::Row;

use super::ExecutionId;
use super::job::Job;
use crate::base::error::{Error, Result};
use crate::platform::db::Db;

/// Permits for what is due for longer than two minutes: its message was lost or never sent, or its worker died. One permit
/// too many finds nothing due and does no harm. What waits for others of its own carrier is not overdue: see [`held`].
///
/// # Errors
/// What the database refuses; [`Error::Unavailable`].
pub async fn overdue(db: &Db, limit: i32, slots: i32) -> Result<Vec<Job>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT id FROM app.overdue_executions(interval '2 minutes', ");
            sql.push_bind(limit).push(", ").push_bind(slots).push(")");
        })
        .await?;
    let job = |row: &sqlx::postgres::PgRow| Ok(Job::Run { execution_id: row.try_get("id")? });
    rows.iter().map(job).collect::<Result<_, sqlx::Error>>().map_err(Error::internal)
}

/// How many are due for as long and are held, since their carriers have their share of the slots.
///
/// # Errors
/// As [`overdue`].
pub async fn held(db: &Db, slots: i32) -> Result<i64> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT app.held_executions(interval '2 minutes', ").push_bind(slots).push(") AS held");
        })
        .await?;
    rows.first().map_or(Ok(0), |row| row.try_get("held")).map_err(Error::internal)
}

/// Ends what was not begun within its lifetime; at most so many, and says how many.
///
/// # Errors
/// As [`overdue`].
pub async fn expire(db: &Db, limit: i32) -> Result<i32> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT app.expire_executions(").push_bind(limit).push(") AS expired");
        })
        .await?;
    rows.first().map_or(Ok(0), |row| row.try_get("expired")).map_err(Error::internal)
}

/// Puts back what failed, for an operator who has mended the cause. False: it had not failed.
///
/// # Errors
/// As [`overdue`].
pub async fn retry(db: &Db, id: ExecutionId) -> Result<bool> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT app.retry_execution(").push_bind(id).push(") AS retried");
        })
        .await?;
    rows.first().map_or(Ok(false), |row| row.try_get("retried")).map_err(Error::internal)
}
