use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, path};
use crate::support::{TestApp, id};

#[tokio::test]
async fn a_trip_goes_its_way_from_planning_to_completed_and_its_history_tells_who_when_and_why() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let go = async |action: &str, body: Value| scene.owner().post(&path(&trip, action), body).await.expect(200);
    assert_eq!(go("/ready", json!({"note": "checked with the shop"})).await["status"], "ready");
    assert_eq!(go("/reopen", json!({})).await["status"], "planning");
    go("/ready", json!({})).await;
    let started = go("/start", json!({"at": "2026-11-01T10:00:00Z"})).await;
    assert_eq!((&started["status"], &started["version"]), (&json!("in_progress"), &json!(5)));
    scene.haul(&order).await;
    assert_eq!(go("/deliver", json!({})).await["status"], "delivered");
    assert_eq!(go("/complete", json!({})).await["status"], "completed");

    let history = scene.owner().get(&path(&trip, "/history")).await.expect(200)["data"].clone();
    let entries = history.as_array().unwrap();
    let steps: Vec<_> = entries.iter().map(|entry| entry["to_status"].as_str().unwrap()).collect();
    assert_eq!(steps, ["planning", "ready", "planning", "ready", "in_progress", "delivered", "completed"]);
    assert_eq!((&entries[0]["from_status"], &entries[1]["from_status"]), (&json!(null), &json!("planning")));
    assert_eq!(entries[1]["reason"], "checked with the shop");
    assert_eq!(entries[4]["at"], "2026-11-01T10:00:00Z");
    let me = scene.owner().get("/v1/me").await.expect(200);
    assert!(entries.iter().all(|entry| entry["actor_id"] == me["id"]), "{history}");
}

#[tokio::test]
async fn illegal_moves_are_refused_with_the_legal_ones() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let reason = scene.cancel_reason().await;
    let refused = async |action: &str| {
        let body = if action == "cancel" { json!({"reason_id": reason}) } else { json!({}) };
        let problem = scene.owner().post(&path(&trip, &format!("/{action}")), body).await.refused(409, "conflict");
        assert_eq!(problem["code"], "illegal_move", "{action}");
        problem.get("allowed").cloned().unwrap_or(json!([]))
    };
    for action in ["reopen", "start", "deliver", "complete"] {
        assert_eq!(refused(action).await, json!(["ready", "cancelled"]), "{action}");
    }
    scene.go(&trip, &["ready"]).await;
    for action in ["ready", "deliver", "complete"] {
        assert_eq!(refused(action).await, json!(["in_progress", "planning", "cancelled"]), "{action}");
    }
    scene.go(&trip, &["start"]).await;
    for action in ["ready", "reopen", "start", "complete", "cancel"] {
        assert_eq!(refused(action).await, json!(["delivered"]), "{action}");
    }
    scene.haul(&order).await;
    scene.go(&trip, &["deliver"]).await;
    assert_eq!(refused("cancel").await, json!(["completed"]));
    scene.go(&trip, &["complete"]).await;
    for action in ["ready", "reopen", "start", "deliver", "complete", "cancel"] {
        assert_eq!(refused(action).await, json!([]), "{action}");
    }
}

#[tokio::test]
async fn what_is_ready_has_a_driver_a_truck_and_a_stop_and_keeps_them() {
    let scene = Scene::set().await;
    let owner = scene.owner();
    let trip = owner.post("/v1/trips", json!({})).await.expect(201);
    let problem = owner.post(&path(&trip, "/ready"), json!({})).await.refused(409, "conflict");
    assert_eq!(problem["code"], "incomplete");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("missing: a driver, a truck, a stop"), "{detail}");
    let stops = json!([{"kind": "other", "city": "Dallas", "state": "TX", "time_zone": "America/Chicago"}]);
    let change = json!({"driver_id": scene.driver, "truck_id": scene.truck, "stops": stops});
    owner.patch(&path(&trip, ""), change).await.expect(200);
    scene.go(&trip, &["ready"]).await;
    let nobody = json!({"driver_id": null, "truck_id": null});
    assert_eq!(owner.patch(&path(&trip, ""), nobody).await.invalid_fields(), ["/driver_id", "/truck_id"]);
}

