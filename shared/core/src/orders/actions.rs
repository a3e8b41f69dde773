//! The moves of orders: each loads its orders while the transaction is opened, moves them in memory, saves them in one
//! statement. A bulk action is the same for up to a hundred orders, with a result for each.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

use super::ability::{self, Ability};
use super::machine::{self, Moves, Which};
use super::order::{Include, Order, OrderId};
use super::save;
use super::vehicles::VehicleId;
use crate::base::error::{ConflictCode, Error, FieldError, Result};
use crate::drivers::DriverId;
use crate::hauling::{Cancellation, Occurrence, Remark, happened_at};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action as Permission;
use crate::platform::db::{Db, Sql, Tx};
use crate::platform::idempotency::IdempotencyKey;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// Orders in one bulk action.
pub const MAX_BULK: usize = 100;

/// Who drives it, with what.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    pub driver_id: DriverId,
    pub truck_id: Option<TruckId>,
    pub trailer_id: Option<TrailerId>,
}

/// What can be done to an order.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderAction {
    Assign(Assignment),
    Unassign(Remark),
    Pickup(Occurrence),
    Depart(Occurrence),
    Deliver(Occurrence),
    Cancel(Cancellation),
    Hold(Remark),
    Release(Remark),
    Archive(Remark),
    Unarchive(Remark),
}

impl OrderAction {
    /// Drivers record what happens on the road; the rest is dispatch.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Pickup(_) | Self::Depart(_) | Self::Deliver(_) => Permission::OrdersRecord,
            _ => Permission::OrdersDispatch,
        }
    }

    /// Who is to haul it, if it is one.
    fn assignment(&self) -> Option<&Assignment> {
        match self {
            Self::Assign(to) => Some(to),
            _ => None,
        }
    }

    fn note(&self) -> Option<String> {
        let note = match self {
            Self::Assign(_) => None,
            Self::Pickup(o) | Self::Depart(o) | Self::Deliver(o) => o.note.as_ref(),
            Self::Cancel(c) => c.note.as_ref(),
            Self::Unassign(r) | Self::Hold(r) | Self::Release(r) | Self::Archive(r) | Self::Unarchive(r) => {
                r.note.as_ref()
            }
        };
        note.map(ToString::to_string)
    }

    /// Moves the order in memory.
    fn apply(&self, order: &mut Order, which: Which, now: DateTime<Utc>) -> Result<Moves> {
        let at = match self {
            Self::Pickup(o) | Self::Depart(o) | Self::Deliver(o) => Some(happened_at(o.at, now)?),
            _ => None,
        };
        let mut moves = Moves::told(at, self.note());
        match self {
            Self::Assign(_) | Self::Unassign(_) if order.trip_id.is_some() => {
                // Or the order and its trip would say two things.
                let detail = "the order is on a trip, whose driver, truck and trailer it has: change those of the trip, or take \
                              the order off it";
                return Err(Error::conflict(ConflictCode::OnATrip, detail));
            }
            Self::Assign(to) => {
                machine::assign(order, &mut moves)?;
                order.driver_id = Some(to.driver_id);
                order.truck_id = to.truck_id;
                order.trailer_id = to.trailer_id;
            }
            Self::Unassign(_) => machine::unassign(order, &mut moves)?,
            Self::Pickup(_) => machine::pickup(order, &mut moves, which, at.unwrap_or(now))?,
            Self::Depart(_) => machine::depart(order, &mut moves, which)?,
            Self::Deliver(_) => machine::deliver(order, &mut moves, which, at.unwrap_or(now))?,
            Self::Cancel(cancellation) => {
                machine::cancel(order, &mut moves, which)?;
                moves.cancel_reason_id = Some(cancellation.reason_id);
                // When only a vehicle was cancelled, the history alone has the reason.
                let is_over = order.status == super::OrderStatus::Cancelled;
                order.cancel_reason_id = is_over.then_some(cancellation.reason_id);
            }
            Self::Hold(_) => machine::hold(order, &mut moves, which)?,
            Self::Release(_) => machine::release(order, &mut moves, which)?,
            Self::Archive(_) => machine::archive(order, &mut moves, now)?,
            Self::Unarchive(_) => machine::unarchive(order, &mut moves)?,
        }
        Ok(moves)
    }
}

