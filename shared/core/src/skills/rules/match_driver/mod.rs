//! Ranks drivers for orders that are to be hauled together. What a driver must have comes first and is no matter of points;
//! the rest is weighed, and each weight is told in words.

mod data;
mod factors;
pub mod guard;
mod states;

pub use self::data::{Asked, Factor, FactorCode, Input, Output, Ranked};

use crate::base::error::{Result, Violations};
use crate::hauling::{Candidate, Verdict, judge};

/// Ranks the candidates: those that can, the best first, then those that cannot, all with the reasons. Equals stand in the
/// order of their ids.
///
/// # Errors
/// [`crate::base::error::Error::Invalid`] for no orders, an order without a vehicle, or a window that ends before it begins.
pub fn rank(input: &Input) -> Result<Output> {
    check(input)?;
    let most_open = input.drivers.iter().map(Candidate::open_vehicles).max().unwrap_or(0);
    let mut drivers: Vec<_> = input
        .drivers
        .iter()
        .map(|driver| {
            let Verdict { blockers, cautions } = judge(&input.orders, driver);
            let factors = factors::weigh(&input.orders, driver, most_open);
            let score = if blockers.is_empty() { factors.iter().map(|factor| factor.points).sum() } else { 0 };
            Ranked { driver_id: driver.id, name: driver.name.clone(), rank: 0, score, factors, blockers, cautions }
        })
        .collect();
    drivers.sort_by_key(|driver| (!driver.blockers.is_empty(), std::cmp::Reverse(driver.score), driver.driver_id));
    for (driver, rank) in drivers.iter_mut().zip(1..) {
        driver.rank = rank;
    }
    Ok(Output { drivers })
}

fn check(input: &Input) -> Result<()> {
    let mut violations = Violations::default();
    violations.add_unless(!input.orders.is_empty(), "/orders", "must name at least one order");
    for (index, order) in input.orders.iter().enumerate() {
        violations.add_unless(
            !order.vehicles.is_empty(),
            format!("/orders/{index}/vehicles"),
            "must have at least one vehicle",
        );
        let fits = order.pickup.from <= order.delivery.to;
        violations.add_unless(fits, format!("/orders/{index}/delivery/to"), "must not be before the pickup");
    }
    violations.into_result()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
