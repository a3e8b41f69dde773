use axum::http::Method;
use serde_json::{Value, json};

use crate::conventions::Resource;
use crate::support::{TestApp, id};

const EDITORS: [&str; 4] = ["owner", "admin", "dispatcher", "accountant"];

fn custom_statuses() -> Resource {
    Resource {
        path: "/v1/custom-statuses",
        example: json!({"label": "Waiting for gate pass", "color": "#2b8a3e", "system_status": "assigned"}),
        change: json!({"label": "Gate pass here", "color": "#ffffff"}),
        order_columns: &["custom_status_id"],
    }
}

fn tags() -> Resource {
    Resource {
        path: "/v1/tags",
        example: json!({"name": "Expedited", "color": "#2b8a3e"}),
        change: json!({"name": "Urgent"}),
        order_columns: &[],
    }
}

/// These two start with words that every carrier has.
fn seeded() -> [(&'static str, &'static str); 2] {
    [("/v1/cancel-reasons", "label"), ("/v1/expense-categories", "name")]
}

#[tokio::test]
async fn custom_statuses_and_tags_are_created_read_changed_and_deleted() {
    custom_statuses().is_created_read_changed_and_deleted().await;
    tags().is_created_read_changed_and_deleted().await;
}

#[tokio::test]
async fn another_carrier_sees_and_changes_none_of_them() {
    custom_statuses().is_invisible_to_another_carrier().await;
    tags().is_invisible_to_another_carrier().await;
}

#[tokio::test]
async fn they_change_only_in_the_version_that_was_seen() {
    custom_statuses().changes_only_in_the_version_that_was_seen().await;
    tags().changes_only_in_the_version_that_was_seen().await;
}

#[tokio::test]
async fn a_bad_one_names_its_field() {
    custom_statuses().names_the_field_of(&[("label", json!("")), ("color", json!("red")), ("x", json!(1))]).await;
    tags().names_the_field_of(&[("name", json!("a\u{0}b")), ("color", json!(7))]).await;
}

#[tokio::test]
async fn drivers_read_them_and_the_office_writes_them() {
    custom_statuses().is_written_by(&EDITORS).await;
    tags().is_written_by(&EDITORS).await;
    let app = TestApp::start().await;
    let driver = app.member(&app.carrier().await, "driver").await;
    for path in ["/v1/tags", "/v1/custom-statuses", "/v1/cancel-reasons", "/v1/notification-preferences"] {
        driver.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn what_an_order_refers_to_is_archived_and_a_tag_goes_with_its_uses() {
    custom_statuses().is_archived_when_an_order_refers_to_it().await;

    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let reason = carrier.owner.get("/v1/cancel-reasons").await.expect(200)["data"][0].clone();
    app.order_with(&carrier, "cancel_reason_id", &id(&reason)).await;
    let archived = carrier.owner.delete(&format!("/v1/cancel-reasons/{}", id(&reason))).await.expect(200);
    assert!(archived["archived_at"].is_string());

    let tag = carrier.owner.post("/v1/tags", tags().example).await.expect(201);
    let uses = format!("FROM order_tags WHERE tenant_id = '{}'", carrier.id);
    app.run(&format!(
        "INSERT INTO order_tags SELECT tenant_id, id, '{}' FROM orders WHERE tenant_id = '{}'",
        id(&tag),
        carrier.id
    ))
    .await;
    assert_eq!(app.count(&format!("SELECT count(*) {uses}")).await, 1);
    carrier.owner.delete(&format!("/v1/tags/{}", id(&tag))).await.expect(204);
    assert_eq!(app.count(&format!("SELECT count(*) {uses}")).await, 0);
}

#[tokio::test]
async fn the_words_that_every_carrier_starts_with_are_its_own() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    for (path, word) in seeded() {
        let before = carrier.get(path).await.expect(200)["data"].as_array().map(Vec::len);
        let theirs = rival.get(path).await.expect(200);
        let row = carrier.post(path, json!({ word: "Something else" })).await.expect(201);
        let at = format!("{path}/{}", id(&row));
        let changed = carrier.patch(&at, json!({ word: "Something better" })).await.expect(200);
        assert_eq!(changed[word], "Something better");
        assert_eq!(carrier.get(path).await.expect(200)["data"].as_array().map(Vec::len), before.map(|n| n + 1));

        rival.get(&at).await.refused(404, "not_found");
        rival.patch(&at, json!({ word: "Mine" })).await.refused(404, "not_found");
        rival.delete(&at).await.refused(404, "not_found");
        assert_eq!(rival.get(path).await.expect(200), theirs);

        carrier.patch(&at, json!({"archived": true})).await.expect(200);
        assert_eq!(carrier.get(path).await.expect(200)["data"].as_array().map(Vec::len), before);
        carrier.delete(&at).await.expect(204);
    }
}

#[tokio::test]
async fn a_word_is_taken_whatever_its_case_until_it_is_archived() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let status = |label: &str| json!({"label": label, "color": "#000000", "system_status": "new"});
    let first = owner.post("/v1/custom-statuses", status("On the lot")).await.expect(201);
    let taken = owner.post("/v1/custom-statuses", status("ON THE LOT")).await.refused(409, "conflict");
    assert_eq!(taken["code"], "already_exists");
    owner.patch(&format!("/v1/custom-statuses/{}", id(&first)), json!({"archived": true})).await.expect(200);
    owner.post("/v1/custom-statuses", status("ON THE LOT")).await.expect(201);
    // What a status refines stays what it is: orders may wear it.
    let patch = json!({"system_status": "delivered"});
    let refused = owner.patch(&format!("/v1/custom-statuses/{}", id(&first)), patch).await;
    assert_eq!(refused.invalid_fields(), ["/system_status"]);
}

