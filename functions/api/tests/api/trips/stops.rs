use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, create, path, plan};
use crate::support::id;

fn named(trip: &Value) -> Vec<Value> {
    trip["stops"].as_array().expect("a trip has stops").iter().map(|stop| json!({"id": id(stop)})).collect()
}

#[tokio::test]
async fn stops_are_an_ordered_whole_in_which_those_that_stay_are_named() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let yard = create(
        scene.owner(),
        "/v1/locations",
        json!({"type": "terminal", "name": "Yard", "address": "1 Main St",
        "city": "Memphis", "state": "TN", "zip": "38118", "time_zone": "America/Chicago", "phone": "901 555 0100"}),
    )
    .await;
    let [pickup, delivery] = named(&trip).try_into().unwrap();
    let fuel = json!({"kind": "other", "name": "Fuel", "city": "Nashville", "state": "TN", "time_zone": "America/Chicago",
                      "eta_at": "2030-03-10T03:00:00Z"});
    let mut expected_delivery = delivery.clone();
    expected_delivery["eta_at"] = json!("2030-03-13T04:30:00Z");
    let stops = json!([pickup, fuel, {"kind": "other", "location_id": yard}, expected_delivery]);
    let changed = scene.owner().patch(&path(&trip, ""), json!({"stops": stops})).await.expect(200);
    assert_eq!(changed, scene.trip_now(&trip).await);
    let of = |n: usize| &changed["stops"][n];
    assert_eq!((&of(0)["id"], &of(3)["id"]), (&trip["stops"][0]["id"], &trip["stops"][1]["id"]));
    let positions: Vec<_> = (0..4).map(|n| of(n)["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    // Days are those of the place: in Nashville it is still the ninth, in Dallas the twelfth.
    assert_eq!((&of(1)["date"], &of(3)["date"]), (&json!("2030-03-09"), &json!("2030-03-12")));
    assert_eq!(
        (&of(2)["city"], &of(2)["phone"], &of(2)["date"]),
        (&json!("Memphis"), &json!("901 555 0100"), &json!(null))
    );

    // A later edit of the location does not rewrite where the driver was sent.
    scene.owner().patch(&format!("/v1/locations/{yard}"), json!({"city": "Jackson"})).await.expect(200);
    let again = scene.owner().patch(&path(&trip, ""), json!({"stops": named(&changed)})).await.expect(200);
    assert_eq!(again["stops"], changed["stops"]);
    // What is not named is gone, and null empties.
    let mut moved = delivery.clone();
    moved["location_id"] = json!(yard);
    moved["eta_at"] = json!(null);
    let fewer = scene.owner().patch(&path(&trip, ""), json!({"stops": [pickup, moved]})).await.expect(200);
    assert_eq!(plan(&fewer), plan(&trip));
    assert_eq!((&fewer["stops"][1]["city"], &fewer["stops"][1]["eta_at"]), (&json!("Jackson"), &json!(null)));
    assert_eq!(fewer["stops"][1]["from"], trip["stops"][1]["from"]);
}

#[tokio::test]
async fn a_bad_stop_is_named() {
    let scene = Scene::set().await;
    let rival = scene.app.carrier().await.owner;
    let (order, elsewhere) = (scene.order().await, scene.order().await);
    let trip = scene.trip(&[&order]).await;
    let other = scene.trip(&[&elsewhere]).await;
    let theirs = create(
        &rival,
        "/v1/locations",
        json!({"type": "dealer", "name": "Lot", "address": "1 Main St",
        "city": "Memphis", "state": "TN", "zip": "38118", "time_zone": "America/Chicago"}),
    )
    .await;
    let here = json!({"kind": "other", "city": "Dallas", "state": "TX", "time_zone": "America/Chicago"});
    let with = |member: &str, value: Value| {
        let mut stop = here.clone();
        stop[member] = value;
        stop
    };
    let [pickup, delivery] = named(&trip).try_into().unwrap();
    for (stops, fields) in [
        (json!([pickup, delivery, with("location_id", json!(theirs))]), vec!["/stops/2/location_id"]),
        (json!([pickup, delivery, with("order_id", json!(id(&elsewhere)))]), vec!["/stops/2/order_id"]),
        (json!([pickup, delivery, with("order_id", json!(Uuid::now_v7()))]), vec!["/stops/2/order_id"]),
        (json!([{"id": id(&other["stops"][0])}]), vec!["/stops/0/id"]),
        (json!([pickup, pickup]), vec!["/stops/1/id"]),
        (json!([{"city": "Dallas"}]), vec!["/stops/0/kind"]),
        (json!([{"kind": "other"}]), vec!["/stops/0/city", "/stops/0/state", "/stops/0/time_zone"]),
        (json!([with("from", json!("2030-03-10T03:00:00Z"))]), vec!["/stops/0/to"]),
        (json!([delivery, pickup]), vec!["/stops/0"]),
        (json!([with("time_zone", json!("Mars/Base"))]), vec!["/stops/0/time_zone"]),
    ] {
        let reply = scene.owner().patch(&path(&trip, ""), json!({"stops": stops.clone()})).await;
        assert_eq!(reply.invalid_fields(), fields, "{stops}");
    }
    let backwards = json!({"kind": "other", "city": "Dallas", "state": "TX", "time_zone": "America/Chicago",
                           "from": "2030-03-10T03:00:00Z", "to": "2030-03-09T03:00:00Z"});
    assert_eq!(scene.owner().post("/v1/trips", json!({"stops": [backwards]})).await.invalid_fields(), ["/stops/0/to"]);
    let many = json!({"stops": vec![here.clone(); 61]});
    assert_eq!(scene.owner().post("/v1/trips", many).await.invalid_fields(), ["/stops"]);
    assert_eq!(scene.trip_now(&trip).await, trip);
}

#[tokio::test]
async fn arrivals_and_departures_are_recorded_and_stay() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let trip = scene.trip(&[&order]).await;
    let stop = |n: usize, action: &str| path(&trip, &format!("/stops/{}/{action}", id(&trip["stops"][n])));
    let early = scene.owner().post(&stop(0, "arrive"), json!({})).await.refused(409, "conflict");
    assert_eq!(early["allowed"], json!(["ready", "cancelled"]));
    scene.go(&trip, &["ready"]).await;
    let problem = scene.owner().post(&stop(0, "depart"), json!({})).await.refused(409, "conflict");
    assert_eq!((&problem["code"], &problem["allowed"]), (&json!("illegal_move"), &json!(["arrive"])));
    let future = json!({"at": "2190-01-01T00:00:00Z"});
    assert_eq!(scene.owner().post(&stop(0, "arrive"), future).await.invalid_fields(), ["/at"]);

    let arrived = scene.owner().post(&stop(0, "arrive"), json!({"at": "2026-11-01T10:00:00Z"})).await.expect(200);
    assert_eq!(
        (&arrived["status"], &arrived["version"]),
        (&json!("in_progress"), &json!(3)),
        "who arrives is on the way"
    );
    assert_eq!(
        (&arrived["stops"][0]["arrived_at"], &arrived["start_date"]),
        (&json!("2026-11-01T10:00:00Z"), &json!("2026-11-01"))
    );
    let twice = scene.owner().post(&stop(0, "arrive"), json!({})).await.refused(409, "conflict");
    assert_eq!(twice["allowed"], json!(["depart"]));
    let before = json!({"at": "2026-11-01T09:59:00Z"});
    assert_eq!(scene.owner().post(&stop(0, "depart"), before).await.invalid_fields(), ["/at"]);
    let left = scene.owner().post(&stop(0, "depart"), json!({"at": "2026-11-01T11:00:00Z"})).await.expect(200);
    assert_eq!(left["stops"][0]["departed_at"], "2026-11-01T11:00:00Z");
    scene.owner().post(&stop(0, "depart"), json!({})).await.refused(409, "conflict");
    assert_eq!(left, scene.trip_now(&trip).await);

    // Where the driver was is no longer a plan: it cannot be left out, and its order may leave without it.
    let [_, delivery] = named(&trip).try_into().unwrap();
    assert_eq!(scene.owner().patch(&path(&trip, ""), json!({"stops": [delivery]})).await.invalid_fields(), ["/stops"]);
    scene.owner().delete(&path(&trip, &format!("/orders/{}", id(&order)))).await.expect(204);
    assert_eq!(plan(&scene.trip_now(&trip).await), [("pickup".to_owned(), id(&order))]);
    scene
        .owner()
        .post(&path(&trip, &format!("/stops/{}/arrive", Uuid::now_v7())), json!({}))
        .await
        .refused(404, "not_found");
    let history = scene.owner().get(&path(&trip, "/history")).await.expect(200);
    let last = history["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["to_status"], &last["at"]), (&json!("in_progress"), &json!("2026-11-01T10:00:00Z")));
}

#[tokio::test]
async fn new_stops_go_behind_those_that_were_reached() {
    let scene = Scene::set().await;
    let (first, second) = (scene.order_of(1, 20, 22).await, scene.order_of(1, 10, 11).await);
    let trip = scene.trip(&[&first]).await;
    scene.go(&trip, &["ready"]).await;
    let arrive = path(&trip, &format!("/stops/{}/arrive", id(&trip["stops"][0])));
    scene.owner().post(&arrive, json!({})).await.expect(200);
    let body = json!({"order_ids": [id(&second)]});
    let both = scene.owner().post(&path(&trip, "/orders"), body).await.expect(200);
    let kinds: Vec<_> = plan(&both).into_iter().map(|(kind, order)| (kind, order == id(&second))).collect();
    let expected = [("pickup", false), ("pickup", true), ("delivery", true), ("delivery", false)];
    assert_eq!(kinds, expected.map(|(kind, of_second)| (kind.to_owned(), of_second)));
}
