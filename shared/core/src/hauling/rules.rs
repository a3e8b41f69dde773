//! What a driver must have: a rule each.

use chrono::{DateTime, NaiveDate, Utc};

use super::data::{Assignment, Blocker, BlockerCode, Candidate, Caution, CautionCode, Load, Unit, VehicleFacts};
use crate::base::error::{ConflictCode, Error, Result};
use crate::orders::TransportType;

/// What stands in the way, and what should be made sure of.
#[derive(Debug, Default)]
pub struct Verdict {
    pub blockers: Vec<Blocker>,
    pub cautions: Vec<Caution>,
}

impl Verdict {
    /// Both, each told once.
    pub fn add(&mut self, other: Self) {
        for blocker in other.blockers {
            if !self.blockers.contains(&blocker) {
                self.blockers.push(blocker);
            }
        }
        for caution in other.cautions {
            if !self.cautions.contains(&caution) {
                self.cautions.push(caution);
            }
        }
    }

    fn block(&mut self, code: BlockerCode, detail: impl Into<String>) {
        self.blockers.push(Blocker { code, detail: detail.into() });
    }

    fn caution(&mut self, code: CautionCode, detail: impl Into<String>) {
        self.cautions.push(Caution { code, detail: detail.into() });
    }
}

/// # Errors
/// [`Error::Conflict`] that tells what stands in the way and did not before.
pub fn refuse(blockers: &[Blocker], before: &[Blocker]) -> Result<()> {
    let new = blockers.iter().filter(|blocker| !before.contains(blocker));
    let new: Vec<_> = new.map(|blocker| blocker.detail.as_str()).collect();
    if new.is_empty() { Ok(()) } else { Err(Error::conflict(ConflictCode::CannotHaul, new.join("; "))) }
}

/// Whether the driver can haul these orders together.
pub fn judge(orders: &[Load], driver: &Candidate) -> Verdict {
    let mut verdict = Verdict::default();
    if driver.archived {
        verdict.block(BlockerCode::DriverArchived, "the driver is archived");
    }
    documents(orders, driver, &mut verdict);
    equipment(orders, driver, &mut verdict);
    needs(orders, driver, &mut verdict);
    verdict
}

/// Licence and medical card are valid to the last day of the last delivery.
fn documents(orders: &[Load], driver: &Candidate, verdict: &mut Verdict) {
    let Some(last_day) = orders.iter().map(|order| order.delivery.last_day).max() else { return };
    let mut check = |expires_on: Option<NaiveDate>, what: &str, expires, not_recorded| match expires_on {
        Some(day) if day < last_day => {
            verdict.block(expires, format!("the {what} expires on {day}, the delivery may be on {last_day}"));
        }
        Some(_) => {}
        None => verdict.caution(not_recorded, format!("no expiry of the {what} is recorded")),
    };
    let licence = (BlockerCode::LicenceExpires, CautionCode::LicenceNotRecorded);
    check(driver.licence_expires_on, "licence", licence.0, licence.1);
    let card = (BlockerCode::MedicalCardExpires, CautionCode::MedicalCardNotRecorded);
    check(driver.medical_card_expires_on, "medical card", card.0, card.1);
}

/// Slots and weight, beside what is on the trailer at the same time.
fn equipment(orders: &[Load], driver: &Candidate, verdict: &mut Verdict) {
    let overlapping = overlapping(orders, driver);
    let vehicles: usize = orders.iter().map(|order| order.vehicles.len()).sum();
    if orders.iter().any(|order| order.transport_type == TransportType::Driveaway) {
        return driveaway(vehicles, &overlapping, verdict);
    }
    let enclosed = orders.iter().any(|order| order.transport_type == TransportType::Enclosed);
    let units: Vec<&Unit> = driver.units().filter(|unit| unit.enclosed || !enclosed).collect();
    if units.is_empty() {
        if driver.units().next().is_some() {
            verdict.block(BlockerCode::EnclosedNeeded, "the order is enclosed, truck and trailer are open");
        } else {
            verdict.caution(CautionCode::EquipmentNotKnown, "which truck and trailer the driver has is not known");
            overlaps(&overlapping, verdict);
        }
        return;
    }
    let taken: usize = overlapping.iter().map(|assignment| assignment.vehicles.len()).sum();
    slots(&units, vehicles, taken, &overlapping, verdict);
    let loaded = overlapping.iter().flat_map(|assignment| &assignment.vehicles);
    weight(&units, orders.iter().flat_map(|order| &order.vehicles).chain(loaded), verdict);
}

