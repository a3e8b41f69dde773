//! A trip as it is read: by the list, alone, and before it changes.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::load::{Facts, Named, Present};
use super::stops::{self, TripStop};
use super::{TripEvent, TripStatus, TripStopId, ability};
use crate::base::error::{Error, Result};
use crate::base::page::{Limit, Page};
use crate::drivers::DriverId;
use crate::hauling::{Load, Warning, rows};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::lookups::cancel_reasons::CancelReasonId;
use crate::orders::{DriverSummary, Order, OrderId, OrderStatus, TransportType, VehicleCounts};
use crate::platform::db::{self, Db};
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

crate::id!(TripId);

/// A truck's way with its driver, its orders and its stops.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Trip {
    pub id: TripId,
    /// Counts from 1 in each carrier.
    pub number: i64,
    pub status: TripStatus,
    #[schema(required)]
    pub driver_id: Option<DriverId>,
    #[schema(required)]
    pub truck_id: Option<TruckId>,
    #[schema(required)]
    pub trailer_id: Option<TrailerId>,
    /// The first local day of its stops; before it has any, the day on which it was made.
    pub start_date: NaiveDate,
    /// The last local day of its stops.
    pub end_date: NaiveDate,
    /// Miles with vehicles on the trailer.
    #[schema(required)]
    pub loaded_miles: Option<i32>,
    /// Miles without vehicles on the trailer.
    #[schema(required)]
    pub empty_miles: Option<i32>,
    #[schema(required)]
    pub notes: Option<String>,
    #[schema(required)]
    pub cancel_reason_id: Option<CancelReasonId>,
    /// Since when it is archived: out of the lists, still on its orders.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub created_by: Option<Uuid>,
    /// Counts up with each change of the trip or a stop of it; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// In their order. On a single trip always, in lists with `include=stops`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stops: Option<Vec<TripStop>>,
    /// By number. On a single trip always, in lists with `include=orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders: Option<Vec<TripOrder>>,
    /// What a person should see to. On a single trip always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<Warning>>,
    /// In lists with `include=driver`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverSummary>,
    /// In lists with `include=truck`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truck: Option<EquipmentSummary>,
    /// In lists with `include=trailer`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailer: Option<EquipmentSummary>,
}

/// An order on a trip.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TripOrder {
    pub id: OrderId,
    /// Counts from 1 in each carrier.
    pub number: i64,
    #[schema(required)]
    pub reference: Option<String>,
    pub status: OrderStatus,
    /// Nothing moves it while this is true.
    pub on_hold: bool,
    pub transport_type: TransportType,
    /// City of the pickup.
    pub pickup_city: String,
    /// State of the pickup.
    pub pickup_state: String,
    /// Local day of the pickup.
    pub pickup_date: NaiveDate,
    /// City of the delivery.
    pub delivery_city: String,
    /// State of the delivery.
    pub delivery_state: String,
    /// Local day of the delivery.
    pub delivery_date: NaiveDate,
    /// How many vehicles are on it, and how far they are.
    pub vehicle_counts: VehicleCounts,
}

/// A truck or a trailer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EquipmentSummary {
    pub id: Uuid,
    pub unit_number: String,
    /// Vehicle slots.
    pub capacity: i16,
}

/// What to read beside the trip itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Include {
    pub stops: bool,
    pub orders: bool,
    pub driver: bool,
    pub truck: bool,
    pub trailer: bool,
}

impl Include {
    /// What a single trip comes with.
    pub const PARTS: Self = Self { stops: true, orders: true, driver: false, truck: false, trailer: false };

    /// The columns of a trip `t`: its id, and all of it.
    pub fn columns(self) -> String {
        let mut members = String::new();
        for (included, name, subselect) in [
            (self.stops, "stops", stops::OF_TRIP),
            (self.orders, "orders", ORDERS),
            (self.driver, "driver", DRIVER),
            (self.truck, "truck", TRUCK),
            (self.trailer, "trailer", TRAILER),
        ] {
            if included {
                members += &format!(", '{name}', {subselect}");
            }
        }
        format!("t.id, json_build_object({MEMBERS}{members}) AS trip")
    }
}

