//! Whether the driver can haul what is on the trip, with its truck and trailer: the rules by which drivers are matched, asked
//! for each set of orders that is on the trailer at the same time.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::load::Facts;
use super::stops::TripStop;
use super::trip::{Trip, TripWarning};
use super::{TripStatus, TripStopKind, TripWarningCode};
use crate::base::error::{ConflictCode, Error, Result};
use crate::drivers::DriverId;
use crate::orders::{Order, OrderStatus, Stop, TransportType};
use crate::skills::rules::match_driver::{
    self, Blocker, BlockerCode, Candidate, Caution, CautionCode, Load, Place, StopFacts, VehicleFacts,
};

/// What stands in the way, each told once. What a person should make sure of (a winch, a weight that nobody has recorded) does
/// not.
pub fn blockers(trip: &Trip, loads: &[Load], facts: &Facts) -> Vec<String> {
    judge(trip, loads, &candidate(trip, facts)).0.into_iter().map(|blocker| blocker.detail).collect()
}

/// What stands in the way and what should be made sure of, each told once.
fn judge(trip: &Trip, loads: &[Load], driver: &Candidate) -> (Vec<Blocker>, Vec<Caution>) {
    let (mut blockers, mut cautions) = (Vec::new(), Vec::new());
    for aboard in aboard(trip.loaded_stops(), loads) {
        let verdict = match_driver::judge(&aboard, driver);
        for blocker in verdict.blockers {
            if !blockers.contains(&blocker) {
                blockers.push(blocker);
            }
        }
        for caution in verdict.cautions {
            if !cautions.contains(&caution) {
                cautions.push(caution);
            }
        }
    }
    (blockers, cautions)
}

/// What a person should see to: what stands in the way by now, what is not recorded, and what a vehicle or a stop needs.
pub fn warnings(trip: &Trip, loads: &[Load], facts: &Facts) -> Vec<TripWarning> {
    use TripWarningCode::*;
    if matches!(trip.status, TripStatus::Completed | TripStatus::Cancelled) {
        return Vec::new();
    }
    let driver = candidate(trip, facts);
    let (blockers, cautions) = judge(trip, loads, &driver);
    let mut warnings = Vec::new();
    let mut warn = |code, message: String, order_id, vehicle_id| {
        warnings.push(TripWarning { code, message, order_id, vehicle_id });
    };
    if let Some(driver) = facts.driver.as_ref().filter(|driver| driver.archived) {
        warn(DriverArchived, format!("{} is archived", driver.name), None, None);
    }
    for blocker in blockers {
        if let Some(code) = of_blocker(blocker.code) {
            warn(code, blocker.detail, None, None);
        }
    }
    for caution in cautions {
        match caution.code {
            CautionCode::LicenceNotRecorded if trip.driver_id.is_some() => {
                warn(LicenceNotRecorded, caution.detail, None, None);
            }
            CautionCode::MedicalCardNotRecorded if trip.driver_id.is_some() => {
                warn(MedicalCardNotRecorded, caution.detail, None, None);
            }
            CautionCode::EquipmentNotKnown => {
                warn(EquipmentNotKnown, "which truck and trailer it has is open".into(), None, None);
            }
            // Each is told of the vehicle or the stop that it is about, below.
            _ => {}
        }
    }
    if !loads.is_empty() {
        for unit in driver.units().filter(|unit| unit.max_weight_lbs.is_none()) {
            let message = format!("how much {} may carry is not recorded", unit.unit_number);
            warn(WeightLimitNotRecorded, message, None, None);
        }
    }
    for load in loads {
        for vehicle in &load.vehicles {
            let mut of_vehicle = |code, what: &str| {
                warn(code, format!("a vehicle of order {} {what}", load.number), Some(load.id), vehicle.id);
            };
            if vehicle.on_hold {
                of_vehicle(VehicleOnHold, "is on hold");
            }
            if load.transport_type == TransportType::Driveaway {
                continue;
            }
            if vehicle.weight_lbs.is_none() {
                of_vehicle(WeightNotRecorded, "has no weight on record");
            }
            if vehicle.is_inoperable && !driver.has_winch() {
                of_vehicle(WinchNeeded, "is inoperable, and no winch is on record");
            }
        }
    }
    for stop in trip.loaded_stops().iter().filter(|stop| !stop.is_reached()) {
        let has_card = || driver.twic_expires_on.is_some_and(|day| stop.date.is_none_or(|date| date <= day));
        if stop.location_id.is_some_and(|id| facts.twic.contains(&id)) && !has_card() {
            let place = stop.name.as_deref().unwrap_or(&stop.city);
            let message = format!("{place} asks for a TWIC, and none of the driver is on record that is valid then");
            warn(TwicNeeded, message, stop.order_id, None);
        }
    }
    warnings
}

