//! What was recorded at a stop, put right.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Scene, path};
use crate::orders;
use crate::support::id;

const CAME: &str = "2026-01-05T08:00:00Z";
const LEFT: &str = "2026-01-05T09:30:00Z";

fn stop(trip: &Value, n: usize, action: &str) -> String {
    path(trip, &format!("/stops/{}{action}", id(&trip["stops"][n])))
}

/// A trip that has come to its first stop and left it.
async fn on_the_road(scene: &Scene) -> Value {
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    scene.go(&trip, &["ready"]).await;
    scene.owner().post(&stop(&trip, 0, "/arrive"), json!({"at": CAME})).await.expect(200);
    scene.owner().post(&stop(&trip, 0, "/depart"), json!({"at": LEFT})).await.expect(200)
}

#[tokio::test]
async fn a_recorded_time_is_put_right_and_the_history_keeps_what_it_was() {
    let scene = Scene::set().await;
    let trip = on_the_road(&scene).await;
    let body = json!({"arrived_at": "2026-01-05T07:15:00-01:00", "note": "wrong stop tapped"});
    let reply = scene.owner().patch(&stop(&trip, 0, ""), body).await;
    let etag = reply.etag().to_owned();
    let corrected = reply.expect(200);
    assert_eq!(corrected, scene.trip_now(&trip).await);
    assert_eq!(etag, format!("\"{}\"", corrected["version"]));
    assert_eq!(
        (&corrected["stops"][0]["arrived_at"], &corrected["stops"][0]["departed_at"]),
        (&json!("2026-01-05T08:15:00Z"), &json!(LEFT))
    );
    let history = scene.owner().get(&path(&trip, "/history?limit=200")).await.expect(200)["data"].clone();
    let entry = history.as_array().unwrap().last().unwrap();
    assert_eq!((&entry["event"], &entry["stop_id"]), (&json!("stop_corrected"), &trip["stops"][0]["id"]));
    assert_eq!(entry["changes"], json!([{"field": "arrived_at", "from": CAME, "to": "2026-01-05T08:15:00Z"}]));
    assert_eq!(entry["reason"], "wrong stop tapped");

    // What never was is taken back, and can be recorded anew.
    let nothing = json!({"arrived_at": null, "departed_at": null});
    let cleared = scene.owner().patch(&stop(&trip, 0, ""), nothing).await.expect(200);
    assert_eq!(cleared["stops"][0]["arrived_at"], json!(null));
    scene.owner().post(&stop(&trip, 0, "/arrive"), json!({"at": CAME})).await.expect(200);
    // What is as it was is no news.
    let count = async || {
        scene.owner().get(&path(&trip, "/history?limit=200")).await.expect(200)["data"].as_array().unwrap().len()
    };
    let before = count().await;
    scene.owner().patch(&stop(&trip, 0, ""), json!({"arrived_at": CAME})).await.expect(200);
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn times_that_cannot_be_are_refused_by_name() {
    let scene = Scene::set().await;
    let trip = on_the_road(&scene).await;
    for (body, field) in [
        (json!({"arrived_at": "2190-01-01T00:00:00Z"}), "/arrived_at"),
        (json!({"departed_at": "2190-01-01T00:00:00Z"}), "/departed_at"),
        (json!({"arrived_at": "2026-01-05T09:31:00Z"}), "/departed_at"),
        (json!({"departed_at": "2026-01-05T07:59:00Z"}), "/departed_at"),
        (json!({"arrived_at": null}), "/departed_at"),
        (json!({"arrived_at": "yesterday"}), "/arrived_at"),
        (json!({"eta_at": CAME}), "/eta_at"),
    ] {
        let fields = scene.owner().patch(&stop(&trip, 0, ""), body.clone()).await.invalid_fields();
        assert!(fields.contains(&field.to_owned()), "{body}: {fields:?}");
    }
    let problem = scene.owner().patch(&stop(&trip, 1, ""), json!({"arrived_at": CAME})).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("illegal_move"), &json!(["arrive"])));
    // An order is not delivered before it is picked up.
    scene.owner().post(&stop(&trip, 1, "/arrive"), json!({"at": "2026-01-06T08:00:00Z"})).await.expect(200);
    let early = json!({"arrived_at": "2026-01-05T07:00:00Z"});
    assert_eq!(scene.owner().patch(&stop(&trip, 1, ""), early).await.invalid_fields(), ["/arrived_at"]);
    let late = json!({"arrived_at": "2026-01-07T07:00:00Z", "departed_at": null});
    assert_eq!(scene.owner().patch(&stop(&trip, 0, ""), late).await.invalid_fields(), ["/arrived_at"]);
}

#[tokio::test]
async fn corrections_are_for_the_dispatch_of_the_carrier_and_of_a_version() {
    let mut scene = Scene::set().await;
    let member = scene.app.member(&scene.carrier, "driver").await;
    scene.driver = orders::create_driver(scene.owner(), member.user_id).await;
    let rival = scene.app.carrier().await.owner;
    let trip = on_the_road(&scene).await;
    let (at, body) = (stop(&trip, 0, ""), json!({"arrived_at": "2026-01-05T07:00:00Z"}));
    member.patch(&at, body.clone()).await.refused(403, "forbidden");
    rival.patch(&at, body.clone()).await.refused(404, "not_found");
    scene.owner().send(Method::PATCH, &at, &[], Some(body.clone())).await.refused(428, "version_required");
    scene.owner().send(Method::PATCH, &at, &[("if-match", "\"1\"")], Some(body.clone())).await.refused(412, "stale");
    let version = format!("\"{}\"", trip["version"]);
    let corrections = (0..5).map(|_| {
        let (client, at, body, version) =
            (scene.owner().through(&scene.app.another_instance()), at.clone(), body.clone(), version.clone());
        tokio::spawn(async move {
            client.send(Method::PATCH, &at, &[("if-match", &version)], Some(body)).await.status.as_u16()
        })
    });
    let mut outcomes = Vec::new();
    for correction in corrections.collect::<Vec<_>>() {
        outcomes.push(correction.await.unwrap());
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 412, 412, 412, 412]);
}

#[tokio::test]
async fn what_is_completed_stays_as_it_is() {
    let scene = Scene::set().await;
    let trip = on_the_road(&scene).await;
    let order = trip["orders"][0].clone();
    scene.haul(&order).await;
    scene.go(&trip, &["deliver"]).await;
    scene.owner().patch(&stop(&trip, 0, ""), json!({"departed_at": "2026-01-05T09:31:00Z"})).await.expect(200);
    scene.go(&trip, &["complete"]).await;
    let problem = scene.owner().patch(&stop(&trip, 0, ""), json!({"departed_at": LEFT})).await.refused(409, "conflict");
    assert_eq!(problem["code"], "illegal_move");
}
