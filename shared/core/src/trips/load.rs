//! A trip as it is loaded to be changed: locked with its orders, and with what the change names beside them.

use std::fmt::{Display, Write as _};

use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::ability;
use super::trip::{Include, Trip, TripId};
use crate::base::error::{Error, Result};
use crate::base::patch::Patch;
use crate::drivers::DriverId;
use crate::hauling::{Hauler, Load};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::locations::LocationId;
use crate::orders::list::Include as OrderInclude;
use crate::orders::{Order, OrderId};
use crate::platform::db::{Db, Tx};
use crate::platform::idempotency::IdempotencyKey;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// What a change names: it is looked up while the transaction is opened.
#[derive(Debug, Default)]
pub struct Named {
    pub driver_id: Patch<Option<DriverId>>,
    pub truck_id: Patch<Option<TruckId>>,
    pub trailer_id: Patch<Option<TrailerId>>,
    pub order_ids: Vec<OrderId>,
    pub location_ids: Vec<LocationId>,
}

/// A trip, its orders and those that were named, and what is known of the rest.
pub struct Loaded {
    pub trip: Trip,
    /// Those on the trip and those that were named, in the order of their ids.
    pub(super) orders: Vec<Order>,
    pub(super) facts: Facts,
}

/// What is known of the driver, the truck and the trailer as they would be, and of the locations that were named.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    #[serde(flatten)]
    pub hauler: Hauler,
    pub places: Vec<Place>,
    /// Of the locations of the stops and orders, those that ask for a TWIC.
    pub twic: Vec<LocationId>,
    /// The other trips in progress that have the driver, the truck or the trailer, too.
    pub others: Vec<OtherTrip>,
}

/// Another trip, and what it has.
#[derive(Debug, Deserialize)]
pub(super) struct OtherTrip {
    pub number: i64,
    pub has_driver: bool,
    pub has_truck: bool,
    pub has_trailer: bool,
}

/// What holds unless something else is named, in SQL.
pub(super) struct Present<'a> {
    pub tenant: &'a str,
    pub trip: &'a str,
    pub driver: &'a str,
    pub truck: &'a str,
    pub trailer: &'a str,
    /// A SELECT of the locations where it stops.
    pub locations: &'a str,
}

/// What a stop copies of a location.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Place {
    pub id: LocationId,
    pub name: String,
    pub address: String,
    pub city: String,
    pub state: String,
    pub zip: String,
    pub contact_name: Option<String>,
    pub phone: Option<String>,
    pub time_zone: String,
}

/// Opens a transaction with the trip loaded and locked, and its orders and those that are named after it, in the order of
/// their ids, so that two requests do not wait for each other in a circle. `version` is the one that the caller has seen.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin(
    db: &Db,
    actor: &Actor,
    action: Action,
    key: Option<&IdempotencyKey>,
    (id, version): (TripId, Option<i64>),
    named: &Named,
) -> Result<(Tx, Loaded)> {
    let orders =
        format!("t.tenant_id = app.tenant_id() AND (t.trip_id = '{id}' OR t.id IN ({}))", list(&named.order_ids));
    let locations = format!(
        "SELECT s.location_id FROM trip_stops s WHERE s.tenant_id = app.tenant_id() AND s.trip_id = '{id}' UNION ALL {}",
        named.locations(&orders)
    );
    let present = Present {
        tenant: "app.tenant_id()",
        trip: "t.id",
        driver: "t.driver_id",
        truck: "t.truck_id",
        trailer: "t.trailer_id",
        locations: &locations,
    };
    // Locked first and read afterwards: a statement that has waited for a lock sees the row anew, and its parts as they were
    // before.
    let load = format!(
        "SELECT FROM trips t WHERE t.tenant_id = app.tenant_id() AND t.id = '{id}' FOR UPDATE; \
         SELECT FROM orders t WHERE {orders} ORDER BY t.id FOR UPDATE; \
         SELECT {columns}, r.loaded_trip, r.facts FROM (SELECT l.trip AS loaded_trip, {facts} AS facts \
         FROM trips t CROSS JOIN LATERAL (SELECT {trip}) l WHERE t.tenant_id = app.tenant_id() AND t.id = '{id}') r \
         LEFT JOIN orders t ON {orders} ORDER BY t.id",
        columns = OrderInclude::PARTS.columns(),
        trip = Include { orders: false, ..Include::PARTS }.columns(),
        facts = named.facts(&present),
    );
    let loaded = db.begin_loading(actor, action, key, Some(&load)).await?;
    let first = loaded.rows.first().ok_or(Error::NotFound("trip"))?;
    let Json(trip): Json<Trip> = first.try_get("loaded_trip").map_err(Error::internal)?;
    if version.is_some_and(|version| version != trip.version) {
        return Err(Error::Stale);
    }
    let (orders, facts) = orders_and_facts(&loaded.rows)?;
    Ok((loaded.tx, Loaded { trip, orders, facts }))
}