fn preference(event: &str, channel: &str, role: &str) -> Value {
    json!({"event": event, "channel": channel, "role": role})
}

#[tokio::test]
async fn notification_preferences_are_replaced_as_a_whole() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let path = "/v1/notification-preferences";
    let put = async |client: &crate::support::Client, preferences: Value| {
        client.send(Method::PUT, path, &[("if-match", "*")], Some(json!({ "preferences": preferences }))).await
    };
    assert_eq!(carrier.owner.get(path).await.expect(200), json!({"preferences": []}));
    let (created, delivered) =
        (preference("order.created", "email", "dispatcher"), preference("order.delivered", "sms", "accountant"));
    let first = put(&carrier.owner, json!([delivered, created, created])).await.expect(200);
    assert_eq!(first, json!({"preferences": [created, delivered]}));
    assert_eq!(carrier.owner.get(path).await.expect(200), first);
    assert_eq!(rival.owner.get(path).await.expect(200), json!({"preferences": []}));

    let cancelled = preference("order.cancelled", "push", "driver");
    put(&rival.owner, json!([])).await.expect(200);
    put(&carrier.owner, json!([delivered, cancelled])).await.expect(200);
    assert_eq!(carrier.owner.get(path).await.expect(200), json!({"preferences": [delivered, cancelled]}));
    // Only what changed is in the audit log: two came, one went and one came.
    let changes = format!(
        "SELECT count(*) FROM audit_log WHERE tenant_id = '{}' AND table_name = 'notification_preferences'",
        carrier.id
    );
    assert_eq!(app.count(&changes).await, 4);

    let bad = put(&carrier.owner, json!([preference("order.eaten", "email", "owner")])).await;
    assert_eq!(bad.invalid_fields(), ["/preferences/0/event"]);
    let driver = app.member(&carrier, "driver").await;
    put(&driver, json!([])).await.refused(403, "forbidden");
}

