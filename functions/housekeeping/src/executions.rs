//! Executions that nobody is about to run: permits for what is due and was not taken, because the queue could not be reached,
//! lost a message or the worker died; an end for what was not begun within its lifetime.

use carhaul_core::base::error::Result;
use carhaul_core::executions::stuck;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use serde::Serialize;

/// The most of one run; the next goes on.
const BATCH: i32 = 500;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Tended {
    pub requeued: usize,
    pub expired: i32,
    /// Waiting for others of their own carriers, which have their share of the workers' slots.
    pub held: i64,
}

/// # Errors
/// Unavailable when database or queue are: the next run tries again.
pub async fn tend_executions(db: &Db, queue: &Queue, slots: i32) -> Result<Tended> {
    let expired = stuck::expire(db, BATCH).await?;
    let jobs = stuck::overdue(db, BATCH, slots).await?;
    queue.send_all(&jobs).await?;
    let held = stuck::held(db, slots).await?;
    Ok(Tended { requeued: jobs.len(), expired, held })
}
