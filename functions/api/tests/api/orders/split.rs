//! An order that becomes two.

use axum::http::Method;
use serde_json::{Value, json};

use super::{an_order, create_customer, create_driver, create_order, path, statuses};
use crate::support::{TestApp, id, ids};

fn cents(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.replace('.', "").parse().expect("an amount has its cents"))
}

fn named(order: &Value, places: &[usize]) -> Value {
    json!({"vehicle_ids": places.iter().map(|n| id(&order["vehicles"][*n])).collect::<Vec<_>>()})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_split_off_vehicle_has_an_order_of_its_own_and_its_part_of_the_price() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let tag = id(&owner.post("/v1/tags", json!({"name": "Rush", "color": "#2b8a3e"})).await.expect(201));
    let mut new = an_order(&customer);
    new["vehicles"][0]["price"] = json!("333.33");
    new["vehicles"][1]["price"] = json!("566.67");
    (new["broker_fee"], new["cod_amount"], new["tag_ids"]) = (json!("90.01"), json!("200.00"), json!([tag]));
    let order = owner.post("/v1/orders", new).await.expect(201);
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    owner.post(&path(&order, &format!("/vehicles/{}/hold", id(&order["vehicles"][1]))), json!({})).await.expect(200);

    let body = with(with(named(&order, &[1]), "broker_fee", json!("30.00")), "note", json!("second truck on Friday"));
    let reply = owner.post(&path(&order, "/split"), body).await;
    let location = reply.headers["location"].to_str().unwrap().to_owned();
    let split = reply.expect(201);
    assert_eq!(split, owner.get(&location).await.expect(200));
    let rest = owner.get(&path(&order, "")).await.expect(200);
    assert_eq!(
        (statuses(&rest), statuses(&split)),
        (("assigned".into(), vec!["assigned".into()]), ("new".into(), vec!["new".into()]))
    );
    assert_eq!((&split["split_from"], &rest["split_from"]), (&order["id"], &json!(null)));
    assert_eq!((&split["driver_id"], &rest["driver_id"]), (&json!(null), &json!(driver)));
    assert_eq!((&split["price"], &rest["price"]), (&json!("566.67"), &json!("333.33")));
    assert_eq!((&split["broker_fee"], &rest["broker_fee"]), (&json!("30.00"), &json!("60.01")));
    assert_eq!((&split["cod_amount"], &rest["cod_amount"]), (&json!(null), &json!("200.00")));
    for same in [
        "customer_id",
        "reference",
        "pickup",
        "delivery",
        "transport_type",
        "currency",
        "payment_method",
        "payment_term",
        "dispatcher_id",
        "tag_ids",
    ] {
        assert_eq!(split[same], rest[same], "{same}");
    }
    let (moved, was) = (&split["vehicles"][0], &order["vehicles"][1]);
    assert_eq!((&moved["id"], &moved["vin"], &moved["position"]), (&was["id"], &was["vin"], &json!(1)));
    assert_eq!(split["vehicle_counts"], json!({"total": 1, "picked_up": 0, "delivered": 0, "on_hold": 1}));
    assert_eq!(rest["vehicle_counts"], json!({"total": 1, "picked_up": 0, "delivered": 0, "on_hold": 0}));

    // It is found where it is now, and each history names the other order.
    assert_eq!(ids(&owner.get("/v1/orders?q=L-778").await.expect(200)), [id(&split)]);
    let told = async |of: &Value| {
        let history = owner.get(&path(of, "/history?limit=200")).await.expect(200)["data"].clone();
        let is_split = |entry: &&Value| entry["event"] == "split";
        history.as_array().unwrap().iter().find(is_split).cloned().expect("it tells of the split")
    };
    let (left, came) = (told(&order).await, told(&split).await);
    assert_eq!(left["reason"], format!("split off to order {}: second truck on Friday", split["number"]));
    assert_eq!(came["reason"], format!("split from order {}: second truck on Friday", order["number"]));
    assert_eq!((&left["vehicle_id"], &came["vehicle_id"]), (&was["id"], &was["id"]));
    assert_eq!((&came["from_status"], &came["to_status"]), (&json!("assigned"), &json!("new")));
}

#[tokio::test]
async fn what_stays_may_be_further_than_what_went() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let driver = create_driver(&owner, None).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    let first = path(&order, &format!("/vehicles/{}", id(&order["vehicles"][0])));
    for action in ["/pickup", "/deliver"] {
        owner.post(&format!("{first}{action}"), json!({})).await.expect(200);
    }
    let problem = owner.post(&path(&order, "/split"), named(&order, &[0])).await.refused(409, "conflict");
    assert_eq!(problem["code"], "illegal_move", "it is delivered: {problem}");
    owner.post(&path(&order, "/split"), named(&order, &[1])).await.expect(201);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200)["status"], "delivered");
    let history = owner.get(&path(&order, "/history?limit=200")).await.expect(200)["data"].clone();
    let of_order = history.as_array().unwrap().iter().filter(|entry| entry["vehicle_id"].is_null());
    let steps: Vec<_> = of_order.map(|entry| entry["to_status"].as_str().unwrap()).collect();
    assert_eq!(steps, ["new", "assigned", "picked_up", "in_transit", "delivered"]);
}

