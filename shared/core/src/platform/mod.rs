//! What the core stands on: configuration, secrets, logs.

pub mod config;
pub mod secrets;
pub mod telemetry;
