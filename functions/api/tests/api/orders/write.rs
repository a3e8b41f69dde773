use axum::http::Method;
use serde_json::json;

use super::{VIN, a_vehicle, an_order, create_customer, create_order, path};
use crate::support::{TestApp, id};

#[tokio::test]
async fn an_order_is_created_with_its_vehicles_and_read_back_the_same() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    assert_eq!(
        (&order["number"], &order["status"], &order["billing_status"]),
        (&json!(1), &json!("new"), &json!("unbilled"))
    );
    assert_eq!((&order["price"], &order["currency"]), (&json!("900.00"), &json!("USD")));
    assert_eq!(order["pickup"]["from"], "2030-03-09T14:00:00Z");
    assert_eq!(order["pickup"]["date"], "2030-03-09");
    assert_eq!(order["vehicle_counts"], json!({"total": 2, "picked_up": 0, "delivered": 0, "on_hold": 0}));
    assert_eq!(order["vehicles"][0]["vin"], VIN);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200), order);
    let history = owner.get(&path(&order, "/history")).await.expect(200);
    assert_eq!(history["data"].as_array().unwrap().len(), 3, "{history}");
}

#[tokio::test]
async fn the_local_day_of_a_stop_is_the_day_there_also_when_the_clocks_change() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    // 2030-03-10 02:00 is skipped in New York, 2030-11-03 01:30 comes twice; midnight in UTC is the day before there.
    for (from, day) in [
        ("2030-03-10T06:59:00Z", "2030-03-10"),
        ("2030-03-10T03:59:00Z", "2030-03-09"),
        ("2030-03-11T03:59:00Z", "2030-03-10"),
        ("2030-11-03T05:30:00Z", "2030-11-03"),
        ("2030-11-04T04:30:00Z", "2030-11-03"),
    ] {
        let mut new = an_order(&customer);
        new["pickup"]["from"] = json!(from);
        new["pickup"]["to"] = json!("2030-12-01T00:00:00Z");
        new["delivery"]["to"] = json!("2030-12-01T00:00:00Z");
        let order = owner.post("/v1/orders", new).await.expect(201);
        assert_eq!(order["pickup"]["date"], day, "{from}");
    }
}

#[tokio::test]
async fn numbers_count_from_one_in_each_carrier() {
    let app = TestApp::start().await;
    let (one, other) = (app.carrier().await.owner, app.carrier().await.owner);
    for number in 1..=3 {
        assert_eq!(create_order(&one).await["number"], number);
    }
    assert_eq!(create_order(&other).await["number"], 1);
}

#[tokio::test]
async fn bad_input_names_every_field_at_once() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let mut new = an_order(&customer);
    new["payment_method"] = json!("cash");
    new["pickup"]["to"] = json!("2030-03-09T08:00:00-05:00");
    new["vehicles"][1]["vin"] = json!("1M8GDM9A1KP042788");
    new["vehicles"][1]["year"] = json!(1700);
    new["delivery"].as_object_mut().unwrap().remove("time_zone");
    let fields = owner.post("/v1/orders", new).await.invalid_fields();
    assert_eq!(fields, ["/pickup/to", "/delivery/time_zone", "/payment_term", "/vehicles/1/vin", "/vehicles/1/year"]);
}

#[tokio::test]
async fn ach_is_paid_after_any_number_of_days_up_to_a_year() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let with = |method: &str, term: &str| {
        let mut new = an_order(&customer);
        (new["payment_method"], new["payment_term"]) = (json!(method), json!(term));
        new
    };
    for term in ["on_pickup", "days_1", "days_21", "days_45", "days_365"] {
        let order = owner.post("/v1/orders", with("ach", term)).await.expect(201);
        assert_eq!(owner.get(&path(&order, "")).await.expect(200)["payment_term"], term);
    }
    for (method, term) in [
        ("ach", "days_0"),
        ("ach", "days_366"),
        ("ach", "days_021"),
        ("ach", "net_21"),
        ("cash", "days_10"),
        ("certified_funds", "days_30"),
        ("comchek", "days_21"),
        ("company_check", "days_45"),
    ] {
        let reply = owner.post("/v1/orders", with(method, term)).await;
        assert_eq!(reply.invalid_fields(), ["/payment_term"], "{method} {term}");
    }
    let found = owner.get("/v1/orders?payment_term=days_21&payment_term=days_45").await.expect(200);
    assert_eq!(found["data"].as_array().unwrap().len(), 2, "{found}");
    let order = owner.post("/v1/orders", with("ach", "days_21")).await.expect(201);
    assert_eq!(
        owner.patch(&path(&order, ""), json!({"payment_method": "comchek"})).await.invalid_fields(),
        ["/payment_term"]
    );
    let both = json!({"payment_method": "comchek", "payment_term": "days_30"});
    assert_eq!(owner.patch(&path(&order, ""), both).await.expect(200)["payment_term"], "days_30");
}

