//! What was asked to go goes: a carrier that was closed, a user who has left for good.
//!
//! Closing is one transaction ([`crate::tenants::close`], [`crate::me::erase`]), after which nobody gets in any more. The rest is
//! done here, in batches of which each is a transaction: whoever is killed has lost nothing, and the next one goes on with what is
//! left. One run at a time does it, which holds it for as long as it may last (`app.begin_erasure`). What there is to erase the database knows from its own catalog (`app.tables_of_tenants`), so that a
//! table that comes later is not forgotten.

mod tenant;
mod user;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::billing::stripe::client::Stripe;
use crate::platform::bucket::Bucket;
use crate::platform::db::Db;
use crate::platform::queue::Queue;

/// Rows in one transaction: some tens of milliseconds of locks.
const BATCH: i32 = 2_000;
/// For the batch that has begun when time runs out.
const MARGIN: TimeDelta = TimeDelta::seconds(30);

pub struct Eraser<'a> {
    pub db: &'a Db,
    pub bucket: &'a Bucket,
    /// None where no money is taken.
    pub stripe: Option<&'a Stripe>,
    /// Of realtime.
    pub nudges: &'a Queue,
    pub clock: &'a Clock,
    /// When to stop.
    pub until: DateTime<Utc>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// There was nothing to erase, or there is nothing left.
    Completely,
    /// Time ran out; the next run goes on.
    InPart,
    /// Somebody else is erasing it.
    Held,
}

impl Eraser<'_> {
    /// Erases what nobody else does meanwhile, if there is something to erase.
    async fn alone(&self, id: Uuid, erase: impl Future<Output = Result<Erased>>) -> Result<Erased> {
        let holder = Uuid::now_v7();
        let lease = (self.until + MARGIN - self.clock.now()).as_seconds_f64().max(0.0);
        let (begun,): (String,) = self
            .db
            .fetch_one(|sql| {
                sql.push("SELECT app.begin_erasure(").push_bind(id).push(", ").push_bind(holder);
                sql.push(", make_interval(secs => ").push_bind(lease).push("))");
            })
            .await?;
        match begun.as_str() {
            "begun" => {}
            "held" => return Ok(Erased::Held),
            "nothing" => return Ok(Erased::Completely),
            other => return Err(Error::internal(format!("an erasure that is {other}"))),
        }
        let erased = erase.await;
        let is_done = matches!(erased, Ok(Erased::Completely));
        let ended = self.db.fetch_all::<()>(|sql| {
            sql.push("SELECT FROM app.end_erasure(").push_bind(id).push(", ").push_bind(holder);
            sql.push(", ").push_bind(is_done).push(")");
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, "an erasure was not given back: its time ends by itself");
        }
        erased
    }

    fn is_late(&self) -> bool {
        self.clock.now() >= self.until
    }
}
