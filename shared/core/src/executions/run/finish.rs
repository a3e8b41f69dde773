//! The second transaction: how an attempt ended, written only if it is still the one that counts.

use std::time::Duration;

use sqlx::types::Json;
use tokio::time::Instant;

use super::Ran;
use super::answer::{Answer, Failed, Usage};
use super::claim::Claim;
use crate::base::error::{ConflictCode, Error, Result};
use crate::executions::duplicates;
use crate::executions::{ExecutionId, ExecutionStatus, Review};
use crate::platform::db::{Db, Sql, SystemTx};
use crate::provider_keys::note_refusal;

/// Between the first two tries to write how an attempt ended; then twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Succeeded,
    /// Trying again would not help.
    Refused(String),
    /// It was tried as often as it may be.
    Exhausted(String),
    /// It was cancelled meanwhile, or given to another worker: what this one found out is dropped, and what it cost is booked.
    Superseded,
}

/// What is written of an attempt.
struct Written {
    status: ExecutionStatus,
    failure: Option<(String, String)>,
    ending: Ending,
    retry: Option<Duration>,
}

impl Written {
    fn new(claim: &Claim, result: Result<(), &Failed>, delay: impl FnOnce(Option<Duration>) -> Duration) -> Self {
        let failed = |failed: &Failed, ending| Self {
            status: ExecutionStatus::Failed,
            failure: Some((failed.code.clone(), failed.detail.clone())),
            ending,
            retry: None,
        };
        match result {
            Ok(()) => {
                Self { status: ExecutionStatus::Succeeded, failure: None, ending: Ending::Succeeded, retry: None }
            }
            Err(cause) if !cause.may_pass => failed(cause, Ending::Refused(cause.code.clone())),
            Err(cause) if claim.attempt >= claim.max_attempts => failed(cause, Ending::Exhausted(cause.code.clone())),
            Err(cause) => {
                let after = delay(cause.after);
                Self { status: ExecutionStatus::Queued, retry: Some(after), ..failed(cause, Ending::Superseded) }
            }
        }
    }

    fn ran(&self, claim: &Claim) -> Ran {
        match self.retry {
            Some(after) => Ran::Retry(claim.id, after),
            None => Ran::Ended(claim.id, self.ending.clone()),
        }
    }
}

/// What became of the attempt, and what is due already when its slot is free. While the database cannot be reached it is tried
/// again, until `give_up`: the answer may have been paid for, and nobody else has it.
///
/// # Errors
/// What the database refuses; [`Error::Unavailable`] when time has run out.
pub async fn finish(
    db: &Db,
    claim: &Claim,
    answer: &Answer,
    delay: impl FnOnce(Option<Duration>) -> Duration,
    give_up: Instant,
) -> Result<(Ran, Option<ExecutionId>)> {
    let written = Written::new(claim, answer.result.as_ref().map(drop), delay);
    let (mut unknown, mut pause) = (None, FIRST_PAUSE);
    loop {
        match write(db, claim, answer, &written, &mut unknown).await {
            Err(error) if may_pass(&error) && Instant::now() + pause < give_up => {
                tracing::warn!(execution_id = %claim.id, %error, "how it ended is not written yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Conflict { code: ConflictCode::Busy, .. })
}

/// Once. `unknown`: what became of the attempt if the commit of a try before this one was done, of which no answer came.
async fn write(
    db: &Db,
    claim: &Claim,
    answer: &Answer,
    written: &Written,
    unknown: &mut Option<Ran>,
) -> Result<(Ran, Option<ExecutionId>)> {
    let enter = format!("SELECT app.enter_execution('{}', {}) AS entered", claim.id, claim.attempt);
    let (mut tx, mut sets) = db.begin_system(&[enter]).await?;
    let Answer { result, usage, refused_key } = answer;
    if !sets.next_row::<(bool,)>()?.is_some_and(|(entered,)| entered) {
        return supersede(tx, claim, usage, unknown).await;
    }
    let mut output = result.as_ref().ok().cloned();
    if let Some(output) = &mut output {
        duplicates::complete(&mut tx, claim.skill.kind, output).await?;
    }
    let targets = claim.context.as_ref().map(|context| context.targets.clone()).unwrap_or_default();
    let (target_ids, target_versions): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let review = (output.is_some() && claim.skill.kind.proposes()).then_some(Review::Pending);
    let (code, detail) = written.failure.clone().unzip();

    let mut sql = Sql::new("UPDATE executions SET status = ");
    sql.push_bind(written.status).push(", review = ").push_bind(review);
    sql.push(", output = ").push_bind(output.map(Json)).push(", error_code = ").push_bind(code);
    sql.push(", error_detail = ").push_bind(detail);
    sql.push(", target_ids = ").push_bind(target_ids).push(", target_versions = ").push_bind(target_versions);
    sql.push(", model = coalesce(").push_bind(usage.model.clone()).push(", model)");
    sql.push(", input_tokens = input_tokens + ").push_bind(usage.input_tokens);
    sql.push(", output_tokens = output_tokens + ").push_bind(usage.output_tokens);
    sql.push(", cost = cost + ").push_bind(usage.cost);
    match written.retry {
        Some(after) => {
            sql.push(", due_at = now() + make_interval(secs => ").push_bind(after.as_secs_f64()).push(")");
        }
        None => {
            sql.push(", finished_at = now()");
        }
    }
    sql.push(" WHERE tenant_id = app.tenant_id() AND id = ").push_bind(claim.id);
    sql.push(" AND attempt = ").push_bind(claim.attempt).push(" AND status = 'running' RETURNING id");
    let updated: Vec<(uuid::Uuid,)> = tx.fetch_all(sql).await?;
    if let Some(key) = refused_key {
        tx.execute(note_refusal(key)).await?;
    }
    if updated.is_empty() {
        return supersede(tx, claim, usage, unknown).await;
    }
    let ran = written.ran(claim);
    *unknown = Some(ran.clone());
    Ok((ran, leave(tx, claim).await?))
}

/// The attempt is over. Within its lease that is the work of a try that was committed after all, if there was one, and what was
/// used is booked with it; else it was cancelled, or given to another worker.
async fn supersede(
    mut tx: SystemTx,
    claim: &Claim,
    usage: &Usage,
    unknown: &mut Option<Ran>,
) -> Result<(Ran, Option<ExecutionId>)> {
    let ran = match unknown {
        Some(ran) => ran.clone(),
        None => {
            if usage.is_billed() {
                tx.execute(book_unheard(claim, usage)).await?;
            }
            unknown.insert(Ran::Ended(claim.id, Ending::Superseded)).clone()
        }
    };
    Ok((ran, leave(tx, claim).await?))
}

/// Commits, which gives the slot back, and asks what is due then: nobody else looks for what was held until now.
async fn leave(tx: SystemTx, claim: &Claim) -> Result<Option<ExecutionId>> {
    let (due,): (Option<ExecutionId>,) =
        tx.commit_heard_then(claim.tenant_id, "SELECT app.due_execution() AS due").await?;
    Ok(due)
}

/// The provider charges for an answer, whether or not anybody still wants to hear it.
fn book_unheard(claim: &Claim, usage: &Usage) -> Sql {
    let mut sql = Sql::new("SELECT app.book_unheard(");
    sql.push_bind(claim.id).push(", ").push_bind(claim.attempt).push(", ").push_bind(usage.input_tokens);
    sql.push(", ").push_bind(usage.output_tokens).push(", ").push_bind(usage.cost).push(")");
    sql
}
