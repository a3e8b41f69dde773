//! Vehicles that wait on their own, and what else is done to one vehicle alone.

use axum::http::Method;
use serde_json::{Value, json};

use super::{create_driver, create_order, path, statuses};
use crate::support::{Client, TestApp, id};

fn vehicle(order: &Value, n: usize, action: &str) -> String {
    path(order, &format!("/vehicles/{}{action}", id(&order["vehicles"][n])))
}

async fn assigned(client: &Client) -> Value {
    let (order, driver) = (create_order(client).await, create_driver(client, None).await);
    client.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200)
}

#[tokio::test]
async fn a_vehicle_on_hold_stays_behind_and_shows_why_until_it_is_released() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = assigned(&owner).await;
    let held = owner.post(&vehicle(&order, 1, "/hold"), json!({"note": "no keys at the auction"})).await.expect(200);
    assert_eq!((&held["vehicle_counts"]["on_hold"], &held["on_hold"]), (&json!(1), &json!(false)));
    assert_eq!(
        (&held["vehicles"][1]["on_hold"], &held["vehicles"][1]["hold_reason"]),
        (&json!(true), &json!("no keys at the auction"))
    );
    let problem = owner.post(&vehicle(&order, 1, "/pickup"), json!({})).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("on_hold"), &json!(["new", "cancelled"])));

    let rest = owner.post(&path(&order, "/pickup"), json!({})).await.expect(200);
    assert_eq!(statuses(&rest), ("assigned".into(), vec!["picked_up".into(), "assigned".into()]));
    let gone = owner.post(&path(&order, "/depart"), json!({})).await.expect(200);
    assert_eq!(statuses(&gone).1, ["in_transit", "assigned"]);
    let problem = owner.post(&vehicle(&order, 0, "/hold"), json!({})).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("illegal_move"), &json!(["delivered"])));

    let listed = owner.get("/v1/orders").await.expect(200)["data"][0]["vehicle_counts"].clone();
    assert_eq!(listed, json!({"total": 2, "picked_up": 1, "delivered": 0, "on_hold": 1}));
    owner.post(&vehicle(&order, 1, "/release"), json!({"note": "keys came"})).await.expect(200);
    let again = owner.post(&vehicle(&order, 1, "/release"), json!({})).await.expect(200);
    assert_eq!((&again["vehicle_counts"]["on_hold"], &again["vehicles"][1]["hold_reason"]), (&json!(0), &json!(null)));
    owner.post(&vehicle(&order, 1, "/pickup"), json!({})).await.expect(200);
    owner.post(&vehicle(&order, 1, "/depart"), json!({})).await.expect(200);
    let all = owner.post(&path(&order, "/deliver"), json!({})).await.expect(200);
    assert_eq!(all["status"], "delivered");

    let history = owner.get(&path(&order, "/history?limit=200")).await.expect(200)["data"].clone();
    let events: Vec<_> = history.as_array().unwrap().iter().filter(|entry| !entry["event"].is_null()).collect();
    let told: Vec<_> = events.iter().map(|entry| (entry["event"].as_str().unwrap(), &entry["reason"])).collect();
    let (no_keys, came) = (json!("no keys at the auction"), json!("keys came"));
    assert_eq!(told, [("held", &no_keys), ("released", &came)], "what was released already is not released again");
    assert!(events.iter().all(|entry| entry["vehicle_id"] == order["vehicles"][1]["id"]));
    assert!(events.iter().all(|entry| entry["from_status"] == entry["to_status"]));
}

#[tokio::test]
async fn what_is_held_released_and_archived_is_in_the_history_with_its_reason() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let held = owner.post(&path(&order, "/hold"), json!({"note": "no title"})).await.expect(200);
    assert_eq!(held["hold_reason"], "no title");
    let released = owner.post(&path(&order, "/release"), json!({})).await.expect(200);
    assert_eq!(released["hold_reason"], json!(null));
    let reason = id(&owner.get("/v1/cancel-reasons").await.expect(200)["data"][0]);
    owner.post(&path(&order, "/cancel"), json!({"reason_id": reason})).await.expect(200);
    owner.post(&path(&order, "/archive"), json!({"note": "old"})).await.expect(200);
    owner.post(&path(&order, "/unarchive"), json!({})).await.expect(200);
    let history = owner.get(&path(&order, "/history?limit=200")).await.expect(200)["data"].clone();
    let events = history.as_array().unwrap().iter().filter(|entry| !entry["event"].is_null());
    let told: Vec<_> = events.map(|entry| (entry["event"].as_str().unwrap(), entry["reason"].as_str())).collect();
    assert_eq!(told, [("held", Some("no title")), ("released", None), ("archived", Some("old")), ("unarchived", None)]);
}

