//! Brings a database to the state that this version of the functions needs: roles, their passwords, the schema, the price
//! lists. The tests build their database by the same code.

pub mod ai_prices;
mod apply;
mod connect;
mod error;
pub mod prices;
mod roles;
mod rotation;

pub use apply::{Outcome, fingerprint, migrate};
pub use connect::direct;
pub use error::MigrateError;
pub use rotation::{Rotation, RotationRequest, Step};
