//! A stand-in of Stripe on a real socket: its API as far as we call it, an account whose subscriptions live as Stripe's do,
//! the events that this makes, and bad days on demand. No money moves.
//!
//! <https://docs.stripe.com/api>

mod account;
mod api;
mod documents;
mod invoices;
mod life;
mod objects;
mod parameters;
mod price;
mod refusal;
mod server;

pub use objects::StripeShape;
pub use server::{StripeFault, StripeRequest, StripeServer};
