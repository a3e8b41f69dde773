//! Creating an order, and changing what is known of it. Moves are in [`super::actions`].

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::machine::Moves;
use super::order::{Include, Order, OrderId};
use super::stop::{NewStop, StopPatch, check_order, patch_stop};
use super::vehicles::NewVehicle;
use super::{MAX_VEHICLES, OrderStatus, PaymentMethod, PaymentTerm, TransportType, payment, save, vehicles};
use crate::base::error::{Error, FieldError, Result, Violations};
use crate::base::ids::UserId;
use crate::base::money::Amount;
use crate::base::patch::Patch;
use crate::base::text::{Notes, Text};
use crate::customers::CustomerId;
use crate::lookups::custom_statuses::CustomStatusId;
use crate::lookups::tags::TagId;
use crate::platform::db::{Assignments, Sql, Tx};

const MAX_TAGS: usize = 20;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    pub customer_id: CustomerId,
    /// The customer's own number, such as a broker's load id.
    #[schema(example = "LB-48213")]
    pub reference: Option<Text<60>>,
    pub transport_type: TransportType,
    pub pickup: NewStop,
    pub delivery: NewStop,
    pub price: Option<Amount>,
    pub broker_fee: Option<Amount>,
    /// What the driver collects.
    pub cod_amount: Option<Amount>,
    pub payment_method: Option<PaymentMethod>,
    /// Must fit the payment method.
    pub payment_term: Option<PaymentTerm>,
    /// The member who looks after it; whoever creates it unless told.
    pub dispatcher_id: Option<UserId>,
    pub notes: Option<Notes>,
    /// The vehicles to haul, in the order of their positions.
    #[serde(default)]
    #[schema(max_items = 12)]
    pub vehicles: Vec<NewVehicle>,
    /// The tags to put on it.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub tag_ids: Vec<TagId>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderPatch {
    #[serde(default)]
    pub customer_id: Patch<CustomerId>,
    #[serde(default)]
    pub reference: Patch<Option<Text<60>>>,
    #[serde(default)]
    pub transport_type: Patch<TransportType>,
    #[serde(default)]
    pub pickup: Patch<StopPatch>,
    #[serde(default)]
    pub delivery: Patch<StopPatch>,
    #[serde(default)]
    pub price: Patch<Option<Amount>>,
    #[serde(default)]
    pub broker_fee: Patch<Option<Amount>>,
    #[serde(default)]
    pub cod_amount: Patch<Option<Amount>>,
    #[serde(default)]
    pub payment_method: Patch<Option<PaymentMethod>>,
    #[serde(default)]
    pub payment_term: Patch<Option<PaymentTerm>>,
    #[serde(default)]
    pub dispatcher_id: Patch<Option<UserId>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// Must map to the order's present status.
    #[serde(default)]
    pub custom_status_id: Patch<Option<CustomStatusId>>,
    /// Replaces the order's tags.
    #[serde(default)]
    pub tag_ids: Patch<Vec<TagId>>,
}

/// An order as a statement returns it, with answers to what only the database knows.
struct Written {
    order: Order,
    customer_archived: bool,
    /// The system status that the custom status belongs to.
    custom_status_of: Option<OrderStatus>,
}

/// The columns of [`Written`] beside the order's.
const ANSWERS: &str = "(SELECT c.archived_at IS NOT NULL FROM customers c WHERE c.tenant_id = t.tenant_id \
    AND c.id = t.customer_id) AS customer_archived, \
    (SELECT s.system_status FROM custom_statuses s WHERE s.tenant_id = t.tenant_id AND s.id = t.custom_status_id) \
    AS custom_status_of";

impl FromRow<'_, PgRow> for Written {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            order: Order::from_row(row)?,
            // Null when there is no such customer, which the foreign key reports.
            customer_archived: row.try_get::<Option<bool>, _>("customer_archived")?.unwrap_or(false),
            custom_status_of: row.try_get("custom_status_of")?,
        })
    }
}

/// Creates an order with its vehicles in one statement.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field; the plan's limit of orders a month.
pub async fn create(tx: &mut Tx, new: NewOrder) -> Result<Order> {
    create_as(tx, OrderId::new(), new).await
}

