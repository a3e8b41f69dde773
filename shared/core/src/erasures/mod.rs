//! What was asked to go goes: a carrier that was closed, a user who has left for good.
//!
//! Closing is one transaction ([`crate::tenants::close`], [`crate::me::erase`]), after which nobody gets in any more. The rest is
//! done here, in batches of which each is a transaction: whoever is killed has lost nothing, the next one finds what is left, and
//! two at once take turns. What there is to erase the database knows from its own catalog (`app.tables_of_tenants`), so that a
//! table that comes later is not forgotten.

mod tenant;
mod user;

use chrono::{DateTime, Utc};

use crate::base::clock::Clock;
use crate::billing::stripe::client::Stripe;
use crate::platform::bucket::Bucket;
use crate::platform::db::Db;
use crate::platform::queue::Queue;

/// Rows in one transaction: some tens of milliseconds of locks.
const BATCH: i32 = 2_000;

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
}

impl Eraser<'_> {
    fn is_late(&self) -> bool {
        self.clock.now() >= self.until
    }
}
