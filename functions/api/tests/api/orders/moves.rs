use axum::http::Method;
use serde_json::{Value, json};

use super::{an_order, create_customer, create_driver, create_order, path, statuses};
use crate::support::{Client, TestApp, id, ids};

async fn cancel_reason(client: &Client) -> String {
    id(&client.get("/v1/cancel-reasons").await.expect(200)["data"][0])
}

fn told(order: &str, vehicle: &str) -> (String, Vec<String>) {
    (order.to_owned(), vec![vehicle.to_owned(); 2])
}

#[tokio::test]
async fn an_order_goes_its_way_from_new_to_archived() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    let go = async |action: &str, body: Value| owner.post(&path(&order, action), body).await.expect(200);

    assert_eq!(statuses(&go("/assign", json!({"driver_id": driver})).await), told("assigned", "assigned"));
    let picked_up = go("/pickup", json!({"at": "2026-11-01T10:00:00Z", "note": "keys in the glove box"})).await;
    assert_eq!(statuses(&picked_up), told("picked_up", "picked_up"));
    assert_eq!(picked_up["vehicles"][0]["picked_up_at"], "2026-11-01T10:00:00Z");
    assert_eq!(statuses(&go("/depart", json!({})).await), told("in_transit", "in_transit"));
    let delivered = go("/deliver", json!({})).await;
    assert_eq!(statuses(&delivered), told("delivered", "delivered"));
    assert_eq!(delivered["vehicle_counts"], json!({"total": 2, "picked_up": 2, "delivered": 2, "on_hold": 0}));
    assert!(go("/archive", json!({})).await["archived_at"].is_string());
    assert_eq!(owner.get("/v1/orders").await.expect(200)["data"], json!([]));

    let history = owner.get(&path(&order, "/history")).await.expect(200)["data"].clone();
    let is_move = |entry: &&Value| entry["vehicle_id"].is_null() && entry["event"].is_null();
    let of_order = history.as_array().unwrap().iter().filter(is_move);
    let steps: Vec<_> = of_order.map(|entry| entry["to_status"].as_str().unwrap()).collect();
    assert_eq!(steps, ["new", "assigned", "picked_up", "in_transit", "delivered"]);
    assert!(history.as_array().unwrap().iter().any(|entry| entry["reason"] == "keys in the glove box"));
}

#[tokio::test]
async fn the_history_has_the_steps_in_their_order_also_when_one_action_takes_two() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for _ in 0..5 {
        let order = create_order(&owner).await;
        let driver = create_driver(&owner, None).await;
        owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
        owner.post(&path(&order, "/pickup"), json!({})).await.expect(200);
        owner.post(&path(&order, "/deliver"), json!({})).await.expect(200);
        let history = owner.get(&path(&order, "/history")).await.expect(200);
        let of_order = history["data"].as_array().unwrap().iter().filter(|entry| entry["vehicle_id"].is_null());
        let steps: Vec<_> = of_order.map(|entry| entry["to_status"].as_str().unwrap()).collect();
        assert_eq!(steps, ["new", "assigned", "picked_up", "in_transit", "delivered"]);
    }
}

#[tokio::test]
async fn illegal_moves_are_refused_with_the_legal_ones() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    for action in ["/unassign", "/pickup", "/depart", "/deliver", "/archive"] {
        let problem = owner.post(&path(&order, action), json!({})).await.refused(409, "conflict");
        assert_eq!(
            (&problem["code"], &problem["allowed"]),
            (&json!("illegal_move"), &json!(["assigned", "cancelled"])),
            "{action}"
        );
    }
    let assignment = json!({"driver_id": driver});
    owner.post(&path(&order, "/assign"), assignment.clone()).await.expect(200);
    owner.post(&path(&order, "/pickup"), json!({})).await.expect(200);
    let reason = cancel_reason(&owner).await;
    for (action, body) in [
        ("/assign", assignment),
        ("/unassign", json!({})),
        ("/pickup", json!({})),
        ("/cancel", json!({"reason_id": reason})),
    ] {
        let problem = owner.post(&path(&order, action), body).await.refused(409, "conflict");
        assert_eq!(problem["allowed"], json!(["in_transit"]), "{action}");
    }
    owner.post(&path(&order, "/deliver"), json!({})).await.expect(200);
    let problem = owner.post(&path(&order, "/deliver"), json!({})).await.refused(409, "conflict");
    assert_eq!(problem["allowed"], json!([]), "nothing comes after delivery");
}

