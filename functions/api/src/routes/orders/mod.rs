//! Orders: the dispatch list, single orders, their moves, their vehicles.

mod actions;
mod list;
mod vehicles;

use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::identity::permissions::Action;
use carhaul_core::orders::{self, HistoryEntry, NewOrder, Order, OrderId, OrderPatch, actions as moves};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};

pub(crate) use self::list::Included;
use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(list::list, create))
        .routes(routes!(get, update))
        .routes(routes!(history))
        .merge(actions::router())
        .merge(vehicles::router())
}

/// Create an order, with its vehicles.
///
/// A stop has an address of its own or names a location, whose address is copied into it. The order gets the next
/// number, is `new`, and counts for the month's `orders` of the plan.
#[utoipa::path(post, path = "/v1/orders", operation_id = "create_order", tag = "orders",
    request_body = NewOrder, responses((status = CREATED, body = Order)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewOrder>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::OrdersWrite, key.as_ref()).await?;
    let order = orders::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/orders/{}", order.id), &order)?.etag(order.version);
    Ok(answer.commit(tx).await?)
}

/// Get an order with its vehicles and tags.
///
/// Read its `ETag` before you change it.
#[utoipa::path(get, path = "/v1/orders/{order_id}", operation_id = "get_order", tag = "orders",
    params(("order_id" = OrderId, Path)), responses((status = OK, body = Order)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<OrderId>) -> Outcome {
    let order = orders::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&order)?.etag(order.version))
}

/// Change an order. Its state moves by actions, its vehicles are changed one by one.
///
/// What is absent is kept, also within `pickup` and `delivery`; null empties; `tag_ids` replaces all tags.
#[utoipa::path(patch, path = "/v1/orders/{order_id}", operation_id = "update_order", tag = "orders",
    params(("order_id" = OrderId, Path)), request_body = OrderPatch, responses((status = OK, body = Order)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    if_match: IfMatch,
    Json(patch): Json<OrderPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let (mut tx, order) = moves::begin_with(&app.db, &actor, Action::OrdersWrite, None, id, version).await?;
    let order = orders::update(&mut tx, order, patch).await?;
    Ok(Answer::ok(&order)?.etag(order.version).commit(tx).await?)
}

/// List what happened to an order and its vehicles, oldest first.
#[utoipa::path(get, path = "/v1/orders/{order_id}/history", operation_id = "list_order_history", tag = "orders",
    params(("order_id" = OrderId, Path), PageQuery), responses((status = OK, body = Page<HistoryEntry>)))]
async fn history(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<OrderId>,
    Query(query): Query<PageQuery>,
) -> Outcome {
    Ok(Answer::ok(&orders::history(&app.db, &actor, id, query.cursor.as_deref(), query.limit).await?)?)
}
