//! Whether the driver can haul what is on the trip, with its truck and trailer: the rules by which drivers are matched, asked
//! for each set of orders that is on the trailer at the same time.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::load::Facts;
use super::stops::TripStop;
use super::trip::{Trip, TripOrder};
use super::{TripStatus, TripStopKind};
use crate::hauling::{self, Blocker, Candidate, Load, Place, StopFacts, VehicleFacts, Verdict, Warning, WarningCode};
use crate::orders::{Order, OrderStatus, Stop};

/// What stands in the way, each told once. What a person should make sure of (a winch, a weight that nobody has recorded) does
/// not.
pub fn blockers(trip: &Trip, loads: &[Load], facts: &Facts) -> Vec<Blocker> {
    judge(trip, loads, &candidate(trip, facts)).blockers
}

fn judge(trip: &Trip, loads: &[Load], driver: &Candidate) -> Verdict {
    let mut verdict = Verdict::default();
    for aboard in aboard(trip.loaded_stops(), loads) {
        verdict.add(hauling::judge(&aboard, driver));
    }
    verdict
}

/// What a person should see to: what stands in the way by now, what is not recorded, what a vehicle or a stop needs, what is
/// elsewhere at the same time, and what is cancelled.
pub fn warnings(trip: &Trip, orders: &[TripOrder], loads: &[Load], facts: &Facts) -> Vec<Warning> {
    use WarningCode::*;
    if matches!(trip.status, TripStatus::Completed | TripStatus::Cancelled) {
        return Vec::new();
    }
    let driver = candidate(trip, facts);
    let told = |code, message: String, order_id| Warning { code, message, order_id, vehicle_id: None };
    let mut warnings = Vec::new();
    if let Some(driver) = facts.hauler.driver.as_ref().filter(|driver| driver.archived) {
        warnings.push(told(DriverArchived, format!("{} is archived", driver.name), None));
    }
    let verdict = judge(trip, loads, &driver);
    warnings.extend(hauling::warnings(verdict, loads, &driver, trip.driver_id.is_some()));
    for stop in trip.loaded_stops().iter().filter(|stop| !stop.is_reached()) {
        let has_card = || driver.twic_expires_on.is_some_and(|day| stop.date.is_none_or(|date| date <= day));
        if stop.location_id.is_some_and(|id| facts.twic.contains(&id)) && !has_card() {
            let place = stop.name.as_deref().unwrap_or(&stop.city);
            let message = format!("{place} asks for a TWIC, and none of the driver is on record that is valid then");
            warnings.push(told(TwicNeeded, message, stop.order_id));
        }
    }
    if trip.status == TripStatus::InProgress {
        for other in &facts.others {
            for (is_there, code, what) in [
                (other.has_driver, DriverOnAnotherTrip, "driver"),
                (other.has_truck, TruckOnAnotherTrip, "truck"),
                (other.has_trailer, TrailerOnAnotherTrip, "trailer"),
            ] {
                if is_there {
                    let message = format!("the {what} is on trip {}, too, which is in progress", other.number);
                    warnings.push(told(code, message, None));
                }
            }
        }
    }
    if trip.status.is_open() {
        for order in orders.iter().filter(|order| order.status == OrderStatus::Cancelled) {
            let message = format!("order {} is cancelled: take it off the trip", order.number);
            warnings.push(told(OrderCancelled, message, Some(order.id)));
        }
    }
    warnings
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
    // What is on the trailer at the same time is asked together.
    facts.hauler.candidate(trip.driver_id, Vec::new())
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