#[tokio::test]
async fn a_trip_is_neither_delivered_nor_completed_while_an_order_on_it_is_not() {
    let scene = Scene::set().await;
    let (first, second, third) = (scene.order().await, scene.order().await, scene.order().await);
    let trip = scene.trip(&[&first, &second, &third]).await;
    scene.go(&trip, &["ready", "start"]).await;
    scene.haul(&first).await;
    let cancellation = json!({"reason_id": scene.cancel_reason().await});
    scene.owner().post(&crate::orders::path(&third, "/cancel"), cancellation).await.expect(200);
    let problem = scene.owner().post(&path(&trip, "/deliver"), json!({})).await.refused(409, "conflict");
    let expected = format!("order {} is assigned", second["number"]);
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("orders_not_delivered"), &json!(expected)));
    scene.haul(&second).await;
    // A cancelled order is no load.
    assert_eq!(scene.go(&trip, &["deliver", "complete"]).await["status"], "completed");
}

#[tokio::test]
async fn a_vehicle_that_stayed_behind_is_split_off_so_that_the_trip_can_end() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready", "start"]).await;
    let left_behind = id(&order["vehicles"][1]);
    let hold = crate::orders::path(&order, &format!("/vehicles/{left_behind}/hold"));
    scene.owner().post(&hold, json!({})).await.expect(200);
    scene.haul(&order).await;
    let problem = scene.owner().post(&path(&trip, "/deliver"), json!({})).await.refused(409, "conflict");
    let detail = format!("order {} is assigned with vehicles on hold: release them or split them off", order["number"]);
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("orders_not_delivered"), &json!(detail)));
    let split = crate::orders::path(&order, "/split");
    let split = scene.owner().post(&split, json!({"vehicle_ids": [left_behind]})).await.expect(201);
    assert_eq!((&split["trip_id"], &split["status"]), (&json!(null), &json!("new")));
    assert_eq!(scene.go(&trip, &["deliver", "complete"]).await["status"], "completed");
    let next = scene.trip(&[&split]).await;
    assert_eq!(next["orders"][0]["id"], split["id"], "it goes with the next one");
}

#[tokio::test]
async fn cancelling_needs_a_reason_and_makes_the_orders_new_again() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let cancel = path(&trip, "/cancel");
    for reason in [json!({}), json!({"reason_id": Uuid::now_v7()})] {
        assert_eq!(scene.owner().post(&cancel, reason).await.invalid_fields(), ["/reason_id"]);
    }
    assert_eq!(scene.order_now(&order).await["status"], "assigned", "nothing of it stays");
    let body = json!({"reason_id": scene.cancel_reason().await, "note": "truck broke down"});
    let cancelled = scene.owner().post(&cancel, body.clone()).await.expect(200);
    assert_eq!((&cancelled["status"], &cancelled["orders"]), (&json!("cancelled"), &json!([])));
    let freed = scene.order_now(&order).await;
    assert_eq!((&freed["status"], &freed["trip_id"], &freed["driver_id"]), (&json!("new"), &json!(null), &json!(null)));
    let history = scene.owner().get(&path(&trip, "/history")).await.expect(200);
    let last = history["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["reason"], &last["cancel_reason_id"]), (&json!("truck broke down"), &body["reason_id"]));

    // What is picked up is on the road, whatever the trip says.
    let trip = scene.trip(&[&order]).await;
    scene.owner().post(&crate::orders::path(&order, "/pickup"), json!({})).await.expect(200);
    scene.owner().post(&path(&trip, "/cancel"), body).await.refused(409, "conflict");
    assert_eq!(scene.trip_now(&trip).await["status"], "planning");
}

