//! Trips: the list, single trips, their moves, what is recorded at their stops, the orders on them.

mod actions;
mod list;

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::identity::permissions::Action;
use carhaul_core::orders::OrderId;
use carhaul_core::trips::loads::{self, TripOrders};
use carhaul_core::trips::{self, MAX_ORDERS, Named, NewTrip, Trip, TripHistoryEntry, TripId, TripPatch};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};

pub(crate) use self::list::Included;
use super::{Outcome, PageQuery, deleted};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(list::list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(history))
        .routes(routes!(put_orders))
        .routes(routes!(take_order_off))
        .merge(actions::router())
}

/// Create a trip, with its stops and orders.
///
/// Orders are put on it as by `POST /v1/trips/{trip_id}/orders`, which needs `orders:dispatch`, too.
#[utoipa::path(post, path = "/v1/trips", operation_id = "create_trip", tag = "trips",
    request_body = NewTrip, responses((status = CREATED, body = Trip)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewTrip>) -> Outcome {
    let (tx, trip) = trips::create(&app.db, &actor, key.as_ref(), body, app.clock.now()).await?;
    let answer = Answer::created(format!("/v1/trips/{}", trip.id), &trip)?.etag(trip.version);
    Ok(answer.commit(tx).await?)
}

/// Get a trip with its stops and orders.
#[utoipa::path(get, path = "/v1/trips/{trip_id}", operation_id = "get_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), responses((status = OK, body = Trip)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<TripId>) -> Outcome {
    let trip = trips::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version))
}

/// Change a trip, its driver, truck and trailer with those of its orders. `stops` is an ordered whole: name those that stay by
/// their `id`, in the order in which they are to be reached.
#[utoipa::path(patch, path = "/v1/trips/{trip_id}", operation_id = "update_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = TripPatch, responses((status = OK, body = Trip)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    Json(patch): Json<TripPatch>,
) -> Outcome {
    let seen = (id, if_match.required()?);
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, None, seen, &patch.named()).await?;
    let trip = trips::update(&mut tx, loaded, patch, app.clock.now()).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version).commit(tx).await?)
}

/// Delete a plan without orders; a trip that is over is archived instead.
#[utoipa::path(delete, path = "/v1/trips/{trip_id}", operation_id = "delete_trip", tag = "trips",
    params(("trip_id" = TripId, Path)),
    responses((status = OK, body = Trip, description = "Archived, since it is part of what happened."), (status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<TripId>, if_match: IfMatch) -> Outcome {
    let seen = (id, if_match.required()?);
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, None, seen, &Named::default()).await?;
    let archived = trips::delete(&mut tx, loaded, app.clock.now()).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}

/// List what happened to a trip, oldest first.
#[utoipa::path(get, path = "/v1/trips/{trip_id}/history", operation_id = "list_trip_history", tag = "trips",
    params(("trip_id" = TripId, Path), PageQuery), responses((status = OK, body = Page<TripHistoryEntry>)))]
async fn history(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    Query(query): Query<PageQuery>,
) -> Outcome {
    Ok(Answer::ok(&trips::history(&app.db, &actor, id, query.cursor.as_deref(), query.limit).await?)?)
}

/// Put orders on a trip, all of them or none. They get its driver, truck and trailer, and bring their pickups and deliveries
/// along. Orders on another trip, under way or over are refused, and what the driver, truck and trailer cannot haul.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/orders", operation_id = "put_orders_on_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = TripOrders, responses((status = OK, body = Trip)))]
async fn put_orders(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    Post { body: TripOrders { order_ids }, key }: Post<TripOrders>,
) -> Outcome {
    let seen = (id, if_match.optional()?);
    let named = Named { order_ids: order_ids.iter().take(MAX_ORDERS).copied().collect(), ..Named::default() };
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, key.as_ref(), seen, &named).await?;
    let trip = loads::put(&mut tx, loaded, &order_ids, app.clock.now()).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version).commit(tx).await?)
}

/// Take an order off a trip, before anything of it is picked up: it is new again, and its stops are gone.
#[utoipa::path(delete, path = "/v1/trips/{trip_id}/orders/{order_id}", operation_id = "take_order_off_trip", tag = "trips",
    params(("trip_id" = TripId, Path), ("order_id" = OrderId, Path)), responses((status = NO_CONTENT)))]
async fn take_order_off(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, order)): Path<(TripId, OrderId)>,
    if_match: IfMatch,
) -> Outcome {
    let seen = (id, if_match.required()?);
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, None, seen, &Named::default()).await?;
    loads::take_off(&mut tx, loaded, order, app.clock.now()).await?;
    Ok(Answer::no_content().commit(tx).await?)
}
