//! One file for each resource: its routes, its query parameters, handlers of a few lines.

mod api_keys;
mod billing;
mod customers;
mod documents;
mod drivers;
mod events;
mod exports;
mod invitations;
mod locations;
mod lookups;
mod me;
mod members;
mod meta;
pub(crate) mod orders;
mod provider_keys;
mod realtime;
mod skills;
mod tenants;
mod trailers;
pub(crate) mod trips;
mod trucks;

use crate::router::Routes;
use carhaul_core::base::error::Result;
use carhaul_core::base::page::Limit;
use carhaul_http::answer::Answer;
pub use carhaul_http::router::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

pub fn all() -> Routes {
    Routes::new()
        .merge(meta::router())
        .merge(api_keys::router())
        .merge(billing::router())
        .merge(customers::router())
        .merge(documents::router())
        .merge(drivers::router())
        .merge(events::router())
        .merge(exports::router())
        .merge(invitations::router())
        .merge(locations::router())
        .merge(lookups::router())
        .merge(me::router())
        .merge(members::router())
        .merge(orders::router())
        .merge(provider_keys::router())
        .merge(realtime::router())
        .merge(skills::router())
        .merge(tenants::router())
        .merge(trailers::router())
        .merge(trips::router())
        .merge(trucks::router())
}

/// Of a list that is not filtered.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// The answer to a DELETE: 200 with the row when it was archived because something refers to it, else 204.
fn deleted<T: Serialize>(archived: Option<T>) -> Result<Answer> {
    archived.map_or_else(|| Ok(Answer::no_content()), |row| Answer::ok(&row))
}
