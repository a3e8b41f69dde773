//! What the HTTP functions share: who calls, problem+json, bodies and queries, ETags, idempotency, the access log.

pub mod actor;
pub mod answer;
pub mod body;
pub mod conditional;
pub mod envelope;
mod faults;
pub mod lambda;
pub mod nudge;
pub mod objects;
pub mod problem;
pub mod query;
pub mod rate_limit;
pub mod router;
mod sentences;
