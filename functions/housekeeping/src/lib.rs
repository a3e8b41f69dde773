//! What is done on the schedule, without the schedule.

mod purge;

pub use purge::{Purged, purge_expired};
