//! Stripe: its events, its objects, its API.

pub mod client;
mod transport;
