//! What the core stands on: configuration, secrets, logs.

pub mod aws;
pub mod batch;
pub mod bucket;
pub mod config;
pub mod crypto;
pub mod db;
pub mod envelope;
pub mod http;
pub mod idempotency;
pub mod queue;
pub mod search;
pub mod secrets;
pub mod sockets;
pub mod telemetry;
