//! What people decide: to cancel what runs, and what becomes of a result that proposes a change.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{Execution, ExecutionId, ExecutionStatus, Review};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, Resource, Tx};
use crate::platform::idempotency::IdempotencyKey;

pub use super::apply::{Application, apply, begin_apply};

impl Review {
    /// What can come next.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Approved, Self::Applied, Self::Rejected],
            Self::Approved => &[Self::Applied, Self::Rejected],
            Self::Applied | Self::Rejected => &[],
        }
    }
}

/// Opens a transaction with one execution loaded and locked. `version` is the one that the caller has seen.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin(
    db: &Db,
    actor: &Actor,
    permission: Action,
    key: Option<&IdempotencyKey>,
    id: ExecutionId,
    version: Option<i64>,
) -> Result<(Tx, Execution)> {
    let this = format!("FROM executions t WHERE t.tenant_id = app.tenant_id() AND t.id = '{id}'");
    let load = format!("SELECT 1 {this} FOR UPDATE; SELECT {} {this}", Execution::COLUMNS);
    let loaded = db.begin_loading(actor, permission, key, Some(&load)).await?;
    let execution = loaded.rows.first().map(Execution::from_row).transpose().map_err(Error::internal)?;
    Ok((loaded.tx, seen(execution, version)?))
}

pub(super) fn seen(execution: Option<Execution>, version: Option<i64>) -> Result<Execution> {
    let execution = execution.ok_or(Error::NotFound(Execution::NAME))?;
    if version.is_some_and(|version| version != execution.version) {
        return Err(Error::Stale);
    }
    Ok(execution)
}

/// Cancels what has not ended. What a worker finds out of it from now on is dropped, and it counts for nothing.
///
/// # Errors
/// A conflict for one that has ended.
pub async fn cancel(tx: &mut Tx, execution: Execution, now: DateTime<Utc>) -> Result<Execution> {
    if !matches!(execution.status, ExecutionStatus::Queued | ExecutionStatus::Running) {
        return Err(illegal(format!("an execution that has {} cannot be cancelled", Word(&execution.status)), &[]));
    }
    let mut changes = Assignments::default();
    changes
        .set("status", ExecutionStatus::Cancelled)
        .set("finished_at", now)
        .set("error_code", None::<String>)
        .set("error_detail", None::<String>);
    tx.update(execution.id.0, None, changes).await
}

/// Approves or rejects a proposal.
///
/// # Errors
/// A conflict that lists what can be done instead.
pub async fn decide(tx: &mut Tx, execution: Execution, to: Review, now: DateTime<Utc>) -> Result<Execution> {
    require(&execution, to)?;
    let mut changes = Assignments::default();
    changes.set("review", to).set("reviewed_by", tx.entered.actor_id).set("reviewed_at", now);
    tx.update(execution.id.0, None, changes).await
}

/// Whether the proposal can become this.
pub(super) fn require(execution: &Execution, to: Review) -> Result<()> {
    match execution.review {
        Some(review) if review.next().contains(&to) => Ok(()),
        Some(review) => Err(illegal(format!("the proposal is {} already", Word(&review)), review.next())),
        None if execution.status == ExecutionStatus::Succeeded => {
            Err(illegal(format!("a result of {} proposes no change", Word(&execution.kind)), &[]))
        }
        None => Err(illegal(format!("there is no proposal: the execution is {}", Word(&execution.status)), &[])),
    }
}

fn illegal(detail: String, allowed: &[Review]) -> Error {
    let allowed = allowed.iter().map(|review| Word(review).to_string()).collect();
    Error::Conflict { code: ConflictCode::IllegalMove, detail, allowed: Some(allowed) }
}
