//! Chores, which are erasures and exports: what the queue brings, and what it has lost.

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Result;
use carhaul_core::billing::stripe::client::Stripe;
use carhaul_core::chores::{self, Chore};
use carhaul_core::erasures::{Erased, Eraser};
use carhaul_core::exports::write::{self, Writer, Written};
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::config::StripeConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secrets;
use carhaul_core::platform::telemetry;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// The most of one run; the next goes on.
const BATCH: i32 = 500;
/// What has waited for so many minutes was lost, or its worker was.
const LOST: i32 = 5;
/// What has not been done for so many minutes is something for an operator.
const OVERDUE: i32 = 60;

pub struct Chores<'a> {
    pub db: &'a Db,
    pub bucket: &'a Bucket,
    /// Where money is taken.
    pub stripe: Option<&'a StripeConfig>,
    /// Of chores.
    pub queue: &'a Queue,
    /// Of realtime.
    pub nudges: &'a Queue,
    pub clock: &'a Clock,
    /// Under which figures are counted.
    pub environment: &'a str,
}

/// What a run has found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Swept {
    pub requeued: usize,
    /// Of those, how many have waited for too long.
    pub overdue: usize,
    /// Exports whose files are gone now.
    pub expired: usize,
}

impl Chores<'_> {
    /// Does one of them, until `until`. What is not done by then is queued again.
    ///
    /// # Errors
    /// Unavailable when something is that it needs: the message comes again.
    pub async fn work(&self, chore: Chore, until: DateTime<Utc>) -> Result<()> {
        let is_left = match chore {
            Chore::EraseTenant { id } => {
                let stripe = self.stripe().await?;
                let done = self.eraser(stripe.as_ref(), until).erase_tenant(id).await?;
                tracing::info!(tenant_id = %id, ?done, "erasing a carrier");
                done == Erased::InPart
            }
            Chore::EraseUser { id } => {
                let done = self.eraser(None, until).erase_user(id).await?;
                tracing::info!(?done, "erasing a user");
                done == Erased::InPart
            }
            Chore::WriteExport { id } => {
                let writer = Writer { db: self.db, bucket: self.bucket, clock: self.clock, until };
                let done = writer.write(id).await?;
                tracing::info!(export_id = %id, ?done, "writing an export");
                done == Written::InPart
            }
        };
        if is_left {
            self.queue.send(&chore).await?;
        }
        Ok(())
    }

    /// Queues what was forgotten, and deletes the files of exports that have expired, until `until`.
    ///
    /// # Errors
    /// Unavailable when database, queue or bucket are: the next run tries again.
    pub async fn sweep(&self, until: DateTime<Utc>) -> Result<Swept> {
        let waiting = chores::waiting(self.db, LOST, BATCH, false).await?;
        self.queue.send_all(&waiting).await?;
        let overdue = chores::waiting(self.db, OVERDUE, BATCH, true).await?.len();
        // Also when there are none: an alarm looks at it.
        let dimensions = [("Environment", self.environment)];
        telemetry::count(self.clock, &dimensions, "ChoresOverdue", i64::try_from(overdue).unwrap_or(i64::MAX));
        let expired = write::expire(self.db, self.bucket, BATCH, || self.clock.now() >= until).await?;
        Ok(Swept { requeued: waiting.len(), overdue, expired })
    }

    fn eraser<'a>(&'a self, stripe: Option<&'a Stripe>, until: DateTime<Utc>) -> Eraser<'a> {
        let Self { db, bucket, nudges, clock, .. } = *self;
        Eraser { db, bucket, stripe, nudges, clock, until }
    }

    /// The key is read each time: it may have been put there or exchanged since.
    async fn stripe(&self) -> Result<Option<Stripe>> {
        match self.stripe {
            Some(config) => Ok(Stripe::configured(config, &Secrets::new())
                .await
                .map_err(carhaul_core::billing::stripe::client::StripeError::from)?),
            None => Ok(None),
        }
    }
}
