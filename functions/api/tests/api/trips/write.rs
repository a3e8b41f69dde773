use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, create, path, plan};
use crate::support::{id, ids};

#[tokio::test]
async fn a_trip_is_made_with_its_orders_which_get_its_driver_truck_and_trailer() {
    let scene = Scene::set().await;
    let (first, second) = (scene.order().await, scene.order().await);
    let reply = scene.owner().post("/v1/trips", scene.a_trip(&[&first, &second])).await;
    assert_eq!(reply.etag(), "\"1\"");
    let at = reply.headers["location"].to_str().unwrap().to_owned();
    let trip = reply.expect(201);
    assert_eq!(at, path(&trip, ""));
    assert_eq!((&trip["number"], &trip["status"], &trip["version"]), (&json!(1), &json!("planning"), &json!(1)));
    assert_eq!((&trip["start_date"], &trip["end_date"]), (&json!("2030-03-09"), &json!("2030-03-12")));
    assert_eq!(trip, scene.trip_now(&trip).await, "what is answered is what is there");
    for order in [&first, &second] {
        let order = scene.order_now(order).await;
        assert_eq!((&order["status"], &order["trip_id"]), (&json!("assigned"), &trip["id"]));
        assert_eq!((&order["driver_id"], &order["truck_id"]), (&json!(scene.driver), &json!(scene.truck)));
        assert_eq!(order["trailer_id"], json!(scene.trailer));
    }
    assert_eq!(trip["orders"].as_array().unwrap().len(), 2);
    let stops = trip["stops"].as_array().unwrap();
    assert_eq!((&stops[0]["city"], &stops[0]["date"]), (&json!("Lexington"), &json!("2030-03-09")));
    assert_eq!(scene.trip(&[]).await["number"], 2);
}

#[tokio::test]
async fn a_trip_without_anything_is_a_plan_that_can_be_filled_later() {
    let scene = Scene::set().await;
    let trip = scene.owner().post("/v1/trips", json!({})).await.expect(201);
    assert_eq!((&trip["driver_id"], &trip["stops"], &trip["orders"]), (&json!(null), &json!([]), &json!([])));
    let order = scene.order().await;
    scene.owner().post(&path(&trip, "/orders"), json!({"order_ids": [id(&order)]})).await.expect(200);
    assert_eq!(scene.order_now(&order).await["status"], "new", "nobody drives it yet");

    let change = json!({"driver_id": scene.driver, "truck_id": scene.truck, "trailer_id": scene.trailer,
                        "loaded_miles": 870, "notes": "By night"});
    let changed = scene.owner().patch(&path(&trip, ""), change).await.expect(200);
    assert_eq!((&changed["loaded_miles"], &changed["notes"]), (&json!(870), &json!("By night")));
    assert_eq!(changed["orders"][0]["status"], "assigned");
    let order = scene.order_now(&order).await;
    assert_eq!((&order["status"], &order["truck_id"]), (&json!("assigned"), &json!(scene.truck)));

    let other = crate::orders::create_driver(scene.owner(), None).await;
    scene.owner().patch(&path(&trip, ""), json!({"driver_id": other})).await.expect(200);
    assert_eq!(scene.order_now(&order).await["driver_id"], json!(other));
    scene.owner().patch(&path(&trip, ""), json!({"driver_id": null, "loaded_miles": null})).await.expect(200);
    let order = scene.order_now(&order).await;
    assert_eq!(
        (&order["status"], &order["driver_id"], &order["truck_id"]),
        (&json!("new"), &json!(null), &json!(null))
    );
    assert_eq!(order["trip_id"], trip["id"]);
    assert_eq!(scene.trip_now(&trip).await["loaded_miles"], json!(null));
}

