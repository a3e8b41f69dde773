//! Trips through the API: one file for what a dispatcher and a driver do with them.

mod corrections;
mod list;
mod loads;
mod moves;
mod relay;
mod stops;
mod warnings;
mod write;

use serde_json::{Value, json};

use crate::orders::{self, a_vehicle};
use crate::support::{Carrier, Client, TestApp, id};

/// A carrier with what a trip is made of.
pub struct Scene {
    pub app: TestApp,
    pub carrier: Carrier,
    pub driver: String,
    pub truck: String,
    pub trailer: String,
    customer: String,
}

impl Scene {
    /// With room for nine vehicles.
    pub async fn set() -> Self {
        let app = TestApp::start().await;
        let carrier = app.carrier().await;
        let owner = &carrier.owner;
        let customer = orders::create_customer(owner).await;
        let driver = orders::create_driver(owner, None).await;
        let truck = create(owner, "/v1/trucks", json!({"unit_number": "101", "capacity": 1})).await;
        let trailer = create(owner, "/v1/trailers", json!({"unit_number": "R1", "capacity": 8})).await;
        Self { driver, truck, trailer, customer, app, carrier }
    }

    pub fn owner(&self) -> &Client {
        &self.carrier.owner
    }

    /// An order of two vehicles from Lexington to Dallas.
    pub async fn order(&self) -> Value {
        self.owner().post("/v1/orders", orders::an_order(&self.customer)).await.expect(201)
    }

    /// An order of so many vehicles in these days of March 2030.
    pub async fn order_of(&self, vehicles: usize, from: u32, to: u32) -> Value {
        let mut order = orders::an_order(&self.customer);
        order["vehicles"] = json!(vec![a_vehicle(); vehicles]);
        for (stop, day) in [("pickup", from), ("delivery", to)] {
            order[stop]["from"] = json!(format!("2030-03-{day:02}T15:00:00Z"));
            order[stop]["to"] = json!(format!("2030-03-{day:02}T19:00:00Z"));
        }
        self.owner().post("/v1/orders", order).await.expect(201)
    }

    pub fn a_trip(&self, orders: &[&Value]) -> Value {
        json!({"driver_id": self.driver, "truck_id": self.truck, "trailer_id": self.trailer,
               "order_ids": orders.iter().map(|order| id(order)).collect::<Vec<_>>()})
    }

    pub async fn trip(&self, orders: &[&Value]) -> Value {
        self.owner().post("/v1/trips", self.a_trip(orders)).await.expect(201)
    }

    pub async fn order_now(&self, order: &Value) -> Value {
        self.owner().get(&orders::path(order, "")).await.expect(200)
    }

    pub async fn trip_now(&self, trip: &Value) -> Value {
        self.owner().get(&path(trip, "")).await.expect(200)
    }

    /// Moves the trip through these actions.
    pub async fn go(&self, trip: &Value, actions: &[&str]) -> Value {
        let mut now = trip.clone();
        for action in actions {
            now = self.owner().post(&path(trip, &format!("/{action}")), json!({})).await.expect(200);
        }
        now
    }

    /// All of the order is picked up, and delivered.
    pub async fn haul(&self, order: &Value) {
        for action in ["/pickup", "/deliver"] {
            self.owner().post(&orders::path(order, action), json!({})).await.expect(200);
        }
    }

    pub async fn cancel_reason(&self) -> String {
        id(&self.owner().get("/v1/cancel-reasons").await.expect(200)["data"][0])
    }
}

pub async fn create(client: &Client, path: &str, body: Value) -> String {
    id(&client.post(path, body).await.expect(201))
}

pub fn path(trip: &Value, rest: &str) -> String {
    format!("/v1/trips/{}{rest}", id(trip))
}

/// What is done at the stops, in their order, and for which order.
pub fn plan(trip: &Value) -> Vec<(String, String)> {
    let stops = trip["stops"].as_array().expect("a trip comes with its stops").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    stops.map(|stop| (text(&stop["kind"]), text(&stop["order_id"]))).collect()
}
