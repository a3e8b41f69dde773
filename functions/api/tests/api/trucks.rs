use serde_json::{Value, json};

use crate::conventions::Resource;
use crate::support::{TestApp, id, ids};

fn trucks() -> Resource {
    Resource {
        path: "/v1/trucks",
        example: a_truck("T-104"),
        change: json!({"unit_number": "T-105", "vin": null, "capacity": 0, "max_weight_lbs": 80000}),
        order_columns: &["truck_id"],
    }
}

fn a_truck(unit_number: &str) -> Value {
    json!({
        "unit_number": unit_number, "vin": "1M8GDM9AXKP042788", "make": "Peterbilt", "model": "389", "year": 2022,
        "plate": "KY 5501", "plate_state": "KY", "capacity": 1, "max_weight_lbs": 12000, "enclosed": false, "notes": "Sleeper"
    })
}

#[tokio::test]
async fn a_truck_is_created_read_changed_and_deleted() {
    trucks().is_created_read_changed_and_deleted().await;
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_truck() {
    trucks().is_invisible_to_another_carrier().await;
}

#[tokio::test]
async fn a_truck_changes_only_in_the_version_that_was_seen() {
    trucks().changes_only_in_the_version_that_was_seen().await;
}

#[tokio::test]
async fn a_bad_truck_names_its_field() {
    trucks()
        .names_the_field_of(&[
            ("unit_number", json!("a number that is far too long")),
            ("vin", json!("IG4AH59H45G118341")),
            ("vin", json!("1M8GDM9A1KP042788")),
            ("vin_override", json!("yes")),
            ("year", json!(2101)),
            ("capacity", json!(-1)),
            ("capacity", json!(13)),
            ("max_weight_lbs", json!(0)),
            ("nonsense", json!(1)),
        ])
        .await;
}

#[tokio::test]
async fn the_office_reads_trucks_and_dispatchers_write_them() {
    trucks().is_written_by(&["owner", "admin", "dispatcher"]).await;
    trucks().is_hidden_from("driver").await;
}

#[tokio::test]
async fn a_truck_with_an_order_is_archived_instead_of_deleted() {
    trucks().is_archived_when_an_order_refers_to_it().await;
}

#[tokio::test]
async fn a_vin_whose_check_digit_does_not_fit_is_taken_when_the_user_insists() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let mut body = a_truck("T-1");
    body["vin"] = json!("1m8gdm9a1kp042788");
    let problem = owner.post("/v1/trucks", body.clone()).await.refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/vin");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("\"vin_override\": true"), "{problem}");

    body["vin_override"] = json!(true);
    let truck = owner.post("/v1/trucks", body).await.expect(201);
    assert_eq!(truck["vin"], "1M8GDM9A1KP042788");

    let at = format!("/v1/trucks/{}", id(&truck));
    let vin = "1M8GDM9A2KP042788";
    assert_eq!(owner.patch(&at, json!({"vin": vin})).await.invalid_fields(), ["/vin"]);
    let changed = owner.patch(&at, json!({"vin": vin, "vin_override": true})).await.expect(200);
    assert_eq!(changed["vin"], vin);
    // What was taken once stands in no other change's way.
    owner.patch(&at, json!({"notes": "foreign"})).await.expect(200);
}

#[tokio::test]
async fn a_unit_number_is_unique_among_the_trucks_in_use() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let first = owner.post("/v1/trucks", a_truck("T-1")).await.expect(201);
    let at = format!("/v1/trucks/{}", id(&first));
    let taken = owner.post("/v1/trucks", a_truck("t-1")).await.refused(409, "conflict");
    assert_eq!((&taken["code"], &taken["detail"]), (&json!("already_exists"), &json!("unit number is taken already")));
    rival.post("/v1/trucks", a_truck("T-1")).await.expect(201);

    owner.patch(&at, json!({"archived": true})).await.expect(200);
    let second = owner.post("/v1/trucks", a_truck("T-1")).await.expect(201);
    assert_eq!(owner.patch(&at, json!({"archived": false})).await.refused(409, "conflict")["code"], "already_exists");
    assert_eq!(ids(&owner.get("/v1/trucks").await.expect(200)), [id(&second)]);
    assert_eq!(ids(&owner.get("/v1/trucks?archived=true").await.expect(200)), [id(&first)]);
}

