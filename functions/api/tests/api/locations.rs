use serde_json::{Value, json};

use crate::conventions::Resource;
use crate::support::{TestApp, id, ids};

fn locations() -> Resource {
    Resource {
        path: "/v1/locations",
        example: a_location(),
        change: json!({"name": "Lakeside Auction, Gate 3", "contact_name": null, "time_zone": "America/Chicago", "twic_required": true}),
        order_columns: &["pickup_location_id", "delivery_location_id"],
    }
}

fn a_location() -> Value {
    json!({
        "type": "auction", "name": "Lakeside Auction", "address": "1200 Harbor Road", "city": "Lexington", "state": "KY",
        "zip": "40511", "time_zone": "America/New_York", "contact_name": "Gate desk", "phone": "859 555 0134",
        "email": "gate@example.com", "hours": "Mon-Fri 8:00-17:00", "twic_required": false, "notes": "Ring twice"
    })
}

#[tokio::test]
async fn a_location_is_created_read_changed_and_deleted() {
    locations().is_created_read_changed_and_deleted().await;
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_location() {
    locations().is_invisible_to_another_carrier().await;
}

#[tokio::test]
async fn a_location_changes_only_in_the_version_that_was_seen() {
    locations().changes_only_in_the_version_that_was_seen().await;
}

#[tokio::test]
async fn a_bad_location_names_its_field() {
    locations()
        .names_the_field_of(&[
            ("type", json!("harbour")),
            ("name", json!(" ")),
            ("address", json!(null)),
            ("state", json!("Kentucky")),
            ("zip", json!("?")),
            ("time_zone", json!("Mars/Base")),
            ("time_zone", json!(null)),
            ("phone", json!("call me")),
            ("twic_required", json!("no")),
            ("nonsense", json!(1)),
        ])
        .await;
}

#[tokio::test]
async fn a_location_needs_its_time_zone() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let mut body = a_location();
    body.as_object_mut().unwrap().remove("time_zone");
    let problem = owner.post("/v1/locations", body).await.refused(422, "invalid");
    assert!(problem.to_string().contains("time_zone"), "{problem}");
}

#[tokio::test]
async fn the_office_reads_locations_and_dispatchers_write_them() {
    locations().is_written_by(&["owner", "admin", "dispatcher"]).await;
    locations().is_hidden_from("driver").await;
}

#[tokio::test]
async fn a_location_where_an_order_stops_is_archived_instead_of_deleted() {
    locations().is_archived_when_an_order_refers_to_it().await;
}

#[tokio::test]
async fn locations_are_found_by_type_place_and_the_beginning_of_their_name() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let create = async |r#type: &str, name: &str, city: &str, state: &str| {
        let mut body = a_location();
        body["type"] = json!(r#type);
        body["name"] = json!(name);
        body["city"] = json!(city);
        body["state"] = json!(state);
        id(&owner.post("/v1/locations", body).await.expect(201))
    };
    let auction = create("auction", "Lakeside Auction", "Lexington", "KY").await;
    let port = create("port", "Lake Port", "Lexington", "NC").await;
    let dealer = create("dealer", "Ångström Motors", "Dover", "DE").await;

    for (filter, expected) in [
        ("", vec![&dealer, &port, &auction]),
        ("type=port", vec![&port]),
        ("state=ky", vec![&auction]),
        ("city=LEXINGTON", vec![&port, &auction]),
        ("city=LEXINGTON&state=NC", vec![&port]),
        ("q=lake", vec![&port, &auction]),
        ("q=Lake%20p", vec![&port]),
        ("q=%C3%A5NG", vec![&dealer]),
        ("q=port", vec![]),
        ("q=%00", vec![&dealer, &port, &auction]),
        ("archived=true", vec![]),
    ] {
        let page = owner.get(&format!("/v1/locations?{filter}")).await.expect(200);
        assert_eq!(ids(&page).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    assert_eq!(owner.get("/v1/locations?type=harbour").await.invalid_fields(), ["type"]);
    assert_eq!(owner.get("/v1/locations?state=Kentucky").await.invalid_fields(), ["state"]);
}
