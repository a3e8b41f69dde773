//! Accepts executions and lets people decide on their results. It knows no model provider: what it accepts is a row and a
//! message, so that accepting is as fast on the provider's worst day as on its best.

pub mod app;
pub mod routes;