/// Orders that are locked and read, to be moved.
pub struct Loaded {
    pub orders: Vec<Order>,
    /// What the rules ask, if they are to be assigned.
    ability: Option<Ability>,
}

/// Opens a transaction with these orders loaded and locked, in the order of their ids so that two bulk actions do not wait
/// for each other in a circle.
async fn begin(
    db: &Db,
    actor: &Actor,
    permission: Permission,
    key: Option<&IdempotencyKey>,
    ids: &[OrderId],
    to: Option<&Assignment>,
) -> Result<(Tx, Loaded)> {
    let loaded = db.begin_loading(actor, permission, key, Some(&load(ids, to))).await?;
    let (orders, ability) = match to {
        None => (read(&loaded.rows)?, None),
        Some(to) => Ability::of(to, read(&loaded.rows)?),
    };
    Ok((loaded.tx, Loaded { orders, ability }))
}

fn load(ids: &[OrderId], to: Option<&Assignment>) -> String {
    let mut these = String::from("FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id IN (NULL");
    for id in ids {
        let _ = write!(these, ",'{id}'");
    }
    these += ")";
    let columns = to.map_or_else(|| Include::PARTS.columns(), ability::columns);
    // Locked first and read afterwards: a statement that has waited for a lock sees the row anew, and its vehicles as they
    // were before.
    format!("SELECT {these} ORDER BY t.id FOR UPDATE; SELECT {columns} {these} ORDER BY t.id")
}

fn read<T: for<'r> FromRow<'r, PgRow>>(rows: &[PgRow]) -> Result<Vec<T>> {
    rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
}

/// Opens a transaction with one order loaded and locked. `version` is the one that the caller has seen.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin_with(
    db: &Db,
    actor: &Actor,
    permission: Permission,
    key: Option<&IdempotencyKey>,
    id: OrderId,
    version: Option<i64>,
) -> Result<(Tx, Order)> {
    let (tx, loaded) = begin(db, actor, permission, key, &[id], None).await?;
    Ok((tx, only(loaded.orders, version)?))
}

/// Like [`begin_with`], to do something to the order.
///
/// # Errors
/// As [`begin_with`].
pub async fn begin_to(
    db: &Db,
    actor: &Actor,
    action: &OrderAction,
    key: Option<&IdempotencyKey>,
    id: OrderId,
    version: Option<i64>,
) -> Result<(Tx, Loaded)> {
    let (tx, Loaded { orders, ability }) =
        begin(db, actor, action.permission(), key, &[id], action.assignment()).await?;
    Ok((tx, Loaded { orders: vec![only(orders, version)?], ability }))
}

fn only(orders: Vec<Order>, version: Option<i64>) -> Result<Order> {
    let order = orders.into_iter().next().ok_or(Error::NotFound("order"))?;
    if version.is_some_and(|version| version != order.version) { Err(Error::Stale) } else { Ok(order) }
}

impl Loaded {
    /// What concerns all orders.
    fn check(&self) -> Result<()> {
        self.ability.as_ref().map_or(Ok(()), Ability::check)
    }

    /// What the rules say of an order that has moved in memory.
    fn judge(&mut self, order: &mut Order) -> Result<()> {
        if let Some(ability) = &mut self.ability {
            order.warnings = Some(ability.judge(order.id)?);
        }
        Ok(())
    }
}

/// Names the fields of an action as its caller wrote them, below `at`.
fn name_fields(error: Error, at: &str) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let rename = |field: FieldError| FieldError {
        pointer: format!("{at}{}", field.pointer.replace("/cancel_reason_id", "/reason_id")),
        detail: field.detail,
    };
    Error::Invalid(fields.into_iter().map(rename).collect())
}

