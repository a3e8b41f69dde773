//! The routes of this function.

pub use carhaul_http::routes;

use crate::app::App;

pub type Routes = carhaul_http::router::Routes<App>;
