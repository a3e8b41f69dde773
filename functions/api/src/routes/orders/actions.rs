//! The moves of an order: one route for each, and one for many orders at once.

use std::collections::HashSet;

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::error::Error;
use carhaul_core::hauling::{Cancellation, Occurrence, Remark};
use carhaul_core::identity::actor::Actor;
use carhaul_core::identity::permissions::Action;
use carhaul_core::orders::actions::{self, Assignment, MAX_BULK, OrderAction};
use carhaul_core::orders::split::{self, Split};
use carhaul_core::orders::{Order, OrderId};
use carhaul_core::platform::idempotency::IdempotencyKey;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::conditional::IfMatch;
use carhaul_http::problem::Problem;
use carhaul_http::query::Path;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::routes::Outcome;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(bulk))
        .routes(routes!(assign))
        .routes(routes!(unassign))
        .routes(routes!(pickup))
        .routes(routes!(depart))
        .routes(routes!(deliver))
        .routes(routes!(cancel))
        .routes(routes!(hold))
        .routes(routes!(release))
        .routes(routes!(archive))
        .routes(routes!(unarchive))
        .routes(routes!(split))
}

async fn act(
    app: &App,
    actor: &Actor,
    id: OrderId,
    if_match: IfMatch,
    key: Option<&IdempotencyKey>,
    action: &OrderAction,
) -> Outcome {
    let version = if_match.optional()?;
    let (mut tx, loaded) = actions::begin_to(&app.db, actor, action, key, id, version).await?;
    let order = actions::act(&mut tx, loaded, None, action, app.clock.now()).await?;
    Ok(Answer::ok(&order)?.etag(order.version).commit(tx).await?)
}

/// Assign a driver, a truck and a trailer; again to assign others.
///
/// The driver hears of it. What cannot be hauled is a 409, `cannot_haul`, whose `detail` says why; what a person should make sure
/// of is in `warnings` of the answer. An order on a trip is assigned by its trip (409, `on_a_trip`).
#[utoipa::path(post, path = "/v1/orders/{order_id}/assign", operation_id = "assign_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Assignment, responses((status = OK, body = Order)))]
async fn assign(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Assignment>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Assign(post.body)).await
}

/// Take the assignment back, before anything is picked up.
#[utoipa::path(post, path = "/v1/orders/{order_id}/unassign", operation_id = "unassign_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn unassign(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Unassign(post.body)).await
}

/// Record the pickup of every vehicle that is not picked up yet. One on hold stays behind.
///
/// `at` is now unless told, and not in the future. It is counted and never refused by a limit of the plan.
#[utoipa::path(post, path = "/v1/orders/{order_id}/pickup", operation_id = "pick_up_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn pickup(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Pickup(post.body)).await
}

/// Record that the truck has left with all vehicles but those on hold: they are in transit.
#[utoipa::path(post, path = "/v1/orders/{order_id}/depart", operation_id = "depart_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn depart(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Depart(post.body)).await
}

/// Record the delivery of every vehicle that is picked up.
///
/// `at` is now unless told, and not in the future. It is counted and never refused by a limit of the plan.
#[utoipa::path(post, path = "/v1/orders/{order_id}/deliver", operation_id = "deliver_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Occurrence>, responses((status = OK, body = Order)))]
async fn deliver(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Occurrence>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Deliver(post.body)).await
}

/// Cancel before anything is picked up.
#[utoipa::path(post, path = "/v1/orders/{order_id}/cancel", operation_id = "cancel_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Cancellation, responses((status = OK, body = Order)))]
async fn cancel(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Cancellation>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Cancel(post.body)).await
}

/// Put on hold: it cannot be assigned or picked up until it is released. Again to give another reason.
///
/// The note is shown as `hold_reason`.
#[utoipa::path(post, path = "/v1/orders/{order_id}/hold", operation_id = "hold_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn hold(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Hold(post.body)).await
}

/// Release from hold.
#[utoipa::path(post, path = "/v1/orders/{order_id}/release", operation_id = "release_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn release(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Release(post.body)).await
}

/// Archive what is delivered or cancelled: out of the list, never lost.
#[utoipa::path(post, path = "/v1/orders/{order_id}/archive", operation_id = "archive_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn archive(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Archive(post.body)).await
}

/// Bring back from the archive.
#[utoipa::path(post, path = "/v1/orders/{order_id}/unarchive", operation_id = "unarchive_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Option<Remark>, responses((status = OK, body = Order)))]
async fn unarchive(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Remark>,
) -> Outcome {
    act(&app, &actor, id, if_match, post.key.as_ref(), &OrderAction::Unarchive(post.body)).await
}

/// Split off vehicles that are not picked up, to travel otherwise than the rest. The new order is for the same customer, from
/// and to the same places, on the same terms, and is assigned to nobody; the prices of both come to what the price was.
///
/// The documents of the vehicles go along. It counts as an order of the month; what is billed is not split (409,
/// `billed`).
#[utoipa::path(post, path = "/v1/orders/{order_id}/split", operation_id = "split_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = Split, responses((status = CREATED, body = Order)))]
async fn split(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    post: Post<Split>,
) -> Outcome {
    let (version, key) = (if_match.optional()?, post.key.as_ref());
    let (mut tx, order) = actions::begin_with(&app.db, &actor, Action::OrdersWrite, key, id, version).await?;
    let order = split::split(&mut tx, order, post.body).await?;
    let answer = Answer::created(format!("/v1/orders/{}", order.id), &order)?.etag(order.version);
    Ok(answer.commit(tx).await?)
}

/// One action on many orders.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkAction {
    /// The orders; one that is named twice counts once.
    #[schema(min_items = 1, max_items = 100)]
    order_ids: Vec<OrderId>,
    /// What to do to each of them.
    #[serde(deserialize_with = "carhaul_http::objects::object")]
    action: OrderAction,
}

/// What became of each order.
#[derive(Serialize, ToSchema)]
struct BulkResults {
    /// One for each order, in the order of the request.
    results: Vec<BulkResult>,
}

/// Either the order as it is now, or why it was refused.
#[derive(Serialize, ToSchema)]
struct BulkResult {
    /// The order that was named.
    order_id: OrderId,
    /// The order as it is now, if it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    /// Why it was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Do the same to up to 100 orders. What is refused for one does not stop the others.
///
/// The answer is a 200 also when orders were refused: look at `problem` of each result. Pickups, departures and
/// deliveries need `orders:record` instead.
#[utoipa::path(post, path = "/v1/orders/bulk", operation_id = "bulk_orders", tag = "orders",
    request_body = BulkAction, responses((status = OK, body = BulkResults)))]
async fn bulk(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<BulkAction>) -> Outcome {
    let mut seen = HashSet::new();
    let ids: Vec<OrderId> = body.order_ids.into_iter().filter(|id| seen.insert(*id)).collect();
    if ids.is_empty() || ids.len() > MAX_BULK {
        return Err(Error::invalid("/order_ids", format!("must name 1 to {MAX_BULK} orders")).into());
    }
    let (tx, results) =
        actions::act_on_many(&app.db, &actor, key.as_ref(), &ids, &body.action, app.clock.now()).await?;
    let results = results.into_iter().map(|(order_id, result)| match result {
        Ok(order) => BulkResult { order_id, order: Some(order), problem: None },
        Err(error) => BulkResult { order_id, order: None, problem: Some(error.into()) },
    });
    Ok(Answer::ok(&BulkResults { results: results.collect() })?.commit(tx).await?)
}
