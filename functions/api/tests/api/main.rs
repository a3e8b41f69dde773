//! The API as its clients see it: the whole service in this process, on real Postgres through the real pooler as the role
//! `carhaul_api`, with tokens of a live issuer. One file for each resource, as under `src/routes`.

mod bad_days;
mod conventions;
mod customers;
mod drivers;
mod locations;
mod openapi;
mod support;
mod trailers;
mod trips;
mod trucks;
