//! The moves of orders: each loads its orders while the transaction is opened, moves them in memory, saves them in one
//! statement. A bulk action is the same for up to a hundred orders, with a result for each.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::machine::{self, Moves, Which};
use super::order::{Include, Order, OrderId};
use super::save;
use super::vehicles::VehicleId;
use crate::base::error::{ConflictCode, Error, FieldError, Result};
use crate::base::moment::Moment;
use crate::base::text::Text;
use crate::drivers::DriverId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action as Permission;
use crate::lookups::cancel_reasons::CancelReasonId;
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

/// When something happened on the road.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Occurrence {
    /// Now unless told; not in the future.
    pub at: Option<Moment>,
    /// Kept in the history.
    pub note: Option<Text<500>>,
}

/// Why an order or a vehicle on it is cancelled.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// One of the carrier's cancel reasons.
    pub reason_id: CancelReasonId,
    /// Kept in the history.
    pub note: Option<Text<500>>,
}

/// Why, for the history.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    pub note: Option<Text<500>>,
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

/// Clocks of telephones run a little fast.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

pub(crate) fn is_future(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at > now + CLOCK_SKEW
}

/// # Errors
/// [`Error::Invalid`] for the future.
pub(crate) fn happened_at(at: Option<Moment>, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    match at {
        Some(Moment(at)) if is_future(at, now) => Err(Error::invalid("/at", "must not be in the future")),
        at => Ok(at.map_or(now, |at| at.0)),
    }
}

/// Opens a transaction with these orders loaded and locked, in the order of their ids so that two bulk actions do not wait
/// for each other in a circle.
async fn begin(
    db: &Db,
    actor: &Actor,
    permission: Permission,
    key: Option<&IdempotencyKey>,
    ids: &[OrderId],
) -> Result<(Tx, Vec<Order>)> {
    let mut these = String::from("FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id IN (NULL");
    for id in ids {
        let _ = write!(these, ", '{id}'");
    }
    these += ")";
    // Locked first and read afterwards: a statement that has waited for a lock sees the row anew, and its vehicles as they
    // were before.
    let load =
        format!("SELECT {these} ORDER BY t.id FOR UPDATE; SELECT {} {these} ORDER BY t.id", Include::PARTS.columns());
    let loaded = db.begin_loading(actor, permission, key, Some(&load)).await?;
    let orders = loaded.rows.iter().map(Order::from_row).collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok((loaded.tx, orders))
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
    let (tx, orders) = begin(db, actor, permission, key, &[id]).await?;
    let order = orders.into_iter().next().ok_or(Error::NotFound("order"))?;
    if version.is_some_and(|version| version != order.version) {
        return Err(Error::Stale);
    }
    Ok((tx, order))
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
/// [`Error::Conflict`] for an illegal move, with the legal ones; what a constraint refuses.
pub async fn act(
    tx: &mut Tx,
    mut order: Order,
    vehicle: Option<VehicleId>,
    action: &OrderAction,
    now: DateTime<Utc>,
) -> Result<Order> {
    let which = vehicle.map_or(Which::All, Which::One);
    let moves = action.apply(&mut order, which, now)?;
    let saved = save::orders(tx, vec![(order, moves)]).await.map_err(|e| name_fields(e, ""))?;
    let order = saved.into_iter().next().ok_or(Error::NotFound("order"))?;
    Ok(order.shown_to(&tx.entered))
}

/// Orders that this transaction has locked, in the order of their ids.
///
/// # Errors
/// Those of [`Tx::fetch_all`].
pub async fn read_locked(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<Order>> {
    let mut sql = Sql::new("SELECT ");
    sql.push(Include::PARTS.columns()).push(" FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id = ANY (");
    sql.push_bind(ids.to_vec()).push(") ORDER BY t.id");
    tx.fetch_all(sql).await
}

/// Assigns orders that were loaded for it, all of them or none.
///
/// # Errors
/// [`Error::Conflict`] for an illegal move, with the legal ones; what a constraint refuses.
pub async fn assign_all(tx: &mut Tx, orders: Vec<Order>, to: Assignment, now: DateTime<Utc>) -> Result<()> {
    let action = OrderAction::Assign(to);
    let moved = orders.into_iter().map(|mut order| {
        let moves = action.apply(&mut order, Which::All, now)?;
        Ok((order, moves))
    });
    save::orders(tx, moved.collect::<Result<_>>()?).await.map_err(|e| name_fields(e, ""))?;
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
    let (mut tx, orders) = begin(db, actor, action.permission(), key, ids).await?;
    let mut refused = Vec::new();
    let mut moved = Vec::new();
    for mut order in orders {
        match action.apply(&mut order, Which::All, now) {
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