/// Does something to an order that was loaded for it, or to one vehicle of it.
///
/// # Errors
/// [`Error::Conflict`] for an illegal move, with the legal ones, and for what cannot be hauled; what a constraint refuses.
pub async fn act(
    tx: &mut Tx,
    mut loaded: Loaded,
    vehicle: Option<VehicleId>,
    action: &OrderAction,
    now: DateTime<Utc>,
) -> Result<Order> {
    loaded.check()?;
    let mut order = loaded.orders.pop().ok_or(Error::NotFound("order"))?;
    let which = vehicle.map_or(Which::All, Which::One);
    let moves = action.apply(&mut order, which, now)?;
    loaded.judge(&mut order)?;
    let saved = save::orders(tx, vec![(order, moves)]).await.map_err(|e| name_fields(e, ""))?;
    let order = saved.into_iter().next().ok_or(Error::NotFound("order"))?;
    Ok(order.shown_to(&tx.entered))
}

/// Orders that this transaction has locked, in the order of their ids, to be assigned.
///
/// # Errors
/// Those of [`Tx::fetch_all`].
pub async fn read_locked(tx: &mut Tx, ids: &[OrderId], to: &Assignment) -> Result<Loaded> {
    let mut sql = Sql::new("SELECT ");
    sql.push(ability::columns(to)).push(" FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id = ANY (");
    sql.push_bind(ids.to_vec()).push(") ORDER BY t.id");
    let (orders, ability) = Ability::of(to, tx.fetch_all(sql).await?);
    Ok(Loaded { orders, ability })
}

/// Assigns orders that were loaded for it, all of them or none.
///
/// # Errors
/// [`Error::Conflict`] for an illegal move, with the legal ones, and for what cannot be hauled; what a constraint refuses.
pub async fn assign_all(tx: &mut Tx, mut loaded: Loaded, to: Assignment, now: DateTime<Utc>) -> Result<()> {
    loaded.check()?;
    let action = OrderAction::Assign(to);
    let mut moved = Vec::new();
    for mut order in std::mem::take(&mut loaded.orders) {
        let moves = action.apply(&mut order, Which::All, now)?;
        loaded.judge(&mut order)?;
        moved.push((order, moves));
    }
    save::orders(tx, moved).await.map_err(|e| name_fields(e, ""))?;
    Ok(())
}

/// Does the same to many orders. What is refused for one order does not stop the others.
///
/// # Errors
/// What concerns them all: a driver that does not exist, no permission, no database.
pub async fn act_on_many(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    ids: &[OrderId],
    action: &OrderAction,
    now: DateTime<Utc>,
) -> Result<(Tx, Vec<(OrderId, Result<Order>)>)> {
    let (mut tx, mut loaded) = begin(db, actor, action.permission(), key, ids, action.assignment()).await?;
    loaded.check().map_err(|e| name_fields(e, "/action"))?;
    let mut refused = Vec::new();
    let mut moved = Vec::new();
    for mut order in std::mem::take(&mut loaded.orders) {
        let applied = action.apply(&mut order, Which::All, now);
        match applied.and_then(|moves| loaded.judge(&mut order).map(|()| moves)) {
            Ok(moves) => moved.push((order, moves)),
            Err(error) => refused.push((order.id, error)),
        }
    }
    let mut saved = save::orders(&mut tx, moved).await.map_err(|e| name_fields(e, "/action"))?;
    let results = ids
        .iter()
        .map(|&id| {
            if let Some(at) = saved.iter().position(|order| order.id == id) {
                return (id, Ok(saved.swap_remove(at).shown_to(&tx.entered)));
            }
            match refused.iter().position(|(refused, _)| *refused == id) {
                Some(at) => (id, Err(refused.swap_remove(at).1)),
                None => (id, Err(Error::NotFound("order"))),
            }
        })
        .collect();
    Ok((tx, results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_of_the_largest_assignment_pins_no_session_of_rds_proxy() {
        let ids: Vec<_> = std::iter::repeat_with(OrderId::new).take(MAX_BULK).collect();
        let (truck_id, trailer_id) = (Some(TruckId::new()), Some(TrailerId::new()));
        let load = load(&ids, Some(&Assignment { driver_id: DriverId::new(), truck_id, trailer_id }));
        // Beside it the opening enters the tenant, counts the call and claims a key.
        assert!(load.len() < 14 * 1024, "{} bytes", load.len());
    }
}
