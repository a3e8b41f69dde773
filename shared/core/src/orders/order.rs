//! An order as it is read: by the list, alone, and before it moves.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::stop::stop_from_row;
use super::vehicles::{self, Vehicle, VehicleId};
use super::{BillingStatus, HistoryEvent, OrderStatus, PaymentMethod, PaymentTerm, Stop, TransportType};
use crate::base::error::Result;
use crate::base::ids::UserId;
use crate::base::moment;
use crate::base::money::Amount;
use crate::base::page::{Limit, Page};
use crate::customers::CustomerId;
use crate::drivers::DriverId;
use crate::hauling::Warning;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::lookups::cancel_reasons::CancelReasonId;
use crate::lookups::custom_statuses::CustomStatusId;
use crate::lookups::tags::TagId;
use crate::platform::db::{self, Db, Entered, InOrder};
use crate::trailers::TrailerId;
use crate::trips::{TripId, TripStatus};
use crate::trucks::TruckId;

crate::id!(OrderId);

/// A transport job: vehicles from one place to another, for a customer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Order {
    pub id: OrderId,
    /// Counts from 1 in each carrier.
    pub number: i64,
    /// The customer's own number, such as a broker's load id.
    #[schema(required)]
    pub reference: Option<String>,
    pub status: OrderStatus,
    /// How far its billing is.
    pub billing_status: BillingStatus,
    /// Whether it waits: it cannot be assigned or picked up until it is released.
    pub on_hold: bool,
    /// Why it waits.
    #[schema(required)]
    pub hold_reason: Option<String>,
    /// Since when it is archived: out of the lists, never lost.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub cancel_reason_id: Option<CancelReasonId>,
    /// A status of the carrier's own within `status`.
    #[schema(required)]
    pub custom_status_id: Option<CustomStatusId>,
    pub transport_type: TransportType,
    pub customer_id: CustomerId,
    #[schema(required)]
    pub dispatcher_id: Option<UserId>,
    #[schema(required)]
    pub driver_id: Option<DriverId>,
    #[schema(required)]
    pub truck_id: Option<TruckId>,
    #[schema(required)]
    pub trailer_id: Option<TrailerId>,
    /// The trip that it travels on.
    #[schema(required)]
    pub trip_id: Option<TripId>,
    /// The order that its vehicles were on before they were split off.
    #[schema(required)]
    pub split_from: Option<OrderId>,
    pub pickup: Stop,
    pub delivery: Stop,
    /// Null also for drivers whose carrier does not show them prices.
    #[schema(required)]
    pub price: Option<Amount>,
    #[schema(required)]
    pub broker_fee: Option<Amount>,
    /// What the driver collects.
    #[schema(required)]
    pub cod_amount: Option<Amount>,
    #[schema(example = "USD")]
    pub currency: String,
    #[schema(required)]
    pub payment_method: Option<PaymentMethod>,
    #[schema(required)]
    pub payment_term: Option<PaymentTerm>,
    #[schema(required)]
    pub notes: Option<String>,
    /// Whether a proof of delivery is on file.
    pub has_pod: bool,
    /// A window has closed before its pickup or delivery.
    pub is_late: bool,
    /// Whether any vehicle is.
    pub is_inoperable: bool,
    /// How many vehicles are on it, and how far they are.
    pub vehicle_counts: VehicleCounts,
    #[schema(required)]
    pub created_by: Option<Uuid>,
    /// Counts up with each change of the order or a vehicle on it; the ETag.
    pub version: i64,
    #[serde(serialize_with = "moment::serialize")]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "moment::serialize")]
    pub updated_at: DateTime<Utc>,
    /// On a single order always, in lists with `include=vehicles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicles: Option<Vec<Vehicle>>,
    /// On a single order always, in lists with `include=tags`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_ids: Option<Vec<TagId>>,
    /// What a person should see to, in the answer to an assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<Warning>>,
    /// With `include=customer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerSummary>,
    /// With `include=driver`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverSummary>,
    /// With `include=trip`, when it is on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip: Option<TripSummary>,
}

/// How many vehicles are on the order, and how far they are: a partial pickup or delivery shows here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct VehicleCounts {
    /// Without the cancelled ones.
    pub total: i16,
    /// How many of them are picked up, also those that are delivered by now.
    pub picked_up: i16,
    /// How many of them are delivered.
    pub delivered: i16,
    /// How many of them are on hold, each for itself.
    pub on_hold: i16,
}

