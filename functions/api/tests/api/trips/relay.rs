//! Another driver, truck or trailer goes on with a trip.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, create, path};
use crate::orders;
use crate::support::{Client, id};

/// Two drivers who sign in, the first of whom is on a trip with two orders, one of them delivered.
struct Road {
    scene: Scene,
    first: Client,
    second: Client,
    /// The other driver, who has no trip yet.
    driver: String,
    delivered: Value,
    aboard: Value,
    trip: Value,
}

impl Road {
    async fn begin() -> Self {
        let mut scene = Scene::set().await;
        let first = scene.app.member(&scene.carrier, "driver").await;
        let second = scene.app.member(&scene.carrier, "driver").await;
        scene.driver = orders::create_driver(scene.owner(), first.user_id).await;
        let driver = orders::create_driver(scene.owner(), second.user_id).await;
        let (delivered, aboard) = (scene.order_of(2, 9, 10).await, scene.order_of(2, 9, 12).await);
        let trip = scene.trip(&[&delivered, &aboard]).await;
        scene.go(&trip, &["ready", "start"]).await;
        scene.haul(&delivered).await;
        scene.owner().post(&orders::path(&aboard, "/pickup"), json!({})).await.expect(200);
        Self { scene, first, second, driver, delivered, aboard, trip }
    }

    fn relay(&self) -> String {
        path(&self.trip, "/relay")
    }

    fn to_the_other(&self) -> Value {
        json!({"driver_id": self.driver, "reason": "driver fell ill in Nashville"})
    }
}

