//! The vehicles on an order. They are guarded by the order's version: `If-Match` takes the ETag of the order.

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::hauling::{Cancellation, Occurrence, Remark};
use carhaul_core::identity::actor::Actor;
use carhaul_core::identity::permissions::Action;
use carhaul_core::orders::actions::{self, OrderAction};
use carhaul_core::orders::{self, NewVehicle, Order, OrderId, Vehicle, VehicleId, VehiclePatch, vehicles};
use carhaul_core::platform::idempotency::IdempotencyKey;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::Path;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::routes::Outcome;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(pickup))
        .routes(routes!(depart))
        .routes(routes!(deliver))
        .routes(routes!(cancel))
        .routes(routes!(hold))
        .routes(routes!(release))
}

/// The vehicles of an order.
#[derive(Serialize, ToSchema)]
struct Vehicles {
    /// In their places, at most 12 that are not cancelled.
    data: Vec<Vehicle>,
}

/// List the vehicles on an order.
#[utoipa::path(get, path = "/v1/orders/{order_id}/vehicles", operation_id = "list_order_vehicles", tag = "orders",
    params(("order_id" = OrderId, Path)), responses((status = OK, body = Vehicles)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Path(id): Path<OrderId>) -> Outcome {
    let order = orders::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&Vehicles { data: order.loaded_vehicles().to_vec() })?.etag(order.version))
}

/// Add a vehicle, before the first pickup.
///
/// The `ETag` is that of the order, as of every answer about its vehicles.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles", operation_id = "create_order_vehicle", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = NewVehicle, responses((status = CREATED, body = Vehicle)))]
async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<NewVehicle>,
) -> Outcome {
    let version = if_match.optional()?;
    let (mut tx, order) =
        actions::begin_with(&app.db, &actor, Action::OrdersWrite, post.key.as_ref(), id, version).await?;
    let (order, vehicle) = vehicles::create(&mut tx, order, post.body).await?;
    let location = format!("/v1/orders/{id}/vehicles/{vehicle}");
    Ok(Answer::created(location, order.vehicle(vehicle)?)?.etag(order.version).commit(tx).await?)
}

/// Get a vehicle on an order.
#[utoipa::path(get, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}", operation_id = "get_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    responses((status = OK, body = Vehicle)))]
async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, vehicle)): Path<(OrderId, VehicleId)>,
) -> Outcome {
    let order = orders::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(order.vehicle(vehicle)?)?.etag(order.version))
}

/// Change what is known of a vehicle.
///
/// `If-Match` takes the ETag of the order.
#[utoipa::path(patch, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}", operation_id = "update_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = VehiclePatch, responses((status = OK, body = Vehicle)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, vehicle)): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    Json(patch): Json<VehiclePatch>,
) -> Outcome {
    let version = if_match.required()?;
    let (mut tx, order) = actions::begin_with(&app.db, &actor, Action::OrdersWrite, None, id, version).await?;
    let order = vehicles::update(&mut tx, order, vehicle, patch).await?;
    Ok(Answer::ok(order.vehicle(vehicle)?)?.etag(order.version).commit(tx).await?)
}

/// Take a vehicle off the order, before the first pickup.
///
/// `If-Match` takes the ETag of the order.
#[utoipa::path(delete, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}", operation_id = "delete_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    responses((status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, vehicle)): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let (mut tx, order) = actions::begin_with(&app.db, &actor, Action::OrdersWrite, None, id, version).await?;
    vehicles::delete(&mut tx, order, vehicle).await?;
    Ok(Answer::no_content().commit(tx).await?)
}

async fn act(
    app: &App,
    actor: &Actor,
    (id, vehicle): (OrderId, VehicleId),
    if_match: IfMatch,
    key: Option<&IdempotencyKey>,
    action: &OrderAction,
) -> Outcome {
    let version = if_match.optional()?;
    let (mut tx, loaded) = actions::begin_to(&app.db, actor, action, key, id, version).await?;
    let order = actions::act(&mut tx, loaded, Some(vehicle), action, app.clock.now()).await?;
    Ok(Answer::ok(&order)?.etag(order.version).commit(tx).await?)
}

/// Record the pickup of one vehicle.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/pickup", operation_id = "pick_up_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn pickup(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Pickup(post.body)).await
}

/// Record that the truck has left with one vehicle: it is in transit, wherever the others are.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/depart", operation_id = "depart_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn depart(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Depart(post.body)).await
}

/// Record the delivery of one vehicle.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/deliver", operation_id = "deliver_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn deliver(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Deliver(post.body)).await
}

/// Cancel one vehicle, before it is picked up; an order whose last vehicle is cancelled is cancelled.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/cancel", operation_id = "cancel_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Cancellation, responses((status = OK, body = Order)))]
async fn cancel(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Cancellation>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Cancel(post.body)).await
}

/// Put one vehicle on hold, before it is picked up: it stays behind while the rest of the order moves. Again to give another
/// reason.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/hold", operation_id = "hold_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn hold(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Hold(post.body)).await
}

/// Release one vehicle from hold.
#[utoipa::path(post, path = "/v1/orders/{order_id}/vehicles/{vehicle_id}/release", operation_id = "release_order_vehicle",
    tag = "orders", params(("order_id" = OrderId, Path), ("vehicle_id" = VehicleId, Path)),
    request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn release(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(ids): Path<(OrderId, VehicleId)>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, ids, if_match, post.key.as_ref(), &OrderAction::Release(post.body)).await
}
