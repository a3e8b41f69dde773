//! The moves of a trip, and what is recorded at its stops: each loads the trip while the transaction is opened, moves it in
//! memory and saves it in one statement.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::load::Loaded;
use super::machine::{Moves, illegal};
use super::save::{self, OrdersMoved};
use super::stops::TripStopId;
use super::trip::Trip;
use super::{TripStatus, ability, loads};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::moment::Moment;
use crate::hauling::{self, Cancellation, Occurrence, Remark, happened_at};
use crate::identity::permissions::Action as Permission;
use crate::orders::{Order, OrderStatus};
use crate::platform::db::Tx;

/// When the driver came or left.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopTime {
    /// Now unless told; not in the future.
    pub at: Option<Moment>,
}

/// What can be done to a trip.
#[derive(Debug, Clone)]
pub enum TripAction {
    Ready(Remark),
    Reopen(Remark),
    Start(Occurrence),
    Deliver(Occurrence),
    Complete(Remark),
    Cancel(Cancellation),
    Arrive(TripStopId, StopTime),
    Depart(TripStopId, StopTime),
}

impl TripAction {
    /// Drivers record what happens on the road; the rest is dispatch.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Start(_) | Self::Deliver(_) | Self::Arrive(..) | Self::Depart(..) => Permission::TripsRecord,
            Self::Ready(_) | Self::Reopen(_) | Self::Complete(_) | Self::Cancel(_) => Permission::TripsWrite,
        }
    }

    fn note(&self) -> Option<String> {
        let note = match self {
            Self::Ready(r) | Self::Reopen(r) | Self::Complete(r) => r.note.as_ref(),
            Self::Start(o) | Self::Deliver(o) => o.note.as_ref(),
            Self::Cancel(c) => c.note.as_ref(),
            Self::Arrive(..) | Self::Depart(..) => None,
        };
        note.map(ToString::to_string)
    }

    fn told_at(&self) -> Option<Option<Moment>> {
        match self {
            Self::Start(o) | Self::Deliver(o) => Some(o.at),
            Self::Arrive(_, time) | Self::Depart(_, time) => Some(time.at),
            _ => None,
        }
    }

    /// Moves the trip in memory, and its orders where they move along.
    fn apply(&self, loaded: &mut Loaded, now: DateTime<Utc>) -> Result<(Moves, OrdersMoved)> {
        let at = self.told_at().map(|at| happened_at(at, now)).transpose()?;
        let mut moves = Moves::told(at, self.note());
        let mut orders_moved = OrdersMoved::new();
        match self {
            Self::Ready(_) => {
                moves.go(&mut loaded.trip, TripStatus::Ready, "cannot make ready a trip")?;
                require_complete(loaded)?;
                hauling::refuse(&ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts), &[])?;
            }
            Self::Reopen(_) => moves.go(&mut loaded.trip, TripStatus::Planning, "cannot reopen a trip")?,
            Self::Start(_) => moves.go(&mut loaded.trip, TripStatus::InProgress, "cannot start a trip")?,
            Self::Deliver(_) => {
                moves.go(&mut loaded.trip, TripStatus::Delivered, "cannot deliver a trip")?;
                require_delivered(loaded)?;
            }
            Self::Complete(_) => {
                moves.go(&mut loaded.trip, TripStatus::Completed, "cannot complete a trip")?;
                require_delivered(loaded)?;
            }
            Self::Cancel(cancellation) => {
                moves.go(&mut loaded.trip, TripStatus::Cancelled, "cannot cancel a trip")?;
                moves.cancel_reason_id = Some(cancellation.reason_id);
                loaded.trip.cancel_reason_id = Some(cancellation.reason_id);
                orders_moved = release(loaded)?;
            }
            Self::Arrive(stop, _) => arrive(&mut loaded.trip, &mut moves, *stop, at.unwrap_or(now))?,
            Self::Depart(stop, _) => depart(&mut loaded.trip, *stop, at.unwrap_or(now))?,
        }
        Ok((moves, orders_moved))
    }
}

