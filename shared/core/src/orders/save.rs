//! Saves orders that have moved: any number of them, their vehicles and their history, in one statement.

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::OrderStatus;
use super::machine::Moves;
use super::order::{Order, OrderId};
use super::vehicles;
use crate::base::error::{Error, Result};
use crate::platform::db::{Sql, Tx};

#[derive(sqlx::FromRow)]
struct Saved {
    id: OrderId,
    version: i64,
    updated_at: chrono::DateTime<chrono::Utc>,
}

/// # Errors
/// What a constraint refuses.
pub async fn orders(tx: &mut Tx, moved: Vec<(Order, Moves)>) -> Result<Vec<Order>> {
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let saved: Vec<Saved> = tx.fetch_all(statement(&moved)).await?;
    moved
        .into_iter()
        .map(|(mut order, _)| {
            let row = saved.iter().find(|row| row.id == order.id);
            let row = row.ok_or_else(|| Error::internal("an order that was loaded could not be saved"))?;
            order.version = row.version;
            order.updated_at = row.updated_at;
            Ok(order)
        })
        .collect()
}

fn statement(moved: &[(Order, Moves)]) -> Sql {
    let mut sql = Sql::new("WITH ");
    push_parts(&mut sql, moved);
    sql.push(" SELECT s.id, s.version, s.updated_at FROM saved s");
    sql
}

/// Writes the parts of a WITH that save the orders, their vehicles and their history.
pub fn push_parts(sql: &mut Sql, moved: &[(Order, Moves)]) {
    let orders: Vec<_> = moved.iter().map(|(order, _)| order_row(order)).collect();
    let vehicles: Vec<_> =
        moved.iter().flat_map(|(order, _)| order.loaded_vehicles().iter().map(|vehicle| (order.id, vehicle))).collect();
    let left: Vec<Uuid> = moved.iter().flat_map(|(_, moves)| moves.left.iter().map(|id| id.0)).collect();
    let steps: Vec<_> = moved.iter().flat_map(|(order, moves)| steps(order.id, moves)).collect();

    sql.push("o AS (SELECT * FROM jsonb_to_recordset(").push_bind(Json(orders)).push(
        ") AS o (id uuid, status text, on_hold boolean, hold_reason text, archived_at timestamptz, cancel_reason_id uuid, \
         custom_status_id uuid, driver_id uuid, truck_id uuid, trailer_id uuid, trip_id uuid, vehicle_count smallint, \
         picked_up_count smallint, delivered_count smallint, held_count smallint, is_inoperable boolean, price numeric, \
         broker_fee numeric, cod_amount numeric)), \
         saved AS (UPDATE orders t SET status = o.status, on_hold = o.on_hold, hold_reason = o.hold_reason, \
         archived_at = o.archived_at, cancel_reason_id = o.cancel_reason_id, custom_status_id = o.custom_status_id, \
         driver_id = o.driver_id, truck_id = o.truck_id, trailer_id = o.trailer_id, trip_id = o.trip_id, vehicle_count = \
         o.vehicle_count, picked_up_count = o.picked_up_count, delivered_count = o.delivered_count, held_count = o.held_count, \
         is_inoperable = o.is_inoperable, price = o.price, broker_fee = o.broker_fee, cod_amount = o.cod_amount \
         FROM o WHERE t.tenant_id = app.tenant_id() AND t.id = o.id \
         RETURNING t.id, t.version, t.updated_at), \
         v AS (SELECT * FROM jsonb_populate_recordset(NULL::order_vehicles, ",
    );
    sql.push_bind(vehicles::as_argument(&vehicles)).push(
        ")), changed AS (UPDATE order_vehicles t SET status = v.status, vin = v.vin, vin_override = v.vin_override, \
         year = v.year, make = v.make, model = v.model, type = v.type, color = v.color, lot_number = v.lot_number, \
         weight_lbs = v.weight_lbs, is_inoperable = v.is_inoperable, inoperable_flags = v.inoperable_flags, \
         price = v.price, notes = v.notes, on_hold = v.on_hold, hold_reason = v.hold_reason, \
         picked_up_at = v.picked_up_at, delivered_at = v.delivered_at \
         FROM v WHERE t.tenant_id = app.tenant_id() AND t.id = v.id AND t.order_id = v.order_id \
         AND (t.status, t.vin, t.vin_override, t.year, t.make, t.model, t.type, t.color, t.lot_number, t.weight_lbs, \
         t.is_inoperable, t.inoperable_flags, t.price, t.notes, t.on_hold, t.hold_reason, t.picked_up_at, \
         t.delivered_at) \
         IS DISTINCT FROM (v.status, v.vin, v.vin_override, v.year, v.make, v.model, v.type, v.color, v.lot_number, \
         v.weight_lbs, v.is_inoperable, v.inoperable_flags, v.price, v.notes, v.on_hold, v.hold_reason, \
         v.picked_up_at, v.delivered_at)), \
         added AS (",
    );
    sql.push(INSERT_VEHICLES).push(
        " FROM v WHERE NOT EXISTS (SELECT 1 FROM order_vehicles t WHERE t.tenant_id = app.tenant_id() AND t.id = v.id)), \
         gone AS (DELETE FROM order_vehicles WHERE tenant_id = app.tenant_id() AND id = ANY (",
    );
    sql.push_bind(left).push(")), history AS (");
    push_history(sql, steps);
    sql.push(")");
}

