//! What is asked of this function. The routes are part of the one API document, which `carhaul_api` serves.

mod executions;
mod review;

use carhaul_http::router::Routes;

use crate::app::App;

pub fn all() -> Routes<App> {
    Routes::new().merge(executions::router()).merge(review::router())
}