#[tokio::test]
async fn nothing_is_delivered_before_it_was_picked_up() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    owner.post(&path(&order, "/pickup"), json!({"at": "2026-11-20T10:00:00Z"})).await.expect(200);
    for deliver in ["/deliver".to_owned(), format!("/vehicles/{}/deliver", id(&order["vehicles"][0]))] {
        let early = owner.post(&path(&order, &deliver), json!({"at": "2026-11-20T09:59:59Z"})).await;
        assert_eq!(early.invalid_fields(), ["/at"], "{deliver}");
    }
    owner.post(&path(&order, "/deliver"), json!({"at": "2026-11-20T10:00:00Z"})).await.expect(200);
}

#[tokio::test]
async fn an_order_on_hold_says_what_it_can_become_without_its_release() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    let assignment = json!({"driver_id": driver});
    let refused = async |action: &str, body: Value| {
        let problem = owner.post(&path(&order, action), body).await.refused(409, "conflict");
        assert_eq!(problem["code"], "on_hold");
        problem["allowed"].clone()
    };
    owner.post(&path(&order, "/hold"), json!({})).await.expect(200);
    assert_eq!(refused("/assign", assignment.clone()).await, json!(["cancelled"]));
    owner.post(&path(&order, "/release"), json!({})).await.expect(200);
    owner.post(&path(&order, "/assign"), assignment).await.expect(200);
    owner.post(&path(&order, "/hold"), json!({})).await.expect(200);
    assert_eq!(refused("/pickup", json!({})).await, json!(["new", "cancelled"]));
}

#[tokio::test]
async fn the_history_is_read_page_by_page_to_its_newest_entry() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let order = create_order(&carrier.owner).await;
    // More than a page can have.
    app.run(&format!(
        "INSERT INTO status_history (tenant_id, order_id, id, to_status, at) \
         SELECT '{}', '{}', app.uuid_v7(), 'new', now() FROM generate_series(1, 205)",
        carrier.id,
        id(&order)
    ))
    .await;
    let read = async |query: &str| carrier.owner.get(&path(&order, &format!("/history?{query}"))).await.expect(200);
    let (mut seen, mut query) = (Vec::new(), "limit=200".to_owned());
    loop {
        let page = read(&query).await;
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=200&cursor={cursor}");
        rival.get(&path(&order, &format!("/history?{query}"))).await.refused(404, "not_found");
    }
    let all = format!("SELECT count(*) FROM status_history WHERE order_id = '{}'", id(&order));
    assert_eq!(i64::try_from(seen.len()).unwrap(), app.count(&all).await);
    assert!(seen.is_sorted_by(|one, next| one < next), "each once, oldest first");
    assert_eq!(ids(&read("").await), seen[..50]);
}

#[tokio::test]
async fn a_partial_pickup_shows_in_the_counts_and_the_order_waits_for_the_last_vehicle() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    let (first, second) = (id(&order["vehicles"][0]), id(&order["vehicles"][1]));
    let vehicle = |vehicle: &str, action: &str| path(&order, &format!("/vehicles/{vehicle}/{action}"));

    let partly = owner.post(&vehicle(&first, "pickup"), json!({})).await.expect(200);
    assert_eq!(statuses(&partly), ("assigned".into(), vec!["picked_up".into(), "assigned".into()]));
    assert_eq!(partly["vehicle_counts"], json!({"total": 2, "picked_up": 1, "delivered": 0, "on_hold": 0}));
    owner.post(&vehicle(&first, "pickup"), json!({})).await.refused(409, "conflict");
    let cancellation = json!({"reason_id": cancel_reason(&owner).await});
    for (action, body) in
        [("/unassign", json!({})), ("/assign", json!({"driver_id": driver})), ("/cancel", cancellation)]
    {
        let problem = owner.post(&path(&order, action), body).await.refused(409, "conflict");
        assert_eq!(
            problem["allowed"],
            json!(["picked_up"]),
            "{action} is no longer legal, though the order is assigned"
        );
    }

    let all = owner.post(&path(&order, "/pickup"), json!({})).await.expect(200);
    assert_eq!(all["status"], "picked_up");
    let partly = owner.post(&vehicle(&second, "deliver"), json!({})).await.expect(200);
    assert_eq!(statuses(&partly), ("picked_up".into(), vec!["picked_up".into(), "delivered".into()]));
    assert_eq!(owner.post(&vehicle(&first, "deliver"), json!({})).await.expect(200)["status"], "delivered");
}

