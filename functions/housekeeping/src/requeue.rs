//! Queues Stripe's events that were stored and never processed, because the queue could not be reached or lost a message; and
//! those whose price or customer was unknown and is known now.

use carhaul_core::base::error::Result;
use carhaul_core::billing::inbox;
use carhaul_core::billing::job::Job;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use serde::Serialize;

/// The most of one run; the next goes on.
const BATCH: i32 = 500;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Requeued {
    pub requeued: usize,
}

/// # Errors
/// Unavailable when database or queue are: the next run tries again.
pub async fn requeue(db: &Db, queue: &Queue) -> Result<Requeued> {
    let jobs: Vec<Job> = inbox::stuck(db, BATCH).await?.into_iter().map(|id| Job::Event { id }).collect();
    queue.send_all(&jobs).await?;
    Ok(Requeued { requeued: jobs.len() })
}
