//! What is done on the schedule, without the schedule.

mod purge;
mod requeue;

pub use purge::{Purged, purge_expired};
pub use requeue::{Requeued, requeue};
