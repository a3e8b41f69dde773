//! What the core stands on: configuration, secrets, logs.

pub mod batch;
pub mod config;
pub mod crypto;
pub mod db;
pub mod idempotency;
pub mod search;
pub mod secrets;
pub mod telemetry;