#[tokio::test]
async fn what_a_type_refuses_is_named_by_its_pointer() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    for (pointer, value) in [
        ("/vehicles/0/vin", json!("1G4AH59H45G11834I")),
        ("/price", json!(12.5)),
        ("/price", json!("-1")),
        ("/pickup/state", json!("Kentucky")),
        ("/pickup/from", json!("9999-12-31T23:59:59Z")),
        ("/delivery/time_zone", json!("Mars/Base")),
        ("/transport_type", json!("flying")),
        ("/tag_ids", json!("x")),
    ] {
        let mut new = an_order(&customer);
        *new.pointer_mut(pointer).unwrap_or(&mut json!(null)) = value.clone();
        if new.pointer(pointer).is_none() {
            new[pointer.trim_start_matches('/')] = value.clone();
        }
        assert_eq!(owner.post("/v1/orders", new).await.invalid_fields(), [pointer], "{value}");
    }
}

#[tokio::test]
async fn a_wrong_check_digit_is_kept_only_on_the_users_word() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let mut new = an_order(&customer);
    new["vehicles"] = json!([{"vin": "1G4AH59H05G118341", "vin_override": true}, {"vin": VIN, "vin_override": true}]);
    let order = owner.post("/v1/orders", new).await.expect(201);
    assert_eq!(order["vehicles"][0]["vin_override"], true);
    assert_eq!(order["vehicles"][1]["vin_override"], false, "nothing to override");
}

#[tokio::test]
async fn references_of_another_carrier_resolve_to_nothing() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let (mine, theirs) = (create_customer(&owner).await, create_customer(&rival).await);
    let location = json!({"type": "auction", "name": "Lot", "address": "1 Way", "city": "Reno", "state": "NV", "zip": "89501", "time_zone": "America/Los_Angeles"});
    let their_location = id(&rival.post("/v1/locations", location).await.expect(201));
    let their_tag = id(&rival.post("/v1/tags", json!({"name": "rush", "color": "#aa0000"})).await.expect(201));

    assert_eq!(owner.post("/v1/orders", an_order(&theirs)).await.invalid_fields(), ["/customer_id"]);
    let mut new = an_order(&mine);
    new["tag_ids"] = json!([their_tag]);
    assert_eq!(owner.post("/v1/orders", new).await.invalid_fields(), ["/tag_ids"]);
    let mut new = an_order(&mine);
    new["pickup"] =
        json!({"location_id": their_location, "from": "2030-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"});
    assert_eq!(owner.post("/v1/orders", new.clone()).await.invalid_fields(), ["/pickup/location_id"]);
    new["pickup"] = an_order(&mine)["pickup"].clone();
    new["pickup"]["location_id"] = json!(their_location);
    assert_eq!(owner.post("/v1/orders", new).await.invalid_fields(), ["/pickup/location_id"]);
    assert_eq!(
        app.count(&format!("SELECT count(*) FROM orders WHERE tenant_id = '{}'", owner.tenant.unwrap())).await,
        0
    );
}

