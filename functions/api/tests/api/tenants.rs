use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, TestApp, id};

fn a_carrier() -> Value {
    json!({"name": "Blue Ridge Auto Transport", "usdot": "1234567", "mc_number": "654321", "time_zone": "America/Denver"})
}

fn somebody(app: &TestApp) -> Client {
    app.client(&Uuid::now_v7().to_string())
}

#[tokio::test]
async fn whoever_signs_in_can_create_a_carrier_and_owns_it() {
    let app = TestApp::start().await;
    let person = somebody(&app);
    person.get("/v1/tenant").await.refused(403, "forbidden");

    let created = person.post("/v1/tenants", a_carrier()).await;
    assert_eq!((created.etag(), created.headers["location"].to_str().unwrap()), ("\"1\"", "/v1/tenant"));
    let tenant = created.expect(201);
    assert_eq!(
        (&tenant["name"], &tenant["currency"], &tenant["plan"], &tenant["week_start"], &tenant["drivers_see_prices"]),
        (&json!("Blue Ridge Auto Transport"), &json!("USD"), &json!("free"), &json!(1), &json!(false))
    );
    // With one carrier there is no need to name it.
    assert_eq!(person.get("/v1/tenant").await.expect(200), tenant);
    let me = person.get("/v1/me").await.expect(200);
    assert_eq!((&me["memberships"][0]["tenant_id"], &me["memberships"][0]["role"]), (&tenant["id"], &json!("owner")));
    assert_eq!(person.get("/v1/cancel-reasons").await.expect(200)["data"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_repeated_creation_finds_the_first_carrier_and_everybody_gets_their_own() {
    let app = TestApp::start().await;
    let (person, other) = (somebody(&app), somebody(&app));
    let first = person.post_once("/v1/tenants", "k1", a_carrier()).await;
    let again = person.post_once("/v1/tenants", "k1", a_carrier()).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let different = json!({"name": "Other", "time_zone": "America/Denver"});
    assert_eq!(person.post_once("/v1/tenants", "k1", different).await.invalid_fields(), ["Idempotency-Key"]);
    let others = other.post_once("/v1/tenants", "k1", a_carrier()).await.expect(201);
    assert_ne!(id(&others), id(&first.json));

    assert_eq!(person.get("/v1/me").await.expect(200)["memberships"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn twins_make_one_carrier() {
    let app = TestApp::start().await;
    let one = somebody(&app);
    let two = one.through(&app.another_instance());
    let (first, second) =
        tokio::join!(one.post_once("/v1/tenants", "k1", a_carrier()), two.post_once("/v1/tenants", "k1", a_carrier()));
    let replayed = [&first, &second].iter().filter(|r| r.headers.contains_key("idempotency-replayed")).count();
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(replayed, 1);
}

#[tokio::test]
async fn nobody_owns_more_than_ten_carriers() {
    let app = TestApp::start().await;
    let person = somebody(&app);
    for _ in 0..9 {
        person.post("/v1/tenants", a_carrier()).await.expect(201);
    }
    let two = person.through(&app.another_instance());
    let (one, other) = tokio::join!(person.post("/v1/tenants", a_carrier()), two.post("/v1/tenants", a_carrier()));
    let refused = if one.status == 201 { other } else { one };
    assert_eq!(refused.refused(409, "conflict")["code"], "too_many_carriers");
    assert_eq!(person.get("/v1/me").await.expect(200)["memberships"].as_array().map(Vec::len), Some(10));
    assert_eq!(person.get("/v1/tenant").await.invalid_fields(), ["Tenant-Id"]);
}

#[tokio::test]
async fn a_bad_carrier_names_its_field() {
    let app = TestApp::start().await;
    let person = somebody(&app);
    for (member, value) in [
        ("name", json!(" ")),
        ("time_zone", json!("Mars/Base")),
        ("currency", json!("usd")),
        ("usdot", json!("USDOT 1")),
        ("plan", json!("pro")),
    ] {
        let mut body = a_carrier();
        body[member] = value;
        assert_eq!(person.post("/v1/tenants", body).await.invalid_fields(), [format!("/{member}")]);
    }
    let owner = app.carrier().await.owner;
    for (member, value) in [("week_start", json!(8)), ("plan", json!("pro")), ("name", json!(null))] {
        assert_eq!(owner.patch("/v1/tenant", json!({ member: value })).await.invalid_fields(), [format!("/{member}")]);
    }
}

#[tokio::test]
async fn settings_change_in_the_version_that_was_seen_by_those_who_may() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let settings = json!({"name": "Ridge", "usdot": "77", "week_start": 7, "time_zone": "America/Los_Angeles",
        "currency": "CAD", "drivers_see_prices": true});
    let before = carrier.owner.get("/v1/tenant").await;
    let seen = [("if-match", before.etag())];
    let changed = carrier.owner.send(Method::PATCH, "/v1/tenant", &seen, Some(settings.clone())).await;
    assert_ne!(changed.etag(), before.etag());
    let changed = changed.expect(200);
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    carrier.owner.send(Method::PATCH, "/v1/tenant", &seen, Some(json!({}))).await.refused(412, "stale");
    carrier.owner.send(Method::PATCH, "/v1/tenant", &[], Some(json!({}))).await.refused(428, "version_required");

    for role in ["dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        assert_eq!(member.get("/v1/tenant").await.expect(200), changed);
        member.patch("/v1/tenant", json!({"name": "Mine"})).await.refused(403, "forbidden");
    }
    app.member(&carrier, "admin").await.patch("/v1/tenant", json!({"usdot": null})).await.expect(200);
}

#[tokio::test]
async fn another_carrier_reads_and_changes_no_settings_and_no_usage() {
    let app = TestApp::start().await;
    let (one, other) = (app.carrier().await, app.carrier().await);
    let intruder = other.owner.clone().of(one.id);
    intruder.get("/v1/tenant").await.refused(403, "forbidden");
    intruder.patch("/v1/tenant", json!({"name": "Mine"})).await.refused(403, "forbidden");
    intruder.get("/v1/usage").await.refused(403, "forbidden");
    other.owner.patch("/v1/tenant", json!({"name": "Theirs"})).await.expect(200);
    assert_eq!(one.owner.get("/v1/tenant").await.expect(200)["name"], "Carrier");
}

fn limit<'a>(usage: &'a Value, name: &str) -> &'a Value {
    let limits = usage["limits"].as_array().expect("limits");
    limits.iter().find(|limit| limit["limit"] == name).expect("the plan has this limit")
}

#[tokio::test]
async fn usage_tells_what_is_used_of_the_plan_as_it_is_now() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let truck = |n: u8| json!({"unit_number": format!("T-{n}"), "capacity": 2});
    carrier.owner.post("/v1/trucks", truck(1)).await.expect(201);
    carrier.owner.post("/v1/trucks", truck(2)).await.refused(402, "over_limit");

    let usage = carrier.owner.get("/v1/usage").await.expect(200);
    assert_eq!(usage["plan"], "free");
    assert_eq!(
        *limit(&usage, "trucks"),
        json!({"limit": "trucks", "max": 1, "per": "total", "used": 1, "resets_at": null})
    );
    assert_eq!((&limit(&usage, "members")["used"], &limit(&usage, "orders")["used"]), (&json!(1), &json!(0)));
    assert!(limit(&usage, "orders")["resets_at"].as_str().unwrap().contains("-01T0"), "{usage}");
    assert_eq!(limit(&usage, "requests")["used"], json!(null));
    // Both tries to create a truck; this request counts once it is answered.
    assert_eq!((&limit(&usage, "api_calls")["max"], &limit(&usage, "api_calls")["used"]), (&json!(1000), &json!(2)));

    app.change_plan(&carrier, "pro").await;
    let usage = carrier.owner.get("/v1/usage").await.expect(200);
    assert_eq!((&usage["plan"], &limit(&usage, "trucks")["max"]), (&json!("pro"), &json!(null)));
    carrier.owner.post("/v1/trucks", truck(2)).await.expect(201);
    app.change_plan(&carrier, "free").await;
    carrier.owner.post("/v1/trucks", truck(3)).await.refused(402, "over_limit");
    assert_eq!(limit(&carrier.owner.get("/v1/usage").await.expect(200), "trucks")["used"], 2);
    app.member(&carrier, "driver").await.get("/v1/usage").await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_plan_that_has_ended_allows_what_the_free_one_does_and_loses_nothing() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("pro").await;
    let truck = |n: u8| json!({"unit_number": format!("T-{n}"), "capacity": 2});
    let first = carrier.owner.post("/v1/trucks", truck(1)).await.expect(201);
    carrier.owner.post("/v1/trucks", truck(2)).await.expect(201);
    app.run(&format!("UPDATE tenants SET plan_ends_at = now() WHERE id = '{}'", carrier.id)).await;
    assert_eq!(carrier.owner.get("/v1/tenant").await.expect(200)["plan"], "free");
    assert_eq!(carrier.owner.get("/v1/usage").await.expect(200)["plan"], "free");
    carrier.owner.post("/v1/trucks", truck(3)).await.refused(402, "over_limit");
    let path = format!("/v1/trucks/{}", first["id"].as_str().unwrap());
    carrier.owner.patch(&path, json!({"notes": "Still ours"})).await.expect(200);
    assert_eq!(carrier.owner.get("/v1/trucks").await.expect(200)["data"].as_array().unwrap().len(), 2);
    app.run(&format!("UPDATE tenants SET plan_ends_at = now() + interval '1 day' WHERE id = '{}'", carrier.id)).await;
    carrier.owner.post("/v1/trucks", truck(3)).await.expect(201);
}
