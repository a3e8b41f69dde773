//! What a person should see to on a trip.

use serde_json::{Value, json};

use super::{Scene, create, path};
use crate::orders;
use crate::support::id;

/// The codes, each with the order and vehicle that it is about.
fn told(trip: &Value) -> Vec<(String, Value, Value)> {
    let warnings = trip["warnings"].as_array().expect("a single trip comes with its warnings").iter();
    let code = |it: &Value| it["code"].as_str().unwrap_or_default().to_owned();
    warnings.map(|it| (code(it), it["order_id"].clone(), it["vehicle_id"].clone())).collect()
}

fn codes(trip: &Value) -> Vec<String> {
    told(trip).into_iter().map(|(code, ..)| code).collect()
}

/// A scene in which everything is on record that a plain load needs.
async fn recorded() -> Scene {
    let scene = Scene::set().await;
    let owner = scene.owner();
    let card = json!({"licence_expires_on": "2031-01-01", "medical_card_expires_on": "2031-01-01"});
    owner.patch(&format!("/v1/drivers/{}", scene.driver), card).await.expect(200);
    owner.patch(&format!("/v1/trucks/{}", scene.truck), json!({"max_weight_lbs": 5000})).await.expect(200);
    owner.patch(&format!("/v1/trailers/{}", scene.trailer), json!({"max_weight_lbs": 40000})).await.expect(200);
    scene
}

async fn order_of(scene: &Scene, vehicles: Value) -> Value {
    let mut order = orders::an_order(&scene.customer);
    order["vehicles"] = vehicles;
    scene.owner().post("/v1/orders", order).await.expect(201)
}

#[tokio::test]
async fn a_load_that_all_is_on_record_for_has_no_warnings() {
    let scene = recorded().await;
    let order = order_of(&scene, json!([{"weight_lbs": 4000}])).await;
    let trip = scene.trip(&[&order]).await;
    assert_eq!(trip["warnings"], json!([]));
    assert_eq!(scene.trip_now(&trip).await, trip);
    let listed = scene.owner().get("/v1/trips").await.expect(200)["data"][0].clone();
    assert!(listed.get("warnings").is_none(), "{listed}");
}

#[tokio::test]
async fn what_is_not_recorded_or_needs_something_is_told_of_the_vehicle() {
    let scene = recorded().await;
    let owner = scene.owner();
    let vehicles = json!([{"weight_lbs": 4000}, {"is_inoperable": true, "weight_lbs": 3000}, {"make": "Ford"}]);
    let order = order_of(&scene, vehicles).await;
    let hold = orders::path(&order, &format!("/vehicles/{}/hold", id(&order["vehicles"][0])));
    owner.post(&hold, json!({})).await.expect(200);
    let trip = scene.trip(&[&order]).await;
    let of = |n: usize| (order["id"].clone(), order["vehicles"][n]["id"].clone());
    let expected = [("vehicle_on_hold", of(0)), ("winch_needed", of(1)), ("weight_not_recorded", of(2))];
    let expected = expected.map(|(code, (order, vehicle))| (code.to_owned(), order, vehicle));
    assert_eq!(told(&trip), expected);
    assert_eq!(told(&scene.trip_now(&trip).await), expected);
    assert_eq!(told(&scene.go(&trip, &["ready"]).await), expected, "an action tells them, too");

    owner.patch(&format!("/v1/trailers/{}", scene.trailer), json!({"has_winch": true})).await.expect(200);
    let ford = orders::path(&order, &format!("/vehicles/{}", id(&order["vehicles"][2])));
    owner.patch(&ford, json!({"weight_lbs": 4500})).await.expect(200);
    owner.post(&hold.replace("/hold", "/release"), json!({})).await.expect(200);
    assert_eq!(scene.trip_now(&trip).await["warnings"], json!([]));
    owner.patch(&format!("/v1/trailers/{}", scene.trailer), json!({"has_winch": false})).await.expect(200);
    assert_eq!(codes(&scene.trip_now(&trip).await), ["winch_needed"]);
}

#[tokio::test]
async fn a_port_asks_for_a_twic_that_is_valid_on_the_day() {
    let scene = recorded().await;
    let owner = scene.owner();
    let port = create(
        owner,
        "/v1/locations",
        json!({"type": "port", "name": "Port of Brunswick", "address": "1 Pier Rd", "city": "Brunswick", "state": "GA",
               "zip": "31520", "time_zone": "America/New_York", "twic_required": true}),
    )
    .await;
    let mut order = orders::an_order(&scene.customer);
    order["vehicles"] = json!([{"weight_lbs": 4000}]);
    order["pickup"] = json!({"location_id": port, "from": "2030-03-09T15:00:00Z", "to": "2030-03-09T19:00:00Z"});
    let order = owner.post("/v1/orders", order).await.expect(201);
    let trip = scene.trip(&[&order]).await;
    let expected = vec![("twic_needed".to_owned(), order["id"].clone(), json!(null))];
    assert_eq!((told(&trip), told(&scene.trip_now(&trip).await)), (expected.clone(), expected));
    let message = trip["warnings"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("Port of Brunswick asks for a TWIC"), "{message}");

    for (expires_on, warnings) in [("2030-03-08", 1), ("2030-03-09", 0)] {
        owner.patch(&format!("/v1/drivers/{}", scene.driver), json!({"twic_expires_on": expires_on})).await.expect(200);
        assert_eq!(told(&scene.trip_now(&trip).await).len(), warnings, "{expires_on}");
    }
}