/// Opens a transaction for a trip that is still to be made.
///
/// # Errors
/// Those of [`Db::begin`].
pub(super) async fn begin_new(
    db: &Db,
    actor: &Actor,
    action: Action,
    key: Option<&IdempotencyKey>,
    named: &Named,
) -> Result<(Tx, Vec<PgRow>)> {
    let orders = format!("t.tenant_id = app.tenant_id() AND t.id IN ({})", list(&named.order_ids));
    let locations = named.locations(&orders);
    let nothing = "NULL::uuid";
    let present = Present {
        tenant: "app.tenant_id()",
        trip: nothing,
        driver: nothing,
        truck: nothing,
        trailer: nothing,
        locations: &locations,
    };
    let load = format!(
        "SELECT FROM orders t WHERE {orders} ORDER BY t.id FOR UPDATE; \
         SELECT {columns}, r.facts FROM (SELECT {facts} AS facts) r LEFT JOIN orders t ON {orders} ORDER BY t.id",
        columns = OrderInclude::PARTS.columns(),
        facts = named.facts(&present),
    );
    let loaded = db.begin_loading(actor, action, key, Some(&load)).await?;
    Ok((loaded.tx, loaded.rows))
}

/// Ids are safe to write into a statement.
fn list(ids: &[impl Display]) -> String {
    ids.iter().fold("NULL".to_owned(), |mut list, id| {
        let _ = write!(list, ", '{id}'");
        list
    })
}

impl Named {
    /// A SELECT of the locations that are named, and those of orders `t` that a condition holds for.
    fn locations(&self, orders: &str) -> String {
        format!(
            "SELECT unnest(ARRAY[t.pickup_location_id, t.delivery_location_id]) FROM orders t WHERE {orders} \
             UNION ALL SELECT unnest(ARRAY[{}]::uuid[])",
            list(&self.location_ids)
        )
    }

    /// The facts as JSON.
    pub(super) fn facts(&self, present: &Present<'_>) -> String {
        let Present { tenant, trip, driver, truck, trailer, locations } = present;
        fn id<T: Display>(named: &Patch<Option<T>>, present: &str) -> String {
            match named {
                Patch::Keep => present.to_owned(),
                Patch::Set(None) => "NULL::uuid".to_owned(),
                Patch::Set(Some(id)) => format!("'{id}'::uuid"),
            }
        }
        let (driver, truck) = (id(&self.driver_id, driver), id(&self.truck_id, truck));
        let trailer = id(&self.trailer_id, trailer);
        format!(
            "json_build_object({hauler}, \
             'twic', (SELECT coalesce(json_agg(l.id), '[]') FROM locations l WHERE l.tenant_id = {tenant} \
             AND l.twic_required AND l.id IN ({locations})), \
             'others', (SELECT coalesce(json_agg(json_build_object('number', p.number, \
             'has_driver', coalesce(p.driver_id = {driver}, false), 'has_truck', coalesce(p.truck_id = {truck}, false), \
             'has_trailer', coalesce(p.trailer_id = {trailer}, false)) ORDER BY p.number), '[]') FROM trips p \
             WHERE p.tenant_id = {tenant} AND p.status = 'in_progress' AND p.id <> {trip} \
             AND (p.driver_id = {driver} OR p.truck_id = {truck} OR p.trailer_id = {trailer})), \
             'places', (SELECT coalesce(json_agg(json_build_object('id', l.id, 'name', l.name, 'address', l.address, \
             'city', l.city, 'state', l.state, 'zip', l.zip, 'contact_name', l.contact_name, 'phone', l.phone, \
             'time_zone', l.time_zone)), '[]') FROM locations l WHERE l.tenant_id = {tenant} AND l.id IN ({})))",
            list(&self.location_ids),
            hauler = Hauler::members(tenant, &driver, &truck, &trailer),
        )
    }
}

/// The orders and the facts of rows that were loaded for them.
pub(super) fn orders_and_facts(rows: &[PgRow]) -> Result<(Vec<Order>, Facts)> {
    let first = rows.first().ok_or_else(|| Error::internal("nothing was loaded"))?;
    let Json(facts) = first.try_get("facts").map_err(Error::internal)?;
    let is_order = |row: &&PgRow| row.try_get::<Option<Uuid>, _>("id").is_ok_and(|id| id.is_some());
    let orders =
        rows.iter().filter(is_order).map(Order::from_row).collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok((orders, facts))
}

impl Loaded {
    /// The orders on the trip.
    pub(super) fn on_trip(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(|order| order.trip_id == Some(self.trip.id))
    }

    /// What of them is still to be hauled.
    pub(super) fn loads(&self) -> Vec<Load> {
        self.on_trip().filter_map(ability::load).collect()
    }
}
