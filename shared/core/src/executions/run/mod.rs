//! Running executions: what a worker does with a permit. Two short transactions with the provider between them: one takes
//! the execution whose turn it is and loads what it needs, one writes how it ended, if this attempt is still the one that
//! counts. So a worker may die anywhere: the execution is run again after its lease, and what a worker that was given up on
//! finds out is dropped.

mod answer;
mod budget;
mod claim;
mod context;
mod finish;
mod model;
mod progress;
mod texts;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use self::claim::{Claim, Taken};
pub use self::finish::Ending;
use super::{ExecutionId, backoff};
use crate::base::clock::Clock;
use crate::base::error::Result;
use crate::base::words::Word;
use crate::platform::crypto::random_fraction;
use crate::platform::db::Db;
use crate::platform::queue::Queue;
use crate::provider_keys::Vault;

/// Time that is left for the second transaction.
const CLOSING: TimeDelta = TimeDelta::seconds(5);

/// What runs executions. An instance of a function has one and runs several at a time: their transactions take turns on
/// its connection, their providers are waited for together.
#[derive(Clone)]
pub struct Runner {
    pub db: Db,
    /// Opens the carriers' keys of model providers.
    pub vault: Vault,
    /// Of those who push what has changed.
    pub nudges: Queue,
    pub clock: Clock,
}

/// What came of a permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// Nothing was due: the message came twice, late, or for something that was cancelled.
    Nothing,
    /// The execution has ended, one way or another.
    Ended(ExecutionId, Ending),
    /// The attempt failed; the execution is due again after this time, and the permit with it.
    Retry(ExecutionId, Duration),
}

/// What a permit has led to: at last [`Ran`], and before that what failed for good without being run.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub ran: Ran,
    pub lost: Vec<ExecutionId>,
    /// Its model has no price, so that what it costs is not known.
    pub is_unpriced: bool,
}

impl Runner {
    /// Uses a permit: runs the execution whose turn it is. `until` is when this worker itself ends.
    ///
    /// # Errors
    /// What the database refuses, or that it cannot be reached: the permit is good for another time.
    pub async fn run(&self, permit: ExecutionId, until: DateTime<Utc>) -> Result<Report> {
        let mut lost = Vec::new();
        loop {
            match claim::claim(&self.db, permit).await? {
                Taken::Nothing => return Ok(Report { ran: Ran::Nothing, lost, is_unpriced: false }),
                Taken::Expired => {}
                Taken::Lost(id) => lost.push(id),
                Taken::Claim(claim) => {
                    let is_unpriced = claim.money.is_unpriced();
                    if is_unpriced {
                        let (provider, model) = (Word(&claim.skill.provider), claim.skill.model.as_deref());
                        tracing::warn!(execution_id = %claim.id, %provider, model, "there is no price of this model");
                    }
                    let ran = self.run_claim(&claim, until).await?;
                    return Ok(Report { ran, lost, is_unpriced });
                }
            }
        }
    }

    async fn run_claim(&self, claim: &Claim, until: DateTime<Utc>) -> Result<Ran> {
        let now = self.clock.now();
        let deadline = (now + TimeDelta::seconds(i64::from(claim.deadline_seconds))).min(until - CLOSING);
        let deadline = Instant::now() + (deadline - now).to_std().unwrap_or_default();
        let answer = answer::answer(self, claim, deadline).await;
        let delay = |asked| backoff::after(claim.attempt, asked, random_fraction());
        finish::finish(&self.db, claim, answer, delay).await
    }
}
