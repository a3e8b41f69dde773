//! Round trips to the database of each kind of request, on a warm instance.

use carhaul_testkit::TripCounter;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Outcome;
use crate::database::Database;
use crate::fixture::Fixture;
use crate::function::{Function, Places, Request, World};
use crate::report::{self, Report};

/// Not the largest carrier: what is created here shall not disturb what is measured there.
pub const CARRIER: u32 = 2;

pub async fn measure(world: &World, database: &Database, report: &mut Report) -> Outcome<()> {
    let wire = TripCounter::start(&world.pooler).await;
    let places = Places { database: format!("{}:{}", wire.host(), wire.port()), ..world.places() };
    let fixture = Fixture::of(database, CARRIER).await?;
    let mut round = Round { function: world.instance_at(database, CARRIER, &places).await?, wire, trips: Vec::new() };
    // The first round prepares the statements.
    round.run(&fixture).await?;
    round.trips.clear();
    round.run(&fixture).await?;

    let hot = |name: &str| name == "order list" || name == "order get";
    let most = |hot_ones: bool| {
        let trips = round.trips.iter().filter(|(name, _)| hot(name) == hot_ones);
        trips.map(|(_, trips)| *trips).max().unwrap_or(0)
    };
    for (name, trips) in &round.trips {
        report::progress(&format!("{name:40} {trips}"));
    }
    report.at_most("round trips: order list, order get", most(true) as f64, 1.0, "");
    let others = round.trips.len() - 2;
    report.at_most(format!("round trips: the most of {others} other requests"), most(false) as f64, 3.0, "");
    Ok(())
}

struct Round {
    function: Function,
    wire: TripCounter,
    trips: Vec<(String, usize)>,
}

impl Round {
    async fn run(&mut self, fixture: &Fixture) -> Outcome<()> {
        self.count("order list", Request::get("/v1/orders")).await?;
        self.count("order get", Request::get(format!("/v1/orders/{}", fixture.order))).await?;
        let everything =
            "/v1/orders?include=vehicles&include=tags&include=customer&include=driver&include=trip&include=counts";
        self.count("order list, everything included", Request::get(everything)).await?;
        self.count("order history", Request::get(format!("/v1/orders/{}/history", fixture.order))).await?;
        self.order(fixture).await?;
        self.customer().await?;
        let lists = [
            "customers",
            "locations",
            "trucks",
            "trailers",
            "drivers",
            "trips",
            "tags",
            "custom-statuses",
            "members",
            "events",
            "usage",
            "me",
            "tenant",
        ];
        for list in lists {
            self.count(&format!("GET /v1/{list}"), Request::get(format!("/v1/{list}"))).await?;
        }
        Ok(())
    }

    /// The life of an order.
    async fn order(&mut self, fixture: &Fixture) -> Outcome<()> {
        let create =
            Request::post("/v1/orders", fixture.new_order()).with("idempotency-key", Uuid::now_v7().to_string());
        let order = self.count("order create", create).await?;
        let order = format!("/v1/orders/{}", id(&order)?);
        self.count("order update", Request::patch(&order, json!({"notes": "changed"}))).await?;
        let assignment = json!({"driver_id": fixture.driver, "truck_id": fixture.truck, "trailer_id": fixture.trailer});
        for (action, body) in [
            ("hold", json!({})),
            ("release", json!({})),
            ("assign", assignment.clone()),
            ("unassign", json!({})),
            ("assign", assignment),
            ("pickup", json!({})),
            ("depart", json!({})),
            ("deliver", json!({})),
            ("archive", json!({})),
        ] {
            let keyed =
                Request::post(format!("{order}/{action}"), body).with("idempotency-key", Uuid::now_v7().to_string());
            self.count(&format!("order {action}"), keyed).await?;
        }
        let (another, _) = self.function.send(&Request::post("/v1/orders", fixture.new_order())).await?;
        let another = format!("/v1/orders/{}", id(&another)?);
        let vehicle =
            self.count("vehicle create", Request::post(format!("{another}/vehicles"), json!({"make": "Ram"}))).await?;
        let added = vehicle["vehicles"].as_array().and_then(|all| all.last()).unwrap_or(&vehicle);
        let vehicle = format!("{another}/vehicles/{}", id(added)?);
        self.count("vehicle update", Request::patch(&vehicle, json!({"color": "Red"}))).await?;
        self.count("vehicle delete", Request::delete(&vehicle)).await?;
        let reason = json!({"reason_id": fixture.cancel_reason});
        self.count("order cancel", Request::post(format!("{another}/cancel"), reason)).await?;
        Ok(())
    }

    async fn customer(&mut self) -> Outcome<()> {
        let body = json!({"type": "broker", "name": "Bench Brokers"});
        let create = Request::post("/v1/customers", body).with("idempotency-key", Uuid::now_v7().to_string());
        let customer = self.count("customer create", create).await?;
        let customer = format!("/v1/customers/{}", id(&customer)?);
        self.count("customer get", Request::get(&customer)).await?;
        self.count("customer update", Request::patch(&customer, json!({"city": "Chicago"}))).await?;
        self.count("customer delete", Request::delete(&customer)).await?;
        Ok(())
    }

    async fn count(&mut self, name: &str, request: Request) -> Outcome<Value> {
        self.wire.reset();
        let (answer, _) = self.function.send(&request).await?;
        self.trips.push((name.to_owned(), self.wire.trips()));
        Ok(answer)
    }
}

fn id(row: &Value) -> Outcome<&str> {
    row["id"].as_str().ok_or_else(|| format!("no id in {row}").into())
}