/// Creates an order under an id that was made before it.
///
/// # Errors
/// As [`create`].
pub async fn create_as(tx: &mut Tx, id: OrderId, new: NewOrder) -> Result<Order> {
    let mut violations = Violations::default();
    new.pickup.check("/pickup", &mut violations);
    new.delivery.check("/delivery", &mut violations);
    check_order(new.pickup.from.0, new.delivery.to.0, &mut violations);
    payment::check(new.payment_method, new.payment_term, &mut violations);
    check_sizes(new.vehicles.len(), new.tag_ids.len(), &mut violations);
    let vehicles: Vec<_> = new
        .vehicles
        .into_iter()
        .zip(1..)
        .map(|(vehicle, position)| {
            let at = format!("/vehicles/{}", position - 1);
            vehicle.into_vehicle(position, OrderStatus::New, &at, &mut violations)
        })
        .collect();
    violations.into_result()?;

    let mut row = json!({
        "id": id,
        "customer_id": new.customer_id,
        "reference": new.reference,
        "transport_type": new.transport_type,
        "price": new.price,
        "broker_fee": new.broker_fee,
        "cod_amount": new.cod_amount,
        "currency": tx.entered.currency,
        "payment_method": new.payment_method,
        "payment_term": new.payment_term,
        "dispatcher_id": new.dispatcher_id.or(tx.entered.user_id),
        "notes": new.notes,
        "vehicle_count": vehicles.len(),
        "is_inoperable": vehicles.iter().any(|vehicle| vehicle.is_inoperable),
    });
    put_stop(&mut row, "pickup", &new.pickup);
    put_stop(&mut row, "delivery", &new.delivery);
    let mut moves = Moves::default();
    moves.created();
    vehicles.iter().for_each(|vehicle| moves.enters(vehicle));
    let tag_ids = distinct(new.tag_ids);

    let mut sql = Sql::new("WITH o AS (SELECT * FROM jsonb_populate_record(NULL::orders, ");
    sql.push_bind(Json(row)).push(")), n AS (SELECT app.take_number('order') AS number), t AS (").push(INSERT);
    sql.push("), v AS (SELECT * FROM jsonb_populate_recordset(NULL::order_vehicles, ");
    let on_order: Vec<_> = vehicles.iter().map(|vehicle| (id, vehicle)).collect();
    sql.push_bind(vehicles::as_argument(&on_order)).push(")), added AS (").push(save::INSERT_VEHICLES);
    sql.push(" FROM v), tagged AS (INSERT INTO order_tags (tenant_id, order_id, tag_id) SELECT app.tenant_id(), ");
    sql.push_bind(id).push(", unnest(").push_bind(tag_ids.clone()).push("::uuid[])), history AS (");
    save::push_history(&mut sql, save::steps(id, &moves));
    sql.push(") SELECT ").push(Include::default().columns()).push(", ").push(ANSWERS).push(" FROM t");

    let written: Written = tx.fetch_one(sql).await.map_err(name_fields)?;
    let mut order = checked(written, true)?;
    order.vehicles = Some(vehicles);
    order.tag_ids = Some(tag_ids);
    Ok(order)
}

/// A stop that names a location takes from it what it leaves out.
const INSERT: &str = "INSERT INTO orders (tenant_id, id, number, reference, transport_type, customer_id, dispatcher_id, \
    pickup_location_id, pickup_name, pickup_address, pickup_city, pickup_state, pickup_zip, pickup_contact_name, \
    pickup_phone, pickup_time_zone, pickup_from, pickup_to, pickup_notes, \
    delivery_location_id, delivery_name, delivery_address, delivery_city, delivery_state, delivery_zip, \
    delivery_contact_name, delivery_phone, delivery_time_zone, delivery_from, delivery_to, delivery_notes, \
    price, broker_fee, cod_amount, currency, payment_method, payment_term, notes, vehicle_count, is_inoperable, created_by) \
    SELECT app.tenant_id(), o.id, n.number, o.reference, o.transport_type, o.customer_id, o.dispatcher_id, \
    o.pickup_location_id, coalesce(o.pickup_name, p.name), coalesce(o.pickup_address, p.address), \
    coalesce(o.pickup_city, p.city), coalesce(o.pickup_state, p.state), coalesce(o.pickup_zip, p.zip), \
    coalesce(o.pickup_contact_name, p.contact_name), coalesce(o.pickup_phone, p.phone), \
    coalesce(o.pickup_time_zone, p.time_zone), o.pickup_from, o.pickup_to, o.pickup_notes, \
    o.delivery_location_id, coalesce(o.delivery_name, d.name), coalesce(o.delivery_address, d.address), \
    coalesce(o.delivery_city, d.city), coalesce(o.delivery_state, d.state), coalesce(o.delivery_zip, d.zip), \
    coalesce(o.delivery_contact_name, d.contact_name), coalesce(o.delivery_phone, d.phone), \
    coalesce(o.delivery_time_zone, d.time_zone), o.delivery_from, o.delivery_to, o.delivery_notes, \
    o.price, o.broker_fee, o.cod_amount, o.currency, o.payment_method, o.payment_term, o.notes, o.vehicle_count, \
    o.is_inoperable, app.actor_id() \
    FROM o CROSS JOIN n \
    LEFT JOIN locations p ON p.tenant_id = app.tenant_id() AND p.id = o.pickup_location_id \
    LEFT JOIN locations d ON d.tenant_id = app.tenant_id() AND d.id = o.delivery_location_id \
    RETURNING *";

