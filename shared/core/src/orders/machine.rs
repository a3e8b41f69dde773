//! The state machine of an order and its vehicles. Pure: it moves an [`Order`] in memory and says what moved; an illegal
//! move is a conflict that lists the legal ones.
//!
//! An order's state follows from its vehicles': it is as far as the vehicle that is least far, so an order is picked up
//! when its last vehicle is. What is partly done shows in the counts.
//!
//! Who drives it with what is said once for the order, on its own or by its trip: a driver sees an order, never a part of one.
//! So vehicles are not assigned one by one; those that travel otherwise are split off ([`super::split`]). Nor are they
//! archived, since they are in no list of their own. What is done to one vehicle alone: hold, release, pickup, depart,
//! deliver, cancel.

use chrono::{DateTime, Utc};

use super::HistoryEvent;
use super::OrderStatus::{self, Assigned, Cancelled, Delivered, InTransit, New, PickedUp};
use super::order::{Order, VehicleCounts};
use super::vehicles::{Vehicle, VehicleId};
use crate::base::error::{ConflictCode, Error, Result};
use crate::lookups::cancel_reasons::CancelReasonId;

impl OrderStatus {
    /// The states that can come next.
    pub fn next(self) -> &'static [Self] {
        match self {
            New => &[Assigned, Cancelled],
            Assigned => &[PickedUp, New, Cancelled],
            PickedUp => &[InTransit],
            InTransit => &[Delivered],
            Delivered | Cancelled => &[],
        }
    }

    /// How far it is along the road.
    fn rank(self) -> u8 {
        match self {
            New => 0,
            Assigned => 1,
            PickedUp => 2,
            InTransit => 3,
            Delivered => 4,
            Cancelled => 5,
        }
    }
}

/// A refused move, with the legal ones.
pub fn illegal(from: OrderStatus, what: &str) -> Error {
    let detail = format!("{what} that is {}", from.as_str().replace('_', " "));
    refused(ConflictCode::IllegalMove, detail, from.next())
}

/// What is said of the whole order ends with its first pickup.
fn refuse_under_way(order: &Order, what: &str) -> Result<()> {
    match order.status {
        New | Assigned if order.vehicle_counts.picked_up > 0 => {
            let detail = format!("{what} of which a vehicle is picked up");
            Err(refused(ConflictCode::IllegalMove, detail, &[PickedUp]))
        }
        New | Assigned => Ok(()),
        status => Err(illegal(status, what)),
    }
}

/// A conflict with what comes next for the order.
pub fn refused(code: ConflictCode, detail: impl Into<String>, next: &[OrderStatus]) -> Error {
    let allowed = next.iter().map(|next| next.as_str().to_owned()).collect();
    Error::Conflict { code, detail: detail.into(), allowed: Some(allowed) }
}

/// A step of an order or of one vehicle, for the status history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub vehicle_id: Option<VehicleId>,
    /// None: it was a move.
    pub event: Option<HistoryEvent>,
    pub from: Option<OrderStatus>,
    pub to: OrderStatus,
    pub at: Option<DateTime<Utc>>,
}

/// What happened to an order since it was loaded.
#[derive(Debug, Default)]
pub struct Moves {
    pub steps: Vec<Step>,
    pub reason: Option<String>,
    /// Of what is cancelled.
    pub cancel_reason_id: Option<CancelReasonId>,
    /// Vehicles that were taken off.
    pub left: Vec<VehicleId>,
    at: Option<DateTime<Utc>>,
}

impl Moves {
    /// When it happened and why, as told by the caller; now unless told.
    pub fn told(at: Option<DateTime<Utc>>, reason: Option<String>) -> Self {
        Self { at, reason, ..Self::default() }
    }

    /// The order itself comes into being.
    pub fn created(&mut self) {
        self.steps.push(Step { vehicle_id: None, event: None, from: None, to: New, at: self.at });
    }

    /// Something else than a move: what it is about stays in its state.
    pub fn happens(&mut self, event: HistoryEvent, vehicle_id: Option<VehicleId>, status: OrderStatus) {
        self.steps.push(Step { vehicle_id, event: Some(event), from: Some(status), to: status, at: self.at });
    }

