use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::orders::{an_order, create_customer};
use crate::support::{Client, TestApp, id};

async fn own_id(client: &Client) -> Uuid {
    let me = client.get("/v1/me").await.expect(200);
    me["id"].as_str().and_then(|id| id.parse().ok()).expect("a person has an id")
}

async fn own_path(client: &Client) -> String {
    format!("/v1/members/{}", own_id(client).await)
}

fn roles(page: &Value) -> Vec<&str> {
    let mut roles: Vec<&str> =
        page["data"].as_array().expect("a page").iter().filter_map(|member| member["role"].as_str()).collect();
    roles.sort_unstable();
    roles
}

#[tokio::test]
async fn members_are_listed_by_page_and_by_role_and_read_one_by_one() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let driver = app.member(&carrier, "driver").await;
    app.member(&carrier, "dispatcher").await;

    let first = carrier.owner.get("/v1/members?limit=2").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = carrier.owner.get(&format!("/v1/members?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(second["next_cursor"], json!(null));
    let all: Vec<&str> = [roles(&first), roles(&second)].concat();
    assert_eq!(all.len(), 3);
    let drivers = carrier.owner.get("/v1/members?role=driver").await.expect(200);
    assert_eq!(drivers["data"][0]["user_id"], json!(driver.user_id));
    let one = carrier.owner.get(&own_path(&driver).await).await;
    assert_eq!(one.etag(), "\"1\"");
    assert_eq!(one.expect(200), drivers["data"][0]);
    assert_eq!(carrier.owner.get("/v1/members?role=boss").await.invalid_fields(), ["role"]);
}

#[tokio::test]
async fn another_carrier_sees_changes_and_removes_no_member() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let path = own_path(&app.member(&carrier, "dispatcher").await).await;
    rival.get(&path).await.refused(404, "not_found");
    rival.patch(&path, json!({"role": "driver"})).await.refused(404, "not_found");
    rival.delete(&path).await.refused(404, "not_found");
    assert_eq!(roles(&rival.get("/v1/members").await.expect(200)), ["owner"]);
    rival.of(carrier.id).get("/v1/members").await.refused(403, "forbidden");
    assert_eq!(roles(&carrier.owner.get("/v1/members").await.expect(200)), ["dispatcher", "owner"]);
}

#[tokio::test]
async fn a_change_of_role_counts_from_the_next_request_with_the_old_token() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let member = app.member(&carrier, "driver").await;
    let path = own_path(&member).await;
    member.get("/v1/customers").await.refused(403, "forbidden");

    let patch = json!({"role": "dispatcher", "name": "Sam"});
    let changed = carrier.owner.send(Method::PATCH, &path, &[("if-match", "\"1\"")], Some(patch)).await.expect(200);
    assert_eq!((&changed["role"], &changed["name"]), (&json!("dispatcher"), &json!("Sam")));
    member.get("/v1/customers").await.expect(200);

    carrier.owner.patch(&path, json!({"role": "driver"})).await.expect(200);
    member.get("/v1/customers").await.refused(403, "forbidden");
    let stale = [("if-match", "\"1\"")];
    carrier.owner.send(Method::PATCH, &path, &stale, Some(json!({}))).await.refused(412, "stale");
    carrier.owner.send(Method::DELETE, &path, &[], None).await.refused(428, "version_required");
    assert_eq!(carrier.owner.patch(&path, json!({"role": "boss"})).await.invalid_fields(), ["/role"]);
}

#[tokio::test]
async fn a_removed_member_is_refused_at_the_next_request_with_the_old_token() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let member = app.member(&carrier, "dispatcher").await;
    let user = own_id(&member).await;
    let driver = carrier.owner.post("/v1/drivers", json!({"name": "Sam", "user_id": user})).await.expect(201);
    member.get("/v1/customers").await.expect(200);

    carrier.owner.delete(&own_path(&member).await).await.expect(204);
    member.get("/v1/customers").await.refused(403, "forbidden");
    assert_eq!(member.get("/v1/me").await.expect(200)["memberships"], json!([]));
    // Their driver stays, without them.
    let driver = carrier.owner.get(&format!("/v1/drivers/{}", id(&driver))).await.expect(200);
    assert_eq!(driver["user_id"], json!(null));
}

