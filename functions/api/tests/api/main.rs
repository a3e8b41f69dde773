//! The API as its clients see it: the whole service in this process, on real Postgres through the real pooler as the role
//! `carhaul_api`, with tokens of a live issuer. One file for each resource, as under `src/routes`.

mod access_log;
mod api_keys;
mod bad_days;
mod billing;
mod contract;
mod conventions;
mod credentials;
mod customers;
mod documents;
mod drivers;
mod erasures;
mod events;
mod executions;
mod exports;
mod invitations;
mod list_plans;
mod locations;
mod lookups;
mod me;
mod members;
mod openapi;
mod orders;
mod provider_keys;
mod quotas;
mod realtime;
mod roles;
mod round_trips;
mod skills;
mod support;
mod tenant_isolation;
mod tenants;
mod trailers;
mod trips;
mod trucks;
