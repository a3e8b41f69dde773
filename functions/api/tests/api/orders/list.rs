use carhaul_core::base::page;
use serde_json::{Value, json};

use super::{an_order, create_customer, create_driver, path};
use crate::support::{Carrier, Client, TestApp, id, ids};

/// A carrier with six orders of different kinds.
struct Scene {
    app: TestApp,
    carrier: Carrier,
    orders: Vec<Value>,
    driver: String,
    tag: String,
    truck: String,
    custom_status: String,
    /// Who looks after the first order.
    dispatcher: String,
}

impl Scene {
    async fn set() -> Self {
        let app = TestApp::start().await;
        let carrier = app.carrier().await;
        let owner = &carrier.owner;
        let customer = create_customer(owner).await;
        let dealer =
            id(&owner.post("/v1/customers", json!({"type": "dealer", "name": "Harbor Motors"})).await.expect(201));
        let tag = id(&owner.post("/v1/tags", json!({"name": "rush", "color": "#aa0000"})).await.expect(201));
        let driver = create_driver(owner, None).await;
        let truck = id(&owner.post("/v1/trucks", json!({"unit_number": "T-1", "capacity": 2})).await.expect(201));
        let status = json!({"label": "At the yard", "color": "#2b8a3e", "system_status": "assigned"});
        let custom_status = id(&owner.post("/v1/custom-statuses", status).await.expect(201));
        let dispatcher = app.member(&carrier, "dispatcher").await.user_id.expect("a member is a person").to_string();
        let mut orders = Vec::new();
        for n in 0..6 {
            let mut new = an_order(if n < 4 { &customer } else { &dealer });
            new["reference"] = json!(format!("REF{n}"));
            new["pickup"]["from"] = json!(format!("2030-03-{:02}T15:00:00Z", 20 - n));
            new["pickup"]["to"] = json!("2030-03-30T15:00:00Z");
            new["delivery"]["to"] = json!("2030-03-31T15:00:00Z");
            if n == 0 {
                new["dispatcher_id"] = json!(dispatcher);
                new["pickup"]["city"] = json!("Louisville");
                new["pickup"]["zip"] = json!("40202");
            }
            if n == 1 {
                new["transport_type"] = json!("enclosed");
                new["vehicles"] = json!([{"make": "Ford", "is_inoperable": true, "lot_number": "LOT999"}]);
                new["tag_ids"] = json!([tag]);
            }
            if n == 2 {
                new["delivery"]["city"] = json!("San Antonio");
                new["delivery"]["zip"] = json!("78205");
                new["payment_method"] = json!("cash");
                new["payment_term"] = json!("on_delivery");
            }
            if n == 3 {
                new["pickup"]["from"] = json!("2020-01-01T00:00:00Z");
                new["pickup"]["to"] = json!("2020-01-02T00:00:00Z");
            }
            if n == 5 {
                new["delivery"]["from"] = json!("2030-03-25T09:00:00-05:00");
                new["delivery"]["to"] = json!("2030-03-26T17:00:00-05:00");
            }
            orders.push(owner.post("/v1/orders", new).await.expect(201));
        }
        owner.post(&path(&orders[4], "/assign"), json!({"driver_id": driver, "truck_id": truck})).await.expect(200);
        owner.patch(&path(&orders[4], ""), json!({"custom_status_id": custom_status})).await.expect(200);
        owner.post(&path(&orders[5], "/hold"), json!({})).await.expect(200);
        let vehicle = id(&orders[3]["vehicles"][0]);
        owner.post(&path(&orders[3], &format!("/vehicles/{vehicle}/hold")), json!({})).await.expect(200);
        // Nothing sets it yet but the invoices that come.
        app.run(&format!("UPDATE orders SET billing_status = 'paid' WHERE id = '{}'", id(&orders[3]))).await;
        Self { app, carrier, orders, driver, tag, truck, custom_status, dispatcher }
    }

    fn owner(&self) -> &Client {
        &self.carrier.owner
    }

    /// Which of the orders a query finds.
    async fn found(&self, query: &str) -> Vec<usize> {
        let list = self.owner().get(&format!("/v1/orders?{query}")).await.expect(200);
        let position = |found: &String| self.orders.iter().position(|order| id(order) == *found);
        let mut found: Vec<usize> = ids(&list).iter().filter_map(position).collect();
        found.sort_unstable();
        found
    }
}

