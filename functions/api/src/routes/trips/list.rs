//! `GET /v1/trips`.

use axum::extract::State;
use carhaul_core::base::day::Day;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::drivers::DriverId;
use carhaul_core::trailers::TrailerId;
use carhaul_core::trips::list::{self, Days, Filter, Include, Sort, View};
use carhaul_core::trips::{Trip, TripStatus};
use carhaul_core::trucks::TruckId;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::query::Query;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::routes::Outcome;

/// Several values of one parameter mean any of them; different parameters must all hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    #[serde(default)]
    status: Vec<TripStatus>,
    #[serde(default)]
    driver: Vec<DriverId>,
    truck: Option<TruckId>,
    /// With this trailer.
    trailer: Option<TrailerId>,
    /// With this number.
    number: Option<i64>,
    /// First local day on which it starts.
    start_date_from: Option<Day>,
    /// Last local day on which it starts.
    start_date_to: Option<Day>,
    /// First local day on which it ends.
    end_date_from: Option<Day>,
    /// Last local day on which it ends.
    end_date_to: Option<Day>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    sort: Sort,
    /// What to add to each trip.
    #[serde(default)]
    include: Vec<Included>,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// What a list of trips can come with.
#[derive(Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[schema(as = TripInclude)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Included {
    Stops,
    Orders,
    Driver,
    Truck,
    Trailer,
}

/// List trips.
///
/// Different filters must all hold. `include` adds stops, orders, driver, truck or trailer of each trip. A driver sees
/// the trips that are theirs.
#[utoipa::path(get, path = "/v1/trips", operation_id = "list_trips", tag = "trips", params(ListQuery),
    responses((status = OK, body = Page<Trip>)))]
pub async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let includes = |what| query.include.contains(&what);
    let include = Include {
        stops: includes(Included::Stops),
        orders: includes(Included::Orders),
        driver: includes(Included::Driver),
        truck: includes(Included::Truck),
        trailer: includes(Included::Trailer),
    };
    let filter = Filter {
        status: query.status,
        driver: query.driver,
        truck: query.truck,
        trailer: query.trailer,
        number: query.number,
        start: Days { from: query.start_date_from, to: query.start_date_to },
        end: Days { from: query.end_date_from, to: query.end_date_to },
        archived: query.archived,
    };
    let view = View { sort: query.sort, include, cursor: query.cursor, limit: query.limit };
    Ok(Answer::ok(&list::list(&app.db, &actor, &filter, &view).await?)?)
}