const MEMBERS: &str = "'id', t.id, 'number', t.number, 'status', t.status, 'driver_id', t.driver_id, 'truck_id', t.truck_id, \
    'trailer_id', t.trailer_id, 'start_date', t.start_date, 'end_date', t.end_date, 'loaded_miles', t.loaded_miles, \
    'empty_miles', t.empty_miles, 'notes', t.notes, 'cancel_reason_id', t.cancel_reason_id, 'archived_at', t.archived_at, \
    'created_by', t.created_by, 'version', t.version, 'created_at', t.created_at, 'updated_at', t.updated_at";
const ORDERS: &str = "(SELECT coalesce(json_agg(json_build_object('id', o.id, 'number', o.number, 'reference', o.reference, \
    'status', o.status, 'on_hold', o.on_hold, 'transport_type', o.transport_type, \
    'pickup_city', o.pickup_city, 'pickup_state', o.pickup_state, 'pickup_date', o.pickup_date, \
    'delivery_city', o.delivery_city, 'delivery_state', o.delivery_state, 'delivery_date', o.delivery_date, \
    'vehicle_counts', json_build_object('total', o.vehicle_count, 'picked_up', o.picked_up_count, \
    'delivered', o.delivered_count, 'on_hold', o.held_count)) \
    ORDER BY o.number), '[]') FROM orders o WHERE o.tenant_id = t.tenant_id AND o.trip_id = t.id)";
const DRIVER: &str = "(SELECT json_build_object('id', d.id, 'name', d.name, 'phone', d.phone) FROM drivers d \
    WHERE d.tenant_id = t.tenant_id AND d.id = t.driver_id)";
const TRUCK: &str = "(SELECT json_build_object('id', k.id, 'unit_number', k.unit_number, 'capacity', k.capacity) FROM trucks k \
    WHERE k.tenant_id = t.tenant_id AND k.id = t.truck_id)";
const TRAILER: &str = "(SELECT json_build_object('id', k.id, 'unit_number', k.unit_number, 'capacity', k.capacity) FROM trailers k \
    WHERE k.tenant_id = t.tenant_id AND k.id = t.trailer_id)";

impl FromRow<'_, PgRow> for Trip {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        row.try_get::<Json<_>, _>("trip").map(|json| json.0)
    }
}

impl From<&Order> for TripOrder {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id,
            number: order.number,
            reference: order.reference.clone(),
            status: order.status,
            on_hold: order.on_hold,
            transport_type: order.transport_type,
            pickup_city: order.pickup.city.clone(),
            pickup_state: order.pickup.state.clone(),
            pickup_date: order.pickup.date,
            delivery_city: order.delivery.city.clone(),
            delivery_state: order.delivery.state.clone(),
            delivery_date: order.delivery.date,
            vehicle_counts: order.vehicle_counts,
        }
    }
}

impl Trip {
    /// The stops of a trip that was loaded with them.
    pub fn loaded_stops(&self) -> &[TripStop] {
        self.stops.as_deref().unwrap_or_default()
    }

    pub(super) fn loaded_stops_mut(&mut self) -> &mut Vec<TripStop> {
        self.stops.get_or_insert_default()
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(super) fn stop_mut(&mut self, id: TripStopId) -> Result<&mut TripStop> {
        self.loaded_stops_mut().iter_mut().find(|stop| stop.id == id).ok_or(Error::NotFound("stop"))
    }
}

/// A trip with what its warnings are drawn from.
struct Shown {
    trip: Trip,
    facts: Facts,
    loads: Vec<Load>,
}

impl FromRow<'_, PgRow> for Shown {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(facts) = row.try_get("facts")?;
        let Json(loads) = row.try_get("loads")?;
        Ok(Self { trip: Trip::from_row(row)?, facts, loads })
    }
}