#[tokio::test]
async fn what_is_foreign_or_archived_is_refused_by_its_name() {
    let scene = Scene::set().await;
    let rival = scene.app.carrier().await.owner;
    let foreign = json!({
        "driver_id": crate::orders::create_driver(&rival, None).await,
        "truck_id": create(&rival, "/v1/trucks", json!({"unit_number": "1", "capacity": 1})).await,
        "trailer_id": create(&rival, "/v1/trailers", json!({"unit_number": "1", "capacity": 1})).await,
    });
    let trip = scene.trip(&[]).await;
    let owner = scene.owner();
    for (field, collection, mine) in [
        ("driver_id", "drivers", &scene.driver),
        ("truck_id", "trucks", &scene.truck),
        ("trailer_id", "trailers", &scene.trailer),
    ] {
        let theirs = json!({field: foreign[field]});
        let pointer = format!("/{field}");
        assert_eq!(owner.post("/v1/trips", theirs.clone()).await.invalid_fields(), [pointer.as_str()]);
        assert_eq!(owner.patch(&path(&trip, ""), theirs).await.invalid_fields(), [pointer.as_str()]);
        owner.patch(&format!("/v1/{collection}/{mine}"), json!({"archived": true})).await.expect(200);
        assert_eq!(owner.post("/v1/trips", json!({field: mine})).await.invalid_fields(), [pointer.as_str()]);
        // Who is on it stays on it.
        owner.patch(&path(&trip, ""), json!({field: mine})).await.expect(200);
    }
    let order = crate::orders::create_order(&rival).await;
    let body = json!({"order_ids": [id(&order)], "stops": []});
    assert_eq!(owner.post("/v1/trips", body).await.invalid_fields(), ["/order_ids/0"]);
    for (member, value) in [("loaded_miles", json!(-1)), ("empty_miles", json!(100_000)), ("colour", json!(1))] {
        assert_eq!(owner.post("/v1/trips", json!({member: value})).await.invalid_fields(), [format!("/{member}")]);
    }
    assert_eq!(ids(&owner.get("/v1/trips").await.expect(200)), [id(&trip)], "nothing was made");
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_trip() {
    let scene = Scene::set().await;
    let rival = scene.app.carrier().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let theirs = crate::orders::create_order(&rival.owner).await;
    let stop = id(&trip["stops"][0]);
    let any: &[(&str, &str)] = &[("if-match", "*")];
    for (method, rest, body) in [
        (Method::GET, String::new(), Value::Null),
        (Method::GET, "/history".into(), Value::Null),
        (Method::PATCH, String::new(), json!({"notes": "mine"})),
        (Method::DELETE, String::new(), Value::Null),
        (Method::POST, "/ready".into(), json!({})),
        (Method::POST, "/orders".into(), json!({"order_ids": [id(&theirs)]})),
        (Method::DELETE, format!("/orders/{}", id(&order)), Value::Null),
        (Method::POST, format!("/stops/{stop}/arrive"), json!({})),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        rival.owner.send(method, &path(&trip, &rest), any, body).await.refused(404, "not_found");
    }
    assert_eq!(rival.owner.get("/v1/trips").await.expect(200)["data"], json!([]));
    let filtered = format!("/v1/orders?trip={}&include=trip", id(&trip));
    assert_eq!(rival.owner.get(&filtered).await.expect(200)["data"], json!([]));
    assert_eq!(scene.trip_now(&trip).await, trip);
}

#[tokio::test]
async fn a_trip_changes_only_in_the_version_that_was_seen() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.owner().patch(&path(&trip, ""), json!({"notes": "a"})).await.expect(200);
    let stop = format!("/stops/{}/arrive", id(&trip["stops"][0]));
    let taken_off = format!("/orders/{}", id(&order));
    let cases = [
        (Method::PATCH, "", json!({"notes": "b"}), true),
        (Method::DELETE, "", Value::Null, true),
        (Method::DELETE, taken_off.as_str(), Value::Null, true),
        (Method::POST, "/ready", json!({}), false),
        (Method::POST, "/orders", json!({"order_ids": []}), false),
        (Method::POST, stop.as_str(), json!({}), false),
    ];
    for (method, rest, body, needs_version) in cases {
        let body = Some(body).filter(|body| !body.is_null());
        let stale = [("if-match", "\"1\"")];
        scene.owner().send(method.clone(), &path(&trip, rest), &stale, body.clone()).await.refused(412, "stale");
        if needs_version {
            scene.owner().send(method, &path(&trip, rest), &[], body).await.refused(428, "version_required");
        }
    }
    assert_eq!(scene.trip_now(&trip).await["version"], 2);
}

#[tokio::test]
async fn the_same_request_twice_makes_one_trip_also_at_the_same_moment() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let body = scene.a_trip(&[&order]);
    let mut twins = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (client, body) = (scene.owner().through(&scene.app.another_instance()), body.clone());
        twins.spawn(async move { client.post_patiently("/v1/trips", "twin", body).await });
    }
    let replies = twins.join_all().await;
    let trip = replies[0].text.clone();
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.text == trip), "{replies:?}");
    assert_eq!(ids(&scene.owner().get("/v1/trips").await.expect(200)).len(), 1);
    let other = scene.owner().post_once("/v1/trips", "twin", json!({})).await;
    assert_eq!(other.invalid_fields(), ["Idempotency-Key"]);
}

