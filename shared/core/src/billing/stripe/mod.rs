//! Stripe: its events, its objects, its API.

pub mod client;
pub mod event;
pub mod objects;
pub mod signature;
mod transport;
