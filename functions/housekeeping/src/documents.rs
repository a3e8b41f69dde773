//! Uploads of documents: what S3 tells of, what it did not tell of, and what is to go from the bucket.

use std::collections::BTreeSet;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Result;
use carhaul_core::base::ids::TenantId;
use carhaul_core::documents::uploads::{self, Notification, Outcome, Place};
use carhaul_core::exports;
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::telemetry;
use carhaul_core::realtime::nudge;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What is read at once.
const BATCH: i32 = 100;

pub struct Uploads<'a> {
    pub db: &'a Db,
    pub bucket: &'a Bucket,
    /// Of realtime.
    pub nudges: &'a Queue,
    pub clock: &'a Clock,
    /// Under which figures are counted.
    pub environment: &'a str,
}

/// What a run has found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tidied {
    /// The file was there, and nobody had told.
    pub stored: usize,
    /// The file was not what was announced.
    pub refused: usize,
    /// No file came in time.
    pub expired: usize,
    /// Objects that were superfluous.
    pub deleted: usize,
    /// False if time ran out; the next run goes on.
    pub complete: bool,
}

impl Uploads<'_> {
    /// Takes S3's word for nothing but that something came; what did, the bucket is asked.
    ///
    /// # Errors
    /// Unavailable when database or bucket are: the message comes again.
    pub async fn arrived(&self, notification: &Notification) -> Result<()> {
        for record in notification.records() {
            let key = &record.s3.object.key;
            if exports::is_key(key) {
                // Who has written it knows.
                continue;
            }
            let Some(place) = Place::of_key(key) else {
                tracing::warn!(key, "no document has such a key");
                continue;
            };
            let outcome = uploads::arrived(self.db, self.bucket, place).await?;
            tracing::info!(tenant_id = %place.tenant_id, document_id = %place.document_id, ?outcome, "an object has come");
            let figure = match outcome {
                Outcome::Stored => "DocumentsStored",
                Outcome::Refused => "DocumentsRefused",
                Outcome::Expired => "DocumentsExpired",
                Outcome::Unchanged => continue,
            };
            self.count(figure, 1);
            nudge::send(self.nudges, BTreeSet::from([place.tenant_id])).await;
        }
        Ok(())
    }

    /// Looks for all that should have come, then deletes what is superfluous, until both are done or `until` has come.
    ///
    /// # Errors
    /// Unavailable when database or bucket are: the next run tries again.
    pub async fn tidy(&self, until: DateTime<Utc>) -> Result<Tidied> {
        let mut done = Tidied::default();
        let mut changed = BTreeSet::new();
        let looked = self.look_for_overdue(until, &mut done, &mut changed).await;
        nudge::send(self.nudges, changed).await;
        self.count("DocumentsForgotten", done.stored);
        self.count("DocumentsRefused", done.refused);
        self.count("DocumentsExpired", done.expired);
        let all_seen = looked?;
        while self.clock.now() < until {
            let deleted = uploads::delete_superfluous(self.db, self.bucket, BATCH).await?;
            done.deleted += deleted;
            if deleted < BATCH as usize {
                done.complete = all_seen;
                break;
            }
        }
        Ok(done)
    }

    fn count(&self, figure: &str, count: usize) {
        if count > 0 {
            let dimensions = [("Environment", self.environment)];
            telemetry::count(self.clock, &dimensions, figure, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Whether it came to the end.
    async fn look_for_overdue(
        &self,
        until: DateTime<Utc>,
        done: &mut Tidied,
        changed: &mut BTreeSet<TenantId>,
    ) -> Result<bool> {
        let mut after = None;
        while self.clock.now() < until {
            let (outcomes, next) =
                uploads::look_for_overdue(self.db, self.bucket, self.clock.now(), after, BATCH).await?;
            for (tenant, outcome) in outcomes {
                match outcome {
                    Outcome::Stored => done.stored += 1,
                    Outcome::Refused => done.refused += 1,
                    Outcome::Expired => done.expired += 1,
                    Outcome::Unchanged => continue,
                }
                changed.insert(tenant);
            }
            if next.is_none() {
                return Ok(true);
            }
            after = next;
        }
        Ok(false)
    }
}