#[tokio::test]
async fn notification_preferences_are_replaced_only_in_the_version_that_was_seen() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let path = "/v1/notification-preferences";
    let put = async |client: &crate::support::Client, etag: Option<&str>, channel: &str| {
        let headers: Vec<_> = etag.iter().map(|etag| ("if-match", *etag)).collect();
        let set = json!({"preferences": [preference("order.created", channel, "owner")]});
        client.send(Method::PUT, path, &headers, Some(set)).await
    };
    let empty = owner.get(path).await.etag().to_owned();
    put(&owner, None, "email").await.refused(428, "version_required");
    let changed = put(&owner, Some(&empty), "email").await;
    let etag = changed.etag().to_owned();
    changed.expect(200);
    assert_ne!(etag, empty);
    assert_eq!(owner.get(path).await.etag(), etag);
    // Somebody else has seen the empty set; and another carrier's is no business of ours.
    put(&owner, Some(&empty), "sms").await.refused(412, "stale");
    put(&owner, Some("W/\"1\""), "sms").await.refused(412, "stale");
    put(&rival, Some(&etag), "sms").await.refused(412, "stale");
    put(&rival, Some(&empty), "sms").await.expect(200);
    assert_eq!(owner.get(path).await.expect(200)["preferences"][0]["channel"], "email");
}

#[tokio::test]
async fn of_two_who_have_seen_the_same_preferences_one_replaces_them() {
    let app = TestApp::start().await;
    let one = app.carrier().await.owner;
    let two = one.through(&app.another_instance());
    let path = "/v1/notification-preferences";
    let etag = one.get(path).await.etag().to_owned();
    let put = async |client: &crate::support::Client, channel: &str| {
        let set = json!({"preferences": [preference("order.created", channel, "owner")]});
        client.send(Method::PUT, path, &[("if-match", &etag)], Some(set)).await.status.as_u16()
    };
    let mut statuses: [u16; 2] = tokio::join!(put(&one, "email"), put(&two, "sms")).into();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn twins_leave_one_of_their_sets_and_no_mixture() {
    let app = TestApp::start().await;
    let one = app.carrier().await.owner;
    let two = one.through(&app.another_instance());
    let path = "/v1/notification-preferences";
    let sets = ["email", "sms"].map(|channel| {
        json!({"preferences": [preference("order.created", channel, "owner"), preference("order.assigned", channel, "owner")]})
    });
    for _ in 0..5 {
        let (first, second) = tokio::join!(
            one.send(Method::PUT, path, &[("if-match", "*")], Some(sets[0].clone())),
            two.send(Method::PUT, path, &[("if-match", "*")], Some(sets[1].clone()))
        );
        first.expect(200);
        second.expect(200);
        assert!(sets.contains(&one.get(path).await.expect(200)));
    }
}

#[tokio::test]
async fn numbers_go_on_from_a_higher_one_and_never_back() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let sequences = carrier.get("/v1/number-sequences").await.expect(200);
    assert_eq!(sequences["data"].as_array().map(Vec::len), Some(3));
    let order = "/v1/number-sequences/order";
    let set = async |number: Value| carrier.patch(order, json!({ "next_number": number })).await;
    let changed = set(json!(5000)).await;
    let read = carrier.get(order).await;
    assert_eq!(read.etag(), changed.etag());
    assert_eq!(read.expect(200), changed.json);
    assert_eq!(rival.get(order).await.expect(200)["next_number"], 1);
    carrier.get("/v1/number-sequences/parrot").await.refused(404, "not_found");
    let etag = changed.etag().to_owned();
    assert_eq!(changed.expect(200)["next_number"], 5000);
    assert_eq!(set(json!(4999)).await.invalid_fields(), ["/next_number"]);
    assert_eq!(set(json!(0)).await.invalid_fields(), ["/next_number"]);
    assert_eq!(set(json!(1_000_000_000)).await.invalid_fields(), ["/next_number"]);
    set(json!(5000)).await.expect(200);
    carrier.send(Method::PATCH, order, &[("if-match", &etag)], Some(json!({}))).await.refused(412, "stale");
    carrier.send(Method::PATCH, order, &[], Some(json!({}))).await.refused(428, "version_required");
    carrier.patch("/v1/number-sequences/parking", json!({})).await.refused(404, "not_found");

    for sequence in rival.get("/v1/number-sequences").await.expect(200)["data"].as_array().unwrap() {
        assert_eq!(sequence["next_number"], 1);
    }
    rival.of(carrier.tenant.unwrap()).get("/v1/number-sequences").await.refused(403, "forbidden");
}