/// Reads one trip with its stops, orders and warnings, in one round trip.
pub async fn get(db: &Db, actor: &Actor, id: TripId) -> Result<Trip> {
    let present = Present {
        tenant: "t.tenant_id",
        trip: "t.id",
        driver: "t.driver_id",
        truck: "t.truck_id",
        trailer: "t.trailer_id",
        locations: "SELECT s.location_id FROM trip_stops s WHERE s.tenant_id = t.tenant_id AND s.trip_id = t.id",
    };
    let facts = Named::default().facts(&present);
    let load = rows::load("o", "v.status NOT IN ('cancelled', 'delivered')");
    let (_, shown) = db
        .read_one(actor, Action::TripsRead, "trip", |sql| {
            sql.push("SELECT ").push(Include::PARTS.columns()).push(", ").push(&facts).push(" AS facts, ");
            sql.push("(SELECT coalesce(json_agg(").push(&load).push(" ORDER BY o.id), '[]') FROM orders o ");
            sql.push(
                "WHERE o.tenant_id = t.tenant_id AND o.trip_id = t.id AND o.status NOT IN ('delivered', 'cancelled')) ",
            );
            sql.push("AS loads FROM trips t WHERE t.tenant_id = e.tenant_id AND t.id = ").push_bind(id);
        })
        .await?;
    let Shown { mut trip, facts, loads } = shown;
    trip.warnings = Some(ability::warnings(&trip, trip.orders.as_deref().unwrap_or_default(), &loads, &facts));
    Ok(trip)
}

/// A field as it was and as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its name.
    pub field: String,
    /// What it was.
    #[schema(required)]
    pub from: Option<String>,
    /// What it is.
    #[schema(required)]
    pub to: Option<String>,
}

/// The fields that are not what they were.
pub(super) fn changes(fields: impl IntoIterator<Item = (&'static str, [Option<String>; 2])>) -> Vec<Change> {
    let changed = fields.into_iter().filter(|(_, [from, to])| from != to);
    changed.map(|(field, [from, to])| Change { field: field.to_owned(), from, to }).collect()
}

/// One move of a trip, or what else happened to it.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct TripHistoryEntry {
    pub id: Uuid,
    /// What happened, if it was no move.
    #[schema(required)]
    pub event: Option<TripEvent>,
    /// The stop that it happened at, if it did at one.
    #[schema(required)]
    pub stop_id: Option<TripStopId>,
    /// What was recorded before, and what is now.
    #[sqlx(json)]
    pub changes: Vec<Change>,
    /// Null when it was created.
    #[schema(required)]
    pub from_status: Option<TripStatus>,
    /// The state that it went to: the same, if it was no move.
    pub to_status: TripStatus,
    /// When it happened, as told by who recorded it.
    pub at: DateTime<Utc>,
    /// When that was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The member or API key.
    #[schema(required)]
    pub actor_id: Option<Uuid>,
    #[schema(required)]
    pub reason: Option<String>,
    /// Of a cancellation.
    #[schema(required)]
    pub cancel_reason_id: Option<CancelReasonId>,
}

impl db::Part for TripHistoryEntry {
    const TABLE: &'static str = "trip_history";
    const COLUMNS: &'static str = "t.id, t.event, t.stop_id, t.changes, t.from_status, t.to_status, t.at, t.recorded_at, \
        t.actor_id, t.reason, t.cancel_reason_id";
    const OF: &'static str = "trip_id";
    const OF_TABLE: &'static str = "trips";
    const OF_NAME: &'static str = "trip";
    const READ: Action = Action::TripsRead;

    fn id(&self) -> Uuid {
        self.id
    }
}

/// Reads a page of the moves of a trip, oldest first.
///
/// # Errors
/// Those of [`db::parts`].
pub async fn history(
    db: &Db,
    actor: &Actor,
    id: TripId,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<TripHistoryEntry>> {
    db::parts(db, actor, id.0, cursor, limit).await
}