/// The types of the events about a thing that a driver hears, once one of them is of this kind.
async fn hears(client: &Client, about: &Value, kind: &str) -> Vec<String> {
    let mut heard: Vec<String> = Vec::new();
    for _ in 0..200 {
        let start = carhaul_core::base::page::encode(&(0, 0));
        let page = client.get(&format!("/v1/events?limit=200&after={start}")).await.expect(200);
        let events = page["data"].as_array().into_iter().flatten().filter(|event| event["subject_id"] == about["id"]);
        heard = events.filter_map(|event| event["type"].as_str()).map(str::to_owned).collect();
        if heard.iter().any(|heard| heard.ends_with(kind)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    heard
}

#[tokio::test]
async fn after_a_pickup_another_driver_goes_on_with_what_is_not_delivered() {
    let road = Road::begin().await;
    let owner = road.scene.owner();
    let problem = owner.patch(&path(&road.trip, ""), json!({"driver_id": road.driver})).await.refused(409, "conflict");
    assert_eq!(problem["code"], "illegal_move", "a plan is changed, a load is handed on");
    let handed = owner.post(&road.relay(), road.to_the_other()).await.expect(200);
    assert_eq!((&handed["driver_id"], &handed["status"]), (&json!(road.driver), &json!("in_progress")));
    assert_eq!((&handed["truck_id"], &handed["trailer_id"]), (&json!(road.scene.truck), &json!(road.scene.trailer)));

    let (delivered, aboard) = (road.scene.order_now(&road.delivered).await, road.scene.order_now(&road.aboard).await);
    assert_eq!((&delivered["driver_id"], &delivered["status"]), (&json!(road.scene.driver), &json!("delivered")));
    assert_eq!((&aboard["driver_id"], &aboard["status"]), (&json!(road.driver), &json!("picked_up")));

    // Who sees it follows, and both hear of it.
    road.first.get(&path(&road.trip, "")).await.refused(404, "not_found");
    road.first.get(&orders::path(&road.aboard, "")).await.refused(404, "not_found");
    road.first.get(&orders::path(&road.delivered, "")).await.expect(200);
    assert_eq!(road.second.get(&path(&road.trip, "")).await.expect(200)["driver_id"], json!(road.driver));
    road.second.get(&orders::path(&road.delivered, "")).await.refused(404, "not_found");
    road.second.post(&orders::path(&road.aboard, "/deliver"), json!({})).await.expect(200);
    for about in [&road.trip, &road.aboard] {
        let last = hears(&road.first, about, ".unassigned").await.pop().unwrap_or_default();
        assert!(last.ends_with(".unassigned"), "{last}");
        let first = hears(&road.second, about, ".updated").await.into_iter().next().unwrap_or_default();
        assert!(first.ends_with(".updated"), "{first}");
    }

    let history = owner.get(&path(&road.trip, "/history?limit=200")).await.expect(200)["data"].clone();
    let entry = history.as_array().unwrap().last().unwrap();
    assert_eq!((&entry["event"], &entry["reason"]), (&json!("relayed"), &json!("driver fell ill in Nashville")));
    let changes = json!([{"field": "driver_id", "from": road.scene.driver, "to": road.driver}]);
    assert_eq!(
        (&entry["changes"], &entry["from_status"], &entry["to_status"]),
        (&changes, &json!("in_progress"), &json!("in_progress"))
    );
    let of_order = owner.get(&orders::path(&road.aboard, "/history?limit=200")).await.expect(200)["data"].clone();
    let told = of_order.as_array().unwrap().iter().find(|entry| entry["event"] == "relayed").expect("it tells of it");
    let reason = format!("trip {} was handed on: driver fell ill in Nashville", road.trip["number"]);
    assert_eq!(told["reason"], json!(reason));
}

#[tokio::test]
async fn a_truck_that_broke_down_is_replaced_by_one_that_can_haul_the_load() {
    let road = Road::begin().await;
    let owner = road.scene.owner();
    let tractor = create(owner, "/v1/trucks", json!({"unit_number": "102", "capacity": 0})).await;
    let small = create(owner, "/v1/trucks", json!({"unit_number": "103", "capacity": 1})).await;
    let body = json!({"truck_id": small, "trailer_id": null, "reason": "engine"});
    let problem = owner.post(&road.relay(), body).await.refused(409, "conflict");
    assert_eq!(problem["code"], "cannot_haul");
    let body = json!({"truck_id": tractor, "reason": "engine"});
    assert_eq!(owner.post(&road.relay(), body).await.expect(200)["truck_id"], json!(tractor));
    assert_eq!(road.scene.order_now(&road.aboard).await["truck_id"], json!(tractor));
}

#[tokio::test]
async fn what_cannot_be_handed_on_is_refused_and_nothing_of_it_stays() {
    let road = Road::begin().await;
    let owner = road.scene.owner();
    let rival = road.scene.app.carrier().await.owner;
    let theirs = orders::create_driver(&rival, None).await;
    let gone = orders::create_driver(owner, None).await;
    owner.patch(&format!("/v1/drivers/{gone}"), json!({"archived": true})).await.expect(200);
    for (body, fields) in [
        (json!({"driver_id": road.driver}), vec!["/reason"]),
        (json!({"driver_id": null, "reason": "x"}), vec!["/driver_id"]),
        (json!({"driver_id": theirs, "reason": "x"}), vec!["/driver_id"]),
        (json!({"driver_id": gone, "truck_id": Uuid::now_v7(), "reason": "x"}), vec!["/driver_id", "/truck_id"]),
    ] {
        assert_eq!(owner.post(&road.relay(), body.clone()).await.invalid_fields(), fields, "{body}");
    }
    let events = async |of: String| {
        let history = owner.get(&format!("{of}/history?limit=200")).await.expect(200)["data"].clone();
        history.as_array().unwrap().iter().filter(|entry| entry["event"] == "relayed").count()
    };
    let same = json!({"driver_id": road.scene.driver, "reason": "x"});
    owner.post(&road.relay(), same).await.expect(200);
    let told = (events(path(&road.trip, "")).await, events(orders::path(&road.aboard, "")).await);
    assert_eq!(told, (0, 0), "who has it already is told nothing anew");
    let expired = json!({"name": "Kim", "licence_expires_on": "2030-03-10"});
    let expired = create(owner, "/v1/drivers", expired).await;
    let body = json!({"driver_id": expired, "reason": "x"});
    assert_eq!(owner.post(&road.relay(), body).await.refused(409, "conflict")["code"], "cannot_haul");
    rival.post(&road.relay(), road.to_the_other()).await.refused(404, "not_found");
    road.first.post(&road.relay(), road.to_the_other()).await.refused(403, "forbidden");
    let stale = owner.send(Method::POST, &road.relay(), &[("if-match", "\"1\"")], Some(road.to_the_other())).await;
    stale.refused(412, "stale");
    assert_eq!(road.scene.order_now(&road.aboard).await["driver_id"], json!(road.scene.driver));

    owner.post(&orders::path(&road.aboard, "/deliver"), json!({})).await.expect(200);
    road.scene.go(&road.trip, &["deliver"]).await;
    let problem = owner.post(&road.relay(), road.to_the_other()).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("illegal_move"), &json!(["completed"])));
    let plan = owner.post("/v1/trips", json!({})).await.expect(201);
    let problem = owner.post(&path(&plan, "/relay"), road.to_the_other()).await.refused(409, "conflict");
    assert_eq!(problem["code"], "no_driver");
}

