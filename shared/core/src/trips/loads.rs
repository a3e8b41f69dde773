//! Orders that are put on a trip or taken off it. On the trip they have its driver, truck and trailer: they are assigned and
//! unassigned by their own state machine, in the transaction that changes the trip.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::load::Loaded;
use super::machine::{Moves, illegal};
use super::save::{self, OrdersMoved};
use super::stops::{TripStop, insert_by_time};
use super::trip::Trip;
use super::{MAX_ORDERS, TripStopKind, ability};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::hauling;
use crate::identity::permissions::Action;
use crate::orders::machine::{self, Moves as OrderMoves};
use crate::orders::{Order, OrderId, OrderStatus};
use crate::platform::db::Tx;

/// Orders that are put on a trip.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TripOrders {
    /// Up to 24 on a trip.
    #[schema(min_items = 1, max_items = 24)]
    pub order_ids: Vec<OrderId>,
}

/// Puts orders on a trip that was loaded with them, all of them or none. Each brings its pickup and delivery along, where
/// their windows belong among the stops that are still to be reached.
///
/// # Errors
/// [`Error::Invalid`] naming an order that is not there; [`Error::Conflict`] for one that is on another trip, on hold or under
/// way, for a trip that is no longer open, and for what its driver, truck and trailer cannot haul.
pub async fn put(tx: &mut Tx, mut loaded: Loaded, order_ids: &[OrderId], now: DateTime<Utc>) -> Result<Trip> {
    tx.entered.grant.require(Action::OrdersDispatch)?;
    let present = present(order_ids, &loaded)?;
    if !loaded.trip.status.is_open() {
        return Err(illegal(loaded.trip.status, "no order can be put on a trip"));
    }
    let before = ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts);
    let moved = join(&mut loaded, &present)?;
    add_stops(&mut loaded);
    hauling::refuse(&ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts), &before)?;
    save::trip(tx, loaded, &Moves::default(), moved, now).await
}

/// Takes an order off a trip, before anything of it is picked up; it is new again.
///
/// # Errors
/// [`Error::NotFound`] for an order that is not on it; [`Error::Conflict`] for one that is under way.
pub async fn take_off(tx: &mut Tx, mut loaded: Loaded, id: OrderId, now: DateTime<Utc>) -> Result<Trip> {
    tx.entered.grant.require(Action::OrdersDispatch)?;
    let trip = loaded.trip.id;
    let order = loaded.orders.iter_mut().find(|order| order.id == id && order.trip_id == Some(trip));
    let order = order.ok_or(Error::NotFound("order"))?;
    if !loaded.trip.status.is_open() {
        return Err(illegal(loaded.trip.status, "no order can be taken off a trip"));
    }
    let moved = vec![(id, leave(order)?)];
    loaded.trip.loaded_stops_mut().retain(|stop| stop.order_id != Some(id) || stop.is_reached());
    save::trip(tx, loaded, &Moves::default(), moved, now).await
}

/// The orders that are named, each once.
pub(super) fn present(order_ids: &[OrderId], loaded: &Loaded) -> Result<Vec<OrderId>> {
    let mut violations = Violations::default();
    violations.add_unless(
        order_ids.len() <= MAX_ORDERS,
        "/order_ids",
        format!("a trip has at most {MAX_ORDERS} orders"),
    );
    let mut present = Vec::new();
    for (n, id) in order_ids.iter().enumerate() {
        let is_there = loaded.orders.iter().any(|order| order.id == *id);
        violations.add_unless(is_there, format!("/order_ids/{n}"), "there is no such thing in your carrier");
        if !present.contains(id) {
            present.push(*id);
        }
    }
    violations.into_result()?;
    Ok(present)
}

/// Puts the orders on the trip in memory; those that are on it already stay as they are.
pub(super) fn join(loaded: &mut Loaded, order_ids: &[OrderId]) -> Result<OrdersMoved> {
    let mut moved = OrdersMoved::new();
    let Loaded { trip, orders, .. } = loaded;
    for order in orders.iter_mut().filter(|order| order_ids.contains(&order.id) && order.trip_id != Some(trip.id)) {
        if order.trip_id.is_some() {
            return Err(Error::conflict(ConflictCode::OnATrip, format!("order {} is on another trip", order.number)));
        }
        if order.archived_at.is_some() {
            return Err(Error::conflict(ConflictCode::Archived, format!("order {} is archived", order.number)));
        }
        if !matches!(order.status, OrderStatus::New | OrderStatus::Assigned) || order.vehicle_counts.picked_up > 0 {
            return Err(named(order, machine::illegal(order.status, "cannot put an order on a trip")));
        }
        moved.push((order.id, follow(trip, order)?));
    }
    if orders.iter().filter(|order| order.trip_id == Some(trip.id)).count() > MAX_ORDERS {
        return Err(Error::invalid("/order_ids", format!("a trip has at most {MAX_ORDERS} orders")));
    }
    Ok(moved)
}

/// Gives an order the trip's driver, truck and trailer: it is assigned, or new again while the trip has no driver.
pub(super) fn follow(trip: &Trip, order: &mut Order) -> Result<OrderMoves> {
    let mut moves = OrderMoves::told(None, Some(of_trip(trip)));
    let number = order.number;
    let assigned = match trip.driver_id {
        Some(_) => machine::assign(order, &mut moves),
        None if order.status == OrderStatus::Assigned => machine::unassign(order, &mut moves),
        None => Ok(()),
    };
    assigned.map_err(|error| numbered(number, error))?;
    order.trip_id = Some(trip.id);
    (order.driver_id, order.truck_id, order.trailer_id) = match trip.driver_id {
        Some(_) => (trip.driver_id, trip.truck_id, trip.trailer_id),
        None => (None, None, None),
    };
    Ok(moves)
}

/// Takes an order off its trip in memory. A cancelled one is only no longer on it.
pub(super) fn leave(order: &mut Order) -> Result<OrderMoves> {
    let mut moves = OrderMoves::default();
    match order.status {
        OrderStatus::New | OrderStatus::Cancelled => {}
        OrderStatus::Assigned => {
            let number = order.number;
            machine::unassign(order, &mut moves).map_err(|error| numbered(number, error))?;
        }
        status => return Err(named(order, machine::illegal(status, "cannot take an order off its trip"))),
    }
    order.trip_id = None;
    Ok(moves)
}

/// A pickup and a delivery for each order on the trip that has none among the stops.
pub(super) fn add_stops(loaded: &mut Loaded) {
    let orders: Vec<Order> = loaded.on_trip().cloned().collect();
    let stops = loaded.trip.loaded_stops_mut();
    for order in &orders {
        let mut least = 0;
        for kind in [TripStopKind::Pickup, TripStopKind::Delivery] {
            let of_order = |stop: &TripStop| stop.kind == kind && stop.order_id == Some(order.id);
            let place = stops.iter().position(of_order);
            least = 1 + place.unwrap_or_else(|| insert_by_time(stops, TripStop::of_order(kind, order), least));
        }
    }
}

fn of_trip(trip: &Trip) -> String {
    if trip.number == 0 { "put on a trip".to_owned() } else { format!("on trip {}", trip.number) }
}

fn named(order: &Order, error: Error) -> Error {
    numbered(order.number, error)
}

/// Of several orders it must be clear which one is meant.
fn numbered(number: i64, error: Error) -> Error {
    match error {
        Error::Conflict { code, detail, allowed } => {
            Error::Conflict { code, detail: format!("order {number}: {detail}"), allowed }
        }
        error => error,
    }
}
