//! What the database itself promises, asked of a real one: its catalogs as the superuser, everything else as a function's
//! own role through the pooler.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

mod catalog;
mod columns;
mod erasure;
mod grants;
mod limits;
mod order_list;
mod plans;
mod pool;
mod purge;
mod support;
mod tenancy;
