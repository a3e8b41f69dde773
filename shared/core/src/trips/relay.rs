//! A trip that another driver, truck or trailer goes on with, also after a pickup: a driver falls ill, a truck breaks down. What
//! is already delivered stays with who has delivered it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::TripEvent;
use super::ability;
use super::load::{Loaded, Named};
use super::machine::{Moves, illegal};
use super::save::{self, OrdersMoved};
use super::trip::{Trip, changes};
use super::write::check_named;
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::patch::Patch;
use crate::base::text::Text;
use crate::drivers::DriverId;
use crate::hauling;
use crate::identity::permissions::Action;
use crate::orders::OrderStatus;
use crate::orders::machine::{self, Moves as OrderMoves};
use crate::platform::db::Tx;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// Who and what goes on with a trip; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    #[serde(default)]
    pub driver_id: Patch<DriverId>,
    #[serde(default)]
    pub truck_id: Patch<TruckId>,
    #[serde(default)]
    pub trailer_id: Patch<Option<TrailerId>>,
    /// Why, kept in the history of the trip and of its orders.
    pub reason: Text<500>,
}

impl Relay {
    /// What is to be looked up for it.
    pub fn named(&self) -> Named {
        fn some<T>(patch: Patch<T>) -> Patch<Option<T>> {
            match patch {
                Patch::Keep => Patch::Keep,
                Patch::Set(value) => Patch::Set(Some(value)),
            }
        }
        Named {
            driver_id: some(self.driver_id),
            truck_id: some(self.truck_id),
            trailer_id: self.trailer_id,
            ..Named::default()
        }
    }
}

/// Hands on a trip that was loaded for it, with its orders that are not delivered.
///
/// # Errors
/// [`Error::Invalid`] naming what is not there or archived; [`Error::Conflict`] for a trip that is delivered or over, one that
/// has no driver yet, and for what the driver, truck and trailer cannot haul.
pub async fn relay(tx: &mut Tx, mut loaded: Loaded, relay: Relay, now: DateTime<Utc>) -> Result<Trip> {
    tx.entered.grant.require(Action::OrdersDispatch)?;
    let before = loaded.trip.clone();
    if !before.status.is_open() {
        return Err(illegal(before.status, "cannot hand on a trip"));
    }
    if before.driver_id.is_none() {
        return Err(Error::conflict(ConflictCode::NoDriver, "the trip has no driver yet: change it to give it one"));
    }
    let mut violations = Violations::default();
    check_named(&relay.named(), &before, &loaded.facts, &mut violations);
    violations.into_result()?;
    let trip = &mut loaded.trip;
    if let Patch::Set(driver) = relay.driver_id {
        trip.driver_id = Some(driver);
    }
    if let Patch::Set(truck) = relay.truck_id {
        trip.truck_id = Some(truck);
    }
    trip.trailer_id = relay.trailer_id.over(trip.trailer_id);
    let changed = changes([
        ("driver_id", [before.driver_id.map(|id| id.to_string()), trip.driver_id.map(|id| id.to_string())]),
        ("truck_id", [before.truck_id.map(|id| id.to_string()), trip.truck_id.map(|id| id.to_string())]),
        ("trailer_id", [before.trailer_id.map(|id| id.to_string()), trip.trailer_id.map(|id| id.to_string())]),
    ]);
    let reason = relay.reason.to_string();
    // Who has it already is told nothing anew.
    let moved = if changed.is_empty() { OrdersMoved::new() } else { hand_on(&mut loaded, &reason)? };
    hauling::refuse(&ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts), &[])?;
    let mut moves = Moves::told(None, Some(reason));
    moves.happens(TripEvent::Relayed, None, before.status, changed);
    save::trip(tx, loaded, &moves, moved, now).await
}

/// The orders that are under way get what the trip now has.
fn hand_on(loaded: &mut Loaded, reason: &str) -> Result<OrdersMoved> {
    let Loaded { trip, orders, .. } = loaded;
    let mut moved = OrdersMoved::new();
    for order in orders.iter_mut().filter(|order| order.trip_id == Some(trip.id)) {
        if matches!(order.status, OrderStatus::Assigned | OrderStatus::PickedUp | OrderStatus::InTransit) {
            let mut moves = OrderMoves::told(None, Some(format!("trip {} was handed on: {reason}", trip.number)));
            machine::relay(order, &mut moves)?;
            (order.driver_id, order.truck_id, order.trailer_id) = (trip.driver_id, trip.truck_id, trip.trailer_id);
            moved.push((order.id, moves));
        }
    }
    Ok(moved)
}