    /// A vehicle comes onto the order.
    pub fn enters(&mut self, vehicle: &Vehicle) {
        let (id, to) = (vehicle.id, vehicle.status);
        self.steps.push(Step { vehicle_id: Some(id), event: None, from: None, to, at: self.at });
    }

    /// A vehicle comes from another order: new, whatever it was there.
    pub fn joins(&mut self, vehicle: &mut Vehicle) {
        let (id, from) = (vehicle.id, vehicle.status);
        vehicle.status = New;
        let event = Some(HistoryEvent::Split);
        self.steps.push(Step { vehicle_id: Some(id), event, from: Some(from), to: New, at: self.at });
    }

    /// A vehicle is taken off the order.
    pub fn leaves(&mut self, vehicle: VehicleId) {
        self.left.push(vehicle);
    }

    fn vehicle(&mut self, vehicle: &mut Vehicle, to: OrderStatus) {
        let (id, from) = (vehicle.id, vehicle.status);
        self.steps.push(Step { vehicle_id: Some(id), event: None, from: Some(from), to, at: self.at });
        vehicle.status = to;
    }

    /// Draws the order's state, counts and flags from its vehicles, passing through each state on the way.
    pub fn follow(&mut self, order: &mut Order) {
        let active = || order.loaded_vehicles().iter().filter(|vehicle| vehicle.is_active());
        let counts = VehicleCounts::of(order.loaded_vehicles());
        let is_inoperable = active().any(|vehicle| vehicle.is_inoperable);
        let least_far = active().map(|vehicle| vehicle.status).min_by_key(|status| status.rank());
        let target = match least_far {
            Some(status) => status,
            // An order without vehicles stands where it was moved to.
            None if order.loaded_vehicles().is_empty() => order.status,
            None => Cancelled,
        };
        order.vehicle_counts = counts;
        order.is_inoperable = is_inoperable;
        self.order(order, target);
    }

    fn order(&mut self, order: &mut Order, target: OrderStatus) {
        while order.status != target {
            // Forward one state at a time; unassign and cancel are single steps.
            let next = match order.status {
                Assigned if target.rank() >= PickedUp.rank() && target != Cancelled => PickedUp,
                PickedUp if target == Delivered => InTransit,
                New if target.rank() > Assigned.rank() && target != Cancelled => Assigned,
                _ => target,
            };
            self.steps.push(Step { vehicle_id: None, event: None, from: Some(order.status), to: next, at: self.at });
            order.status = next;
            // A custom status belongs to one system status.
            order.custom_status_id = None;
        }
    }
}

impl VehicleCounts {
    pub fn of(vehicles: &[Vehicle]) -> Self {
        let count = |counts: &dyn Fn(&Vehicle) -> bool| {
            let counted = vehicles.iter().filter(|vehicle| vehicle.is_active() && counts(vehicle));
            i16::try_from(counted.count()).unwrap_or(i16::MAX)
        };
        let reached = |least: OrderStatus| count(&|vehicle| vehicle.status.rank() >= least.rank());
        Self {
            total: reached(New),
            picked_up: reached(PickedUp),
            delivered: reached(Delivered),
            on_hold: count(&|vehicle| vehicle.on_hold),
        }
    }
}

/// Which vehicles a move is about.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Every vehicle that can make the move.
    All,
    One(VehicleId),
}

impl Which {
    fn names(self, vehicle: &Vehicle) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => vehicle.id == id,
        }
    }
}

/// Assigns, or assigns anew: the driver, truck and trailer are set by the caller.
pub fn assign(order: &mut Order, moves: &mut Moves) -> Result<()> {
    refuse_on_hold(order)?;
    refuse_under_way(order, "cannot assign an order")?;
    move_all(order, moves, New, Assigned);
    if order.loaded_vehicles().is_empty() {
        moves.order(order, Assigned);
    }
    moves.follow(order);
    Ok(())
}

pub fn unassign(order: &mut Order, moves: &mut Moves) -> Result<()> {
    refuse_under_way(order, "cannot unassign an order")?;
    if order.status == New {
        return Err(illegal(New, "cannot unassign an order"));
    }
    (order.driver_id, order.truck_id, order.trailer_id) = (None, None, None);
    move_all(order, moves, Assigned, New);
    if order.loaded_vehicles().is_empty() {
        moves.order(order, New);
    }
    moves.follow(order);
    Ok(())
}