/// A driver who drives the vehicle itself can drive no other.
fn driveaway(vehicles: usize, overlapping: &[&Assignment], verdict: &mut Verdict) {
    if vehicles > 1 {
        verdict.block(BlockerCode::Capacity, format!("one driver cannot drive {vehicles} vehicles away"));
    }
    overlaps(overlapping, verdict);
}

fn slots(units: &[&Unit], vehicles: usize, taken: usize, overlapping: &[&Assignment], verdict: &mut Verdict) {
    let slots: usize = units.iter().map(|unit| usize::try_from(unit.capacity).unwrap_or(0)).sum();
    if vehicles > slots {
        verdict.block(BlockerCode::Capacity, format!("{} on {}", count(vehicles, "vehicle"), count(slots, "slot")));
    } else if vehicles + taken > slots {
        let detail = format!(
            "{} beside {taken} of {} on {}",
            count(vehicles, "vehicle"),
            numbers(overlapping),
            count(slots, "slot")
        );
        verdict.block(BlockerCode::OverlappingAssignment, detail);
    }
}

fn weight<'a>(units: &[&Unit], vehicles: impl Iterator<Item = &'a VehicleFacts>, verdict: &mut Verdict) {
    let limit: Option<i64> = units.iter().map(|unit| unit.max_weight_lbs.map(i64::from)).sum();
    let weights: Vec<Option<i64>> = vehicles.map(|vehicle| vehicle.weight_lbs.map(i64::from)).collect();
    let known: i64 = weights.iter().flatten().sum();
    match limit {
        Some(limit) if known > limit => {
            verdict.block(BlockerCode::Weight, format!("{known} lbs, and at most {limit} lbs can be loaded"));
        }
        Some(_) if weights.iter().all(Option::is_some) => {}
        _ => verdict.caution(CautionCode::WeightNotKnown, "not all weights and limits are recorded"),
    }
}

fn overlaps(overlapping: &[&Assignment], verdict: &mut Verdict) {
    if !overlapping.is_empty() {
        verdict.block(BlockerCode::OverlappingAssignment, format!("{} at the same time", numbers(overlapping)));
    }
}

/// What a load needs beside room.
fn needs(orders: &[Load], driver: &Candidate, verdict: &mut Verdict) {
    let inoperable = orders.iter().flat_map(|order| &order.vehicles).filter(|vehicle| vehicle.is_inoperable).count();
    if inoperable > 0 && orders.iter().all(|order| order.transport_type != TransportType::Driveaway) {
        if !driver.has_winch() {
            let detail = format!("{} inoperable: make sure of a winch", count(inoperable, "vehicle"));
            verdict.caution(CautionCode::WinchNeeded, detail);
        }
    } else if inoperable > 0 {
        verdict.block(BlockerCode::NotDrivable, "an inoperable vehicle cannot be driven away");
    }
    for order in orders {
        for (stop, what) in [(&order.pickup, "pickup"), (&order.delivery, "delivery")] {
            if stop.twic_required && driver.twic_expires_on.is_none_or(|day| day < stop.last_day) {
                let detail = format!("the {what} of order {} needs a TWIC card", order.number);
                verdict.caution(CautionCode::TwicNeeded, detail);
            }
        }
        let held = order.vehicles.iter().filter(|vehicle| vehicle.on_hold).count();
        if held > 0 {
            let detail =
                format!("{} of order {} on hold, to be released before pickup", count(held, "vehicle"), order.number);
            verdict.caution(CautionCode::VehicleOnHold, detail);
        }
    }
}

/// Open orders of the driver, other than these, that are under way between the first pickup and the last delivery.
fn overlapping<'a>(orders: &[Load], driver: &'a Candidate) -> Vec<&'a Assignment> {
    let from: Option<DateTime<Utc>> = orders.iter().map(|order| order.pickup.from).min();
    let to: Option<DateTime<Utc>> = orders.iter().map(|order| order.delivery.to).max();
    let (Some(from), Some(to)) = (from, to) else { return Vec::new() };
    let others =
        driver.assignments.iter().filter(|assignment| orders.iter().all(|order| order.id != assignment.order_id));
    others
        .filter(|assignment| assignment.is_open() && assignment.pickup_from < to && assignment.delivery_to > from)
        .collect()
}

fn numbers(assignments: &[&Assignment]) -> String {
    let numbers: Vec<_> = assignments.iter().map(|assignment| format!("order {}", assignment.number)).collect();
    numbers.join(", ")
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