/// Inserts vehicles of a row source `v`.
pub const INSERT_VEHICLES: &str = "INSERT INTO order_vehicles (tenant_id, id, order_id, position, status, vin, vin_override, \
    year, make, model, type, color, lot_number, weight_lbs, is_inoperable, inoperable_flags, price, notes) \
    SELECT app.tenant_id(), v.id, v.order_id, v.position, v.status, v.vin, v.vin_override, v.year, v.make, v.model, v.type, \
    v.color, v.lot_number, v.weight_lbs, v.is_inoperable, v.inoperable_flags, v.price, v.notes";

/// Writes the INSERT of history rows.
pub fn push_history(sql: &mut Sql, steps: Vec<serde_json::Value>) {
    push_history_as(sql, steps, |sql| {
        sql.push("h.reason");
    });
}

/// Writes the INSERT of history rows `h`, whose reason `reason` writes.
pub fn push_history_as(sql: &mut Sql, steps: Vec<serde_json::Value>, reason: impl FnOnce(&mut Sql)) {
    sql.push(
        "INSERT INTO status_history (tenant_id, id, order_id, vehicle_id, event, from_status, to_status, at, actor_id, reason, \
         cancel_reason_id) \
         SELECT app.tenant_id(), h.id, h.order_id, h.vehicle_id, h.event, h.from_status, h.to_status, coalesce(h.at, now()), \
         app.actor_id(), ",
    );
    reason(sql);
    sql.push(", h.cancel_reason_id FROM jsonb_to_recordset(");
    sql.push_bind(Json(steps)).push(
        ") AS h (id uuid, order_id uuid, vehicle_id uuid, event text, from_status text, to_status text, at timestamptz, \
             reason text, cancel_reason_id uuid)",
    );
}

fn order_row(order: &Order) -> serde_json::Value {
    json!({
        "id": order.id,
        "status": order.status,
        "on_hold": order.on_hold,
        "hold_reason": order.hold_reason,
        "archived_at": order.archived_at,
        "cancel_reason_id": order.cancel_reason_id,
        "custom_status_id": order.custom_status_id,
        "driver_id": order.driver_id,
        "truck_id": order.truck_id,
        "trailer_id": order.trailer_id,
        "trip_id": order.trip_id,
        "vehicle_count": order.vehicle_counts.total,
        "picked_up_count": order.vehicle_counts.picked_up,
        "delivered_count": order.vehicle_counts.delivered,
        "held_count": order.vehicle_counts.on_hold,
        "is_inoperable": order.is_inoperable,
        "price": order.price,
        "broker_fee": order.broker_fee,
        "cod_amount": order.cod_amount,
    })
}

pub fn steps(order_id: OrderId, moves: &Moves) -> Vec<serde_json::Value> {
    moves
        .steps
        .iter()
        .map(|step| {
            json!({
                // Ids that are made one after the other sort like that, also within a millisecond.
                "id": Uuid::now_v7(),
                "order_id": order_id,
                "vehicle_id": step.vehicle_id,
                "event": step.event,
                "from_status": step.from,
                "to_status": step.to,
                "at": step.at,
                "reason": moves.reason,
                "cancel_reason_id": moves.cancel_reason_id.filter(|_| step.to == OrderStatus::Cancelled),
            })
        })
        .collect()
}
