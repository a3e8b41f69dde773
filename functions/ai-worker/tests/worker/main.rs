//! Executions as the worker runs them: through its own code, as its own database role, behind the pooler, with another
//! carrier looking on.

mod claims;
mod costs;
mod deaths;
mod injections;
mod kinds;
mod letters;
mod models;
mod providers;
mod stage;
mod support;
