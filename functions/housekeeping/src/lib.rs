//! What is done on the schedule, without the schedule.

mod chores;
mod documents;
mod executions;
mod purge;
mod push;
mod reconcile;
mod requeue;

pub use chores::{Chores, Swept};
pub use documents::{Tidied, Uploads};
pub use executions::{Tended, tend_executions};
pub use purge::{Purged, purge_expired};
pub use push::{Nudged, push_forgotten};
pub use reconcile::{Reconciled, Reconciler};
pub use requeue::{Requeued, requeue};