#[tokio::test]
async fn every_filter_finds_what_it_should_and_nothing_else() {
    let scene = Scene::set().await;
    let (driver, tag) = (&scene.driver, &scene.tag);
    let customer = scene.orders[5]["customer_id"].as_str().unwrap();
    let (truck, custom_status, dispatcher) = (&scene.truck, &scene.custom_status, &scene.dispatcher);
    let owner = scene.orders[1]["dispatcher_id"].as_str().unwrap();
    let nobody = uuid::Uuid::now_v7();
    let cases: Vec<(String, &[usize])> = vec![
        ("status=assigned".into(), &[4]),
        ("status=assigned&status=new".into(), &[0, 1, 2, 3, 4, 5]),
        ("status=assigned,new".into(), &[0, 1, 2, 3, 4, 5]),
        ("status=delivered".into(), &[]),
        ("unassigned=true".into(), &[0, 1, 2, 3, 5]),
        ("unassigned=false".into(), &[4]),
        (format!("driver={driver}"), &[4]),
        (format!("driver={driver}&driver={nobody}"), &[4]),
        (format!("driver={nobody}%2C{driver}"), &[4]),
        (format!("truck={truck}"), &[4]),
        (format!("truck={nobody}"), &[]),
        (format!("trip={nobody}"), &[]),
        (format!("custom_status={custom_status}"), &[4]),
        (format!("custom_status={nobody}"), &[]),
        (format!("dispatcher={dispatcher}"), &[0]),
        (format!("dispatcher={owner}"), &[1, 2, 3, 4, 5]),
        (format!("customer={customer}"), &[4, 5]),
        (format!("tag={tag}"), &[1]),
        ("pickup_state=ky".into(), &[0, 1, 2, 3, 4, 5]),
        ("pickup_state=TX".into(), &[]),
        ("pickup_city=LEXINGTON".into(), &[1, 2, 3, 4, 5]),
        ("pickup_city=louisville".into(), &[0]),
        // A city may have a comma in its name.
        ("pickup_city=louisville,lexington".into(), &[]),
        ("pickup_zip=40511".into(), &[1, 2, 3, 4, 5]),
        ("pickup_zip=40202".into(), &[0]),
        ("pickup_city=louisville&pickup_zip=40511".into(), &[]),
        ("delivery_city=san%20antonio".into(), &[2]),
        ("delivery_state=TX".into(), &[0, 1, 2, 3, 4, 5]),
        ("delivery_zip=75201".into(), &[0, 1, 3, 4, 5]),
        ("delivery_zip=78205".into(), &[2]),
        ("pickup_date_from=2030-03-16&pickup_date_to=2030-03-18".into(), &[2, 4]),
        ("delivery_date_from=2030-03-13".into(), &[5]),
        ("delivery_date_to=2030-03-12".into(), &[0, 1, 2, 3, 4]),
        ("delivery_date_to=2030-03-25".into(), &[0, 1, 2, 3, 4, 5]),
        ("transport_type=enclosed".into(), &[1]),
        ("is_inoperable=true".into(), &[1]),
        ("is_inoperable=false".into(), &[0, 2, 3, 4, 5]),
        ("payment_term=on_delivery".into(), &[2]),
        ("payment_term=on_delivery&payment_term=days_30".into(), &[0, 1, 2, 3, 4, 5]),
        ("billing_status=unbilled".into(), &[0, 1, 2, 4, 5]),
        ("billing_status=paid".into(), &[3]),
        ("billing_status=paid&billing_status=unbilled".into(), &[0, 1, 2, 3, 4, 5]),
        ("has_pod=true".into(), &[]),
        ("has_pod=false&late=true".into(), &[3]),
        ("late=false".into(), &[0, 1, 2, 4, 5]),
        ("on_hold=true".into(), &[5]),
        ("vehicles_on_hold=true".into(), &[3]),
        ("vehicles_on_hold=false".into(), &[0, 1, 2, 4, 5]),
        ("archived=true".into(), &[]),
        ("q=ref3".into(), &[3]),
        ("q=harbor".into(), &[4, 5]),
        ("q=118341".into(), &[0, 2, 3, 4, 5]),
        ("q=1G4AH59H4".into(), &[0, 2, 3, 4, 5]),
        ("q=lot9".into(), &[1]),
        ("q=lakeside%20ref1".into(), &[1]),
        ("q=nothing".into(), &[]),
        ("q=%23".into(), &[]),
        ("q=2".into(), &[1]),
    ];
    for (query, expected) in cases {
        assert_eq!(scene.found(&query).await, expected, "{query}");
    }
    let reason = id(&scene.owner().get("/v1/cancel-reasons").await.expect(200)["data"][0]);
    scene.owner().post(&path(&scene.orders[2], "/cancel"), json!({"reason_id": reason})).await.expect(200);
    scene.owner().post(&path(&scene.orders[2], "/archive"), json!({})).await.expect(200);
    assert_eq!(scene.found("archived=true").await, [2]);
    assert_eq!(scene.found("archived=false").await, [0, 1, 3, 4, 5]);
    assert_eq!(scene.found("").await, [0, 1, 3, 4, 5]);
}