#[tokio::test]
async fn the_prices_of_both_come_to_what_the_price_was() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let mut unpriced = an_order(&customer);
    unpriced["price"] = json!("1000.01");
    unpriced["vehicles"][1]["price"] = json!(null);
    let order = owner.post("/v1/orders", unpriced.clone()).await.expect(201);
    let split = path(&order, "/split");
    assert_eq!(owner.post(&split, named(&order, &[1])).await.invalid_fields(), ["/price"]);
    let too_much = with(named(&order, &[1]), "price", json!("1000.02"));
    assert_eq!(owner.post(&split, too_much).await.invalid_fields(), ["/price"]);
    for (field, value) in [("broker_fee", "0.01"), ("cod_amount", "5.00")] {
        let body = with(with(named(&order, &[1]), "price", json!("1.00")), field, json!(value));
        assert_eq!(owner.post(&split, body).await.invalid_fields(), [format!("/{field}")], "there is none");
    }
    assert_eq!(owner.get(&path(&order, "")).await.expect(200), order, "nothing of it stays");
    let part = owner.post(&split, with(named(&order, &[1]), "price", json!("333.34"))).await.expect(201);
    let rest = owner.get(&path(&order, "")).await.expect(200);
    assert_eq!(cents(&part["price"]) + cents(&rest["price"]), cents(&order["price"]));

    unpriced["price"] = json!(null);
    let order = owner.post("/v1/orders", unpriced).await.expect(201);
    let part = owner.post(&path(&order, "/split"), named(&order, &[1])).await.expect(201);
    assert_eq!(part["price"], json!(null));
}

#[tokio::test]
async fn what_cannot_be_split_is_named() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (order, other) = (create_order(&owner).await, create_order(&owner).await);
    let split = path(&order, "/split");
    assert_eq!(owner.post(&split, json!({"vehicle_ids": []})).await.invalid_fields(), ["/vehicle_ids"]);
    assert_eq!(owner.post(&split, named(&order, &[0, 1])).await.invalid_fields(), ["/vehicle_ids"], "one stays");
    let body = json!({"vehicle_ids": [id(&order["vehicles"][0]), id(&other["vehicles"][0])]});
    assert_eq!(owner.post(&split, body).await.invalid_fields(), ["/vehicle_ids/1"]);
    let reason = id(&owner.get("/v1/cancel-reasons").await.expect(200)["data"][0]);
    let cancel = path(&order, &format!("/vehicles/{}/cancel", id(&order["vehicles"][0])));
    owner.post(&cancel, json!({"reason_id": reason})).await.expect(200);
    assert_eq!(
        owner.post(&split, named(&order, &[1])).await.invalid_fields(),
        ["/vehicle_ids"],
        "the other one is cancelled"
    );

    app.run(&format!("UPDATE orders SET billing_status = 'invoiced' WHERE id = '{}'", id(&other))).await;
    let problem = owner.post(&path(&other, "/split"), named(&other, &[0])).await.refused(409, "conflict");
    assert_eq!(problem["code"], "billed");
}

#[tokio::test]
async fn a_split_is_for_the_dispatch_of_the_carrier_alone() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let rival = app.carrier().await.owner;
    let (order, theirs) = (create_order(owner).await, create_order(&rival).await);
    rival.post(&path(&order, "/split"), named(&order, &[1])).await.refused(404, "not_found");
    assert_eq!(rival.post(&path(&theirs, "/split"), named(&order, &[1])).await.invalid_fields(), ["/vehicle_ids/0"]);
    for role in ["driver", "accountant"] {
        let member = app.member(&carrier, role).await;
        if role == "driver" {
            let driver = create_driver(owner, member.user_id).await;
            owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
        }
        member.post(&path(&order, "/split"), named(&order, &[1])).await.refused(403, "forbidden");
    }
    assert_eq!(owner.get("/v1/orders").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_split_counts_as_an_order_of_the_month() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let owner = &carrier.owner;
    let customer = create_customer(owner).await;
    let mut last = json!(null);
    for _ in 0..30 {
        last = owner.post("/v1/orders", an_order(&customer)).await.expect(201);
    }
    let problem = owner.post(&path(&last, "/split"), named(&last, &[1])).await.refused(402, "over_limit");
    assert_eq!(problem["limit"], "orders");
    assert_eq!(owner.get(&path(&last, "")).await.expect(200), last, "nothing of it stays");
}

#[tokio::test]
async fn of_ten_splits_at_once_one_takes_the_vehicle_and_a_twin_is_answered_alike() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let splits = (0..10).map(|_| {
        let (client, path, body) =
            (owner.through(&app.another_instance()), path(&order, "/split"), named(&order, &[1]));
        tokio::spawn(async move { client.post(&path, body).await.status.as_u16() })
    });
    let mut outcomes = Vec::new();
    for split in splits.collect::<Vec<_>>() {
        outcomes.push(split.await.unwrap());
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [201, 422, 422, 422, 422, 422, 422, 422, 422, 422], "it is not on the order any more");

    let order = create_order(&owner).await;
    let body = named(&order, &[0]);
    let stale = owner.send(Method::POST, &path(&order, "/split"), &[("if-match", "\"9\"")], Some(body.clone())).await;
    stale.refused(412, "stale");
    let first = owner.post_once(&path(&order, "/split"), "split", body.clone()).await;
    let twin = owner.post_once(&path(&order, "/split"), "split", body).await;
    assert_eq!((twin.status, &twin.text), (first.status, &first.text));
    first.expect(201);
    let prices = owner.get("/v1/orders").await.expect(200)["data"].clone();
    let sum: i64 = prices.as_array().unwrap().iter().map(|order| cents(&order["price"])).sum();
    assert_eq!((prices.as_array().unwrap().len(), sum), (4, 180_000));
}
