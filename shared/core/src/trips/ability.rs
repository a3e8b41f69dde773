//! Whether the driver can haul what is on the trip, with its truck and trailer: the rules by which drivers are matched, asked
//! for each set of orders that is on the trailer at the same time.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::TripStopKind;
use super::load::Facts;
use super::stops::TripStop;
use super::trip::Trip;
use crate::base::error::{Error, Result};
use crate::drivers::DriverId;
use crate::orders::{Order, OrderStatus, Stop};
use crate::skills::rules::match_driver::{self, Candidate, Load, Place, StopFacts, VehicleFacts};

/// What stands in the way, each told once. What a person should make sure of (a winch, a weight that nobody has recorded) does
/// not.
pub fn blockers<'a>(trip: &Trip, orders: impl Iterator<Item = &'a Order>, facts: &Facts) -> Vec<String> {
    let orders: Vec<&Order> =
        orders.filter(|order| !matches!(order.status, OrderStatus::Delivered | OrderStatus::Cancelled)).collect();
    let driver = candidate(trip, facts);
    let mut told: Vec<String> = Vec::new();
    for aboard in aboard(trip.loaded_stops(), &orders) {
        let loads: Vec<Load> = aboard.iter().map(|order| load(order)).collect();
        for blocker in match_driver::judge(&loads, &driver).blockers {
            if !told.contains(&blocker.detail) {
                told.push(blocker.detail);
            }
        }
    }
    told
}

/// # Errors
/// [`Error::Conflict`] that tells what stands in the way and did not before.
pub fn refuse(blockers: &[String], before: &[String]) -> Result<()> {
    let new: Vec<_> = blockers.iter().filter(|blocker| !before.contains(blocker)).cloned().collect();
    if new.is_empty() { Ok(()) } else { Err(Error::conflict("cannot_haul", new.join("; "))) }
}

/// The orders that are on the trailer after each pickup. One that has no pickup among the stops is there from the beginning,
/// one that has no delivery to the end.
fn aboard<'a>(stops: &[TripStop], orders: &[&'a Order]) -> Vec<Vec<&'a Order>> {
    let of = |order: &Order, kind: TripStopKind| {
        stops.iter().position(|stop| stop.kind == kind && stop.order_id == Some(order.id))
    };
    let spans: Vec<(&Order, Option<usize>, usize)> = orders
        .iter()
        .map(|order| {
            let delivery =
                stops.iter().rposition(|stop| stop.kind == TripStopKind::Delivery && stop.order_id == Some(order.id));
            (*order, of(order, TripStopKind::Pickup), delivery.unwrap_or(stops.len()))
        })
        .collect();
    let pickups = spans.iter().map(|(_, pickup, _)| *pickup);
    pickups
        .map(|now| {
            let aboard = spans.iter().filter(|(_, pickup, delivery)| *pickup <= now && now < Some(*delivery));
            aboard.map(|(order, ..)| *order).collect()
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
        truck: facts.truck.as_ref().map(|truck| truck.unit.clone()),
        trailer: facts.trailer.as_ref().map(|trailer| trailer.unit.clone()),
        // What is on the trailer at the same time is asked together.
        assignments: Vec::new(),
        delivered_for_customer: 0,
    }
}

fn load(order: &Order) -> Load {
    let vehicles = order.loaded_vehicles().iter();
    let taking_room = vehicles.filter(|vehicle| vehicle.is_active() && vehicle.status != OrderStatus::Delivered);
    Load {
        id: order.id,
        number: order.number,
        customer_id: order.customer_id,
        transport_type: order.transport_type,
        pickup: stop_facts(&order.pickup),
        delivery: stop_facts(&order.delivery),
        vehicles: taking_room
            .map(|vehicle| VehicleFacts { weight_lbs: vehicle.weight_lbs, is_inoperable: vehicle.is_inoperable })
            .collect(),
    }
}

fn stop_facts(stop: &Stop) -> StopFacts {
    StopFacts {
        place: Place { city: stop.city.clone(), state: stop.state.clone(), zip: stop.zip.clone() },
        from: stop.from,
        to: stop.to,
        last_day: local_day(stop.to, &stop.time_zone),
        // Only cautions ask for it.
        twic_required: false,
    }
}

fn local_day(at: DateTime<Utc>, time_zone: &str) -> NaiveDate {
    time_zone.parse::<Tz>().map_or_else(|_| at.date_naive(), |zone| at.with_timezone(&zone).date_naive())
}