#[tokio::test]
async fn a_stop_takes_the_address_of_its_location_and_keeps_it() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let customer = create_customer(&owner).await;
    let location = json!({"type": "auction", "name": "Blue Lot", "address": "1 Way", "city": "Reno", "state": "NV", "zip": "89501", "time_zone": "America/Los_Angeles", "phone": "775 555 0100"});
    let location = id(&owner.post("/v1/locations", location).await.expect(201));
    let mut new = an_order(&customer);
    new["pickup"] = json!({"location_id": location, "name": "Gate 3", "from": "2030-01-01T05:00:00Z", "to": "2030-01-01T06:00:00Z"});
    let order = owner.post("/v1/orders", new).await.expect(201);
    let stop = &order["pickup"];
    assert_eq!(
        (&stop["name"], &stop["city"], &stop["phone"]),
        (&json!("Gate 3"), &json!("Reno"), &json!("775 555 0100"))
    );
    assert_eq!(stop["date"], "2029-12-31", "the day in Reno");

    owner.patch(&format!("/v1/locations/{location}"), json!({"city": "Sparks"})).await.expect(200);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200)["pickup"]["city"], "Reno");
    assert_eq!(owner.delete(&format!("/v1/locations/{location}")).await.expect(200)["id"], json!(location));
}

#[tokio::test]
async fn an_order_is_changed_in_part_and_stale_changes_are_refused() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let tag = id(&owner.post("/v1/tags", json!({"name": "rush", "color": "#aa0000"})).await.expect(201));
    let patch =
        json!({"price": null, "reference": "X-1", "pickup": {"city": "Louisville", "zip": null}, "tag_ids": [tag]});
    let changed = owner.send(Method::PATCH, &path(&order, ""), &[("if-match", "\"1\"")], Some(patch)).await.expect(200);
    assert_eq!((&changed["price"], &changed["reference"]), (&json!(null), &json!("X-1")));
    assert_eq!(
        (&changed["pickup"]["city"], &changed["pickup"]["zip"], &changed["pickup"]["state"]),
        (&json!("Louisville"), &json!(null), &json!("KY"))
    );
    assert_eq!(changed["tag_ids"], json!([tag]));
    assert_eq!(owner.get(&path(&order, "")).await.expect(200), changed);

    let stale = owner.send(Method::PATCH, &path(&order, ""), &[("if-match", "\"1\"")], Some(json!({}))).await;
    stale.refused(412, "stale");
    owner.send(Method::PATCH, &path(&order, ""), &[], Some(json!({}))).await.refused(428, "version_required");
    assert_eq!(
        owner.patch(&path(&order, ""), json!({"payment_method": "cash"})).await.invalid_fields(),
        ["/payment_term"]
    );
    assert_eq!(
        owner.patch(&path(&order, ""), json!({"transport_type": null})).await.invalid_fields(),
        ["/transport_type"]
    );
}

#[tokio::test]
async fn a_custom_status_must_fit_the_status_and_goes_when_it_moves() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let custom = |system| json!({"label": format!("Mine {system}"), "color": "#00aa00", "system_status": system});
    let fits = id(&owner.post("/v1/custom-statuses", custom("new")).await.expect(201));
    let not = id(&owner.post("/v1/custom-statuses", custom("delivered")).await.expect(201));
    assert_eq!(
        owner.patch(&path(&order, ""), json!({"custom_status_id": not})).await.invalid_fields(),
        ["/custom_status_id"]
    );
    owner.patch(&path(&order, ""), json!({"custom_status_id": fits})).await.expect(200);
    let driver = super::create_driver(&owner, None).await;
    let assigned = owner.post(&path(&order, "/assign"), json!({"driver_id": driver})).await.expect(200);
    assert_eq!(assigned["custom_status_id"], json!(null));
}

#[tokio::test]
async fn another_carrier_can_neither_see_nor_touch_an_order() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let order = create_order(&owner).await;
    let vehicle = id(&order["vehicles"][0]);
    for rest in ["", "/history", "/vehicles", &format!("/vehicles/{vehicle}")] {
        rival.get(&path(&order, rest)).await.refused(404, "not_found");
    }
    rival.patch(&path(&order, ""), json!({"price": "1.00"})).await.refused(404, "not_found");
    rival.post(&path(&order, "/vehicles"), a_vehicle()).await.refused(404, "not_found");
    rival.post(&path(&order, "/hold"), json!({})).await.refused(404, "not_found");
    rival.delete(&path(&order, &format!("/vehicles/{vehicle}"))).await.refused(404, "not_found");
    for query in ["", "?q=LB-48213", "?include=counts", "?status=new"] {
        let list = rival.get(&format!("/v1/orders{query}")).await.expect(200);
        assert_eq!(list["data"], json!([]), "{query}");
        assert!(list["counts"].as_object().is_none_or(|counts| counts.values().all(|count| *count == 0)), "{list}");
    }
    let bulk = json!({"order_ids": [id(&order)], "action": {"type": "hold"}});
    let results = rival.post("/v1/orders/bulk", bulk).await.expect(200);
    assert_eq!(results["results"][0]["problem"]["status"], 404);
    assert_eq!(owner.get(&path(&order, "")).await.expect(200), order);
}