#[tokio::test]
async fn cancelling_needs_a_reason_and_a_cancelled_vehicle_no_longer_counts() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    assert_eq!(owner.post(&path(&order, "/cancel"), json!({})).await.invalid_fields(), ["/reason_id"]);
    let reason = cancel_reason(&owner).await;
    let first = id(&order["vehicles"][0]);
    let body = json!({"reason_id": reason, "note": "sold"});
    let partly = owner.post(&path(&order, &format!("/vehicles/{first}/cancel")), body.clone()).await.expect(200);
    assert_eq!((&partly["status"], &partly["vehicle_counts"]["total"]), (&json!("new"), &json!(1)));
    // Where the order goes on, the history says why the vehicle does not.
    let entries = owner.get(&path(&order, "/history")).await.expect(200);
    assert_eq!(entries["data"].as_array().unwrap().last().unwrap()["cancel_reason_id"], json!(reason));
    let cancelled = owner.post(&path(&order, "/cancel"), body).await.expect(200);
    assert_eq!(statuses(&cancelled), told("cancelled", "cancelled"));
    assert_eq!(cancelled["cancel_reason_id"], json!(reason));
    let foreign = uuid::Uuid::now_v7();
    let other = create_order(&owner).await;
    assert_eq!(
        owner.post(&path(&other, "/cancel"), json!({"reason_id": foreign})).await.invalid_fields(),
        ["/reason_id"]
    );
    let vehicle = path(&other, &format!("/vehicles/{}/cancel", id(&other["vehicles"][0])));
    assert_eq!(owner.post(&vehicle, json!({"reason_id": foreign})).await.invalid_fields(), ["/reason_id"]);
}

#[tokio::test]
async fn a_held_order_is_neither_assigned_nor_picked_up_until_it_is_released() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = json!({"driver_id": create_driver(&owner, None).await});
    assert_eq!(owner.post(&path(&order, "/hold"), json!({"note": "no title"})).await.expect(200)["on_hold"], true);
    assert_eq!(owner.post(&path(&order, "/assign"), driver.clone()).await.refused(409, "conflict")["code"], "on_hold");
    owner.post(&path(&order, "/release"), json!({})).await.expect(200);
    owner.post(&path(&order, "/assign"), driver).await.expect(200);
    owner.post(&path(&order, "/hold"), json!({})).await.expect(200);
    assert_eq!(owner.post(&path(&order, "/pickup"), json!({})).await.refused(409, "conflict")["code"], "on_hold");
}

#[tokio::test]
async fn only_what_is_there_and_not_archived_can_be_assigned() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let order = create_order(&owner).await;
    let theirs = create_driver(&rival, None).await;
    assert_eq!(
        owner.post(&path(&order, "/assign"), json!({"driver_id": theirs})).await.invalid_fields(),
        ["/driver_id"]
    );
    let driver = create_driver(&owner, None).await;
    owner.patch(&format!("/v1/drivers/{driver}"), json!({"archived": true})).await.expect(200);
    assert_eq!(
        owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.invalid_fields(),
        ["/driver_id"]
    );
    assert_eq!(owner.get(&path(&order, "")).await.expect(200), order, "nothing of it stays");
}