/// The customer of an order, as far as a list shows it.
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema)]
pub struct CustomerSummary {
    pub id: CustomerId,
    pub name: String,
    #[schema(required)]
    pub phone: Option<String>,
}

/// The driver of an order, as far as a list shows them.
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema)]
pub struct DriverSummary {
    pub id: DriverId,
    pub name: String,
    #[schema(required)]
    pub phone: Option<String>,
}

/// The trip of an order.
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema)]
pub struct TripSummary {
    pub id: TripId,
    /// Counts from 1 in each carrier.
    pub number: i64,
    pub status: TripStatus,
}

/// What to read beside the order itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Include {
    pub vehicles: bool,
    pub tags: bool,
    pub customer: bool,
    pub driver: bool,
    pub trip: bool,
}

impl Include {
    /// What a single order comes with.
    pub const PARTS: Self = Self { vehicles: true, tags: true, customer: false, driver: false, trip: false };

    /// The columns of an order `t`; what is left out is null.
    pub fn columns(self) -> String {
        let mut columns = format!("{COLUMNS}, {IS_LATE} AS is_late");
        for (included, name, subselect) in [
            (self.vehicles, "vehicles", vehicles::OF_ORDER),
            (self.tags, "tag_ids", TAGS),
            (self.customer, "customer", CUSTOMER),
            (self.driver, "driver", DRIVER),
            (self.trip, "trip", TRIP),
        ] {
            columns += ", ";
            columns += if included { subselect } else { "NULL::json" };
            columns += " AS ";
            columns += name;
        }
        columns
    }
}

/// The window has closed before the pickup, or before the delivery.
pub const IS_LATE: &str = "((t.status IN ('new', 'assigned') AND t.pickup_to < now()) \
    OR (t.status IN ('new', 'assigned', 'picked_up', 'in_transit') AND t.delivery_to < now()))";

const COLUMNS: &str = "t.id, t.number, t.reference, t.status, t.billing_status, t.on_hold, t.hold_reason, t.archived_at, \
    t.cancel_reason_id, t.custom_status_id, t.transport_type, t.customer_id, t.dispatcher_id, t.driver_id, t.truck_id, \
    t.trailer_id, t.trip_id, t.split_from, t.pickup_location_id, t.pickup_name, t.pickup_address, t.pickup_city, \
    t.pickup_state, t.pickup_zip, t.pickup_contact_name, t.pickup_phone, t.pickup_time_zone, t.pickup_from, t.pickup_to, \
    t.pickup_date, t.pickup_notes, t.delivery_location_id, t.delivery_name, t.delivery_address, t.delivery_city, \
    t.delivery_state, t.delivery_zip, t.delivery_contact_name, t.delivery_phone, t.delivery_time_zone, t.delivery_from, \
    t.delivery_to, t.delivery_date, t.delivery_notes, t.price, t.broker_fee, t.cod_amount, t.currency, t.payment_method, \
    t.payment_term, t.notes, t.has_pod, t.is_inoperable, t.vehicle_count, t.picked_up_count, t.delivered_count, \
    t.held_count, t.created_by, t.version, t.created_at, t.updated_at";

const TAGS: &str = "(SELECT coalesce(json_agg(g.tag_id ORDER BY g.tag_id), '[]') FROM order_tags g \
    WHERE g.tenant_id = t.tenant_id AND g.order_id = t.id)";
const CUSTOMER: &str = "(SELECT json_build_object('id', c.id, 'name', c.name, 'phone', c.phone) FROM customers c \
    WHERE c.tenant_id = t.tenant_id AND c.id = t.customer_id)";
const DRIVER: &str = "(SELECT json_build_object('id', d.id, 'name', d.name, 'phone', d.phone) FROM drivers d \
    WHERE d.tenant_id = t.tenant_id AND d.id = t.driver_id)";
const TRIP: &str = "(SELECT json_build_object('id', p.id, 'number', p.number, 'status', p.status) FROM trips p \
    WHERE p.tenant_id = t.tenant_id AND p.id = t.trip_id)";