#[tokio::test]
async fn a_hundred_concurrent_orders_at_limit_minus_one_give_exactly_one() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let customer = create_customer(&carrier.owner).await;
    for _ in 0..29 {
        carrier.owner.post("/v1/orders", an_order(&customer)).await.expect(201);
    }
    let attempts = (0..100).map(|n| {
        let client = carrier.owner.through(&app.another_instance());
        let new = an_order(&customer);
        tokio::spawn(async move { client.post_patiently("/v1/orders", &format!("attempt {n}"), new).await })
    });
    let mut created = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        let reply = attempt.await.unwrap();
        if reply.status == 201 {
            created += 1;
        } else {
            let problem = reply.refused(402, "over_limit");
            assert_eq!(
                (&problem["limit"], &problem["max"], &problem["used"]),
                (&json!("orders"), &json!(30), &json!(30))
            );
            assert!(problem["resets_at"].is_string());
        }
    }
    assert_eq!(created, 1);
    assert_eq!(app.count(&format!("SELECT count(*) FROM orders WHERE tenant_id = '{}'", carrier.id)).await, 30);
}

#[tokio::test]
async fn a_customer_with_orders_is_archived_and_takes_no_new_ones() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let customer = order["customer_id"].as_str().unwrap();
    let archived = owner.delete(&format!("/v1/customers/{customer}")).await.expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(owner.post("/v1/orders", an_order(customer)).await.invalid_fields(), ["/customer_id"]);
    owner.patch(&path(&order, ""), json!({"notes": "still editable"})).await.expect(200);
}

#[tokio::test]
async fn what_can_only_be_picked_up_after_its_delivery_is_refused_with_both_fields() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let customer = create_customer(&owner).await;
    let window = |from: &str, to: &str| json!({"from": from, "to": to});
    let both = ["/pickup/from", "/delivery/to"];
    let mut new = an_order(&customer);
    new["pickup"]["from"] = json!("2030-03-12T22:00:01Z");
    new["pickup"]["to"] = json!("2030-03-13T22:00:00Z");
    assert_eq!(owner.post("/v1/orders", new.clone()).await.invalid_fields(), both);
    new["pickup"]["from"] = json!("2030-03-12T22:00:00Z");
    let order = owner.post("/v1/orders", new).await.expect(201);
    let at = path(&order, "");

    // One alone is held against what the other is.
    let late = json!({"pickup": window("2030-03-12T22:00:01Z", "2030-03-13T22:00:00Z")});
    assert_eq!(owner.patch(&at, late).await.invalid_fields(), both);
    let early = json!({"delivery": window("2030-03-10T14:00:00Z", "2030-03-11T22:00:00Z")});
    assert_eq!(owner.patch(&at, early.clone()).await.invalid_fields(), both);
    assert_eq!(owner.get(&at).await.expect(200), order, "nothing of it stays");
    rival.patch(&at, early.clone()).await.refused(404, "not_found");
    let mut moved = early;
    moved["pickup"] = window("2030-03-10T14:00:00Z", "2030-03-10T22:00:00Z");
    owner.patch(&at, moved).await.expect(200);

    // One from before this was asked can still be changed elsewhere.
    app.run(&format!(
        "UPDATE orders SET delivery_from = '2030-03-01', delivery_to = '2030-03-01' WHERE id = '{}'",
        id(&order)
    ))
    .await;
    owner.patch(&at, json!({"notes": "dates to be asked", "pickup": {"notes": "ring twice"}})).await.expect(200);
}
