//! AI executions: a skill, run once on an input. Accepting one is a row and a message and waits for nobody; a worker runs it
//! ([`run`]); what it proposes is decided by a person ([`review`]).
//!
//! `queued -> running -> succeeded | failed | cancelled | expired`. The database keeps the turn, the lease and the fence
//! (`app.claim_execution`), so that a message may come twice, late, or not at all.

pub mod accept;
mod apply;
pub mod backoff;
mod duplicates;
mod execution;
pub mod job;
pub mod review;
pub mod run;
pub mod stuck;

pub use self::execution::{
    BatchId, Execution, ExecutionFilter, ExecutionId, ExecutionStatus, Failure, Progress, Review, get, list,
};
