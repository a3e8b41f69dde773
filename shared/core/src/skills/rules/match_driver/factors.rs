//! What is weighed: points for each, together a hundred.

use chrono::Days;

use super::data::{Factor, FactorCode};
use super::states;
use crate::hauling::{Assignment, Candidate, Load, Place};
use crate::orders::OrderStatus;

const NEARNESS: u32 = 45;
const BALANCE: u32 = 20;
const EXPERIENCE: u32 = 15;
const FILL: u32 = 10;
const DOCUMENTS: u32 = 10;

pub fn weigh(orders: &[Load], driver: &Candidate, most_open: usize) -> Vec<Factor> {
    vec![
        nearness(orders, driver),
        balance(driver, most_open),
        experience(driver),
        fill(orders, driver),
        documents(orders, driver),
    ]
}

/// No place on record has coordinates: city, the first three digits of the zip (a region of the post) and the state tell
/// near from far.
fn nearness(orders: &[Load], driver: &Candidate) -> Factor {
    let factor = |points, detail: String| Factor { code: FactorCode::Nearness, points, of: NEARNESS, detail };
    let first = orders.iter().min_by_key(|order| (order.pickup.from, order.id));
    let Some(first) = first else { return factor(0, "there is no pickup".into()) };
    let (to, start) = (&first.pickup.place, first.pickup.to);
    let Some(last) = last_before(driver, start) else {
        return factor(NEARNESS / 3, "where the driver will be is not known".into());
    };
    let from = &last.delivery;
    let at = format!("{}, {}", from.city, from.state);
    if from.city.eq_ignore_ascii_case(&to.city) && from.state == to.state {
        factor(NEARNESS, format!("order {} ends in {at}, where this one begins", last.number))
    } else if same_region(from, to) {
        factor(NEARNESS * 8 / 9, format!("order {} ends in {at}, in the same zip region", last.number))
    } else if from.state == to.state {
        factor(NEARNESS * 6 / 9, format!("order {} ends in {at}, in the same state", last.number))
    } else if states::are_neighbours(&from.state, &to.state) {
        factor(NEARNESS * 3 / 9, format!("order {} ends in {at}, in a neighbouring state", last.number))
    } else {
        factor(0, format!("order {} ends in {at}, far from {}, {}", last.number, to.city, to.state))
    }
}

/// The last delivery that is done, or is due, before the pickup closes.
fn last_before(driver: &Candidate, start: chrono::DateTime<chrono::Utc>) -> Option<&Assignment> {
    let ended = driver.assignments.iter().filter(|assignment| assignment.status != OrderStatus::Cancelled);
    ended
        .filter(|assignment| assignment.delivery_to <= start)
        .max_by_key(|assignment| (assignment.delivery_to, assignment.number))
}

fn same_region(one: &Place, other: &Place) -> bool {
    let region = |place: &Place| place.zip.as_deref().and_then(|zip| zip.get(..3)).map(str::to_ascii_uppercase);
    region(one).is_some() && region(one) == region(other)
}

fn balance(driver: &Candidate, most_open: usize) -> Factor {
    let open = driver.open_vehicles();
    let points = if most_open == 0 { BALANCE } else { share(BALANCE, most_open - open.min(most_open), most_open) };
    let detail = match open {
        0 => "has nothing else to haul".into(),
        1 => "has 1 other vehicle to haul".into(),
        _ => format!("has {open} other vehicles to haul"),
    };
    Factor { code: FactorCode::Balance, points, of: BALANCE, detail }
}

fn experience(driver: &Candidate) -> Factor {
    const ENOUGH: u32 = 5;
    let times = driver.delivered_for_customer;
    let points = EXPERIENCE * times.min(ENOUGH) / ENOUGH;
    let detail = match times {
        0 => "has not delivered for the customer before".into(),
        1 => "has delivered for the customer once".into(),
        _ => format!("has delivered for the customer {times} times"),
    };
    Factor { code: FactorCode::Experience, points, of: EXPERIENCE, detail }
}

/// A large trailer is left for a large load.
fn fill(orders: &[Load], driver: &Candidate) -> Factor {
    let slots: usize = driver.units().map(|unit| usize::try_from(unit.capacity).unwrap_or(0)).sum();
    let vehicles: usize = orders.iter().map(|order| order.vehicles.len()).sum();
    let (points, detail) = match slots {
        0 => (0, "how many slots the driver has is not known".into()),
        _ => (share(FILL, vehicles.min(slots), slots), format!("fills {vehicles} of {slots} slots")),
    };
    Factor { code: FactorCode::Fill, points, of: FILL, detail }
}

fn documents(orders: &[Load], driver: &Candidate) -> Factor {
    const SOON: Days = Days::new(30);
    let factor = |points, detail: String| Factor { code: FactorCode::Documents, points, of: DOCUMENTS, detail };
    let last_day = orders.iter().map(|order| order.delivery.last_day).max();
    let (Some(licence), Some(card), Some(last_day)) =
        (driver.licence_expires_on, driver.medical_card_expires_on, last_day)
    else {
        return factor(0, "an expiry is not recorded".into());
    };
    let first = licence.min(card);
    if last_day.checked_add_days(SOON).is_some_and(|soon| first <= soon) {
        factor(DOCUMENTS / 2, format!("a document expires on {first}"))
    } else {
        factor(DOCUMENTS, format!("documents are valid to {first}"))
    }
}

/// A share of points, rounded down.
fn share(points: u32, part: usize, whole: usize) -> u32 {
    u32::try_from(points as usize * part / whole.max(1)).unwrap_or(points)
}
