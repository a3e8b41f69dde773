//! A match becomes an assignment, if its orders are as they were when it was made.

use chrono::{DateTime, Utc};

use super::order::Found;
use super::{Application, Execution};
use crate::base::error::{ConflictCode, Error, Result};
use crate::orders::OrderId;
use crate::orders::actions::{self, Assignment};
use crate::platform::db::Tx;
use crate::skills::rules::match_driver::Output;

/// # Errors
/// A conflict when an order has changed or the driver cannot; what the assignment itself refuses.
pub async fn assign(
    tx: &mut Tx,
    execution: &Execution,
    found: &Found,
    how: &Application,
    now: DateTime<Utc>,
) -> Result<()> {
    let assignment = chosen(execution, found, how)?;
    let ids: Vec<OrderId> = found.target_ids.iter().copied().map(OrderId).collect();
    let loaded = actions::read_locked(tx, &ids, &assignment).await?;
    for (id, version) in ids.iter().zip(&found.target_versions) {
        let order = loaded.orders.iter().find(|order| order.id == *id);
        if order.is_none_or(|order| order.version != *version) {
            let which = order.map_or("an order".to_owned(), |order| format!("order {}", order.number));
            let detail = format!("{which} has changed since the match was made: run it again");
            return Err(Error::conflict(ConflictCode::TargetChanged, detail));
        }
    }
    actions::assign_all(tx, loaded, assignment, now).await
}

/// The driver that was asked for, or the first who can; with what they drove last unless told.
fn chosen(execution: &Execution, found: &Found, how: &Application) -> Result<Assignment> {
    let output: Output =
        serde_json::from_value(execution.output.clone().unwrap_or_default()).map_err(Error::internal)?;
    let driver = match how.driver_id {
        Some(id) => output.drivers.iter().find(|driver| driver.driver_id == id),
        None => output.drivers.iter().find(|driver| driver.blockers.is_empty()),
    };
    let Some(driver) = driver else {
        return Err(match how.driver_id {
            Some(_) => Error::invalid("/driver_id", "is not one of the drivers that the match names"),
            None => Error::conflict(ConflictCode::NoDriver, "the match names no driver who can"),
        });
    };
    if let Some(blocker) = driver.blockers.first() {
        return Err(Error::conflict(ConflictCode::Blocked, format!("{} cannot: {}", driver.name, blocker.detail)));
    }
    let drove = found.equipment.get(&driver.driver_id).copied().unwrap_or_default();
    Ok(Assignment {
        driver_id: driver.driver_id,
        truck_id: how.truck_id.or(drove.truck_id),
        trailer_id: how.trailer_id.or(drove.trailer_id),
    })
}
