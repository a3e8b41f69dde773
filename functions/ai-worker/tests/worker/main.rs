//! Executions as the worker runs them: through its own code, as its own database role, behind the pooler, with another
//! carrier looking on.

mod budgets;
mod claims;
mod costs;
mod deaths;
mod fleet;
mod injections;
mod kinds;
mod letters;
mod models;
mod progress;
mod providers;
mod schemas;
mod shares;
mod stage;
mod support;
