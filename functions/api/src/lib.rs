//! The HTTP side of the house: a file for each resource under `routes`, thin shells over `carhaul_core`.

pub mod app;
pub mod docs;
pub mod openapi;
pub mod router;
pub mod routes;