#[tokio::test]
async fn drivers_see_and_move_their_own_orders_only_and_no_prices() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let (theirs, other) = (create_order(owner).await, create_order(owner).await);
    let member = app.member(&carrier, "driver").await;
    assert_eq!(member.get("/v1/orders").await.expect(200)["data"], json!([]), "linked to no driver yet");
    let driver = create_driver(owner, member.user_id).await;
    let colleague = create_driver(owner, None).await;
    owner.post(&path(&theirs, "/assign"), json!({"driver_id": driver})).await.expect(200);
    owner.post(&path(&other, "/assign"), json!({"driver_id": colleague})).await.expect(200);

    let seen = member.get("/v1/orders?include=vehicles&include=customer").await.expect(200);
    assert_eq!(seen["data"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!((&seen["data"][0]["price"], &seen["data"][0]["vehicles"][0]["price"]), (&json!(null), &json!(null)));
    for rest in ["", "/history", "/vehicles"] {
        member.get(&path(&other, rest)).await.refused(404, "not_found");
    }
    member.post(&path(&other, "/pickup"), json!({})).await.refused(404, "not_found");
    let picked_up = member.post(&path(&theirs, "/pickup"), json!({})).await.expect(200);
    assert_eq!((&picked_up["status"], &picked_up["price"]), (&json!("picked_up"), &json!(null)));
    member.post(&path(&theirs, "/hold"), json!({})).await.refused(403, "forbidden");
    member.patch(&path(&theirs, ""), json!({"price": "1.00"})).await.refused(403, "forbidden");
    assert_eq!(owner.get(&path(&theirs, "")).await.expect(200)["price"], "900.00");

    owner.patch("/v1/tenant", json!({"drivers_see_prices": true})).await.expect(200);
    assert_eq!(member.get(&path(&theirs, "")).await.expect(200)["price"], "900.00");
}

#[tokio::test]
async fn a_bulk_action_has_a_result_for_each_order() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(id(&owner.post("/v1/orders", an_order(&customer)).await.expect(201)));
    }
    owner.post(&format!("/v1/orders/{}/hold", orders[1]), json!({})).await.expect(200);
    let unknown = uuid::Uuid::now_v7().to_string();
    let driver = create_driver(&owner, None).await;
    let body = json!({
        "order_ids": [orders[0], orders[1], unknown, orders[2], orders[0]],
        "action": {"type": "assign", "driver_id": driver}
    });
    let results = owner.post_once("/v1/orders/bulk", "bulk", body.clone()).await;
    let again = owner.post_once("/v1/orders/bulk", "bulk", body).await;
    assert_eq!(again.text, results.text);
    let results = results.expect(200)["results"].clone();
    let outcome = |n: usize| {
        (results[n]["order_id"].clone(), results[n]["order"]["status"].clone(), results[n]["problem"]["status"].clone())
    };
    assert_eq!(outcome(0), (json!(orders[0]), json!("assigned"), json!(null)));
    assert_eq!(outcome(1), (json!(orders[1]), json!(null), json!(409)));
    assert_eq!(outcome(2), (json!(unknown), json!(null), json!(404)));
    assert_eq!(outcome(3), (json!(orders[2]), json!("assigned"), json!(null)));
    assert_eq!(results.as_array().unwrap().len(), 4, "an order named twice is moved once");

    let none = json!({"order_ids": [], "action": {"type": "hold"}});
    assert_eq!(owner.post("/v1/orders/bulk", none).await.invalid_fields(), ["/order_ids"]);
    let odd = json!({"order_ids": [orders[0]], "action": {"type": "explode"}});
    assert_eq!(owner.post("/v1/orders/bulk", odd).await.invalid_fields(), ["/action/type"]);
}

#[tokio::test]
async fn of_two_moves_at_once_one_wins() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    let pickups = (0..10).map(|_| {
        let (client, path) = (owner.through(&app.another_instance()), path(&order, "/pickup"));
        tokio::spawn(async move { client.post(&path, json!({})).await.status.as_u16() })
    });
    let mut outcomes = Vec::new();
    for pickup in pickups.collect::<Vec<_>>() {
        outcomes.push(pickup.await.unwrap());
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
    let stale = owner.send(Method::POST, &path(&order, "/depart"), &[("if-match", "\"1\"")], Some(json!({}))).await;
    stale.refused(412, "stale");
}

#[tokio::test]
async fn what_happened_cannot_lie_in_the_future() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    let reply = owner.post(&path(&order, "/pickup"), json!({"at": "2190-01-01T00:00:00Z"})).await;
    assert_eq!(reply.invalid_fields(), ["/at"]);
}
