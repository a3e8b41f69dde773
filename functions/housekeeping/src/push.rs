//! Nudges for carriers to whose connections something is due that nobody is about to push: a nudge was lost, a worker has
//! died, a post failed.

use carhaul_core::base::error::Result;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::realtime::nudge::{self, Nudge};
use serde::Serialize;

/// The most of one run; the next goes on.
const BATCH: i32 = 500;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Nudged {
    pub nudged: usize,
}

/// # Errors
/// Unavailable when database or queue are: the next run tries again.
pub async fn push_forgotten(db: &Db, queue: &Queue) -> Result<Nudged> {
    let nudges: Vec<Nudge> = nudge::forgotten(db, BATCH).await?.into_iter().map(Nudge::new).collect();
    queue.send_all(&nudges).await?;
    Ok(Nudged { nudged: nudges.len() })
}
