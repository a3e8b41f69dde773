//! A stand-in of Stripe on a real socket: its API as far as we call it, an account whose subscriptions live as Stripe's do,
//! the events that this makes, and bad days on demand. No money moves.
//!
//! <https://docs.stripe.com/api>

mod account;
mod api;
mod deliveries;
mod documents;
mod invoices;
mod life;
mod objects;
mod pages;
mod parameters;
mod price;
mod refusal;
mod server;
mod standalone;

pub use objects::StripeShape;
pub use server::{StripeFault, StripeRequest, StripeServer};
pub use standalone::run as run_stripe;