#[tokio::test]
async fn the_plan_limits_the_trucks_in_use() {
    let app = TestApp::start().await;
    let owner = app.carrier_on("free").await.owner;
    let first = owner.post("/v1/trucks", a_truck("T-1")).await.expect(201);
    let at = format!("/v1/trucks/{}", id(&first));
    let over = owner.post("/v1/trucks", a_truck("T-2")).await.refused(402, "over_limit");
    assert_eq!(over["detail"], "your plan allows 1 truck");
    assert_eq!((&over["limit"], &over["max"], &over["used"]), (&json!("trucks"), &json!(1), &json!(1)));

    // Archiving makes room, twice is once, and bringing back takes it again.
    owner.patch(&at, json!({"archived": true})).await.expect(200);
    owner.patch(&at, json!({"archived": true})).await.expect(200);
    let second = owner.post("/v1/trucks", a_truck("T-2")).await.expect(201);
    owner.patch(&at, json!({"archived": false})).await.refused(402, "over_limit");
    owner.delete(&format!("/v1/trucks/{}", id(&second))).await.expect(204);
    owner.patch(&at, json!({"archived": false})).await.expect(200);
    owner.post("/v1/trucks", a_truck("T-3")).await.refused(402, "over_limit");

    // What is over the limit after a downgrade stays readable and editable.
    owner.patch(&at, json!({"notes": "still mine"})).await.expect(200);
}

#[tokio::test]
async fn a_downgrade_keeps_the_trucks_and_refuses_only_more() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("starter").await;
    for n in 1..=2 {
        carrier.owner.post("/v1/trucks", a_truck(&format!("T-{n}"))).await.expect(201);
    }
    app.change_plan(&carrier, "free").await;
    let trucks = carrier.owner.get("/v1/trucks").await.expect(200);
    let at = format!("/v1/trucks/{}", ids(&trucks)[0]);
    carrier.owner.patch(&at, json!({"notes": "still mine"})).await.expect(200);
    let over = carrier.owner.post("/v1/trucks", a_truck("T-3")).await.refused(402, "over_limit");
    assert_eq!((&over["max"], &over["used"]), (&json!(1), &json!(2)));
    app.change_plan(&carrier, "starter").await;
    carrier.owner.post("/v1/trucks", a_truck("T-3")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_trucks_created_at_once_at_the_limit_minus_one_exactly_one_is() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let mut creations = tokio::task::JoinSet::new();
    for instance in 0..10 {
        let client = carrier.owner.through(&app.another_instance());
        for n in 0..10 {
            let client = client.clone();
            let unit = format!("T-{instance}-{n}");
            creations.spawn(async move { client.post_patiently("/v1/trucks", &unit, a_truck(&unit)).await });
        }
    }
    let replies = creations.join_all().await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    let over_limit = replies.iter().filter(|reply| reply.status == 402).count();
    assert_eq!((created, over_limit), (1, 99), "{replies:?}");
    assert_eq!(ids(&carrier.owner.get("/v1/trucks").await.expect(200)).len(), 1);
}

#[tokio::test]
async fn trucks_are_found_by_the_start_of_their_number() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    for number in ["T-104", "t-15", "XT-1"] {
        owner.post("/v1/trucks", a_truck(number)).await.expect(201);
    }
    rival.post("/v1/trucks", a_truck("T-1")).await.expect(201);
    let numbers = async |query: &str| {
        let page = owner.get(&format!("/v1/trucks?{query}")).await.expect(200);
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["unit_number"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("q=T-1").await, ["t-15", "T-104"]);
    assert_eq!(numbers("q=t-10").await, ["T-104"]);
    assert_eq!(numbers("q=4").await, Vec::<String>::new());
    assert_eq!(numbers("q=%25").await, Vec::<String>::new());
    assert_eq!(numbers("q=").await.len(), 3);
}