#[tokio::test]
async fn orders_of_a_dispatcher_who_went_are_as_they_were_and_are_handed_on() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let member = app.member(&carrier, "dispatcher").await;
    let user = own_id(&member).await;
    let mut new = an_order(&create_customer(&carrier.owner).await);
    new["dispatcher_id"] = json!(user);
    let order = carrier.owner.post("/v1/orders", new.clone()).await.expect(201);
    let path = format!("/v1/orders/{}", id(&order));
    assert_eq!(rival.owner.get(&format!("/v1/orders?dispatcher={user}")).await.expect(200)["data"], json!([]));

    carrier.owner.delete(&own_path(&member).await).await.expect(204);
    let after = carrier.owner.get(&path).await.expect(200);
    assert_eq!((&after["dispatcher_id"], &after["version"]), (&json!(user), &order["version"]));
    let theirs = carrier.owner.get(&format!("/v1/orders?dispatcher={user}")).await.expect(200);
    assert_eq!(theirs["data"].as_array().unwrap().len(), 1);

    // Nobody is put on an order any more who is no member, here or elsewhere.
    let elsewhere = own_id(&rival.owner).await;
    for stranger in [user, elsewhere] {
        new["dispatcher_id"] = json!(stranger);
        assert_eq!(carrier.owner.post("/v1/orders", new.clone()).await.invalid_fields(), ["/dispatcher_id"]);
    }
    let other = carrier.owner.patch(&path, json!({"dispatcher_id": elsewhere})).await;
    assert_eq!(other.invalid_fields(), ["/dispatcher_id"]);
    // What they look after can be changed, divided and handed on.
    carrier.owner.patch(&path, json!({"notes": "Call first", "dispatcher_id": user})).await.expect(200);
    let split = json!({"vehicle_ids": [order["vehicles"][1]["id"]]});
    let divided = carrier.owner.post(&format!("{path}/split"), split).await.expect(201);
    assert_eq!(divided["dispatcher_id"], json!(user), "{divided}");
    let owner = own_id(&carrier.owner).await;
    let handed_on = carrier.owner.patch(&path, json!({"dispatcher_id": owner})).await.expect(200);
    assert_eq!(handed_on["dispatcher_id"], json!(owner));
    assert_eq!(carrier.owner.patch(&path, json!({"dispatcher_id": user})).await.invalid_fields(), ["/dispatcher_id"]);
}

#[tokio::test]
async fn who_was_removed_does_not_come_back_by_an_open_invitation() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let invite = async |email: &str| {
        carrier.owner.post("/v1/invitations", json!({"email": email, "role": "dispatcher"})).await.expect(201)
    };
    let first = invite("sam@example.com").await;
    let token = app.issuer.token().subject(&Uuid::now_v7().to_string()).email("sam@example.com");
    let sam = app.client_with(&token);
    sam.post("/v1/invitations/accept", json!({"token": first["token"]})).await.expect(200);
    let (again, others) = (invite("Sam@Example.com").await, invite("kim@example.com").await);

    carrier.owner.delete(&own_path(&sam.clone().of(carrier.id)).await).await.expect(204);
    sam.post("/v1/invitations/accept", json!({"token": again["token"]})).await.refused(404, "not_found");
    let open = carrier.owner.get("/v1/invitations?open=true").await.expect(200);
    let ids: Vec<_> = open["data"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&others["id"]]);
}

#[tokio::test]
async fn who_lost_a_right_is_not_told_again_what_was_answered_to_it() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let member = app.member(&carrier, "dispatcher").await;
    let customer = json!({"type": "dealer", "name": "Lakeside Autos"});
    member.post_once("/v1/customers", "key", customer.clone()).await.expect(201);
    carrier.owner.patch(&own_path(&member).await, json!({"role": "driver"})).await.expect(200);
    member.post_once("/v1/customers", "key", customer).await.refused(403, "forbidden");
}

#[tokio::test]
async fn everybody_may_leave_whatever_their_role() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    for role in ["owner", "admin", "dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        member.delete(&own_path(&member).await).await.expect(204);
        member.get("/v1/tenant").await.refused(403, "forbidden");
    }
    assert_eq!(roles(&carrier.owner.get("/v1/members").await.expect(200)), ["owner"]);
}

