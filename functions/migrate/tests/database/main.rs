//! Against a real Postgres server; see support.rs.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

mod ai_prices;
mod migrate;
mod prices;
mod rotation;
mod support;
