use serde_json::{Value, json};
use uuid::Uuid;

use crate::conventions::Resource;
use crate::support::{TestApp, id, ids};

fn drivers() -> Resource {
    Resource {
        path: "/v1/drivers",
        example: a_driver(),
        change: json!({"name": "Sam Ortega", "licence_expires_on": null, "pay_rate": "0.7125"}),
        order_columns: &["driver_id"],
    }
}

fn a_driver() -> Value {
    json!({
        "name": "Sam Rivera", "email": "sam@example.com", "phone": "859 555 0134", "licence_number": "R12345678",
        "licence_state": "KY", "licence_expires_on": "2028-02-29", "medical_card_expires_on": "2027-06-30",
        "pay_rule": "per_mile", "pay_rate": "0.65", "user_id": null, "notes": "No nights"
    })
}

#[tokio::test]
async fn a_driver_is_created_read_changed_and_deleted() {
    drivers().is_created_read_changed_and_deleted().await;
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_driver() {
    drivers().is_invisible_to_another_carrier().await;
}

#[tokio::test]
async fn a_driver_changes_only_in_the_version_that_was_seen() {
    drivers().changes_only_in_the_version_that_was_seen().await;
}

#[tokio::test]
async fn a_bad_driver_names_its_field() {
    drivers()
        .names_the_field_of(&[
            ("name", json!(null)),
            ("email", json!("nobody")),
            ("licence_expires_on", json!("2027-02-29")),
            ("medical_card_expires_on", json!("30.06.2027")),
            ("pay_rule", json!("hourly")),
            ("pay_rate", json!("0.65001")),
            ("pay_rate", json!(0.65)),
            ("pay_rate", json!("-1")),
            ("user_id", json!("me")),
            ("user_id", json!(Uuid::now_v7())),
            ("nonsense", json!(1)),
        ])
        .await;
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    assert_eq!(owner.get("/v1/drivers?expiring_before=soon").await.invalid_fields(), ["expiring_before"]);
}

#[tokio::test]
async fn dispatchers_write_drivers() {
    drivers().is_written_by(&["owner", "admin", "dispatcher"]).await;
}

#[tokio::test]
async fn a_driver_with_an_order_is_archived_instead_of_deleted() {
    drivers().is_archived_when_an_order_refers_to_it().await;
}

#[tokio::test]
async fn a_pay_rule_and_a_pay_rate_go_together() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for pay in [
        json!({"pay_rule": "flat"}),
        json!({"pay_rate": "150"}),
        json!({"pay_rule": "percent", "pay_rate": "100.0001"}),
    ] {
        let mut body = json!({"name": "Sam"});
        body.as_object_mut().unwrap().extend(pay.as_object().unwrap().clone());
        assert_eq!(owner.post("/v1/drivers", body).await.invalid_fields(), ["/pay_rate"], "{pay}");
    }
    let driver =
        owner.post("/v1/drivers", json!({"name": "Sam", "pay_rule": "percent", "pay_rate": "100"})).await.expect(201);
    let at = format!("/v1/drivers/{}", id(&driver));
    for patch in [json!({"pay_rule": null}), json!({"pay_rate": null}), json!({"pay_rate": "101"})] {
        assert_eq!(owner.patch(&at, patch.clone()).await.invalid_fields(), ["/pay_rate"], "{patch}");
    }
    let changed = owner.patch(&at, json!({"pay_rule": "flat", "pay_rate": "150.50"})).await.expect(200);
    assert_eq!((&changed["pay_rule"], &changed["pay_rate"]), (&json!("flat"), &json!("150.5")));
    let changed = owner.patch(&at, json!({"pay_rule": null, "pay_rate": null})).await.expect(200);
    assert_eq!((&changed["pay_rule"], &changed["pay_rate"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn a_member_is_linked_to_one_driver_at_most() {
    let app = TestApp::start().await;
    let (carrier, other) = (app.carrier().await, app.carrier().await);
    let user = app.member(&carrier, "driver").await.user_id;
    let stranger = app.member(&other, "driver").await.user_id;

    let linked = carrier.owner.post("/v1/drivers", json!({"name": "Sam", "user_id": user})).await.expect(201);
    assert_eq!(linked["user_id"], json!(user));
    let twice = carrier.owner.post("/v1/drivers", json!({"name": "Alex", "user_id": user})).await;
    assert_eq!(twice.refused(409, "conflict")["code"], "already_exists");
    let foreign = carrier.owner.post("/v1/drivers", json!({"name": "Alex", "user_id": stranger})).await;
    assert_eq!(foreign.invalid_fields(), ["/user_id"]);

    carrier.owner.patch(&format!("/v1/drivers/{}", id(&linked)), json!({"user_id": null})).await.expect(200);
    carrier.owner.post("/v1/drivers", json!({"name": "Alex", "user_id": user})).await.expect(201);
}

#[tokio::test]
async fn a_signed_in_driver_sees_their_own_record_alone() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (sam, unlinked) = (app.member(&carrier, "driver").await, app.member(&carrier, "driver").await);
    let own = carrier.owner.post("/v1/drivers", json!({"name": "Sam", "user_id": sam.user_id})).await.expect(201);
    let another = carrier.owner.post("/v1/drivers", a_driver()).await.expect(201);
    let at = |driver: &Value| format!("/v1/drivers/{}", id(driver));

    assert_eq!(ids(&sam.get("/v1/drivers").await.expect(200)), [id(&own)]);
    assert_eq!(sam.get(&at(&own)).await.expect(200), own);
    sam.get(&at(&another)).await.refused(404, "not_found");
    sam.patch(&at(&own), json!({"pay_rule": "percent", "pay_rate": "100"})).await.refused(403, "forbidden");
    assert!(ids(&unlinked.get("/v1/drivers").await.expect(200)).is_empty());
    unlinked.get(&at(&own)).await.refused(404, "not_found");
    assert_eq!(ids(&carrier.owner.get("/v1/drivers").await.expect(200)).len(), 2);
}

#[tokio::test]
async fn drivers_are_found_by_name_and_by_what_expires() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let create = async |name: &str, licence: Value, medical_card: Value| {
        let body = json!({"name": name, "licence_expires_on": licence, "medical_card_expires_on": medical_card});
        id(&owner.post("/v1/drivers", body).await.expect(201))
    };
    let licence = create("Sam Rivera", json!("2027-01-31"), json!("2029-01-01")).await;
    let card = create("Samantha Lee", json!("2029-01-01"), json!("2027-01-31")).await;
    let unknown = create("Alex Kim", json!(null), json!(null)).await;
    for (filter, expected) in [
        ("", vec![&unknown, &card, &licence]),
        ("q=SAM", vec![&card, &licence]),
        ("q=sam%20", vec![&card, &licence]),
        ("q=sam%20r", vec![&licence]),
        ("expiring_before=2027-01-31", vec![]),
        ("expiring_before=2027-02-01", vec![&card, &licence]),
        ("expiring_before=2027-02-01&q=samantha", vec![&card]),
        ("expiring_before=9999-12-31", vec![&card, &licence]),
        ("expiring_before=0001-01-01", vec![]),
    ] {
        let page = owner.get(&format!("/v1/drivers?{filter}")).await.expect(200);
        assert_eq!(ids(&page).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}
