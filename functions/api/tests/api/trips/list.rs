use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, create, path};
use crate::support::{id, ids};

/// Six trips: two with orders, the others plain; the last one is another driver's.
async fn six() -> (Scene, Vec<Value>, String) {
    let scene = Scene::set().await;
    let (first, second) = (scene.order_of(1, 20, 25).await, scene.order_of(1, 10, 12).await);
    let mut trips = vec![scene.trip(&[&first]).await, scene.trip(&[&second]).await];
    for _ in 0..3 {
        trips.push(scene.owner().post("/v1/trips", json!({"driver_id": scene.driver})).await.expect(201));
    }
    let other = crate::orders::create_driver(scene.owner(), None).await;
    trips.push(scene.owner().post("/v1/trips", json!({"driver_id": other})).await.expect(201));
    trips[0] = scene.go(&trips[0], &["ready"]).await;
    (scene, trips, other)
}

#[tokio::test]
async fn every_filter_finds_what_it_should_and_nothing_else() {
    let (scene, trips, other) = six().await;
    let (driver, truck, trailer, nobody) = (&scene.driver, &scene.truck, &scene.trailer, Uuid::now_v7());
    let rival = scene.app.carrier().await.owner;
    rival.post("/v1/trips", json!({})).await.expect(201);
    let foreign = create(&rival, "/v1/trucks", json!({"unit_number": "1", "capacity": 1})).await;
    let cases: Vec<(String, &[usize])> = vec![
        ("status=ready".into(), &[0]),
        ("status=planning".into(), &[1, 2, 3, 4, 5]),
        ("status=ready&status=planning".into(), &[0, 1, 2, 3, 4, 5]),
        ("status=completed".into(), &[]),
        (format!("driver={driver}"), &[0, 1, 2, 3, 4]),
        (format!("driver={driver}&driver={other}"), &[0, 1, 2, 3, 4, 5]),
        (format!("driver={nobody}"), &[]),
        (format!("truck={truck}"), &[0, 1]),
        (format!("truck={foreign}"), &[]),
        (format!("trailer={trailer}&status=planning"), &[1]),
        ("number=3".into(), &[2]),
        ("number=99".into(), &[]),
        ("start_date_from=2030-03-10&start_date_to=2030-03-19".into(), &[1]),
        ("start_date_from=2030-03-20".into(), &[0]),
        ("end_date_to=2030-03-12&end_date_from=2030-01-01".into(), &[1]),
        ("archived=true".into(), &[]),
    ];
    for (query, expected) in cases {
        let list = scene.owner().get(&format!("/v1/trips?{query}")).await.expect(200);
        let position = |found: &String| trips.iter().position(|trip| id(trip) == *found);
        let mut found: Vec<usize> = ids(&list).iter().filter_map(position).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
        assert_eq!(ids(&list).len(), expected.len(), "{query}");
    }
    for (query, field) in [
        ("status=lost", "status[0]"),
        ("driver=sam", "driver[0]"),
        ("include=prices", "include[0]"),
        ("start_date_from=tomorrow", "start_date_from"),
        ("number=first", "number"),
        ("sort=price", "sort"),
        ("limit=0", "limit"),
        ("colour=1", "colour"),
    ] {
        assert_eq!(scene.owner().get(&format!("/v1/trips?{query}")).await.invalid_fields(), [field], "{query}");
    }
}

#[tokio::test]
async fn every_sort_goes_through_all_pages_in_order() {
    let (scene, trips, _) = six().await;
    let number = |trip: &Value| trip["number"].as_i64().unwrap();
    for (sort, key) in [
        ("created_at", "number"),
        ("number", "number"),
        ("start_date", "start_date"),
        ("end_date", "end_date"),
        ("updated_at", "updated_at"),
    ] {
        let mut expected: Vec<&Value> = trips.iter().collect();
        expected.sort_by_key(|trip| (trip[key].as_str().unwrap_or_default().to_owned(), number(trip)));
        let mut expected: Vec<String> = expected.into_iter().map(id).collect();
        for direction in ["", "-"] {
            let mut found = Vec::new();
            let mut cursor = String::new();
            loop {
                let query = format!("/v1/trips?limit=2&sort={direction}{sort}{cursor}");
                let page = scene.owner().get(&query).await.expect(200);
                found.extend(ids(&page));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{direction}{sort}");
            expected.reverse();
        }
    }
    let page = scene.owner().get("/v1/trips?limit=2&sort=number").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = scene.owner().get(&format!("/v1/trips?sort=start_date&cursor={cursor}")).await;
    assert_eq!(other.invalid_fields(), ["cursor"]);
}

#[tokio::test]
async fn a_list_comes_with_what_is_asked_for() {
    let (scene, trips, _) = six().await;
    let plain = scene.owner().get("/v1/trips?number=1").await.expect(200)["data"][0].clone();
    for part in ["stops", "orders", "driver", "truck", "trailer"] {
        assert_eq!(plain.get(part), None, "{part}");
    }
    let query = "/v1/trips?number=1&include=stops&include=orders&include=driver&include=truck&include=trailer";
    let full = scene.owner().get(query).await.expect(200)["data"][0].clone();
    assert_eq!((&full["stops"], &full["orders"]), (&trips[0]["stops"], &trips[0]["orders"]));
    assert_eq!((&full["driver"]["name"], &full["truck"]["capacity"]), (&json!("Sam Reyes"), &json!(1)));
    assert_eq!((&full["trailer"]["unit_number"], &full["trailer"]["capacity"]), (&json!("R1"), &json!(8)));
    let nobody =
        scene.owner().get("/v1/trips?number=3&include=truck&include=orders").await.expect(200)["data"][0].clone();
    assert_eq!((nobody.get("truck"), &nobody["orders"]), (None, &json!([])));
    let order = scene.order().await;
    scene.owner().post(&path(&trips[1], "/orders"), json!({"order_ids": [id(&order)]})).await.expect(200);
    let two = scene.owner().get("/v1/trips?number=2&include=orders").await.expect(200);
    assert_eq!(two["data"][0]["orders"].as_array().unwrap().len(), 2);
}