#[tokio::test]
async fn numbers_are_the_carriers_own_and_leave_no_gap_when_many_are_made_at_once() {
    let scene = Scene::set().await;
    scene.app.carrier().await.owner.post("/v1/trips", json!({})).await.expect(201);
    let mut made = tokio::task::JoinSet::new();
    for n in 0..10 {
        let client = scene.owner().through(&scene.app.another_instance());
        made.spawn(async move { client.post_patiently("/v1/trips", &n.to_string(), json!({})).await.expect(201) });
    }
    let mut numbers: Vec<i64> = made.join_all().await.iter().map(|trip| trip["number"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_plan_is_deleted_and_what_happened_is_archived() {
    let scene = Scene::set().await;
    let owner = scene.owner();
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    assert_eq!(owner.delete(&path(&trip, "")).await.refused(409, "conflict")["code"], "in_use");
    assert_eq!(
        owner.patch(&path(&trip, ""), json!({"archived": true})).await.refused(409, "conflict")["code"],
        "illegal_move"
    );
    owner.delete(&path(&trip, &format!("/orders/{}", id(&order)))).await.expect(204);
    owner.delete(&path(&trip, "")).await.expect(204);
    owner.get(&path(&trip, "")).await.refused(404, "not_found");

    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready", "start"]).await;
    let refused = owner.delete(&path(&trip, "")).await.refused(409, "conflict");
    assert_eq!(refused["allowed"], json!(["delivered"]));
    scene.haul(&order).await;
    scene.go(&trip, &["deliver", "complete"]).await;
    let archived = owner.delete(&path(&trip, "")).await.expect(200);
    assert!(archived["archived_at"].is_string(), "{archived}");
    assert_eq!(scene.order_now(&order).await["trip_id"], trip["id"]);
    assert_eq!(owner.get("/v1/trips").await.expect(200)["data"], json!([]));
    assert_eq!(ids(&owner.get("/v1/trips?archived=true").await.expect(200)), [id(&trip)]);
    owner.patch(&path(&trip, ""), json!({"archived": false})).await.expect(200);
    assert_eq!(ids(&owner.get("/v1/trips").await.expect(200)), [id(&trip)]);
    // Miles are counted when it is over.
    assert_eq!(owner.patch(&path(&trip, ""), json!({"empty_miles": 40})).await.expect(200)["empty_miles"], 40);
    owner.patch(&path(&trip, ""), json!({"driver_id": null})).await.refused(409, "conflict");
}

#[tokio::test]
async fn what_a_trip_refers_to_is_archived_instead_of_deleted() {
    let scene = Scene::set().await;
    let owner = scene.owner();
    let location = create(
        owner,
        "/v1/locations",
        json!({"type": "terminal", "name": "Yard", "address": "1 Main St",
        "city": "Memphis", "state": "TN", "zip": "38118", "time_zone": "America/Chicago"}),
    )
    .await;
    let mut body = scene.a_trip(&[]);
    body["stops"] = json!([{"kind": "other", "location_id": location}]);
    let trip = owner.post("/v1/trips", body).await.expect(201);
    assert_eq!((&trip["stops"][0]["name"], &trip["stops"][0]["city"]), (&json!("Yard"), &json!("Memphis")));
    let reason = scene.cancel_reason().await;
    owner.post(&path(&trip, "/cancel"), json!({"reason_id": reason})).await.expect(200);
    for (collection, id) in [
        ("drivers", &scene.driver),
        ("trucks", &scene.truck),
        ("trailers", &scene.trailer),
        ("locations", &location),
        ("cancel-reasons", &reason),
    ] {
        let archived = owner.delete(&format!("/v1/{collection}/{id}")).await.expect(200);
        assert!(archived["archived_at"].is_string(), "{collection}: {archived}");
    }
    assert_eq!(plan(&scene.trip_now(&trip).await), [("other".to_owned(), String::new())]);
}

#[tokio::test]
async fn a_key_that_may_write_trips_moves_orders_only_if_it_may_dispatch_them() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let key = async |scopes: Value| {
        let made = scene.owner().post("/v1/api-keys", json!({"name": "Key", "scopes": scopes})).await.expect(201);
        scene.owner().with_key(made["key"].as_str().unwrap())
    };
    let planner = key(json!(["trips:read", "trips:write"])).await;
    let unknown = json!({"order_ids": [Uuid::now_v7()]});
    let trip = planner.post("/v1/trips", json!({"driver_id": scene.driver})).await.expect(201);
    planner.post("/v1/trips", scene.a_trip(&[&order])).await.refused(403, "forbidden");
    planner.post(&path(&trip, "/orders"), json!({"order_ids": [id(&order)]})).await.refused(403, "forbidden");
    planner.post(&path(&trip, "/orders"), unknown).await.refused(403, "forbidden");
    planner.post(&path(&trip, "/start"), json!({})).await.refused(403, "forbidden");
    assert_eq!(scene.order_now(&order).await["trip_id"], json!(null));
    let dispatcher = key(json!(["trips:write", "orders:dispatch"])).await;
    dispatcher.post(&path(&trip, "/orders"), json!({"order_ids": [id(&order)]})).await.expect(200);
    dispatcher.get(&path(&trip, "")).await.refused(403, "forbidden");
    // Another driver for the trip is another driver for its order.
    let other = crate::orders::create_driver(scene.owner(), None).await;
    planner.patch(&path(&trip, ""), json!({"driver_id": other})).await.refused(403, "forbidden");
    planner
        .post(&path(&trip, "/cancel"), json!({"reason_id": scene.cancel_reason().await}))
        .await
        .refused(403, "forbidden");
}