/// Does something to a trip that was loaded for it.
///
/// # Errors
/// [`Error::Conflict`] for an illegal move, with the legal ones; [`Error::NotFound`] for a stop that is not on it.
pub async fn act(tx: &mut Tx, mut loaded: Loaded, action: &TripAction, now: DateTime<Utc>) -> Result<Trip> {
    let (moves, orders_moved) = action.apply(&mut loaded, now)?;
    if !orders_moved.is_empty() {
        tx.entered.grant.require(Permission::OrdersDispatch)?;
    }
    save::trip(tx, loaded, &moves, orders_moved, now).await
}

/// Nobody leaves without these.
fn require_complete(loaded: &Loaded) -> Result<()> {
    let Loaded { trip, facts, .. } = loaded;
    let missing: Vec<&str> = [
        ("a driver", facts.hauler.driver.as_ref().is_some_and(|driver| !driver.archived)),
        ("a truck", facts.hauler.truck.as_ref().is_some_and(|truck| !truck.archived)),
        ("a stop", !trip.loaded_stops().is_empty()),
    ]
    .into_iter()
    .filter_map(|(what, is_there)| (!is_there).then_some(what))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail =
        format!("a trip that is ready has a driver, a truck and a stop, not archived; missing: {}", missing.join(", "));
    Err(Error::conflict(ConflictCode::Incomplete, detail))
}

fn require_delivered(loaded: &Loaded) -> Result<()> {
    let open =
        loaded.on_trip().filter(|order| !matches!(order.status, OrderStatus::Delivered | OrderStatus::Cancelled));
    let told = |order: &Order| {
        let status = order.status.as_str().replace('_', " ");
        // Its other vehicles may well be delivered.
        let held = if order.vehicle_counts.on_hold > 0 {
            " with vehicles on hold: release them or split them off"
        } else {
            ""
        };
        format!("order {} is {status}{held}", order.number)
    };
    let open: Vec<String> = open.map(told).collect();
    if open.is_empty() { Ok(()) } else { Err(Error::conflict(ConflictCode::OrdersNotDelivered, open.join(", "))) }
}

/// All orders are new again.
fn release(loaded: &mut Loaded) -> Result<OrdersMoved> {
    let Loaded { trip, orders, .. } = loaded;
    let on_trip = orders.iter_mut().filter(|order| order.trip_id == Some(trip.id));
    on_trip.map(|order| Ok((order.id, loads::leave(order)?))).collect()
}

/// Who arrives is on the way, whether or not anybody has said so.
fn arrive(trip: &mut Trip, moves: &mut Moves, id: TripStopId, at: DateTime<Utc>) -> Result<()> {
    let status = trip.status;
    let stop = trip.stop_mut(id)?;
    require_under_way(status)?;
    if stop.is_reached() {
        return Err(Error::Conflict {
            code: ConflictCode::IllegalMove,
            detail: "the stop was reached already".to_owned(),
            allowed: Some(if stop.departed_at.is_none() { vec!["depart".to_owned()] } else { Vec::new() }),
        });
    }
    stop.arrived_at = Some(at);
    if status == TripStatus::Ready {
        moves.go(trip, TripStatus::InProgress, "cannot start a trip")?;
    }
    Ok(())
}

fn depart(trip: &mut Trip, id: TripStopId, at: DateTime<Utc>) -> Result<()> {
    let status = trip.status;
    let stop = trip.stop_mut(id)?;
    require_under_way(status)?;
    let refused = |detail: &str, allowed: &[&str]| {
        let allowed = allowed.iter().map(|move_| (*move_).to_owned()).collect();
        Err(Error::Conflict { code: ConflictCode::IllegalMove, detail: detail.to_owned(), allowed: Some(allowed) })
    };
    match stop.arrived_at {
        None => refused("the stop was not reached yet", &["arrive"]),
        Some(_) if stop.departed_at.is_some() => refused("the stop was left already", &[]),
        Some(arrived) if at < arrived => Err(Error::invalid("/at", "must not be before the arrival")),
        Some(_) => {
            stop.departed_at = Some(at);
            Ok(())
        }
    }
}

/// What was forgotten can be recorded until the trip is completed.
pub(super) fn require_under_way(status: TripStatus) -> Result<()> {
    match status {
        TripStatus::Ready | TripStatus::InProgress | TripStatus::Delivered => Ok(()),
        status => Err(illegal(status, "nothing happens at the stops of a trip")),
    }
}
