//! The state machine of an order and its vehicles. Pure: it moves an [`Order`] in memory and says what moved; an illegal
//! move is a conflict that lists the legal ones.
//!
//! An order's state follows from its vehicles': it is as far as the vehicle that is least far, so an order is picked up
//! when its last vehicle is. What is partly done shows in the counts.

use chrono::{DateTime, Utc};

use super::OrderStatus::{self, Assigned, Cancelled, Delivered, InTransit, New, PickedUp};
use super::order::{Order, VehicleCounts};
use super::vehicles::{Vehicle, VehicleId};
use crate::base::error::{Error, Result};
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
    refused("illegal_move", detail, from.next())
}

/// A conflict with what comes next for the order.
pub fn refused(code: &'static str, detail: impl Into<String>, next: &[OrderStatus]) -> Error {
    let allowed = next.iter().map(|next| next.as_str().to_owned()).collect();
    Error::Conflict { code, detail: detail.into(), allowed: Some(allowed) }
}

/// A step of an order or of one vehicle, for the status history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub vehicle_id: Option<VehicleId>,
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
    /// A driver, truck or trailer is being assigned.
    pub assigns: bool,
    at: Option<DateTime<Utc>>,
}

impl Moves {
    /// When it happened and why, as told by the caller; now unless told.
    pub fn told(at: Option<DateTime<Utc>>, reason: Option<String>) -> Self {
        Self { at, reason, ..Self::default() }
    }

    /// The order itself comes into being.
    pub fn created(&mut self) {
        self.steps.push(Step { vehicle_id: None, from: None, to: New, at: self.at });
    }

    /// A vehicle comes onto the order.
    pub fn enters(&mut self, vehicle: &Vehicle) {
        self.steps.push(Step { vehicle_id: Some(vehicle.id), from: None, to: vehicle.status, at: self.at });
    }

    /// A vehicle is taken off the order.
    pub fn leaves(&mut self, vehicle: VehicleId) {
        self.left.push(vehicle);
    }

    fn vehicle(&mut self, vehicle: &mut Vehicle, to: OrderStatus) {
        self.steps.push(Step { vehicle_id: Some(vehicle.id), from: Some(vehicle.status), to, at: self.at });
        vehicle.status = to;
    }

    /// Draws the order's state, counts and flags from its vehicles, passing through each state on the way.
    pub fn follow(&mut self, order: &mut Order) {
        let active = || order.loaded_vehicles().iter().filter(|vehicle| vehicle.is_active());
        let count = |least: OrderStatus| {
            let far_enough = active().filter(|vehicle| vehicle.status.rank() >= least.rank());
            i16::try_from(far_enough.count()).unwrap_or(i16::MAX)
        };
        let counts = VehicleCounts { total: count(New), picked_up: count(PickedUp), delivered: count(Delivered) };
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
            self.steps.push(Step { vehicle_id: None, from: Some(order.status), to: next, at: self.at });
            order.status = next;
            // A custom status belongs to one system status.
            order.custom_status_id = None;
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

/// Assigns, or assigns anew: the driver, truck and trailer are set by the caller.
pub fn assign(order: &mut Order, moves: &mut Moves) -> Result<()> {
    refuse_on_hold(order)?;
    if !matches!(order.status, New | Assigned) || order.vehicle_counts.picked_up > 0 {
        return Err(illegal(order.status, "cannot assign an order"));
    }
    moves.assigns = true;
    move_all(order, moves, New, Assigned);
    if order.loaded_vehicles().is_empty() {
        moves.order(order, Assigned);
    }
    moves.follow(order);
    Ok(())
}

pub fn unassign(order: &mut Order, moves: &mut Moves) -> Result<()> {
    if order.status != Assigned || order.vehicle_counts.picked_up > 0 {
        return Err(illegal(order.status, "cannot unassign an order"));
    }
    (order.driver_id, order.truck_id, order.trailer_id) = (None, None, None);
    move_all(order, moves, Assigned, New);
    if order.loaded_vehicles().is_empty() {
        moves.order(order, New);
    }
    moves.follow(order);
    Ok(())
}

/// Records the pickup of vehicles at a time; never blocked by a quota.
pub fn pickup(order: &mut Order, moves: &mut Moves, which: Which, at: DateTime<Utc>) -> Result<()> {
    refuse_on_hold(order)?;
    let moved = advance(order, moves, which, &[Assigned], "cannot pick up", |vehicle, moves| {
        moves.vehicle(vehicle, PickedUp);
        vehicle.picked_up_at = Some(at);
    })?;
    if moved == 0 {
        return Err(illegal(order.status, "cannot pick up anything of an order"));
    }
    moves.follow(order);
    Ok(())
}

/// The truck leaves with every vehicle on it.
pub fn depart(order: &mut Order, moves: &mut Moves) -> Result<()> {
    if order.status != PickedUp {
        return Err(illegal(order.status, "cannot depart with an order"));
    }
    move_all(order, moves, PickedUp, InTransit);
    moves.follow(order);
    Ok(())
}

/// Records the delivery of vehicles at a time; one that was not reported in transit passes through it.
pub fn deliver(order: &mut Order, moves: &mut Moves, which: Which, at: DateTime<Utc>) -> Result<()> {
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
    if let Which::All = which
        && (!matches!(order.status, New | Assigned) || order.vehicle_counts.picked_up > 0)
    {
        return Err(illegal(order.status, "cannot cancel an order"));
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

pub fn hold(order: &mut Order) -> Result<()> {
    if matches!(order.status, Delivered | Cancelled) {
        return Err(illegal(order.status, "cannot hold an order"));
    }
    order.on_hold = true;
    Ok(())
}

pub fn release(order: &mut Order) -> Result<()> {
    order.on_hold = false;
    Ok(())
}

/// Out of the lists; only for what is over.
pub fn archive(order: &mut Order, at: DateTime<Utc>) -> Result<()> {
    if !matches!(order.status, Delivered | Cancelled) {
        return Err(illegal(order.status, "only what is delivered or cancelled can be archived, not an order"));
    }
    order.archived_at.get_or_insert(at);
    Ok(())
}

pub fn unarchive(order: &mut Order) -> Result<()> {
    order.archived_at = None;
    Ok(())
}

fn refuse_on_hold(order: &Order) -> Result<()> {
    if !order.on_hold {
        return Ok(());
    }
    let next = order.status.next().iter().copied().filter(|next| !matches!(next, Assigned | PickedUp));
    Err(refused("on_hold", "the order is on hold; release it first", &next.collect::<Vec<_>>()))
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
    let chosen = |vehicle: &Vehicle| match which {
        Which::All => from.contains(&vehicle.status),
        Which::One(id) => vehicle.id == id,
    };
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
