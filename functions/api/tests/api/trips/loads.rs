use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, create, path, plan};
use crate::support::{id, ids};

fn these(orders: &[&Value]) -> Value {
    json!({"order_ids": orders.iter().map(|order| id(order)).collect::<Vec<_>>()})
}

fn stop(kind: &str, order: &Value) -> (String, String) {
    (kind.to_owned(), id(order))
}

#[tokio::test]
async fn orders_come_onto_a_trip_with_their_stops_where_their_windows_belong() {
    let scene = Scene::set().await;
    let (first, second) = (scene.order_of(1, 10, 14).await, scene.order_of(1, 11, 12).await);
    let trip = scene.trip(&[&first]).await;
    assert_eq!(plan(&trip), [stop("pickup", &first), stop("delivery", &first)]);
    let both = scene.owner().post(&path(&trip, "/orders"), these(&[&second, &first, &second])).await.expect(200);
    let expected =
        [stop("pickup", &first), stop("pickup", &second), stop("delivery", &second), stop("delivery", &first)];
    assert_eq!(plan(&both), expected);
    assert_eq!((&both["start_date"], &both["end_date"]), (&json!("2030-03-10"), &json!("2030-03-14")));
    assert_eq!(both["version"], 2);
    assert_eq!(both, scene.trip_now(&trip).await);

    let off = path(&trip, &format!("/orders/{}", id(&first)));
    scene.owner().delete(&off).await.expect(204);
    let left = scene.trip_now(&trip).await;
    assert_eq!(plan(&left), [stop("pickup", &second), stop("delivery", &second)]);
    assert_eq!((&left["start_date"], &left["end_date"]), (&json!("2030-03-11"), &json!("2030-03-12")));
    let freed = scene.order_now(&first).await;
    assert_eq!((&freed["status"], &freed["trip_id"], &freed["driver_id"]), (&json!("new"), &json!(null), &json!(null)));
    scene.owner().delete(&off).await.refused(404, "not_found");
    let history = scene.owner().get(&crate::orders::path(&second, "/history")).await.expect(200);
    assert!(history.to_string().contains("on trip 1"), "{history}");
}

#[tokio::test]
async fn all_orders_are_put_on_a_trip_or_none() {
    let scene = Scene::set().await;
    let rival = scene.app.carrier().await.owner;
    let trip = scene.trip(&[]).await;
    let good = scene.order().await;
    let refused = async |bad: &Value| {
        let reply = scene.owner().post(&path(&trip, "/orders"), these(&[&good, bad])).await;
        assert_eq!(scene.order_now(&good).await["trip_id"], json!(null), "{}", reply.text);
        reply
    };
    let foreign = crate::orders::create_order(&rival).await;
    assert_eq!(refused(&foreign).await.invalid_fields(), ["/order_ids/1"]);
    assert_eq!(refused(&json!({"id": Uuid::now_v7()})).await.invalid_fields(), ["/order_ids/1"]);

    let held = scene.order().await;
    scene.owner().post(&crate::orders::path(&held, "/hold"), json!({})).await.expect(200);
    let problem = refused(&held).await.refused(409, "conflict");
    let expected = format!("order {}: the order is on hold; release it first", held["number"]);
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("on_hold"), &json!(expected)));

    let cancelled = scene.order().await;
    let cancellation = json!({"reason_id": scene.cancel_reason().await});
    scene.owner().post(&crate::orders::path(&cancelled, "/cancel"), cancellation).await.expect(200);
    assert_eq!(refused(&cancelled).await.refused(409, "conflict")["code"], "illegal_move");
    let delivered = scene.order().await;
    let assignment = json!({"driver_id": scene.driver});
    scene.owner().post(&crate::orders::path(&delivered, "/assign"), assignment).await.expect(200);
    scene.haul(&delivered).await;
    assert_eq!(refused(&delivered).await.refused(409, "conflict")["code"], "illegal_move");

    let elsewhere = scene.order().await;
    scene.trip(&[&elsewhere]).await;
    let problem = refused(&elsewhere).await.refused(409, "conflict");
    let expected = format!("order {} is on another trip", elsewhere["number"]);
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("on_a_trip"), &json!(expected)));
    let too_many = json!({"order_ids": (0..25).map(|_| Uuid::now_v7()).collect::<Vec<_>>()});
    let fields = scene.owner().post(&path(&trip, "/orders"), too_many).await.invalid_fields();
    assert_eq!(fields[0], "/order_ids");
    assert_eq!(scene.trip_now(&trip).await, trip);
}

