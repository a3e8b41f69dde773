//! Housekeeping's tasks as its own database role.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

mod documents;
mod erasures;
mod executions;
mod exports;
mod process;
mod purge;
mod reconcile;
mod requeue;
mod support;
