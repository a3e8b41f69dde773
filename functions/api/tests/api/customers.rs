use axum::http::Method;
use serde_json::json;

use crate::support::{TestApp, a_customer, id, ids};

#[tokio::test]
async fn a_customer_is_created_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;

    let created = owner.post("/v1/customers", a_customer()).await;
    assert_eq!(created.etag(), "\"1\"");
    let location = created.headers["location"].to_str().unwrap().to_owned();
    let customer = created.expect(201);
    assert_eq!(location, format!("/v1/customers/{}", id(&customer)));
    assert_eq!(owner.get(&location).await.expect(200), customer);

    let patch = json!({"name": "Lakeside Brokers", "email": null, "notes": "pays late"});
    let changed = owner.send(Method::PATCH, &location, &[("if-match", "\"1\"")], Some(patch)).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["email"], &changed["notes"]),
        (&json!("Lakeside Brokers"), &json!(null), &json!("pays late"))
    );
    assert_eq!(changed["version"], 2);

    owner.delete(&location).await.expect(204);
    owner.get(&location).await.refused(404, "not_found");
}

#[tokio::test]
async fn another_carrier_sees_and_changes_nothing_of_it() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let customer = owner.post("/v1/customers", a_customer()).await.expect(201);
    let location = format!("/v1/customers/{}", id(&customer));

    rival.get(&location).await.refused(404, "not_found");
    rival.patch(&location, json!({"name": "Mine"})).await.refused(404, "not_found");
    rival.delete(&location).await.refused(404, "not_found");
    assert_eq!(rival.get("/v1/customers?q=lakeside").await.expect(200)["data"], json!([]));
    rival.clone().of(owner.tenant.unwrap()).get("/v1/customers").await.refused(403, "forbidden");
    assert_eq!(owner.get(&location).await.expect(200), customer);
}

#[tokio::test]
async fn a_stale_version_is_refused_and_a_missing_one_is_asked_for() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let location = format!("/v1/customers/{}", id(&owner.post("/v1/customers", a_customer()).await.expect(201)));
    owner.patch(&location, json!({"phone": "859 555 0134"})).await.expect(200);

    let stale = [("if-match", "\"1\"")];
    owner.send(Method::PATCH, &location, &stale, Some(json!({}))).await.refused(412, "stale");
    owner.send(Method::DELETE, &location, &stale, None).await.refused(412, "stale");
    owner.send(Method::PATCH, &location, &[], Some(json!({}))).await.refused(428, "version_required");
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for (body, pointer) in [
        (json!({"type": "broker", "name": " "}), "/name"),
        (json!({"type": "pirate", "name": "X"}), "/type"),
        (json!({"type": "broker"}), "/name"),
        (json!({"type": "broker", "name": "X", "email": "nobody"}), "/email"),
        (json!({"type": "broker", "name": "X", "nonsense": 1}), "/nonsense"),
        (json!({"type": "broker", "name": "X\u{0}"}), "/name"),
    ] {
        assert_eq!(owner.post("/v1/customers", body.clone()).await.invalid_fields(), [pointer], "{body}");
    }
    assert_eq!(owner.get("/v1/customers?limit=0").await.invalid_fields(), ["limit"]);
    assert_eq!(owner.get("/v1/customers?cursor=x").await.invalid_fields(), ["cursor"]);
    assert_eq!(owner.get("/v1/customers?colour=red").await.invalid_fields(), ["colour"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let mut created = Vec::new();
    for n in 0..5 {
        created.push(id(&owner
            .post("/v1/customers", json!({"type": "dealer", "name": format!("Dealer {n}")}))
            .await
            .expect(201)));
    }
    created.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/customers?limit=2".to_owned();
    loop {
        let page = owner.get(&path).await.expect(200);
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/customers?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, created);
}

#[tokio::test]
async fn search_finds_prefixes_of_words_and_wants_all_of_them() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let lakeside = id(&owner
        .post("/v1/customers", json!({"type": "broker", "name": "Lakeside Auto Brokers", "mc_number": "778899"}))
        .await
        .expect(201));
    owner.post("/v1/customers", json!({"type": "broker", "name": "Lakewood Motors"})).await.expect(201);
    for (q, found) in [("lake", 2), ("LAKES", 1), ("brok%20lake", 1), ("motors%20brok", 0), ("7788", 1), ("side", 0)] {
        assert_eq!(ids(&owner.get(&format!("/v1/customers?q={q}")).await.expect(200)).len(), found, "{q}");
    }
    owner.patch(&format!("/v1/customers/{lakeside}"), json!({"name": "Harbor Brokers"})).await.expect(200);
    assert_eq!(ids(&owner.get("/v1/customers?q=harbor").await.expect(200)), [lakeside.as_str()]);
    assert!(ids(&owner.get("/v1/customers?q=lakeside").await.expect(200)).is_empty());
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_another_body_is_refused() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let first = owner.post_once("/v1/customers", "k1", a_customer()).await;
    let again = owner.post_once("/v1/customers", "k1", a_customer()).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        (again.status, &again.headers["location"], again.etag()),
        (first.status, &first.headers["location"], first.etag())
    );
    assert_eq!(again.text, first.text);
    let other = json!({"type": "dealer", "name": "Other"});
    assert_eq!(owner.post_once("/v1/customers", "k1", other).await.invalid_fields(), ["Idempotency-Key"]);
    assert_eq!(ids(&owner.get("/v1/customers").await.expect(200)).len(), 1);
}
