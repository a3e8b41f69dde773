//! Saves a trip that has changed, with its stops, its history and the orders that move along, in one statement.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::ability;
use super::load::Loaded;
use super::machine::Moves;
use super::trip::{Trip, TripOrder};
use crate::base::error::{Error, FieldError, Result};
use crate::orders::machine::Moves as OrderMoves;
use crate::orders::save::push_parts;
use crate::orders::{Order, OrderId};
use crate::platform::db::{Sql, Tx};

#[derive(FromRow)]
struct Saved {
    number: i64,
    archived_at: Option<DateTime<Utc>>,
    created_by: Option<Uuid>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What becomes of orders, by their ids.
pub type OrdersMoved = Vec<(OrderId, OrderMoves)>;

/// Saves it; a trip without a number is new. Returns it as a single trip is read.
///
/// # Errors
/// What a constraint refuses.
pub async fn trip(
    tx: &mut Tx,
    mut loaded: Loaded,
    moves: &Moves,
    orders_moved: OrdersMoved,
    now: DateTime<Utc>,
) -> Result<Trip> {
    settle(&mut loaded.trip, now.with_timezone(&tx.entered.time_zone).date_naive());
    let mut on_trip: Vec<TripOrder> = loaded.on_trip().map(TripOrder::from).collect();
    on_trip.sort_by_key(|order| order.number);
    let warnings = ability::warnings(&loaded.trip, &on_trip, &loaded.loads(), &loaded.facts);
    let Loaded { mut trip, mut orders, .. } = loaded;
    let moved: Vec<(Order, OrderMoves)> = orders_moved
        .into_iter()
        .filter_map(|(id, moves)| {
            let at = orders.iter().position(|order| order.id == id)?;
            Some((orders.swap_remove(at), moves))
        })
        .collect();
    let saved: Saved = tx.fetch_one(statement(&trip, moves, &moved)).await.map_err(name_fields)?;
    trip.number = saved.number;
    trip.archived_at = saved.archived_at;
    trip.created_by = saved.created_by;
    trip.version = saved.version;
    trip.created_at = saved.created_at;
    trip.updated_at = saved.updated_at;
    trip.warnings = Some(warnings);
    trip.orders = Some(on_trip);
    Ok(trip)
}

/// Draws what follows from the stops.
fn settle(trip: &mut Trip, today: NaiveDate) {
    for (stop, place) in trip.loaded_stops_mut().iter_mut().zip(1..) {
        stop.settle(place);
    }
    let days = || trip.loaded_stops().iter().filter_map(|stop| stop.date);
    match (days().min(), days().max()) {
        (Some(first), Some(last)) => (trip.start_date, trip.end_date) = (first, last),
        _ if trip.number == 0 => (trip.start_date, trip.end_date) = (today, today),
        _ => {}
    }
}

fn statement(trip: &Trip, moves: &Moves, moved: &[(Order, OrderMoves)]) -> Sql {
    let mut sql = Sql::new("WITH ");
    if !moved.is_empty() {
        push_parts(&mut sql, moved);
        sql.push(", ");
    }
    sql.push("p AS (SELECT * FROM jsonb_populate_record(NULL::trips, ").push_bind(Json(row(trip))).push(")), ");
    sql.push(if trip.number == 0 { INSERT } else { UPDATE });
    sql.push(", s AS (SELECT * FROM jsonb_populate_recordset(NULL::trip_stops, ");
    sql.push_bind(Json(stop_rows(trip))).push(")), put AS (").push(PUT_STOPS);
    sql.push("), stops_gone AS (DELETE FROM trip_stops WHERE tenant_id = app.tenant_id() AND trip_id = ");
    let kept: Vec<Uuid> = trip.loaded_stops().iter().map(|stop| stop.id.0).collect();
    sql.push_bind(trip.id).push(" AND id <> ALL (").push_bind(kept).push(")), trip_moved AS (");
    push_history(&mut sql, trip, moves);
    sql.push(") SELECT x.number, x.archived_at, x.created_by, x.version, x.created_at, x.updated_at FROM x");
    sql
}

const INSERT: &str = "n AS (SELECT app.take_number('trip') AS number), \
    x AS (INSERT INTO trips (tenant_id, id, number, status, driver_id, truck_id, trailer_id, start_date, end_date, \
    loaded_miles, empty_miles, notes, created_by) \
    SELECT app.tenant_id(), p.id, n.number, p.status, p.driver_id, p.truck_id, p.trailer_id, p.start_date, p.end_date, \
    p.loaded_miles, p.empty_miles, p.notes, app.actor_id() FROM p CROSS JOIN n RETURNING *)";

const UPDATE: &str = "x AS (UPDATE trips t SET status = p.status, driver_id = p.driver_id, truck_id = p.truck_id, \
    trailer_id = p.trailer_id, start_date = p.start_date, end_date = p.end_date, loaded_miles = p.loaded_miles, \
    empty_miles = p.empty_miles, notes = p.notes, cancel_reason_id = p.cancel_reason_id, archived_at = p.archived_at \
    FROM p WHERE t.tenant_id = app.tenant_id() AND t.id = p.id RETURNING t.*)";

/// Only what is another one than before is written, and so logged.
const PUT_STOPS: &str = "INSERT INTO trip_stops AS t (tenant_id, id, trip_id, position, kind, order_id, location_id, name, \
    address, city, state, zip, contact_name, phone, time_zone, \"from\", \"to\", eta_at, arrived_at, departed_at, notes) \
    SELECT app.tenant_id(), s.id, s.trip_id, s.position, s.kind, s.order_id, s.location_id, s.name, s.address, s.city, \
    s.state, s.zip, s.contact_name, s.phone, s.time_zone, s.\"from\", s.\"to\", s.eta_at, s.arrived_at, s.departed_at, s.notes \
    FROM s ON CONFLICT (tenant_id, id) DO UPDATE SET position = excluded.position, kind = excluded.kind, \
    order_id = excluded.order_id, location_id = excluded.location_id, name = excluded.name, address = excluded.address, \
    city = excluded.city, state = excluded.state, zip = excluded.zip, contact_name = excluded.contact_name, \
    phone = excluded.phone, time_zone = excluded.time_zone, \"from\" = excluded.\"from\", \"to\" = excluded.\"to\", \
    eta_at = excluded.eta_at, arrived_at = excluded.arrived_at, departed_at = excluded.departed_at, notes = excluded.notes \
    WHERE (t.position, t.kind, t.order_id, t.location_id, t.name, t.address, t.city, t.state, t.zip, t.contact_name, t.phone, \
    t.time_zone, t.\"from\", t.\"to\", t.eta_at, t.arrived_at, t.departed_at, t.notes) IS DISTINCT FROM (excluded.position, \
    excluded.kind, excluded.order_id, excluded.location_id, excluded.name, excluded.address, excluded.city, excluded.state, \
    excluded.zip, excluded.contact_name, excluded.phone, excluded.time_zone, excluded.\"from\", excluded.\"to\", \
    excluded.eta_at, excluded.arrived_at, excluded.departed_at, excluded.notes)";

fn row(trip: &Trip) -> serde_json::Value {
    json!({
        "id": trip.id,
        "status": trip.status,
        "driver_id": trip.driver_id,
        "truck_id": trip.truck_id,
        "trailer_id": trip.trailer_id,
        "start_date": trip.start_date,
        "end_date": trip.end_date,
        "loaded_miles": trip.loaded_miles,
        "empty_miles": trip.empty_miles,
        "notes": trip.notes,
        "cancel_reason_id": trip.cancel_reason_id,
        "archived_at": trip.archived_at,
    })
}

fn stop_rows(trip: &Trip) -> Vec<serde_json::Value> {
    let row = |stop| {
        let mut row = serde_json::to_value(stop).unwrap_or_default();
        row["trip_id"] = json!(trip.id);
        row
    };
    trip.loaded_stops().iter().map(row).collect()
}

fn push_history(sql: &mut Sql, trip: &Trip, moves: &Moves) {
    let steps: Vec<_> = moves
        .steps
        .iter()
        .map(|step| {
            json!({
                // Ids that are made one after the other sort like that, also within a millisecond.
                "id": Uuid::now_v7(),
                "trip_id": trip.id,
                "event": step.event,
                "stop_id": step.stop_id,
                "changes": step.changes,
                "from_status": step.from,
                "to_status": step.to,
                "at": moves.at,
                "reason": moves.reason,
                "cancel_reason_id": moves.cancel_reason_id,
            })
        })
        .collect();
    sql.push(
        "INSERT INTO trip_history (tenant_id, id, trip_id, event, stop_id, changes, from_status, to_status, at, actor_id, \
         reason, cancel_reason_id) SELECT app.tenant_id(), h.id, h.trip_id, h.event, h.stop_id, h.changes, h.from_status, \
         h.to_status, coalesce(h.at, now()), app.actor_id(), h.reason, h.cancel_reason_id \
         FROM jsonb_populate_recordset(NULL::trip_history, ",
    );
    sql.push_bind(Json(steps)).push(") AS h");
}

/// A reason is called so where it is given.
fn name_fields(error: Error) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let rename = |field: FieldError| FieldError {
        pointer: field.pointer.replace("/cancel_reason_id", "/reason_id"),
        detail: field.detail,
    };
    Error::Invalid(fields.into_iter().map(rename).collect())
}