fn of_blocker(code: BlockerCode) -> Option<TripWarningCode> {
    Some(match code {
        BlockerCode::Capacity => TripWarningCode::Capacity,
        BlockerCode::Weight => TripWarningCode::Weight,
        BlockerCode::EnclosedNeeded => TripWarningCode::EnclosedNeeded,
        BlockerCode::NotDrivable => TripWarningCode::NotDrivable,
        BlockerCode::LicenceExpires => TripWarningCode::LicenceExpires,
        BlockerCode::MedicalCardExpires => TripWarningCode::MedicalCardExpires,
        // Asked of a match alone: see `candidate`.
        BlockerCode::DriverArchived | BlockerCode::OverlappingAssignment => return None,
    })
}

/// # Errors
/// [`Error::Conflict`] that tells what stands in the way and did not before.
pub fn refuse(blockers: &[String], before: &[String]) -> Result<()> {
    let new: Vec<_> = blockers.iter().filter(|blocker| !before.contains(blocker)).cloned().collect();
    if new.is_empty() { Ok(()) } else { Err(Error::conflict(ConflictCode::CannotHaul, new.join("; "))) }
}

/// The orders that are on the trailer after each pickup. One that has no pickup among the stops is there from the beginning,
/// one that has no delivery to the end.
fn aboard(stops: &[TripStop], loads: &[Load]) -> Vec<Vec<Load>> {
    let is_at = |stop: &TripStop, kind: TripStopKind, load: &Load| stop.kind == kind && stop.order_id == Some(load.id);
    let spans: Vec<(&Load, Option<usize>, usize)> = loads
        .iter()
        .map(|load| {
            let pickup = stops.iter().position(|stop| is_at(stop, TripStopKind::Pickup, load));
            let delivery = stops.iter().rposition(|stop| is_at(stop, TripStopKind::Delivery, load));
            (load, pickup, delivery.unwrap_or(stops.len()))
        })
        .collect();
    let pickups = spans.iter().map(|(_, pickup, _)| *pickup);
    pickups
        .map(|now| {
            let aboard = spans.iter().filter(|(_, pickup, delivery)| *pickup <= now && now < Some(*delivery));
            aboard.map(|(load, ..)| (*load).clone()).collect()
        })
        .collect()
}

fn candidate(trip: &Trip, facts: &Facts) -> Candidate {
    let driver = facts.driver.as_ref();
    Candidate {
        id: trip.driver_id.unwrap_or(DriverId(uuid::Uuid::nil())),
        name: driver.map(|driver| driver.name.clone()).unwrap_or_default(),
        // Who is archived can't be put on a trip anew; one who is on it may end it.
        archived: false,
        licence_expires_on: driver.and_then(|driver| driver.licence_expires_on),
        medical_card_expires_on: driver.and_then(|driver| driver.medical_card_expires_on),
        twic_expires_on: driver.and_then(|driver| driver.twic_expires_on),
        truck: facts.truck.as_ref().map(|truck| truck.unit.clone()),
        trailer: facts.trailer.as_ref().map(|trailer| trailer.unit.clone()),
        // What is on the trailer at the same time is asked together.
        assignments: Vec::new(),
        delivered_for_customer: 0,
    }
}

/// What of the order is still to be hauled; none of one that is over.
pub fn load(order: &Order) -> Option<Load> {
    if matches!(order.status, OrderStatus::Delivered | OrderStatus::Cancelled) {
        return None;
    }
    let vehicles = order.loaded_vehicles().iter();
    let taking_room = vehicles.filter(|vehicle| vehicle.is_active() && vehicle.status != OrderStatus::Delivered);
    Some(Load {
        id: order.id,
        number: order.number,
        customer_id: order.customer_id,
        transport_type: order.transport_type,
        pickup: stop_facts(&order.pickup),
        delivery: stop_facts(&order.delivery),
        vehicles: taking_room
            .map(|vehicle| VehicleFacts {
                id: Some(vehicle.id),
                weight_lbs: vehicle.weight_lbs,
                is_inoperable: vehicle.is_inoperable,
                on_hold: vehicle.on_hold,
            })
            .collect(),
    })
}

fn stop_facts(stop: &Stop) -> StopFacts {
    StopFacts {
        place: Place { city: stop.city.clone(), state: stop.state.clone(), zip: stop.zip.clone() },
        from: stop.from,
        to: stop.to,
        last_day: local_day(stop.to, &stop.time_zone),
        // Asked of the trip's own stops, in `warnings`.
        twic_required: false,
    }
}

fn local_day(at: DateTime<Utc>, time_zone: &str) -> NaiveDate {
    time_zone.parse::<Tz>().map_or_else(|_| at.date_naive(), |zone| at.with_timezone(&zone).date_naive())
}