impl FromRow<'_, PgRow> for Order {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let row = InOrder::new(row);
        Ok(Self {
            id: row.try_get("id")?,
            number: row.try_get("number")?,
            reference: row.try_get("reference")?,
            status: row.try_get("status")?,
            billing_status: row.try_get("billing_status")?,
            on_hold: row.try_get("on_hold")?,
            hold_reason: row.try_get("hold_reason")?,
            archived_at: row.try_get("archived_at")?,
            cancel_reason_id: row.try_get("cancel_reason_id")?,
            custom_status_id: row.try_get("custom_status_id")?,
            transport_type: row.try_get("transport_type")?,
            customer_id: row.try_get("customer_id")?,
            dispatcher_id: row.try_get("dispatcher_id")?,
            driver_id: row.try_get("driver_id")?,
            truck_id: row.try_get("truck_id")?,
            trailer_id: row.try_get("trailer_id")?,
            trip_id: row.try_get("trip_id")?,
            split_from: row.try_get("split_from")?,
            pickup: stop_from_row!(row, "pickup"),
            delivery: stop_from_row!(row, "delivery"),
            price: row.try_get("price")?,
            broker_fee: row.try_get("broker_fee")?,
            cod_amount: row.try_get("cod_amount")?,
            currency: row.try_get("currency")?,
            payment_method: row.try_get("payment_method")?,
            payment_term: row.try_get("payment_term")?,
            notes: row.try_get("notes")?,
            has_pod: row.try_get("has_pod")?,
            is_inoperable: row.try_get("is_inoperable")?,
            vehicle_counts: VehicleCounts {
                total: row.try_get("vehicle_count")?,
                picked_up: row.try_get("picked_up_count")?,
                delivered: row.try_get("delivered_count")?,
                on_hold: row.try_get("held_count")?,
            },
            created_by: row.try_get("created_by")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            is_late: row.try_get("is_late")?,
            vehicles: row.try_get::<Option<Json<_>>>("vehicles")?.map(|json| json.0),
            tag_ids: row.try_get::<Option<Json<_>>>("tag_ids")?.map(|json| json.0),
            warnings: None,
            customer: row.try_get::<Option<Json<_>>>("customer")?.map(|json| json.0),
            driver: row.try_get::<Option<Json<_>>>("driver")?.map(|json| json.0),
            trip: row.try_get::<Option<Json<_>>>("trip")?.map(|json| json.0),
        })
    }
}

impl Order {
    /// Takes out what this caller must not see.
    #[must_use]
    pub fn shown_to(mut self, entered: &Entered) -> Self {
        if entered.hide_prices {
            self.price = None;
            self.broker_fee = None;
            for vehicle in self.vehicles.iter_mut().flatten() {
                vehicle.price = None;
            }
        }
        self
    }
}

/// Reads one order with its vehicles and tags, in one round trip.
pub async fn get(db: &Db, actor: &Actor, id: OrderId) -> Result<Order> {
    let (entered, order) = db
        .read_one::<Order>(actor, Action::OrdersRead, "order", |sql| {
            sql.push("SELECT ").push(Include::PARTS.columns());
            sql.push(" FROM orders t WHERE t.tenant_id = e.tenant_id AND t.id = ").push_bind(id);
        })
        .await?;
    Ok(order.shown_to(&entered))
}

/// One move of an order or of a vehicle on it, or what else happened to it.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct HistoryEntry {
    pub id: Uuid,
    /// Null for a move of the whole order.
    #[schema(required)]
    pub vehicle_id: Option<VehicleId>,
    /// What happened, if it was no move.
    #[schema(required)]
    pub event: Option<HistoryEvent>,
    /// Null when it was created.
    #[schema(required)]
    pub from_status: Option<OrderStatus>,
    /// The state after it: the same, if it was no move.
    pub to_status: OrderStatus,
    /// When it happened, as told by who recorded it.
    pub at: DateTime<Utc>,
    /// When we heard of it.
    pub recorded_at: DateTime<Utc>,
    /// The member or API key; null for the system.
    #[schema(required)]
    pub actor_id: Option<Uuid>,
    #[schema(required)]
    pub reason: Option<String>,
    /// Of a cancellation.
    #[schema(required)]
    pub cancel_reason_id: Option<CancelReasonId>,
}

impl db::Part for HistoryEntry {
    const TABLE: &'static str = "status_history";
    const COLUMNS: &'static str = "t.id, t.vehicle_id, t.event, t.from_status, t.to_status, t.at, t.recorded_at, t.actor_id, \
        t.reason, t.cancel_reason_id";
    const OF: &'static str = "order_id";
    const OF_TABLE: &'static str = "orders";
    const OF_NAME: &'static str = "order";
    const READ: Action = Action::OrdersRead;

    fn id(&self) -> Uuid {
        self.id
    }
}

/// Reads a page of the moves of an order, oldest first.
///
/// # Errors
/// Those of [`db::parts`].
pub async fn history(
    db: &Db,
    actor: &Actor,
    id: OrderId,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<HistoryEntry>> {
    db::parts(db, actor, id.0, cursor, limit).await
}
