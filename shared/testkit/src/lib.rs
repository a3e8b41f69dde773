//! What tests need around the system: an issuer of tokens, a migrated database, a wire that can be watched and cut, a
//! Lambda runtime, and a stand-in of Stripe. Never part of anything that is deployed.

#![recursion_limit = "256"]

mod aws;
mod bucket_server;
mod connection_server;
mod database;
mod http_event;
mod issuer;
mod keys;
mod kms;
mod lambda_runtime;
mod model_server;
pub mod plan;
mod queue_server;
mod stripe;
pub mod tenders;
mod token;
mod trip_counter;

pub use aws::{Aws, Message};
pub use bucket_server::{BucketServer, sha256_of};
pub use connection_server::{ConnectionServer, Reception};
pub use database::Database;
pub use http_event::http_event;
pub use issuer::{AUDIENCE, Issuer};
pub use keys::{SigningKey, encode as base64url};
pub use kms::Kms;
pub use lambda_runtime::{Answer, LambdaRuntime, RuntimeError, Usage};
pub use model_server::{ModelFault, ModelRequest, ModelServer, ModelStop};
pub use queue_server::QueueServer;
pub use stripe::{StripeFault, StripeRequest, StripeServer, StripeShape, run_stripe};
pub use token::TokenBuilder;
pub use trip_counter::{Fault, Seen, TripCounter};
