//! From a draft that was read out of a tender to a new order: the values without their quotes, the customer and the time
//! zones that the carrier knows, and what the person who applies it says besides.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::FromRow;
use sqlx::types::Json;

use super::super::duplicates::{self, Duplicate};
use super::{Application, Execution, below_changes};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::vin::Vin;
use crate::customers::CustomerId;
use crate::drivers::DriverId;
use crate::orders::NewOrder;
use crate::skills::rules::extract_order::draft::LocalTime;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// What the database knows of an execution's draft, or of what it is about.
#[derive(Debug, FromRow)]
pub struct Found {
    /// Customers of that name; two are enough to know that it is not clear.
    customer_ids: Json<Vec<CustomerId>>,
    pickup_time_zone: Option<String>,
    delivery_time_zone: Option<String>,
    duplicates: Json<Vec<Duplicate>>,
    /// What the drivers of a match have driven last.
    pub equipment: Json<BTreeMap<DriverId, Equipment>>,
    pub target_ids: Vec<uuid::Uuid>,
    pub target_versions: Vec<i64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Equipment {
    pub truck_id: Option<TruckId>,
    pub trailer_id: Option<TrailerId>,
}

/// The columns of [`Found`], beside those of an execution `t`.
pub static FOUND: LazyLock<String> = LazyLock::new(|| {
    let duplicates = duplicates::select(
        "t.output #>> '{order,reference,value}'",
        "ARRAY(SELECT v #>> '{vin,value}' FROM jsonb_array_elements(t.output #> '{order,vehicles}') AS v)",
    );
    let zone = |stop: &str| {
        format!(
            "(SELECT l.time_zone FROM locations l WHERE l.tenant_id = t.tenant_id AND l.archived_at IS NULL \
             AND l.state = t.output #>> '{{order,{stop},state,value}}' \
             AND l.city_lower = lower(t.output #>> '{{order,{stop},city,value}}') LIMIT 1)"
        )
    };
    format!(
        "t.target_ids, t.target_versions, {pickup} AS pickup_time_zone, {delivery} AS delivery_time_zone, \
         (SELECT coalesce(json_agg(c.id), '[]') FROM (SELECT DISTINCT c.id \
         FROM app.search_words(t.output #>> '{{order,customer,name,value}}') AS word \
         JOIN customer_search_terms s ON s.tenant_id = t.tenant_id AND s.term = word \
         JOIN customers c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id AND c.archived_at IS NULL \
         AND lower(c.name) = lower(t.output #>> '{{order,customer,name,value}}') LIMIT 2) c) AS customer_ids, \
         CASE WHEN t.kind = 'extract_order' THEN (SELECT coalesce(json_agg(d), '[]') FROM ({duplicates}) d) ELSE '[]' END \
         AS duplicates, \
         CASE WHEN t.kind = 'match_driver' THEN (SELECT coalesce(json_object_agg(d.id, json_build_object('truck_id', o.truck_id, \
         'trailer_id', o.trailer_id)), '{{}}') FROM drivers d CROSS JOIN LATERAL (SELECT o.truck_id, o.trailer_id FROM orders o \
         WHERE o.tenant_id = d.tenant_id AND o.driver_id = d.id AND o.truck_id IS NOT NULL ORDER BY o.id DESC LIMIT 1) o \
         WHERE d.tenant_id = t.tenant_id AND d.id IN (SELECT (r ->> 'driver_id')::uuid \
         FROM jsonb_array_elements(t.output -> 'drivers') AS r)) ELSE '{{}}' END AS equipment",
        pickup = zone("pickup"),
        delivery = zone("delivery"),
    )
});

/// # Errors
/// [`Error::Invalid`] with pointers into the changes; a conflict for a possible duplicate.
pub fn new_order(execution: &Execution, found: &Found, how: Application, currency: &str) -> Result<NewOrder> {
    let of_match = [
        ("/driver_id", how.driver_id.is_some()),
        ("/truck_id", how.truck_id.is_some()),
        ("/trailer_id", how.trailer_id.is_some()),
    ];
    if let Some((field, _)) = of_match.into_iter().find(|(_, given)| *given) {
        return Err(Error::invalid(field, "is for a match; who drives a drafted order is decided later"));
    }
    if !how.allow_duplicates && !found.duplicates.is_empty() {
        let told = |it: &Duplicate| format!("order {} has {}", it.number, it.reason);
        let told = found.duplicates.iter().map(told).collect::<Vec<_>>().join(", ");
        return Err(Error::conflict(
            ConflictCode::PossibleDuplicate,
            format!("{told}; to make one all the same, allow_duplicates"),
        ));
    }
    let draft = execution.output.as_ref().map_or(&Value::Null, |output| &output["order"]);
    let mut violations = Violations::default();
    let mut order = drafted(draft);
    match found.customer_ids.as_slice() {
        [only] => order["customer_id"] = json!(only),
        several => violations.add_unless(
            how.changes.contains_key("customer_id"),
            "/changes/customer_id",
            format!(
                "is needed: {} of your customers has the name {}",
                if several.is_empty() { "none" } else { "more than one" },
                told(&draft["customer"], "name")
            ),
        ),
    }
    for (stop, known) in [("pickup", &found.pickup_time_zone), ("delivery", &found.delivery_time_zone)] {
        put_window(&mut order, draft, stop, known.as_deref(), &how.changes, &mut violations);
    }
    let tendered = draft["currency"]["value"].as_str();
    if let Some(tendered) = tendered.filter(|tendered| *tendered != currency) {
        violations.add_unless(
            how.changes.contains_key("price"),
            "/changes/price",
            format!("is needed: the tender is in {tendered}, your orders are in {currency}"),
        );
    }
    check_vins(&mut order, &how, &mut violations);
    let says_price = how.changes.contains_key("price");
    merge(&mut order, Value::Object(how.changes));
    if !how.allow_warnings {
        check_sums(&order, says_price, &mut violations);
    }
    violations.into_result()?;
    serde_path_to_error::deserialize(order).map_err(|error| {
        let pointer = format!("/{}", error.path().to_string().replace(['.', '['], "/").replace(']', ""));
        below_changes(Error::invalid(if pointer == "/" { "" } else { &pointer }, error.inner().to_string()))
    })
}

fn told(part: &Value, field: &str) -> Value {
    part[field]["value"].clone()
}

/// The members of a draft that are told, without what they are told by.
fn values(part: &Value, fields: &[&str]) -> Value {
    let told = fields.iter().map(|field| ((*field).to_owned(), told(part, field)));
    Value::Object(told.filter(|(_, value)| !value.is_null()).collect())
}

fn drafted(draft: &Value) -> Value {
    let mut order = values(
        draft,
        &["reference", "transport_type", "price", "broker_fee", "cod_amount", "payment_method", "payment_term"],
    );
    // One goes with the other.
    if order.get("payment_method").is_none() || order.get("payment_term").is_none() {
        order.as_object_mut().map(|it| (it.remove("payment_method"), it.remove("payment_term")));
    }
    let list = |part: &Value| part.as_array().cloned().unwrap_or_default();
    let texts =
        |part: &Value| list(part).iter().filter_map(|it| it["value"].as_str().map(str::to_owned)).collect::<Vec<_>>();
    let notes = texts(&draft["notes"]).join("\n");
    if !notes.is_empty() {
        order["notes"] = json!(notes.chars().take(4000).collect::<String>());
    }
    for stop in ["pickup", "delivery"] {
        let part = &draft[stop];
        order[stop] = values(part, &["name", "address", "city", "state", "zip", "contact_name", "phone"]);
        let numbers = [("buyer_number", "Buyer"), ("gate_number", "Gate")]
            .map(|(field, label)| part[field]["value"].as_str().map(|number| format!("{label} number {number}")));
        let numbers: Vec<String> = numbers.into_iter().flatten().collect();
        if !numbers.is_empty() {
            order[stop]["notes"] = json!(numbers.join("\n"));
        }
    }
    order["vehicles"] =
        list(&draft["vehicles"]).iter().map(|part| vehicle(part, &texts(&part["inoperable_flags"]))).collect();
    order
}

fn vehicle(part: &Value, flags: &[String]) -> Value {
    let mut vehicle =
        values(part, &["vin", "year", "make", "model", "type", "color", "lot_number", "is_inoperable", "price"]);
    vehicle["inoperable_flags"] = json!(flags);
    vehicle
}

/// A VIN whose check digit does not fit is kept on purpose alone. Vehicles that the person says are checked like any order's.
fn check_vins(order: &mut Value, how: &Application, violations: &mut Violations) {
    if how.changes.contains_key("vehicles") {
        return;
    }
    for (n, vehicle) in order["vehicles"].as_array_mut().into_iter().flatten().enumerate() {
        let Some(vin) = vehicle["vin"].as_str().and_then(|vin| Vin::parse(vin).ok()) else { continue };
        if !vin.check_digit_fits() {
            vehicle["vin_override"] = json!(true);
            let detail = format!("the check digit of {} does not fit; if it is right, allow_warnings", vin.as_str());
            violations.add_unless(how.allow_warnings, format!("/changes/vehicles/{n}/vin"), detail);
        }
    }
}

/// The price of the order as it would be made: a tender can be misread, and can ask for a price of its own.
fn check_sums(order: &Value, says_price: bool, violations: &mut Violations) {
    let amount = |part: &Value| part["price"].as_str().and_then(|price| price.parse::<Decimal>().ok());
    let Some(price) = amount(order) else { return };
    violations.add_unless(
        says_price || !price.is_zero(),
        "/changes/price",
        "is zero; if that is right, allow_warnings",
    );
    let vehicles = order["vehicles"].as_array().map_or(&[][..], Vec::as_slice);
    // What no amount can be is refused as such.
    let sum = vehicles.iter().try_fold(Decimal::ZERO, |sum, vehicle| sum.checked_add(amount(vehicle)?));
    if let Some(sum) = sum.filter(|_| !vehicles.is_empty()) {
        let detail = format!("the vehicles' prices come to {sum}, not to {price}; if that is right, allow_warnings");
        violations.add_unless(sum == price, "/changes/price", detail);
    }
}

/// A tender tells days and hours of the stop's own clocks. Which zone that is: what the person says, the carrier's location
/// in that town, or the state's if it has one alone.
fn put_window(
    order: &mut Value,
    draft: &Value,
    stop: &str,
    known: Option<&str>,
    changes: &Map<String, Value>,
    violations: &mut Violations,
) {
    let changed = |field: &str| changes.get(stop).and_then(|changes| changes.get(field));
    let state = changed("state").or(order[stop].get("state")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let zone = changed("time_zone").and_then(Value::as_str).or(known).or(zone_of_state(&state));
    let from = draft[stop]["from"]["value"].as_str().and_then(|told| told.parse::<LocalTime>().ok());
    let to = draft[stop]["to"]["value"].as_str().and_then(|told| told.parse::<LocalTime>().ok());
    let Some(zone) = zone else {
        let names_location = changed("location_id").is_some_and(|id| !id.is_null());
        let says_window = changed("from").is_some() && changed("to").is_some();
        violations.add_unless(
            names_location && says_window,
            format!("/changes/{stop}/time_zone"),
            if state.is_empty() { "is needed".to_owned() } else { format!("is needed: {state} has more than one") },
        );
        return;
    };
    order[stop]["time_zone"] = json!(zone);
    let Ok(zone) = zone.parse::<Tz>() else { return };
    if let Some(opens) = from.or(to.map(|to| LocalTime { time: None, ..to })) {
        order[stop]["from"] = json!(moment(opens, NaiveTime::MIN, zone));
    }
    let end_of_day = NaiveTime::from_hms_opt(23, 59, 0).unwrap_or_default();
    if let Some(closes) = to.or(from.map(|from| LocalTime { time: None, ..from })) {
        order[stop]["to"] = json!(moment(closes, end_of_day, zone));
    }
}

/// An hour that a clock skips is taken as the next; one that it shows twice as the first.
fn moment(told: LocalTime, otherwise: NaiveTime, zone: Tz) -> Option<DateTime<Utc>> {
    let local = told.date.and_time(told.time.unwrap_or(otherwise));
    let exact = |local: chrono::NaiveDateTime| local.and_local_timezone(zone).earliest();
    exact(local).or_else(|| exact(local + TimeDelta::hours(1))).map(|moment| moment.to_utc())
}

/// The zone of states that lie in one alone.
/// <https://www.ecfr.gov/current/title-49/subtitle-A/part-71>
fn zone_of_state(state: &str) -> Option<&'static str> {
    Some(match state {
        "CT" | "DC" | "DE" | "GA" | "MA" | "MD" | "ME" | "NC" | "NH" | "NJ" | "NY" | "OH" | "PA" | "RI" | "SC"
        | "VA" | "VT" | "WV" => "America/New_York",
        "AL" | "AR" | "IA" | "IL" | "LA" | "MN" | "MO" | "MS" | "OK" | "WI" => "America/Chicago",
        "CO" | "MT" | "NM" | "UT" | "WY" => "America/Denver",
        "CA" | "WA" => "America/Los_Angeles",
        "HI" => "Pacific/Honolulu",
        _ => return None,
    })
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}