#[tokio::test]
async fn of_two_relays_at_once_each_is_whole_and_a_twin_is_answered_alike() {
    let road = Road::begin().await;
    let owner = road.scene.owner();
    let third = orders::create_driver(owner, None).await;
    let relays = [road.driver.clone(), third].map(|driver| {
        let (client, path) = (owner.through(&road.scene.app.another_instance()), road.relay());
        let body = json!({"driver_id": driver, "reason": "shift ends"});
        tokio::spawn(async move { client.post(&path, body).await.status.as_u16() })
    });
    for relay in relays {
        assert_eq!(relay.await.unwrap(), 200);
    }
    let trip = road.scene.trip_now(&road.trip).await;
    assert_eq!(road.scene.order_now(&road.aboard).await["driver_id"], trip["driver_id"]);

    let body = json!({"driver_id": road.scene.driver, "reason": "is well again"});
    let first = owner.post_once(&road.relay(), "back", body.clone()).await;
    let twin = owner.post_once(&road.relay(), "back", body).await;
    assert_eq!((twin.status, &twin.text), (first.status, &first.text));
    first.expect(200);
    assert_eq!(id(&road.first.get(&path(&road.trip, "")).await.expect(200)), id(&road.trip));
}

#[tokio::test]
async fn a_trip_is_handed_on_and_its_stops_are_corrected_in_these_states() {
    let scene = Scene::set().await;
    let owner = scene.owner();
    let other = orders::create_driver(owner, None).await;
    for (way, relays, corrects) in [
        (vec![], true, false),
        (vec!["ready"], true, true),
        (vec!["ready", "start"], true, true),
        (vec!["ready", "start", "deliver"], false, true),
        (vec!["ready", "start", "deliver", "complete"], false, false),
        (vec!["cancel"], false, false),
    ] {
        let stops = json!([{"kind": "other", "city": "Dallas", "state": "TX", "time_zone": "America/Chicago"}]);
        let body = json!({"driver_id": scene.driver, "truck_id": scene.truck, "stops": stops});
        let trip = owner.post("/v1/trips", body).await.expect(201);
        if way == ["cancel"] {
            let reason = json!({"reason_id": scene.cancel_reason().await});
            owner.post(&path(&trip, "/cancel"), reason).await.expect(200);
        } else {
            scene.go(&trip, &way).await;
        }
        let stop = path(&trip, &format!("/stops/{}", id(&trip["stops"][0])));
        let corrected =
            owner.patch(&stop, json!({"arrived_at": "2026-01-05T08:00:00Z"})).await.refused(409, "conflict");
        // Where there could be something to correct, the way to record it is named.
        assert_eq!(corrected["allowed"] == json!(["arrive"]), corrects, "{way:?}: {corrected}");
        let reply = owner.post(&path(&trip, "/relay"), json!({"driver_id": other, "reason": "ill"})).await;
        assert_eq!(reply.status.as_u16(), if relays { 200 } else { 409 }, "{way:?}: {}", reply.text);
    }
}
