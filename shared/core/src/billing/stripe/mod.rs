//! Stripe: its events, its objects, its API.

pub mod client;
pub mod objects;
mod transport;