#[tokio::test]
async fn of_two_moves_at_once_one_wins() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready"]).await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (client, path) = (scene.owner().through(&scene.app.another_instance()), path(&trip, "/start"));
        starts.spawn(async move { client.post(&path, json!({})).await.status.as_u16() });
    }
    let mut outcomes = starts.join_all().await;
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn drivers_see_and_record_their_own_trips_only() {
    let scene = Scene::set().await;
    let member = scene.app.member(&scene.carrier, "driver").await;
    assert_eq!(member.get("/v1/trips").await.expect(200)["data"], json!([]), "linked to no driver yet");
    let linked = json!({"user_id": member.user_id});
    scene.owner().patch(&format!("/v1/drivers/{}", scene.driver), linked).await.expect(200);
    let (order, other_order) = (scene.order().await, scene.order().await);
    let theirs = scene.trip(&[&order]).await;
    let colleague = crate::orders::create_driver(scene.owner(), None).await;
    let body = json!({"driver_id": colleague, "truck_id": scene.truck, "trailer_id": scene.trailer,
                      "order_ids": [id(&other_order)]});
    let other = scene.owner().post("/v1/trips", body).await.expect(201);
    for trip in [&theirs, &other] {
        scene.go(trip, &["ready"]).await;
    }
    let seen = member.get("/v1/trips?include=stops&include=orders&include=truck").await.expect(200);
    assert_eq!(crate::support::ids(&seen), [id(&theirs)]);
    assert_eq!(seen["data"][0]["truck"]["unit_number"], "101");
    assert!(!seen.to_string().contains("price"), "{seen}");
    for rest in ["", "/history"] {
        member.get(&path(&other, rest)).await.refused(404, "not_found");
    }
    let stop = |trip: &Value| path(trip, &format!("/stops/{}/arrive", id(&trip["stops"][0])));
    member.post(&path(&other, "/start"), json!({})).await.refused(404, "not_found");
    member.post(&stop(&other), json!({})).await.refused(404, "not_found");
    for (action, body) in
        [("/complete", json!({})), ("/reopen", json!({})), ("/orders", json!({"order_ids": [id(&order)]}))]
    {
        member.post(&path(&theirs, action), body).await.refused(403, "forbidden");
    }
    member.patch(&path(&theirs, ""), json!({"notes": "mine"})).await.refused(403, "forbidden");
    member.post("/v1/trips", json!({})).await.refused(403, "forbidden");
    member.post(&path(&theirs, "/start"), json!({})).await.expect(200);
    assert!(member.post(&stop(&theirs), json!({})).await.expect(200)["stops"][0]["arrived_at"].is_string());
    for action in ["/pickup", "/deliver"] {
        member.post(&crate::orders::path(&order, action), json!({})).await.expect(200);
    }
    assert_eq!(member.post(&path(&theirs, "/deliver"), json!({})).await.expect(200)["status"], "delivered");
}

#[tokio::test]
async fn what_happens_on_the_road_is_recorded_when_the_months_calls_are_used_up() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready"]).await;
    let stop = id(&trip["stops"][0]);
    use_up(&scene.app, scene.carrier.id).await;
    scene.owner().post(&path(&trip, "/reopen"), json!({})).await.refused(402, "over_limit");
    scene.owner().post(&path(&trip, "/start"), json!({})).await.expect(200);
    for action in ["arrive", "depart"] {
        scene.owner().post(&path(&trip, &format!("/stops/{stop}/{action}")), json!({})).await.expect(200);
    }
    scene.haul(&order).await;
    scene.owner().post(&path(&trip, "/deliver"), json!({})).await.expect(200);
    scene.owner().post(&path(&trip, "/complete"), json!({})).await.refused(402, "over_limit");
}

async fn use_up(app: &TestApp, tenant: Uuid) {
    app.run(&format!("UPDATE api_usage SET calls = 2000000 WHERE tenant_id = '{tenant}'")).await;
}

#[tokio::test]
async fn a_move_is_told_in_the_events_and_in_the_audit_log() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready"]).await;
    let told = format!("SELECT count(*) FROM tenant_events WHERE topic = 'trips' AND subject_id = '{}'", id(&trip));
    assert_eq!(scene.app.count(&told).await, 2);
    let kind = format!("{told} AND type = 'trip.ready' AND driver_id = '{}'", scene.driver);
    assert_eq!(scene.app.count(&kind).await, 1);
    let stops = format!(
        "SELECT count(*) FROM audit_log WHERE tenant_id = '{}' AND table_name = 'trip_stops'",
        scene.carrier.id
    );
    assert_eq!(scene.app.count(&stops).await, 2, "a stop that has not changed is not written again");
}
