//! What a driver can haul, asked when an order is assigned.

use serde_json::{Value, json};

use super::{an_order, create_customer, create_order, path};
use crate::support::{Client, TestApp, id};
use crate::trips::create;

/// Who hauls it, with room for three vehicles, with all on record that a plain load needs.
async fn a_hauler(owner: &Client) -> Value {
    let driver =
        json!({"name": "Sam Reyes", "licence_expires_on": "2031-01-01", "medical_card_expires_on": "2031-01-01"});
    let truck = json!({"unit_number": "101", "capacity": 1, "max_weight_lbs": 5000});
    let trailer = json!({"unit_number": "R1", "capacity": 2, "max_weight_lbs": 10000});
    json!({
        "driver_id": create(owner, "/v1/drivers", driver).await,
        "truck_id": create(owner, "/v1/trucks", truck).await,
        "trailer_id": create(owner, "/v1/trailers", trailer).await,
    })
}

async fn order_of(owner: &Client, customer: &str, transport_type: &str, vehicles: Value) -> Value {
    let mut order = an_order(customer);
    (order["transport_type"], order["vehicles"]) = (json!(transport_type), vehicles);
    owner.post("/v1/orders", order).await.expect(201)
}

/// The codes, each with the order and vehicle that it is about.
fn told(order: &Value) -> Vec<(String, Value, Value)> {
    let warnings = order["warnings"].as_array().expect("an assignment comes with its warnings").iter();
    let code = |it: &Value| it["code"].as_str().unwrap_or_default().to_owned();
    warnings.map(|it| (code(it), it["order_id"].clone(), it["vehicle_id"].clone())).collect()
}

#[tokio::test]
async fn what_cannot_be_hauled_is_not_assigned() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let (customer, hauler) = (create_customer(&owner).await, a_hauler(&owner).await);
    let light = json!({"weight_lbs": 3000});
    for (transport_type, vehicles, expected) in [
        ("open", json!([light, light, light, light]), "4 vehicles on 3 slots"),
        ("open", json!([{"weight_lbs": 15_001}]), "15001 lbs, and at most 15000 lbs can be loaded"),
        ("enclosed", json!([light]), "the order is enclosed, truck and trailer are open"),
        ("driveaway", json!([{"is_inoperable": true}]), "an inoperable vehicle cannot be driven away"),
        ("driveaway", json!([light, light]), "one driver cannot drive 2 vehicles away"),
    ] {
        let order = order_of(&owner, &customer, transport_type, vehicles).await;
        let problem = owner.post(&path(&order, "/assign"), hauler.clone()).await.refused(409, "conflict");
        assert_eq!((&problem["code"], &problem["detail"]), (&json!("cannot_haul"), &json!(expected)));
        assert_eq!(owner.get(&path(&order, "")).await.expect(200), order, "nothing of it stays");
    }

    // In bulk what cannot be hauled does not stop the rest.
    let (fits, too_many) = (
        order_of(&owner, &customer, "open", json!([light])).await,
        order_of(&owner, &customer, "open", json!([light, light, light, light])).await,
    );
    let mut action = hauler.clone();
    action["type"] = json!("assign");
    let bulk = json!({"order_ids": [id(&too_many), id(&fits)], "action": action});
    let results = owner.post("/v1/orders/bulk", bulk.clone()).await.expect(200)["results"].clone();
    assert_eq!(results[0]["problem"]["code"], "cannot_haul");
    assert_eq!((&results[1]["order"]["status"], &results[1]["order"]["warnings"]), (&json!("assigned"), &json!([])));

    let at = format!("/v1/drivers/{}", hauler["driver_id"].as_str().unwrap());
    owner.patch(&at, json!({"licence_expires_on": "2030-03-11"})).await.expect(200);
    let problem = owner.post(&path(&fits, "/assign"), hauler.clone()).await.refused(409, "conflict");
    assert_eq!(problem["detail"], "the licence expires on 2030-03-11, the delivery may be on 2030-03-12");
    owner.patch(&at, json!({"licence_expires_on": "2030-03-12"})).await.expect(200);
    owner.post(&path(&fits, "/assign"), hauler.clone()).await.expect(200);

    // Another carrier's driver, truck and trailer are none, and its orders are none.
    let theirs = create_order(&rival).await;
    let fields = rival.post(&path(&theirs, "/assign"), hauler.clone()).await.invalid_fields();
    assert_eq!(fields, ["/driver_id", "/truck_id", "/trailer_id"]);
    rival.post(&path(&fits, "/assign"), hauler).await.refused(404, "not_found");
    let results = rival.post("/v1/orders/bulk", bulk).await.expect(200)["results"].clone();
    assert!(results.as_array().unwrap().iter().all(|it| it["problem"]["status"] == 404), "{results}");
}