/// Changes an order that was loaded for it.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field.
pub async fn update(tx: &mut Tx, order: Order, patch: OrderPatch) -> Result<Order> {
    let mut violations = Violations::default();
    let method = patch.payment_method.over(order.payment_method);
    payment::check(method, patch.payment_term.over(order.payment_term), &mut violations);
    let tag_ids = match patch.tag_ids {
        Patch::Keep => None,
        Patch::Set(tag_ids) => Some(distinct(tag_ids)),
    };
    check_sizes(0, tag_ids.as_ref().map_or(0, Vec::len), &mut violations);

    let mut changes = Assignments::default();
    changes
        .patch("customer_id", patch.customer_id)
        .patch("reference", patch.reference)
        .patch("transport_type", patch.transport_type)
        .patch("price", patch.price)
        .patch("broker_fee", patch.broker_fee)
        .patch("cod_amount", patch.cod_amount)
        .patch("payment_method", patch.payment_method)
        .patch("payment_term", patch.payment_term)
        .patch("dispatcher_id", patch.dispatcher_id)
        .patch("notes", patch.notes)
        .patch("custom_status_id", patch.custom_status_id);
    let (mut pickup_from, mut delivery_to) = (order.pickup.from, order.delivery.to);
    if let Patch::Set(stop) = patch.pickup {
        (pickup_from, _) = stop.check(&order.pickup, "/pickup", &mut violations);
        patch_stop!(changes, stop, "pickup");
    }
    if let Patch::Set(stop) = patch.delivery {
        (_, delivery_to) = stop.check(&order.delivery, "/delivery", &mut violations);
        patch_stop!(changes, stop, "delivery");
    }
    if (pickup_from, delivery_to) != (order.pickup.from, order.delivery.to) {
        check_order(pickup_from, delivery_to, &mut violations);
    }
    violations.into_result()?;

    let new_customer = !patch.customer_id.is_keep();
    let pairs = changes.pairs();
    let id = changes.bind(order.id);
    let tagging = tag_ids.clone().map_or(String::new(), |tag_ids| {
        let tags = changes.bind(tag_ids);
        format!(
            "WITH untagged AS (DELETE FROM order_tags WHERE tenant_id = app.tenant_id() AND order_id = {id} \
             AND tag_id <> ALL ({tags})), \
             tagged AS (INSERT INTO order_tags (tenant_id, order_id, tag_id) SELECT app.tenant_id(), {id}, unnest({tags}) \
             ON CONFLICT DO NOTHING) "
        )
    });
    let sql = format!(
        "{tagging}UPDATE orders t SET updated_at = now(){pairs} WHERE t.tenant_id = app.tenant_id() AND t.id = {id} \
         RETURNING {}, {ANSWERS}",
        Include::PARTS.columns()
    );
    let written = tx.fetch_assigned::<Written>(sql, changes).await.map_err(name_fields)?;
    let written = written.into_iter().next().ok_or(Error::NotFound("order"))?;
    let mut order = checked(written, new_customer)?;
    // The statement has read the tags as they were before it.
    order.tag_ids = tag_ids.or(order.tag_ids);
    Ok(order)
}

fn checked(written: Written, new_customer: bool) -> Result<Order> {
    let Written { order, customer_archived, custom_status_of } = written;
    let mut violations = Violations::default();
    violations.add_unless(!(new_customer && customer_archived), "/customer_id", "is archived");
    if let Some(status) = custom_status_of {
        let detail = || format!("is for orders that are {}, this one is {}", status.as_str(), order.status.as_str());
        violations.add_unless(status == order.status, "/custom_status_id", detail());
    }
    violations.into_result()?;
    Ok(order)
}

fn check_sizes(vehicles: usize, tags: usize, violations: &mut Violations) {
    violations.add_unless(
        vehicles <= MAX_VEHICLES,
        "/vehicles",
        format!("an order has at most {MAX_VEHICLES} vehicles"),
    );
    violations.add_unless(tags <= MAX_TAGS, "/tag_ids", format!("an order has at most {MAX_TAGS} tags"));
}

fn distinct(mut tag_ids: Vec<TagId>) -> Vec<TagId> {
    tag_ids.sort_unstable();
    tag_ids.dedup();
    tag_ids
}

/// Writes the fields of a stop under the names of its columns.
fn put_stop(row: &mut Value, kind: &str, stop: &NewStop) {
    if let Value::Object(fields) = json!(stop) {
        for (field, value) in fields {
            row[format!("{kind}_{field}")] = value;
        }
    }
}

/// The columns of a stop are fields of an object in JSON: `/pickup_city` is `/pickup/city` there. Tags are a list.
fn name_fields(error: Error) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let rename = |field: FieldError| {
        let stop = ["/pickup_", "/delivery_"].iter().find_map(|kind| Some((kind, field.pointer.strip_prefix(kind)?)));
        match stop {
            None if field.pointer == "/tag_id" => FieldError { pointer: "/tag_ids".into(), detail: field.detail },
            None => field,
            // Nothing could be copied from it: there is no such location.
            Some((kind, "city" | "state" | "time_zone")) => FieldError {
                pointer: format!("{}/location_id", kind.trim_end_matches('_')),
                detail: "there is no such thing in your carrier".into(),
            },
            Some((kind, rest)) => {
                FieldError { pointer: format!("{}/{rest}", kind.trim_end_matches('_')), detail: field.detail }
            }
        }
    };
    Error::Invalid(fields.into_iter().map(rename).collect())
}