#[tokio::test]
async fn what_a_plan_must_keep_is_told_when_it_no_longer_does() {
    let scene = recorded().await;
    let owner = scene.owner();
    let order = order_of(&scene, json!([{"weight_lbs": 4000}])).await;
    let trip = scene.trip(&[&order]).await;
    let vehicle = orders::path(&order, &format!("/vehicles/{}", id(&order["vehicles"][0])));
    owner.patch(&vehicle, json!({"weight_lbs": 50_000})).await.expect(200);
    owner
        .patch(&format!("/v1/drivers/{}", scene.driver), json!({"licence_expires_on": "2030-03-10"}))
        .await
        .expect(200);
    let now = scene.trip_now(&trip).await;
    assert_eq!(codes(&now), ["licence_expires", "weight"]);
    assert_eq!(now["warnings"][1]["message"], "50000 lbs, and at most 45000 lbs can be loaded");
    owner.patch(&format!("/v1/trailers/{}", scene.trailer), json!({"max_weight_lbs": null})).await.expect(200);
    assert_eq!(codes(&scene.trip_now(&trip).await), ["licence_expires", "weight_limit_not_recorded"]);
    // What is delivered needs nothing any more.
    scene.haul(&order).await;
    assert_eq!(scene.trip_now(&trip).await["warnings"], json!([]));
}

#[tokio::test]
async fn a_driver_sees_the_warnings_of_their_trip_and_a_rival_no_trip() {
    let mut scene = Scene::set().await;
    let member = scene.app.member(&scene.carrier, "driver").await;
    scene.driver = orders::create_driver(scene.owner(), member.user_id).await;
    let rival = scene.app.carrier().await.owner;
    let order = order_of(&scene, json!([{"is_inoperable": true}])).await;
    let trip = scene.trip(&[&order]).await;
    assert_eq!(told(&member.get(&path(&trip, "")).await.expect(200)), told(&trip));
    assert!(codes(&trip).contains(&"winch_needed".to_owned()));
    rival.get(&path(&trip, "")).await.refused(404, "not_found");
}

#[tokio::test]
async fn who_is_on_two_trips_in_progress_at_once_is_told_on_both() {
    let scene = recorded().await;
    let owner = scene.owner();
    let rival = scene.app.carrier().await.owner;
    let (first, second) =
        (order_of(&scene, json!([{"weight_lbs": 4000}])).await, order_of(&scene, json!([{"weight_lbs": 4000}])).await);
    let (first, second) = (scene.trip(&[&first]).await, scene.trip(&[&second]).await);
    scene.go(&first, &["ready", "start"]).await;
    scene.go(&second, &["ready"]).await;
    for trip in [&first, &second] {
        assert_eq!(scene.trip_now(trip).await["warnings"], json!([]), "the next one may well be ready by then");
    }
    let started = scene.go(&second, &["start"]).await;
    let all = ["driver_on_another_trip", "truck_on_another_trip", "trailer_on_another_trip"];
    assert_eq!(codes(&started), all);
    assert_eq!(codes(&scene.trip_now(&second).await), all);
    let message = format!("the driver is on trip {}, too, which is in progress", first["number"]);
    assert_eq!(started["warnings"][0]["message"], message);
    assert_eq!(codes(&scene.trip_now(&first).await), all);

    // With a driver of its own there are two left.
    let colleague =
        json!({"name": "Kim Hale", "licence_expires_on": "2031-01-01", "medical_card_expires_on": "2031-01-01"});
    let colleague = create(owner, "/v1/drivers", colleague).await;
    let relay = json!({"driver_id": colleague, "reason": "fell ill"});
    let handed_on = owner.post(&path(&second, "/relay"), relay).await.expect(200);
    assert_eq!(codes(&handed_on), all[1..]);
    assert_eq!(codes(&scene.trip_now(&first).await), all[1..]);
    rival.get(&path(&second, "")).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_order_that_is_cancelled_is_told_until_it_is_taken_off() {
    let scene = recorded().await;
    let owner = scene.owner();
    let rival = scene.app.carrier().await.owner;
    let (kept, lost) =
        (order_of(&scene, json!([{"weight_lbs": 4000}])).await, order_of(&scene, json!([{"weight_lbs": 4000}])).await);
    let trip = scene.trip(&[&kept, &lost]).await;
    let cancellation = json!({"reason_id": scene.cancel_reason().await});
    owner.post(&orders::path(&lost, "/cancel"), cancellation).await.expect(200);
    let expected = vec![("order_cancelled".to_owned(), lost["id"].clone(), json!(null))];
    assert_eq!(told(&scene.trip_now(&trip).await), expected);
    assert_eq!(told(&scene.go(&trip, &["ready", "start"]).await), expected);
    rival.get(&path(&trip, "")).await.refused(404, "not_found");
    owner.delete(&path(&trip, &format!("/orders/{}", id(&lost)))).await.expect(204);
    assert_eq!(scene.trip_now(&trip).await["warnings"], json!([]));
}
