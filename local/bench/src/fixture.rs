//! Rows of the loaded carriers that requests refer to, and the bodies of requests.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::types::Uuid;

use crate::Outcome;
use crate::database::Database;

/// What a carrier has, by the names that filters and bodies use.
pub struct Fixture {
    pub order: Uuid,
    pub customer: Uuid,
    pub driver: Uuid,
    pub truck: Uuid,
    pub trailer: Uuid,
    pub trip: Uuid,
    pub dispatcher: Uuid,
    pub tag: Uuid,
    pub custom_status: Uuid,
    pub cancel_reason: Uuid,
    pub vin: String,
    pub lot: String,
    pub number: i64,
    pub pickup_day: String,
    pub delivery_day: String,
}

impl Fixture {
    /// Of this carrier: an order from the middle of its history.
    pub async fn of(database: &Database, carrier: u32) -> Outcome<Self> {
        let sql = "WITH c AS (SELECT md5('tenant-' || $1 || '-0')::uuid AS tenant_id) \
            SELECT o.id, o.customer_id, o.driver_id, o.truck_id, o.trailer_id, o.trip_id, o.dispatcher_id, o.number, \
            o.pickup_date::text AS pickup_day, o.delivery_date::text AS delivery_day, v.vin, \
            (SELECT l.lot_number FROM order_vehicles l WHERE l.tenant_id = o.tenant_id AND l.lot_number IS NOT NULL LIMIT 1) AS lot, \
            (SELECT t.id FROM tags t WHERE t.tenant_id = o.tenant_id AND t.name = 'Tag 1') AS tag, \
            (SELECT s.id FROM custom_statuses s WHERE s.tenant_id = o.tenant_id AND s.system_status = 'new') AS custom_status, \
            (SELECT r.id FROM cancel_reasons r WHERE r.tenant_id = o.tenant_id ORDER BY r.label LIMIT 1) AS cancel_reason \
            FROM c JOIN orders o USING (tenant_id) \
            JOIN order_vehicles v ON v.tenant_id = o.tenant_id AND v.order_id = o.id AND v.position = 1 \
            WHERE o.status = 'delivered' AND o.archived_at IS NULL ORDER BY o.id DESC LIMIT 1";
        let mut superuser = database.superuser().await?;
        let row = sqlx::query(sql).bind(carrier.to_string()).fetch_one(&mut superuser).await?;
        Ok(Self {
            order: row.try_get("id")?,
            customer: row.try_get("customer_id")?,
            driver: row.try_get("driver_id")?,
            truck: row.try_get("truck_id")?,
            trailer: row.try_get("trailer_id")?,
            trip: row.try_get("trip_id")?,
            dispatcher: row.try_get("dispatcher_id")?,
            tag: row.try_get("tag")?,
            custom_status: row.try_get("custom_status")?,
            cancel_reason: row.try_get("cancel_reason")?,
            vin: row.try_get("vin")?,
            lot: row.try_get("lot")?,
            number: row.try_get("number")?,
            pickup_day: row.try_get("pickup_day")?,
            delivery_day: row.try_get("delivery_day")?,
        })
    }

    /// An order with two vehicles, as a dispatcher types it in.
    pub fn new_order(&self) -> Value {
        let vehicle = |vin: &str, lot: Option<&str>| {
            json!({"vin": vin, "year": 2021, "make": "Ford", "model": "F-150", "type": "pickup", "color": "White",
                   "weight_lbs": 4700, "lot_number": lot, "price": "310.00"})
        };
        json!({
            "customer_id": self.customer,
            "reference": "LB-48213",
            "transport_type": "open",
            "pickup": {"name": "Nashville auction", "address": "1450 Foster Ave", "city": "Nashville", "state": "TN",
                       "zip": "37210", "time_zone": "America/Chicago", "from": "2026-12-01T14:00:00Z", "to": "2026-12-01T22:00:00Z"},
            "delivery": {"name": "Queen City dealer", "address": "210 Reading Rd", "city": "Cincinnati", "state": "OH",
                         "zip": "45202", "time_zone": "America/New_York", "from": "2026-12-03T14:00:00Z", "to": "2026-12-03T22:00:00Z"},
            "price": "620.00",
            "broker_fee": "40.00",
            "payment_method": "ach",
            "payment_term": "days_30",
            "notes": "Call an hour before arrival.",
            "vehicles": [vehicle("1G4AH59H45G118341", Some("771204")), vehicle("1M8GDM9AXKP042788", None)],
        })
    }

    /// A query string for each filter of the dispatch list.
    pub fn filters(&self) -> Vec<(&'static str, String)> {
        let zip = "37210";
        vec![
            ("no filter", String::new()),
            ("status", "status=new".into()),
            ("several statuses", "status=new&status=assigned".into()),
            ("custom status", format!("custom_status={}", self.custom_status)),
            ("unassigned", "unassigned=true".into()),
            ("driver", format!("driver={}", self.driver)),
            ("truck", format!("truck={}", self.truck)),
            ("trip", format!("trip={}", self.trip)),
            ("dispatcher", format!("dispatcher={}", self.dispatcher)),
            ("customer", format!("customer={}", self.customer)),
            ("tag", format!("tag={}", self.tag)),
            ("pickup state", "pickup_state=TN".into()),
            ("pickup city", "pickup_city=Nashville".into()),
            ("pickup zip", format!("pickup_zip={zip}")),
            ("pickup days", format!("pickup_date_from={0}&pickup_date_to={0}", self.pickup_day)),
            ("pickup state and city", "pickup_state=TN&pickup_city=Nashville".into()),
            ("delivery state", "delivery_state=OH".into()),
            ("delivery city", "delivery_city=Columbus".into()),
            ("delivery zip", "delivery_zip=43217".into()),
            ("delivery days", format!("delivery_date_from={0}&delivery_date_to={0}", self.delivery_day)),
            ("transport type", "transport_type=enclosed".into()),
            ("inoperable", "is_inoperable=true".into()),
            ("payment term", "payment_term=days_15".into()),
            ("billing state", "billing_status=invoiced".into()),
            ("proof of delivery", "has_pod=true".into()),
            ("late", "late=true".into()),
            ("on hold", "on_hold=true".into()),
            ("archived", "archived=true".into()),
            ("search: number", format!("q={}", self.number)),
            ("search: VIN", format!("q={}", self.vin)),
            ("search: last six of a VIN", format!("q={}", &self.vin[11..])),
            ("search: lot", format!("q={}", self.lot)),
            ("search: customer", "q=lakeside".into()),
            ("search: a word of every customer", "q=motors".into()),
            ("search: two words of a customer", "q=lakeside%20motors".into()),
            ("search: the beginning of every VIN", "q=1ft".into()),
            ("what is to do, next pickup first", "status=new&status=assigned&sort=pickup_date".into()),
            ("late, next pickup first", "late=true&sort=pickup_date".into()),
            ("unassigned, next pickup first", "unassigned=true&sort=pickup_date".into()),
            ("archived by pickup day", "archived=true&sort=-pickup_date".into()),
            ("oldest first", "sort=created_at".into()),
            ("sort by number", "sort=-number".into()),
            ("sort by pickup day", "sort=pickup_date".into()),
            ("sort by last change", "sort=-updated_at".into()),
        ]
    }
}