/// Records the pickup of vehicles at a time; never blocked by a quota. One on hold stays behind.
pub fn pickup(order: &mut Order, moves: &mut Moves, which: Which, at: DateTime<Utc>) -> Result<()> {
    refuse_on_hold(order)?;
    if let Which::One(id) = which {
        let vehicle = order.vehicle(id)?;
        if vehicle.on_hold {
            return Err(on_hold("the vehicle is on hold; release it first", vehicle.status));
        }
    }
    let moved = advance(order, moves, which, &[Assigned], "cannot pick up", |vehicle, moves| {
        moves.vehicle(vehicle, PickedUp);
        vehicle.picked_up_at = Some(at);
    })?;
    if moved == 0 {
        let held = order.loaded_vehicles().iter().any(|vehicle| vehicle.on_hold && vehicle.status == Assigned);
        let all_held = "every vehicle that is still to be picked up is on hold; release it first";
        return Err(if held {
            on_hold(all_held, order.status)
        } else {
            illegal(order.status, "cannot pick up anything of an order")
        });
    }
    moves.follow(order);
    Ok(())
}

/// The truck leaves with vehicles on it: with all of them, but for those on hold, unless one is named.
pub fn depart(order: &mut Order, moves: &mut Moves, which: Which) -> Result<()> {
    let waits = |vehicle: &Vehicle| matches!(vehicle.status, New | Assigned) && !vehicle.on_hold;
    if let Which::All = which
        && order.loaded_vehicles().iter().any(waits)
    {
        return Err(illegal(order.status, "cannot depart with an order"));
    }
    let moved = advance(order, moves, which, &[PickedUp], "cannot depart with", |vehicle, moves| {
        moves.vehicle(vehicle, InTransit);
    })?;
    if moved == 0 {
        return Err(illegal(order.status, "cannot depart with an order"));
    }
    moves.follow(order);
    Ok(())
}

/// Records the delivery of vehicles at a time; one that was not reported in transit passes through it.
pub fn deliver(order: &mut Order, moves: &mut Moves, which: Which, at: DateTime<Utc>) -> Result<()> {
    let too_early = |vehicle: &Vehicle| {
        let on_board = matches!(vehicle.status, PickedUp | InTransit) && which.names(vehicle);
        on_board && vehicle.picked_up_at.is_some_and(|picked_up_at| at < picked_up_at)
    };
    if order.loaded_vehicles().iter().any(too_early) {
        return Err(Error::invalid("/at", "must not be before the pickup"));
    }
    let moved = advance(order, moves, which, &[PickedUp, InTransit], "cannot deliver", |vehicle, moves| {
        if vehicle.status == PickedUp {
            moves.vehicle(vehicle, InTransit);
        }
        moves.vehicle(vehicle, Delivered);
        vehicle.delivered_at = Some(at);
    })?;
    if moved == 0 {
        return Err(illegal(order.status, "cannot deliver anything of an order"));
    }
    moves.follow(order);
    Ok(())
}

/// Cancels before anything was picked up. The reason is set by the caller.
pub fn cancel(order: &mut Order, moves: &mut Moves, which: Which) -> Result<()> {
    if let Which::All = which {
        refuse_under_way(order, "cannot cancel an order")?;
    }
    // What is cancelled waits for nothing.
    for vehicle in order.loaded_vehicles_mut().iter_mut().filter(|vehicle| which.names(vehicle)) {
        (vehicle.on_hold, vehicle.hold_reason) = (false, None);
    }
    advance(order, moves, which, &[New, Assigned], "cannot cancel", |vehicle, moves| {
        moves.vehicle(vehicle, Cancelled)
    })?;
    if order.loaded_vehicles().is_empty() {
        moves.order(order, Cancelled);
    }
    moves.follow(order);
    Ok(())
}

