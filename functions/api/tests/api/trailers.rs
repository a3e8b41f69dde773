use serde_json::{Value, json};

use crate::conventions::Resource;
use crate::support::{TestApp, id, ids};

fn trailers() -> Resource {
    Resource {
        path: "/v1/trailers",
        example: a_trailer("TR-22"),
        change: json!({"unit_number": "TR-23", "plate": null, "capacity": 9, "enclosed": false}),
        order_columns: &["trailer_id"],
    }
}

fn a_trailer(unit_number: &str) -> Value {
    json!({
        "unit_number": unit_number, "vin": "1G4AH59H45G118341", "make": "Cottrell", "model": "CX-09LS3", "year": 2021,
        "plate": "AB 1234", "plate_state": "KY", "capacity": 8, "max_weight_lbs": 45000, "enclosed": true, "notes": "New winch"
    })
}

#[tokio::test]
async fn a_trailer_is_created_read_changed_and_deleted() {
    trailers().is_created_read_changed_and_deleted().await;
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_trailer() {
    trailers().is_invisible_to_another_carrier().await;
}

#[tokio::test]
async fn a_trailer_changes_only_in_the_version_that_was_seen() {
    trailers().changes_only_in_the_version_that_was_seen().await;
}

#[tokio::test]
async fn a_bad_trailer_names_its_field() {
    trailers()
        .names_the_field_of(&[
            ("unit_number", json!("")),
            ("vin", json!("1G4AH59H45G11834")),
            ("vin", json!("1G4AH59H05G118341")),
            ("year", json!(1899)),
            ("plate_state", json!("Kentucky")),
            ("capacity", json!(0)),
            ("capacity", json!(13)),
            ("max_weight_lbs", json!(1.5)),
            ("enclosed", json!(null)),
            ("nonsense", json!(1)),
        ])
        .await;
}

#[tokio::test]
async fn the_office_reads_trailers_and_dispatchers_write_them() {
    trailers().is_written_by(&["owner", "admin", "dispatcher"]).await;
    trailers().is_hidden_from("driver").await;
}

#[tokio::test]
async fn a_trailer_with_an_order_is_archived_instead_of_deleted() {
    trailers().is_archived_when_an_order_refers_to_it().await;
}

#[tokio::test]
async fn trailers_are_found_by_enclosure() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let enclosed = id(&owner.post("/v1/trailers", a_trailer("1")).await.expect(201));
    let open = id(&owner.post("/v1/trailers", json!({"unit_number": "2", "capacity": 9})).await.expect(201));
    assert_eq!(ids(&owner.get("/v1/trailers?enclosed=true").await.expect(200)), [enclosed.as_str()]);
    assert_eq!(ids(&owner.get("/v1/trailers?enclosed=false").await.expect(200)), [open.as_str()]);
}

#[tokio::test]
async fn a_unit_number_is_unique_among_the_trailers_in_use() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    owner.post("/v1/trailers", a_trailer("TR-22")).await.expect(201);
    let problem = owner.post("/v1/trailers", a_trailer("tr-22")).await.refused(409, "conflict");
    assert_eq!(problem["code"], "already_exists");
}

#[tokio::test]
async fn trailers_are_found_by_the_start_of_their_number() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let found = id(&owner.post("/v1/trailers", a_trailer("TR-22")).await.expect(201));
    owner.post("/v1/trailers", a_trailer("X-TR")).await.expect(201);
    assert_eq!(ids(&owner.get("/v1/trailers?q=tr-2").await.expect(200)), [found]);
    assert_eq!(rival.get("/v1/trailers?q=tr-2").await.expect(200)["data"], json!([]));
}
