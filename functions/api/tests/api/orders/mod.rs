//! Orders through the API: one file for what a dispatcher does with them.

mod ability;
mod holds;
mod list;
mod moves;
mod split;
mod vehicles;
mod write;

use serde_json::{Value, json};

use crate::support::{Client, a_customer, id};

pub const VIN: &str = "1G4AH59H45G118341";
pub const OTHER_VIN: &str = "1M8GDM9AXKP042788";

pub fn a_vehicle() -> Value {
    json!({"vin": VIN, "year": 2005, "make": "Buick", "model": "LeSabre", "type": "sedan", "price": "450.00"})
}

/// An order for this customer, picked up tomorrow and delivered in three days, as they were when this was written.
pub fn an_order(customer: &str) -> Value {
    json!({
        "customer_id": customer,
        "reference": "LB-48213",
        "transport_type": "open",
        "pickup": {
            "name": "Lot 7", "address": "1 Auction Way", "city": "Lexington", "state": "KY", "zip": "40511",
            "time_zone": "America/New_York", "from": "2030-03-09T09:00:00-05:00", "to": "2030-03-09T17:00:00-05:00"
        },
        "delivery": {
            "city": "Dallas", "state": "TX", "zip": "75201",
            "time_zone": "America/Chicago", "from": "2030-03-12T09:00:00-05:00", "to": "2030-03-12T17:00:00-05:00"
        },
        "price": "900.00",
        "payment_method": "ach",
        "payment_term": "days_30",
        "vehicles": [a_vehicle(), {"vin": OTHER_VIN, "year": 1989, "make": "MCI", "lot_number": "L-778", "price": "450.00"}]
    })
}

pub async fn create_customer(client: &Client) -> String {
    id(&client.post("/v1/customers", a_customer()).await.expect(201))
}

pub async fn create_order(client: &Client) -> Value {
    let customer = create_customer(client).await;
    client.post("/v1/orders", an_order(&customer)).await.expect(201)
}

pub async fn create_driver(client: &Client, user: Option<uuid::Uuid>) -> String {
    id(&client.post("/v1/drivers", json!({"name": "Sam Reyes", "user_id": user})).await.expect(201))
}

pub fn path(order: &Value, rest: &str) -> String {
    format!("/v1/orders/{}{rest}", id(order))
}

/// The statuses of the order and its vehicles.
pub fn statuses(order: &Value) -> (String, Vec<String>) {
    let status = |value: &Value| value["status"].as_str().unwrap_or_default().to_owned();
    (
        status(order),
        order["vehicles"].as_array().expect("an order comes with its vehicles").iter().map(status).collect(),
    )
}