/// Puts on hold: the order until it is delivered, a vehicle until it is picked up. Again to give another reason.
pub fn hold(order: &mut Order, moves: &mut Moves, which: Which) -> Result<()> {
    let reason = moves.reason.clone();
    match which {
        Which::All if matches!(order.status, Delivered | Cancelled) => {
            return Err(illegal(order.status, "cannot hold an order"));
        }
        Which::All => {
            (order.on_hold, order.hold_reason) = (true, reason);
            moves.happens(HistoryEvent::Held, None, order.status);
        }
        Which::One(id) => {
            let vehicle = order.vehicle_mut(id)?;
            if !matches!(vehicle.status, New | Assigned) {
                return Err(illegal(vehicle.status, "cannot hold a vehicle"));
            }
            (vehicle.on_hold, vehicle.hold_reason) = (true, reason);
            moves.happens(HistoryEvent::Held, Some(id), vehicle.status);
        }
    }
    moves.follow(order);
    Ok(())
}

/// Takes off hold; what is not on hold stays as it is.
pub fn release(order: &mut Order, moves: &mut Moves, which: Which) -> Result<()> {
    let (was_on_hold, vehicle_id, status) = match which {
        Which::All => {
            order.hold_reason = None;
            (std::mem::take(&mut order.on_hold), None, order.status)
        }
        Which::One(id) => {
            let vehicle = order.vehicle_mut(id)?;
            vehicle.hold_reason = None;
            (std::mem::take(&mut vehicle.on_hold), Some(id), vehicle.status)
        }
    };
    if was_on_hold {
        moves.happens(HistoryEvent::Released, vehicle_id, status);
    }
    moves.follow(order);
    Ok(())
}

/// Another driver, truck or trailer, also of what is picked up. They are set by the caller.
pub fn relay(order: &mut Order, moves: &mut Moves) -> Result<()> {
    if !matches!(order.status, Assigned | PickedUp | InTransit) {
        return Err(illegal(order.status, "cannot hand on an order"));
    }
    moves.happens(HistoryEvent::Relayed, None, order.status);
    Ok(())
}

/// Out of the lists; only for what is over.
pub fn archive(order: &mut Order, moves: &mut Moves, at: DateTime<Utc>) -> Result<()> {
    if !matches!(order.status, Delivered | Cancelled) {
        return Err(illegal(order.status, "only what is delivered or cancelled can be archived, not an order"));
    }
    if order.archived_at.is_none() {
        order.archived_at = Some(at);
        moves.happens(HistoryEvent::Archived, None, order.status);
    }
    Ok(())
}

pub fn unarchive(order: &mut Order, moves: &mut Moves) -> Result<()> {
    if order.archived_at.take().is_some() {
        moves.happens(HistoryEvent::Unarchived, None, order.status);
    }
    Ok(())
}

fn refuse_on_hold(order: &Order) -> Result<()> {
    if !order.on_hold {
        return Ok(());
    }
    Err(on_hold("the order is on hold; release it first", order.status))
}

/// What can still be done to what is on hold: it goes no further.
fn on_hold(detail: &str, status: OrderStatus) -> Error {
    let next = status.next().iter().copied().filter(|next| !matches!(next, Assigned | PickedUp));
    refused(ConflictCode::OnHold, detail, &next.collect::<Vec<_>>())
}

fn move_all(order: &mut Order, moves: &mut Moves, from: OrderStatus, to: OrderStatus) {
    for vehicle in order.loaded_vehicles_mut().iter_mut().filter(|vehicle| vehicle.status == from) {
        moves.vehicle(vehicle, to);
    }
}

/// Moves the vehicles that are in one of `from`; a single one that is not is refused. Returns how many moved.
fn advance(
    order: &mut Order,
    moves: &mut Moves,
    which: Which,
    from: &[OrderStatus],
    what: &str,
    mut step: impl FnMut(&mut Vehicle, &mut Moves),
) -> Result<usize> {
    if let Which::One(id) = which {
        let status = order.vehicle(id)?.status;
        if !from.contains(&status) {
            return Err(illegal(status, &format!("{what} a vehicle")));
        }
    }
    let chosen = |vehicle: &Vehicle| which.names(vehicle) && from.contains(&vehicle.status) && !vehicle.on_hold;
    let mut moved = 0;
    for vehicle in order.loaded_vehicles_mut().iter_mut().filter(|vehicle| chosen(vehicle)) {
        step(vehicle, moves);
        moved += 1;
    }
    Ok(moved)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