#[tokio::test]
async fn what_should_be_made_sure_of_is_told_with_the_assignment() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let (customer, hauler) = (create_customer(&owner).await, a_hauler(&owner).await);
    let port = json!({"type": "port", "name": "Port of Brunswick", "address": "1 Pier Rd", "city": "Brunswick", "state": "GA",
                      "zip": "31520", "time_zone": "America/New_York", "twic_required": true});
    let port = create(&owner, "/v1/locations", port).await;
    let mut order = an_order(&customer);
    order["vehicles"] = json!([{"weight_lbs": 4000}, {"is_inoperable": true, "weight_lbs": 3000}, {"make": "Ford"}]);
    order["pickup"] = json!({"location_id": port, "from": "2030-03-09T15:00:00Z", "to": "2030-03-09T19:00:00Z"});
    let order = owner.post("/v1/orders", order).await.expect(201);
    owner.post(&path(&order, &format!("/vehicles/{}/hold", id(&order["vehicles"][0]))), json!({})).await.expect(200);
    let assigned = owner.post(&path(&order, "/assign"), hauler.clone()).await.expect(200);
    let of = |n: usize| (order["id"].clone(), order["vehicles"][n]["id"].clone());
    let expected = [
        ("vehicle_on_hold", of(0)),
        ("winch_needed", of(1)),
        ("weight_not_recorded", of(2)),
        ("twic_needed", (order["id"].clone(), json!(null))),
    ];
    assert_eq!(told(&assigned), expected.map(|(code, (order, vehicle))| (code.to_owned(), order, vehicle)));
    assert_eq!(owner.get(&path(&order, "")).await.expect(200).get("warnings"), None, "it tells of the assignment");

    // With less on record there is more to ask, and nothing in the way.
    let nobody_knows = json!({"driver_id": create(&owner, "/v1/drivers", json!({"name": "Kim Hale"})).await});
    let assigned = owner.post(&path(&order, "/assign"), nobody_knows).await.expect(200);
    let codes: Vec<_> = told(&assigned).into_iter().map(|(code, ..)| code).take(3).collect();
    assert_eq!(codes, ["licence_not_recorded", "medical_card_not_recorded", "equipment_not_known"]);
    rival.post(&path(&order, "/assign"), hauler).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_a_driver_has_at_the_same_time_is_told() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let (customer, mut hauler) = (create_customer(&owner).await, a_hauler(&owner).await);
    hauler["type"] = json!("assign");
    let two = json!([{"weight_lbs": 4000}, {"weight_lbs": 4000}]);
    let mut orders = Vec::new();
    for _ in 0..2 {
        orders.push(order_of(&owner, &customer, "open", two.clone()).await);
    }
    let mut later = an_order(&customer);
    later["vehicles"] = two;
    for (stop, day) in [("pickup", 20), ("delivery", 22)] {
        later[stop]["from"] = json!(format!("2030-03-{day}T15:00:00Z"));
        later[stop]["to"] = json!(format!("2030-03-{day}T19:00:00Z"));
    }
    orders.push(owner.post("/v1/orders", later).await.expect(201));
    let bulk = json!({"order_ids": orders.iter().map(id).collect::<Vec<_>>(), "action": hauler});
    // The first is beside nothing yet, the second beside the first; once all are assigned, each of the two is beside the other.
    for expected in [[0, 2, 0], [2, 2, 0]] {
        let results = owner.post("/v1/orders/bulk", bulk.clone()).await.expect(200)["results"].clone();
        for (n, warnings) in expected.into_iter().enumerate() {
            let order = &results[n]["order"];
            assert_eq!((&order["status"], told(order).len()), (&json!("assigned"), warnings), "{order}");
        }
        let messages = results[1]["order"]["warnings"].as_array().unwrap().iter();
        let messages: Vec<_> = messages.map(|it| (&it["code"], it["message"].as_str().unwrap())).collect();
        let slots = format!("2 vehicles beside 2 of order {} on 3 slots", orders[0]["number"]);
        let weight = "with other orders at the same time: 16000 lbs, and at most 15000 lbs can be loaded";
        let code = json!("overlapping_assignment");
        assert_eq!(messages, [(&code, slots.as_str()), (&code, weight)]);
    }
    let results = rival.post("/v1/orders/bulk", bulk).await.expect(200)["results"].clone();
    assert_eq!(results[1]["problem"]["status"], 404);
}