#[tokio::test]
async fn an_order_on_a_trip_is_assigned_by_the_trip_alone() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let assigned = json!({"driver_id": scene.driver});
    // One that was assigned before becomes the trip's.
    scene.owner().post(&crate::orders::path(&order, "/assign"), assigned.clone()).await.expect(200);
    scene.trip(&[&order]).await;
    for (action, body) in [("/assign", assigned.clone()), ("/unassign", json!({}))] {
        let problem = scene.owner().post(&crate::orders::path(&order, action), body).await.refused(409, "conflict");
        assert_eq!(problem["code"], "on_a_trip", "{action}");
    }
    let bulk = json!({"order_ids": [id(&order)], "action": {"type": "assign", "driver_id": scene.driver}});
    let results = scene.owner().post("/v1/orders/bulk", bulk).await.expect(200);
    assert_eq!(results["results"][0]["problem"]["code"], "on_a_trip");
    assert_eq!(scene.order_now(&order).await["truck_id"], json!(scene.truck));
}

#[tokio::test]
async fn what_is_picked_up_stays_on_its_trip_and_with_its_driver() {
    let scene = Scene::set().await;
    let (first, second) = (scene.order().await, scene.order().await);
    let trip = scene.trip(&[&first, &second]).await;
    scene.go(&trip, &["ready", "start"]).await;
    scene.owner().post(&crate::orders::path(&first, "/pickup"), json!({})).await.expect(200);
    let off = |order: &Value| path(&trip, &format!("/orders/{}", id(order)));
    let problem = scene.owner().delete(&off(&first)).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("illegal_move"), &json!(["in_transit"])));
    let other = crate::orders::create_driver(scene.owner(), None).await;
    let changed = scene.owner().patch(&path(&trip, ""), json!({"driver_id": other})).await;
    assert_eq!(changed.refused(409, "conflict")["code"], "illegal_move");
    assert_eq!(scene.trip_now(&trip).await["driver_id"], json!(scene.driver), "nothing of it stays");
    // What is still to be picked up can be taken off, and more can come.
    scene.owner().delete(&off(&second)).await.expect(204);
    let third = scene.order().await;
    scene.owner().post(&path(&trip, "/orders"), these(&[&third])).await.expect(200);
    assert_eq!(scene.order_now(&third).await["status"], "assigned");
}

#[tokio::test]
async fn a_trip_that_is_over_takes_and_loses_no_orders() {
    let scene = Scene::set().await;
    let (order, other) = (scene.order().await, scene.order().await);
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready", "start"]).await;
    scene.haul(&order).await;
    scene.go(&trip, &["deliver"]).await;
    let put = scene.owner().post(&path(&trip, "/orders"), these(&[&other])).await.refused(409, "conflict");
    assert_eq!(put["allowed"], json!(["completed"]));
    scene.owner().delete(&path(&trip, &format!("/orders/{}", id(&order)))).await.refused(409, "conflict");
    assert_eq!(scene.order_now(&order).await["trip_id"], trip["id"]);
}

#[tokio::test]
async fn of_two_trips_that_reach_for_one_order_one_gets_it() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let mut trips = Vec::new();
    for _ in 0..8 {
        trips.push(scene.trip(&[]).await);
    }
    let mut puts = tokio::task::JoinSet::new();
    for trip in &trips {
        let (client, path) = (scene.owner().through(&scene.app.another_instance()), path(trip, "/orders"));
        let body = these(&[&order]);
        puts.spawn(async move { client.post_patiently(&path, &path, body).await.status.as_u16() });
    }
    let mut outcomes = puts.join_all().await;
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 409, 409, 409, 409, 409, 409, 409]);
    let mut holding = 0;
    for trip in &trips {
        let trip = scene.trip_now(trip).await;
        holding += trip["orders"].as_array().unwrap().len() * trip["stops"].as_array().unwrap().len();
    }
    assert_eq!(holding, 2, "one order with its pickup and delivery");
}

