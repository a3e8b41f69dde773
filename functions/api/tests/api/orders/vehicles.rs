use axum::http::Method;
use serde_json::json;

use super::{OTHER_VIN, VIN, a_vehicle, create_driver, create_order, path};
use crate::support::{TestApp, id};

#[tokio::test]
async fn vehicles_come_change_and_go_and_the_order_follows() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let added = owner
        .post(&path(&order, "/vehicles"), json!({"make": "Ford", "inoperable_flags": ["no_keys", "no_keys"]}))
        .await;
    assert_eq!(added.etag(), "\"2\"", "the order's version");
    let location = added.headers["location"].to_str().unwrap().to_owned();
    let vehicle = added.expect(201);
    assert_eq!(
        (&vehicle["position"], &vehicle["is_inoperable"], &vehicle["inoperable_flags"]),
        (&json!(3), &json!(true), &json!(["no_keys"]))
    );
    let with_it = owner.get(&path(&order, "")).await.expect(200);
    assert_eq!((&with_it["is_inoperable"], &with_it["vehicle_counts"]["total"]), (&json!(true), &json!(3)));

    let patch = json!({"vin": VIN.to_lowercase(), "inoperable_flags": [], "is_inoperable": false, "color": "red"});
    let changed = owner.send(Method::PATCH, &location, &[("if-match", "\"2\"")], Some(patch)).await.expect(200);
    assert_eq!((&changed["vin"], &changed["color"], &changed["make"]), (&json!(VIN), &json!("red"), &json!("Ford")));
    assert_eq!(owner.get(&location).await.expect(200), changed);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200)["is_inoperable"], false);
    owner.send(Method::PATCH, &location, &[("if-match", "\"2\"")], Some(json!({}))).await.refused(412, "stale");

    owner.delete(&location).await.expect(204);
    owner.get(&location).await.refused(404, "not_found");
    assert_eq!(owner.get(&path(&order, "/vehicles")).await.expect(200)["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_order_has_at_most_twelve() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    for _ in 0..10 {
        owner.post(&path(&order, "/vehicles"), json!({"make": "Ford"})).await.expect(201);
    }
    let problem = owner.post(&path(&order, "/vehicles"), a_vehicle()).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("order_full"), &json!(["assigned", "cancelled"])));
}

#[tokio::test]
async fn after_the_first_pickup_none_comes_or_goes_and_each_can_still_be_corrected() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    let first = path(&order, &format!("/vehicles/{}", id(&order["vehicles"][0])));
    owner.post(&format!("{first}/pickup"), json!({})).await.expect(200);
    assert_eq!(owner.post(&path(&order, "/vehicles"), a_vehicle()).await.refused(409, "conflict")["code"], "under_way");
    let problem = owner.delete(&first).await.refused(409, "conflict");
    assert_eq!(
        (&problem["code"], &problem["allowed"]),
        (&json!("under_way"), &json!(["picked_up", "new", "cancelled"])),
        "one of two vehicles is picked up"
    );
    assert_eq!(owner.patch(&first, json!({"vin": OTHER_VIN})).await.expect(200)["vin"], OTHER_VIN);
}

#[tokio::test]
async fn bad_vehicles_name_their_field() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    for (body, pointer) in [
        (json!({"vin": "1G4AH59H05G118341"}), "/vin"),
        (json!({"vin": "SHORT"}), "/vin"),
        (json!({"year": 1600}), "/year"),
        (json!({"year": 99999}), "/year"),
        (json!({"weight_lbs": 0}), "/weight_lbs"),
        (json!({"inoperable_flags": ["sad"]}), "/inoperable_flags/0"),
    ] {
        assert_eq!(owner.post(&path(&order, "/vehicles"), body.clone()).await.invalid_fields(), [pointer], "{body}");
    }
}