#[tokio::test]
async fn every_sort_walks_all_pages_in_order() {
    let scene = Scene::set().await;
    for (sort, key) in [
        ("created_at", "/created_at"),
        ("number", "/number"),
        ("pickup_date", "/pickup/date"),
        ("delivery_date", "/delivery/date"),
        ("updated_at", "/updated_at"),
    ] {
        for sort in [sort.to_owned(), format!("-{sort}")] {
            let mut keys = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = scene.owner().get(&format!("/v1/orders?sort={sort}&limit=4{cursor}")).await.expect(200);
                let rows = page["data"].as_array().unwrap();
                keys.extend(rows.iter().map(|row| (row.pointer(key).unwrap().to_string(), id(row))));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let mut sorted = keys.clone();
            sorted.sort();
            if sort.starts_with('-') {
                sorted.reverse();
            }
            assert_eq!(keys.len(), 6, "{sort}");
            assert_eq!(keys, sorted, "{sort}");
        }
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_sort() {
    let scene = Scene::set().await;
    let page = scene.owner().get("/v1/orders?sort=number&limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(scene.owner().get(&format!("/v1/orders?cursor={cursor}")).await.invalid_fields(), ["cursor"]);
    // One that somebody has written: the value is none of the column.
    for (list, sort, key) in [
        ("orders", "pickup_date", json!({"Number": 5})),
        ("orders", "number", json!({"Date": "2026-11-20"})),
        ("orders", "created_at", json!({"Number": 5})),
        ("trips", "updated_at", json!("Id")),
        ("trips", "start_date", json!({"Time": "2026-11-20T00:00:00Z"})),
    ] {
        let cursor = page::encode(&json!([sort, key, uuid::Uuid::nil()]));
        let refused = scene.owner().get(&format!("/v1/{list}?sort={sort}&cursor={cursor}")).await;
        assert_eq!(refused.invalid_fields(), ["cursor"], "{list} {sort}");
    }
}

#[tokio::test]
async fn includes_and_tab_counts_come_on_request() {
    let scene = Scene::set().await;
    let bare = scene.owner().get("/v1/orders").await.expect(200);
    for part in ["vehicles", "tag_ids", "customer", "driver"] {
        assert_eq!(bare["data"][0].get(part), None, "{part}");
    }
    assert_eq!(bare.get("counts"), None);
    let full = "include=vehicles&include=tags&include=customer&include=driver&include=counts";
    let full = scene.owner().get(&format!("/v1/orders?{full}&sort=number")).await.expect(200);
    for comma in [",", "%2C"] {
        let same = ["vehicles", "tags", "customer", "driver", "counts"].join(comma);
        assert_eq!(scene.owner().get(&format!("/v1/orders?include={same}&sort=number")).await.expect(200), full);
    }
    assert_eq!(full["data"][4]["driver"]["name"], "Sam Reyes");
    assert_eq!(full["data"][0].get("driver"), None);
    assert_eq!(full["data"][0]["customer"]["name"], "Lakeside Auto Brokers");
    assert_eq!(full["data"][0]["vehicles"].as_array().unwrap().len(), 2);
    assert_eq!(full["data"][1]["tag_ids"], json!([scene.tag]));
    let counts = json!({"new": 5, "assigned": 1, "picked_up": 0, "in_transit": 0, "delivered": 0, "cancelled": 0});
    assert_eq!(full["counts"], counts);
    let tab = scene.owner().get("/v1/orders?include=counts&status=delivered&q=harbor").await.expect(200);
    assert_eq!((&tab["data"], &tab["counts"]["new"], &tab["counts"]["assigned"]), (&json!([]), &json!(1), &json!(1)));
}

#[tokio::test]
async fn a_renamed_customer_is_found_by_the_new_name_and_rivals_find_nothing() {
    let scene = Scene::set().await;
    let customer = scene.orders[5]["customer_id"].as_str().unwrap();
    scene.owner().patch(&format!("/v1/customers/{customer}"), json!({"name": "Seaside Cars"})).await.expect(200);
    assert_eq!(scene.found("q=seaside").await, [4, 5]);
    assert_eq!(scene.found("q=harbor").await, Vec::<usize>::new());
    let rival = scene.app.carrier().await.owner;
    assert_eq!(rival.get("/v1/orders?q=seaside&include=counts").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn bad_queries_name_their_parameter() {
    let scene = Scene::set().await;
    for (query, parameter) in [
        ("status=lost", "status[0]"),
        ("driver=7", "driver[0]"),
        ("late=perhaps", "late"),
        ("pickup_date_from=yesterday", "pickup_date_from"),
        ("sort=price", "sort"),
        ("include=everything", "include[0]"),
        ("include=vehicles,everything", "include[1]"),
        ("include=vehicles,", "include"),
        ("status=new,lost", "status[1]"),
        ("status=,new", "status"),
        ("transport_type=open,enclosed", "transport_type"),
        ("pickup_state=KYY", "pickup_state"),
        ("delivery_state=K1", "delivery_state"),
        ("limit=201", "limit"),
        ("pickup_city=%00", "pickup_city"),
    ] {
        assert_eq!(scene.owner().get(&format!("/v1/orders?{query}")).await.invalid_fields(), [parameter], "{query}");
    }
}

#[tokio::test]
async fn a_filter_without_a_value_is_refused_and_a_search_without_words_is_none() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for filter in ["truck", "pickup_state", "pickup_date_from", "driver", "late"] {
        for query in [format!("{filter}="), format!("sort=number&{filter}")] {
            assert_eq!(owner.get(&format!("/v1/orders?{query}")).await.invalid_fields(), [filter], "{query}");
        }
    }
    owner.get("/v1/orders?q=").await.expect(200);
}
