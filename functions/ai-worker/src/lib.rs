//! Runs executions: each message of the queue is a permit for one. What the message's end means for the queue is decided
//! here; what is true of an execution however it is run is in `carhaul_core::executions`.

use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Error;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::job::Job;
use carhaul_core::executions::run::{Ending, Ran, Runner};
use carhaul_core::executions::stuck;
use carhaul_core::platform::batch::{Batch, Delivery, Failures};
use carhaul_core::platform::config::AiWorkerConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::envelope::Envelope;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::telemetry;
use carhaul_core::provider_keys::Vault;
use carhaul_core::providers::Providers;
use carhaul_core::realtime::nudge;
use chrono::{DateTime, TimeDelta, Utc};

/// What the longest execution takes, and time to write.
const LONGEST: TimeDelta = TimeDelta::seconds(250);
/// After so many deliveries of a message, of the fifteen after which it is put aside, a new one takes its place.
const MOST_DELIVERIES: u32 = 8;
/// The longest that a new message can be put off.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// Cloning is cheap.
#[derive(Clone)]
pub struct Worker {
    pub runner: Runner,
    pub queue: Queue,
    pub dead_letters: Queue,
    /// Of the metrics.
    pub environment: &'static str,
}

impl Worker {
    pub fn from_config(config: &AiWorkerConfig, clock: Clock) -> Self {
        let db = Db::new(&config.function);
        let providers = Providers::new(config.providers.clone(), clock.clone());
        let envelope = Envelope::new(&config.provider_keys_kms_key);
        Self {
            runner: Runner {
                db,
                vault: Vault::new(providers, envelope, clock.clone()),
                nudges: Queue::new(&config.realtime_queue_url),
                clock,
                slots: config.slots,
            },
            queue: Queue::new(&config.ai_queue_url),
            dead_letters: Queue::new(&config.ai_dead_letter_queue_url),
            environment: config.function.environment.as_str(),
        }
    }

    /// Uses all permits of a batch at the same time: their providers are waited for together.
    pub async fn work(&self, batch: Batch, until: DateTime<Utc>) -> Failures {
        let failures =
            batch.work_together(async |job: Job, delivery: &Delivery| self.use_message(job, delivery, until).await);
        failures.await
    }

    /// Runs what the permit is for, and as long as there is time whatever is due when that is over: it may be what was held
    /// before, of which no message is left. Whether the message is done with.
    async fn use_message(&self, job: Job, delivery: &Delivery, until: DateTime<Utc>) -> bool {
        let mut permit = match job {
            Job::Run { execution_id } => execution_id,
            // An operator has sent it back.
            Job::Failed { execution_id, .. } => match stuck::retry(&self.runner.db, execution_id).await {
                Ok(_) => execution_id,
                Err(error) => return not_used(execution_id, &error),
            },
        };
        loop {
            let ran = self.runner.run(permit, until).await;
            nudge::send(&self.runner.nudges, self.runner.db.take_listening().await).await;
            let report = match ran {
                Ok(report) => report,
                Err(error) => return not_used(permit, &error),
            };
            if report.is_unpriced {
                self.count("ExecutionsUnpriced");
            }
            for id in report.lost {
                self.put_aside(id, "lost").await;
            }
            let is_done = self.conclude(report.ran, delivery).await;
            let Some(due) = report.due else { return is_done };
            // A message that comes again is a permit for later.
            if !is_done || self.runner.clock.now() + LONGEST > until {
                return self.queue.send(&Job::Run { execution_id: due }).await.is_ok() && is_done;
            }
            permit = due;
        }
    }

    async fn conclude(&self, ran: Ran, delivery: &Delivery) -> bool {
        match ran {
            Ran::Nothing | Ran::Held => true,
            Ran::Ended(id, ending) => {
                tracing::info!(execution_id = %id, ?ending, "ended");
                match ending {
                    Ending::Exhausted(code) => self.put_aside(id, &code).await,
                    Ending::Succeeded => self.count("ExecutionsSucceeded"),
                    Ending::Refused(_) => self.count("ExecutionsFailed"),
                    Ending::Superseded => {}
                }
                true
            }
            Ran::Retry(id, after) => {
                tracing::warn!(execution_id = %id, seconds = after.as_secs(), "to be tried again");
                self.come_again(id, after, delivery).await
            }
        }
    }

    /// The message comes back when the execution is due, as a permit for whichever is then. If that cannot be said, it comes
    /// back later, after the queue's own time. A permit that is used for many is delivered often, which is nobody's failure: a
    /// new message takes its place, and this one is done with.
    async fn come_again(&self, id: ExecutionId, after: Duration, delivery: &Delivery) -> bool {
        if delivery.count >= MOST_DELIVERIES && after < LONGEST_DELAY {
            // Whole seconds, the next above.
            let delay = Duration::from_secs(after.as_secs() + 1);
            return self.queue.send_in(delay, &Job::Run { execution_id: id }).await.is_ok();
        }
        let _logged = self.queue.hide(&delivery.receipt, after).await;
        false
    }

    /// Tells operators of what failed for good although it might have succeeded. The state is written by now: if this
    /// message is lost, the alarm on the metric still rings.
    async fn put_aside(&self, id: ExecutionId, code: &str) {
        tracing::error!(execution_id = %id, code, "failed after the last attempt");
        self.count("ExecutionsExhausted");
        let letter = Job::Failed { execution_id: id, error: code.to_owned() };
        if let Err(error) = self.dead_letters.send(&letter).await {
            tracing::error!(execution_id = %id, %error, "not put aside");
        }
    }

    fn count(&self, metric: &str) {
        telemetry::count(&self.runner.clock, &[("Environment", self.environment)], metric, 1);
    }
}

fn not_used(permit: ExecutionId, error: &Error) -> bool {
    tracing::error!(execution_id = %permit, %error, "the permit could not be used");
    false
}