#[tokio::test]
async fn the_trailer_is_never_planned_fuller_than_it_is() {
    let scene = Scene::set().await;
    // Nine slots: five vehicles, and five when those are off.
    let (first, later) = (scene.order_of(5, 10, 12).await, scene.order_of(5, 13, 15).await);
    let trip = scene.trip(&[&first, &later]).await;
    let between = scene.order_of(5, 11, 14).await;
    let problem = scene.owner().post(&path(&trip, "/orders"), these(&[&between])).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("cannot_haul"), &json!("10 vehicles on 9 slots")));
    assert_eq!(scene.order_now(&between).await["trip_id"], json!(null));

    // Nor by another order of the stops, nor with a smaller trailer.
    let stops: Vec<Value> = trip["stops"].as_array().unwrap().iter().map(|stop| json!({"id": id(stop)})).collect();
    let swapped = json!({"stops": [stops[0], stops[2], stops[1], stops[3]]});
    let problem = scene.owner().patch(&path(&trip, ""), swapped).await.refused(409, "conflict");
    assert_eq!(problem["detail"], "10 vehicles on 9 slots");
    let small = create(scene.owner(), "/v1/trailers", json!({"unit_number": "R2", "capacity": 3})).await;
    let problem = scene.owner().patch(&path(&trip, ""), json!({"trailer_id": small})).await.refused(409, "conflict");
    assert_eq!(problem["detail"], "5 vehicles on 4 slots");
    assert_eq!(scene.trip_now(&trip).await, trip);
    assert_eq!(scene.go(&trip, &["ready"]).await["status"], "ready");
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_when_a_trip_is_to_be_ready_and_nothing_before_blocks_notes() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let expired = json!({"licence_expires_on": "2030-03-11", "medical_card_expires_on": "2031-01-01"});
    scene.owner().patch(&format!("/v1/drivers/{}", scene.driver), expired).await.expect(200);
    scene.owner().patch(&path(&trip, ""), json!({"notes": "renewal is on its way"})).await.expect(200);
    let problem = scene.owner().post(&path(&trip, "/ready"), json!({})).await.refused(409, "conflict");
    let expected = "the licence expires on 2030-03-11, the delivery may be on 2030-03-12";
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("cannot_haul"), &json!(expected)));
    scene
        .owner()
        .patch(&format!("/v1/drivers/{}", scene.driver), json!({"licence_expires_on": "2034-03-11"}))
        .await
        .expect(200);
    scene.go(&trip, &["ready"]).await;
    // An enclosed order needs more than an open trailer.
    let mut enclosed = crate::orders::an_order(order["customer_id"].as_str().unwrap());
    enclosed["transport_type"] = json!("enclosed");
    let enclosed = scene.owner().post("/v1/orders", enclosed).await.expect(201);
    let problem = scene.owner().post(&path(&trip, "/orders"), these(&[&enclosed])).await.refused(409, "conflict");
    assert_eq!(problem["detail"], "the order is enclosed, truck and trailer are open");
}

#[tokio::test]
async fn orders_are_found_by_their_trip_and_show_it() {
    let scene = Scene::set().await;
    let (first, second, other) = (scene.order().await, scene.order().await, scene.order().await);
    let trip = scene.trip(&[&first, &second]).await;
    let list = scene.owner().get(&format!("/v1/orders?trip={}&include=trip&sort=number", id(&trip))).await.expect(200);
    assert_eq!(ids(&list), [id(&first), id(&second)]);
    let shown = json!({"id": trip["id"], "number": 1, "status": "planning"});
    assert_eq!(list["data"][0]["trip"], shown);
    let all = scene.owner().get("/v1/orders?include=trip").await.expect(200);
    let without = all["data"].as_array().unwrap().iter().find(|order| id(order) == id(&other)).unwrap();
    assert_eq!((without.get("trip"), &without["trip_id"]), (None, &json!(null)));
    let plain = scene.owner().get("/v1/orders").await.expect(200);
    assert!(plain["data"].as_array().unwrap().iter().all(|order| order.get("trip").is_none()));
}
