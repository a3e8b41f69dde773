//! The moves of a trip, and what is recorded at its stops.

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::hauling::{Cancellation, Occurrence, Remark};
use carhaul_core::identity::actor::Actor;
use carhaul_core::identity::permissions::Action;
use carhaul_core::platform::idempotency::IdempotencyKey;
use carhaul_core::trips::actions::{self, StopTime, TripAction};
use carhaul_core::trips::correction::{self, StopCorrection};
use carhaul_core::trips::relay::{self, Relay};
use carhaul_core::trips::{self, Named, Trip, TripId, TripStopId};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::Path;

use crate::app::App;
use crate::routes::Outcome;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(ready))
        .routes(routes!(reopen))
        .routes(routes!(start))
        .routes(routes!(deliver))
        .routes(routes!(complete))
        .routes(routes!(cancel))
        .routes(routes!(relay))
        .routes(routes!(correct))
        .routes(routes!(arrive))
        .routes(routes!(depart))
}

async fn act(
    app: &App,
    actor: &Actor,
    id: TripId,
    if_match: IfMatch,
    key: Option<&IdempotencyKey>,
    action: &TripAction,
) -> Outcome {
    let seen = (id, if_match.optional()?);
    let (mut tx, loaded) = trips::begin(&app.db, actor, action.permission(), key, seen, &Named::default()).await?;
    let trip = actions::act(&mut tx, loaded, action, app.clock.now()).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version).commit(tx).await?)
}

/// The plan is made: it needs a driver, a truck and a stop, and that they can haul its orders.
///
/// What is missing is a 409, `incomplete`; what cannot be hauled a 409, `cannot_haul`, whose `detail` says why.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/ready", operation_id = "ready_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Option<Remark>, responses((status = OK, body = Trip)))]
async fn ready(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Ready(post.body)).await
}

/// Back to planning, before it starts.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/reopen", operation_id = "reopen_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Option<Remark>, responses((status = OK, body = Trip)))]
async fn reopen(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Reopen(post.body)).await
}

/// Record that the driver has set out.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/start", operation_id = "start_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Option<Occurrence>, responses((status = OK, body = Trip)))]
async fn start(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Start(post.body)).await
}

/// Record that all is delivered: each order on it must be.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/deliver", operation_id = "deliver_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Option<Occurrence>, responses((status = OK, body = Trip)))]
async fn deliver(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Deliver(post.body)).await
}

/// Close a trip that is delivered.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/complete", operation_id = "complete_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Option<Remark>, responses((status = OK, body = Trip)))]
async fn complete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Complete(post.body)).await
}

/// Cancel before it starts; its orders are new again.
///
/// With orders on it, it needs `orders:dispatch`, too.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/cancel", operation_id = "cancel_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Cancellation, responses((status = OK, body = Trip)))]
async fn cancel(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    post: Post<Cancellation>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Cancel(post.body)).await
}

/// Hand a trip on to another driver, truck or trailer, also after a pickup. Its orders that are not delivered go along; both
/// drivers hear of it, and only the new one sees them from then on.
///
/// What is left out stays, and who has it already is told nothing anew.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/relay", operation_id = "relay_trip", tag = "trips",
    params(("trip_id" = TripId, Path)), request_body = Relay, responses((status = OK, body = Trip)))]
async fn relay(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TripId>,
    if_match: IfMatch,
    Post { body, key }: Post<Relay>,
) -> Outcome {
    let seen = (id, if_match.optional()?);
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, key.as_ref(), seen, &body.named()).await?;
    let trip = relay::relay(&mut tx, loaded, body, app.clock.now()).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version).commit(tx).await?)
}

/// Correct what was recorded at a stop. The history keeps what it was. `If-Match` takes the ETag of the trip.
#[utoipa::path(patch, path = "/v1/trips/{trip_id}/stops/{stop_id}", operation_id = "correct_trip_stop", tag = "trips",
    params(("trip_id" = TripId, Path), ("stop_id" = TripStopId, Path)), request_body = StopCorrection,
    responses((status = OK, body = Trip)))]
async fn correct(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, stop)): Path<(TripId, TripStopId)>,
    if_match: IfMatch,
    Json(correction): Json<StopCorrection>,
) -> Outcome {
    let seen = (id, if_match.required()?);
    let (mut tx, loaded) = trips::begin(&app.db, &actor, Action::TripsWrite, None, seen, &Named::default()).await?;
    let trip = correction::correct(&mut tx, loaded, stop, correction, app.clock.now()).await?;
    Ok(Answer::ok(&trip)?.etag(trip.version).commit(tx).await?)
}

/// Record that the driver has come to a stop. A trip that is ready is in progress with that.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/stops/{stop_id}/arrive", operation_id = "arrive_at_trip_stop", tag = "trips",
    params(("trip_id" = TripId, Path), ("stop_id" = TripStopId, Path)), request_body = Option<StopTime>,
    responses((status = OK, body = Trip)))]
async fn arrive(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, stop)): Path<(TripId, TripStopId)>,
    if_match: IfMatch,
    post: Post<StopTime>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Arrive(stop, post.body)).await
}

/// Record that the driver has left a stop.
#[utoipa::path(post, path = "/v1/trips/{trip_id}/stops/{stop_id}/depart", operation_id = "depart_from_trip_stop", tag = "trips",
    params(("trip_id" = TripId, Path), ("stop_id" = TripStopId, Path)), request_body = Option<StopTime>,
    responses((status = OK, body = Trip)))]
async fn depart(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, stop)): Path<(TripId, TripStopId)>,
    if_match: IfMatch,
    post: Post<StopTime>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &TripAction::Depart(stop, post.body)).await
}
