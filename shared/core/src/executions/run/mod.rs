//! Running executions: what a worker does with a permit. Short transactions with the provider between them: one takes the
//! execution whose turn it is, one loads what it needs, one writes how it ended, if this attempt is still the one that counts.
//! So a worker may die anywhere: the execution is run again after its lease, and what a worker that was given up on finds out
//! is dropped.
//!
//! Each that runs has one of the slots of all workers, and no carrier takes them all (`app.has_share`). A permit for which
//! there is none is used up; whoever ends an attempt asks what is due then, and goes on with that or sends a permit for it.

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
use crate::realtime::nudge;
use crate::skills::Provider;

/// Time that is left for the second transaction.
const CLOSING: TimeDelta = TimeDelta::seconds(5);
/// Before its worker or its lease ends an attempt is given up whose end cannot be written.
const LEAVING: TimeDelta = TimeDelta::seconds(1);

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
    /// Executions that all workers together run at the same time.
    pub slots: i32,
}

/// What came of a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// Nothing was due: the message came twice, late, or for something that was cancelled.
    Nothing,
    /// What is due waits for another execution of its own carrier to end.
    Held,
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
    /// What was due when this was over, for the slot that it has left.
    pub due: Option<ExecutionId>,
}

impl Report {
    fn of_nothing(ran: Ran, lost: Vec<ExecutionId>) -> Self {
        Self { ran, lost, is_unpriced: false, due: None }
    }
}

impl Runner {
    /// Uses a permit: runs the execution whose turn it is. `until` is when this worker itself ends.
    ///
    /// # Errors
    /// What the database refuses, or that it cannot be reached: the permit is good for another time.
    pub async fn run(&self, permit: ExecutionId, until: DateTime<Utc>) -> Result<Report> {
        let mut lost = Vec::new();
        loop {
            match claim::claim(&self.db, permit, self.slots).await? {
                Taken::Nothing => return Ok(Report::of_nothing(Ran::Nothing, lost)),
                Taken::Held => return Ok(Report::of_nothing(Ran::Held, lost)),
                Taken::Over => {}
                Taken::Lost(id) => lost.push(id),
                Taken::Claim(claim) => {
                    let is_unpriced = claim.money.is_unpriced();
                    if is_unpriced {
                        let (provider, model) = (Word(&claim.skill.provider), claim.skill.model.as_deref());
                        tracing::warn!(execution_id = %claim.id, %provider, model, "there is no price of this model");
                    }
                    if claim.skill.provider != Provider::Rules {
                        // A model takes its time: who is connected hears at once that it has begun.
                        nudge::send(&self.nudges, self.db.take_listening().await).await;
                    }
                    let (ran, due) = self.run_claim(&claim, until).await?;
                    return Ok(Report { ran, lost, is_unpriced, due });
                }
            }
        }
    }

    async fn run_claim(&self, claim: &Claim, until: DateTime<Utc>) -> Result<(Ran, Option<ExecutionId>)> {
        let (now, begun) = (self.clock.now(), Instant::now());
        let after = |end: DateTime<Utc>| begun + (end - now).to_std().unwrap_or_default();
        let full_time = now + TimeDelta::seconds(i64::from(claim.deadline_seconds));
        let deadline = after(full_time.min(until - CLOSING));
        let give_up = after((full_time + claim::MARGIN).min(until) - LEAVING);
        let answer = answer::answer(self, claim, deadline).await;
        let delay = |asked| backoff::after(claim.attempt, asked, random_fraction());
        finish::finish(&self.db, claim, &answer, delay, give_up).await
    }
}
