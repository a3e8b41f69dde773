//! What is done on the schedule, without the schedule.

mod purge;
mod push;
mod requeue;

pub use purge::{Purged, purge_expired};
pub use push::{Nudged, push_forgotten};
pub use requeue::{Requeued, requeue};