#[tokio::test]
async fn a_bulk_pickup_leaves_behind_what_is_on_hold() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (some, all) = (assigned(&owner).await, assigned(&owner).await);
    owner.post(&vehicle(&some, 0, "/hold"), json!({})).await.expect(200);
    for n in 0..2 {
        owner.post(&vehicle(&all, n, "/hold"), json!({})).await.expect(200);
    }
    let body = json!({"order_ids": [id(&some), id(&all)], "action": {"type": "pickup"}});
    let results = owner.post("/v1/orders/bulk", body).await.expect(200)["results"].clone();
    assert_eq!(statuses(&results[0]["order"]).1, ["assigned", "picked_up"]);
    assert_eq!(results[1]["problem"]["code"], "on_hold");
}

#[tokio::test]
async fn holds_are_for_the_dispatch_of_the_carrier_alone() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let rival = app.carrier().await.owner;
    let member = app.member(&carrier, "driver").await;
    let order = create_order(owner).await;
    let driver = create_driver(owner, member.user_id).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    for action in ["/hold", "/release"] {
        member.post(&vehicle(&order, 0, action), json!({})).await.refused(403, "forbidden");
        rival.post(&vehicle(&order, 0, action), json!({})).await.refused(404, "not_found");
    }
    rival.post(&vehicle(&order, 0, "/depart"), json!({})).await.refused(404, "not_found");
    // A driver records what happens to one vehicle, and sees why another one waits.
    owner.post(&vehicle(&order, 1, "/hold"), json!({"note": "not ready"})).await.expect(200);
    member.post(&vehicle(&order, 0, "/pickup"), json!({})).await.expect(200);
    let seen = member.post(&vehicle(&order, 0, "/depart"), json!({})).await.expect(200);
    assert_eq!(seen["vehicles"][1]["hold_reason"], "not ready");
    let elsewhere = create_order(owner).await;
    let mixed = path(&elsewhere, &format!("/vehicles/{}/hold", id(&order["vehicles"][0])));
    owner.post(&mixed, json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_hold_is_of_a_version_and_happens_once_under_its_key() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = assigned(&owner).await;
    let hold = vehicle(&order, 0, "/hold");
    owner.send(Method::POST, &hold, &[("if-match", "\"1\"")], Some(json!({}))).await.refused(412, "stale");
    let first = owner.post_once(&hold, "hold", json!({"note": "wait"})).await;
    let twin = owner.post_once(&hold, "hold", json!({"note": "wait"})).await;
    assert_eq!((twin.status, &twin.text), (first.status, &first.text));
    assert_eq!(first.expect(200)["version"], 3);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200)["version"], 3);
}

#[tokio::test]
async fn of_a_hold_and_a_pickup_at_once_the_later_one_sees_the_earlier() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for _ in 0..5 {
        let order = assigned(&owner).await;
        let send = |action: &str| {
            let (client, path) = (owner.through(&app.another_instance()), vehicle(&order, 0, action));
            tokio::spawn(async move { client.post(&path, json!({})).await.status.as_u16() })
        };
        let (hold, pickup) = (send("/hold"), send("/pickup"));
        let (hold, pickup) = (hold.await.unwrap(), pickup.await.unwrap());
        assert!(matches!((hold, pickup), (200, 409) | (409, 200)), "{hold} {pickup}");
        let now = owner.get(&vehicle(&order, 0, "")).await.expect(200);
        assert_eq!(now["on_hold"], json!(hold == 200), "what is picked up is not on hold: {now}");
    }
}