#[tokio::test]
async fn the_last_owner_neither_leaves_nor_steps_down() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    app.member(&carrier, "admin").await;
    let path = own_path(&carrier.owner).await;
    assert_eq!(carrier.owner.delete(&path).await.refused(409, "conflict")["code"], "last_owner");
    let stepping_down = carrier.owner.patch(&path, json!({"role": "admin"})).await;
    assert_eq!(stepping_down.refused(409, "conflict")["code"], "last_owner");
    carrier.owner.get("/v1/members").await.expect(200);
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let app = TestApp::start().await;
    let elsewhere = app.another_instance();
    for _ in 0..5 {
        let carrier = app.carrier().await;
        let other = app.member(&carrier, "owner").await.through(&elsewhere);
        let (path, other_path) = (own_path(&carrier.owner).await, own_path(&other).await);
        let (one, two) = tokio::join!(carrier.owner.delete(&path), other.delete(&other_path));
        let (gone, stayed) = if one.status == 204 { (one, two) } else { (two, one) };
        gone.expect(204);
        assert_eq!(stayed.refused(409, "conflict")["code"], "last_owner");
        let owners = format!("SELECT count(*) FROM memberships WHERE tenant_id = '{}' AND role = 'owner'", carrier.id);
        assert_eq!(app.count(&owners).await, 1);
    }
}

#[tokio::test]
async fn only_an_owner_makes_unmakes_and_removes_owners() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (admin, dispatcher) = (app.member(&carrier, "admin").await, app.member(&carrier, "dispatcher").await);
    let (owner_path, dispatcher_path) = (own_path(&carrier.owner).await, own_path(&dispatcher).await);
    for role in ["owner", "admin"] {
        // Nobody makes themselves more than they are.
        dispatcher.patch(&dispatcher_path, json!({"role": role})).await.refused(403, "forbidden");
    }
    admin.patch(&own_path(&admin).await, json!({"role": "owner"})).await.refused(403, "forbidden");
    admin.patch(&dispatcher_path, json!({"role": "owner"})).await.refused(403, "forbidden");
    admin.patch(&owner_path, json!({"role": "driver"})).await.refused(403, "forbidden");
    admin.delete(&owner_path).await.refused(403, "forbidden");
    admin.patch(&owner_path, json!({"name": "The boss"})).await.expect(200);
    admin.patch(&dispatcher_path, json!({"role": "accountant"})).await.expect(200);

    carrier.owner.patch(&dispatcher_path, json!({"role": "owner"})).await.expect(200);
    dispatcher.patch(&owner_path, json!({"role": "admin"})).await.expect(200);
    dispatcher.delete(&owner_path).await.expect(204);
    carrier.owner.get("/v1/tenant").await.refused(403, "forbidden");
}

#[tokio::test]
async fn no_other_role_changes_members_and_drivers_do_not_see_them() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let path = own_path(&carrier.owner).await;
    for role in ["dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        member.patch(&path, json!({"name": "X"})).await.refused(403, "forbidden");
        member.delete(&path).await.refused(403, "forbidden");
        member.delete(&format!("/v1/members/{}", Uuid::now_v7())).await.refused(403, "forbidden");
        let status = if role == "driver" { 403 } else { 200 };
        member.get("/v1/members").await.expect(status);
        member.get(&path).await.expect(status);
    }
}

#[tokio::test]
async fn a_seat_is_taken_by_a_new_role_and_given_back_by_leaving() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let (admin, driver) = (app.member(&carrier, "admin").await, app.member(&carrier, "driver").await);
    let path = own_path(&driver).await;
    let refused = carrier.owner.patch(&path, json!({"role": "dispatcher"})).await.refused(402, "over_limit");
    assert_eq!((&refused["limit"], &refused["max"], &refused["used"]), (&json!("members"), &json!(2), &json!(2)));
    carrier.owner.delete(&own_path(&admin).await).await.expect(204);
    carrier.owner.patch(&path, json!({"role": "dispatcher"})).await.expect(200);
}
