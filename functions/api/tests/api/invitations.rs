use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Carrier, Client, TestApp, id, ids};

/// Somebody who signs in with this verified address.
fn person(app: &TestApp, email: &str) -> Client {
    app.client_with(&app.issuer.token().subject(&Uuid::now_v7().to_string()).email(email).name("Kim"))
}

async fn invite(carrier: &Carrier, email: &str, role: &str) -> Value {
    carrier.owner.post("/v1/invitations", json!({"email": email, "role": role})).await.expect(201)
}

fn token(invitation: &Value) -> Value {
    json!({"token": invitation["token"]})
}

#[tokio::test]
async fn an_invited_person_joins_in_the_role_they_were_invited_to() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let invitation = invite(&carrier, "kim@example.com", "dispatcher").await;
    let kim = person(&app, "Kim@Example.com");
    kim.get("/v1/tenant").await.refused(403, "forbidden");

    let membership = kim.post("/v1/invitations/accept", token(&invitation)).await.expect(200);
    assert_eq!((&membership["tenant_id"], &membership["role"]), (&json!(carrier.id), &json!("dispatcher")));
    kim.get("/v1/customers").await.expect(200);
    let me = kim.get("/v1/me").await.expect(200);
    assert_eq!(me["memberships"], json!([membership]));
    let member = carrier.owner.get(&format!("/v1/members/{}", id(&me))).await.expect(200);
    assert_eq!((&member["name"], &member["email"]), (&json!("Kim"), &json!("Kim@Example.com")));

    let path = format!("/v1/invitations/{}", id(&invitation));
    let accepted = carrier.owner.get(&path).await.expect(200);
    assert_eq!(accepted["accepted_by"], me["id"]);
    assert!(ids(&carrier.owner.get("/v1/invitations?open=true").await.expect(200)).is_empty());
    // Once more is the same; nobody else gets in with it, and they neither once they have been removed.
    kim.post("/v1/invitations/accept", token(&invitation)).await.expect(200);
    person(&app, "kim@example.com").post("/v1/invitations/accept", token(&invitation)).await.refused(404, "not_found");
    carrier.owner.delete(&format!("/v1/members/{}", id(&me))).await.expect(204);
    kim.post("/v1/invitations/accept", token(&invitation)).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_token_is_shown_once_and_only_its_hash_is_kept() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let body = json!({"email": "kim@example.com", "role": "dispatcher"});
    let first = carrier.owner.post_once("/v1/invitations", "k1", body.clone()).await.expect(201);
    let secret = first["token"].as_str().unwrap().to_owned();
    let again = carrier.owner.post_once("/v1/invitations", "k1", body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = again.expect(201);
    assert_eq!((id(&again), &again["token"]), (id(&first), &json!(null)));

    let read = carrier.owner.get(&format!("/v1/invitations/{}", id(&first))).await.expect(200);
    assert!(read.get("token").is_none());
    let table = |table| {
        let tenant = carrier.id;
        format!("SELECT count(*) FROM {table} t WHERE t.tenant_id = '{tenant}' AND t::text LIKE '%{secret}%'")
    };
    for name in ["invitations", "audit_log", "tenant_events", "idempotency_keys"] {
        assert_eq!(app.count(&table(name)).await, 0, "{name}");
    }
    assert_eq!(carrier.owner.get("/v1/invitations").await.expect(200)["data"], json!([read]));
}

#[tokio::test]
async fn an_address_that_the_token_says_must_be_the_invited_one() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let invitation = invite(&carrier, "kim@example.com", "dispatcher").await;
    let somebody = || app.issuer.token().subject(&Uuid::now_v7().to_string());
    let unverified = |email| somebody().email(email).claim("email_verified", false);
    person(&app, "lee@example.com").post("/v1/invitations/accept", token(&invitation)).await.refused(403, "forbidden");
    let lee = app.client_with(&unverified("lee@example.com"));
    lee.post("/v1/invitations/accept", token(&invitation)).await.refused(403, "forbidden");
    // A token that says no address proves as much as holding the invitation does.
    app.client_with(&somebody()).post("/v1/invitations/accept", token(&invitation)).await.expect(200);
    // Not enough to run the carrier.
    for role in ["admin", "owner"] {
        let invitation = invite(&carrier, "kim@example.com", role).await;
        for token_of in [somebody(), unverified("kim@example.com")] {
            let stranger = app.client_with(&token_of);
            stranger.post("/v1/invitations/accept", token(&invitation)).await.refused(403, "forbidden");
            assert_eq!(stranger.get("/v1/me").await.expect(200)["memberships"], json!([]));
        }
        let kim = person(&app, "kim@example.com");
        assert_eq!(kim.post("/v1/invitations/accept", token(&invitation)).await.expect(200)["role"], json!(role));
    }
}

#[tokio::test]
async fn an_invitation_counts_as_long_as_whoever_made_it_may_still_make_it() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let second = person(&app, "second@example.com");
    let invitation = invite(&carrier, "second@example.com", "owner").await;
    second.post("/v1/invitations/accept", token(&invitation)).await.expect(200);
    let second_id = id(&second.get("/v1/me").await.expect(200));
    let invited_by_second = async |email: &str, role: &str| {
        second.post("/v1/invitations", json!({"email": email, "role": role})).await.expect(201)
    };
    let (for_owner, for_driver) =
        (invited_by_second("o@example.com", "owner").await, invited_by_second("d@example.com", "driver").await);
    let member = format!("/v1/members/{second_id}");
    carrier.owner.patch(&member, json!({"role": "admin"})).await.expect(200);
    person(&app, "o@example.com").post("/v1/invitations/accept", token(&for_owner)).await.refused(404, "not_found");
    person(&app, "d@example.com").post("/v1/invitations/accept", token(&for_driver)).await.expect(200);
    let later = invited_by_second("l@example.com", "driver").await;
    carrier.owner.delete(&member).await.expect(204);
    person(&app, "l@example.com").post("/v1/invitations/accept", token(&later)).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_unknown_revoked_replaced_or_expired_invitation_lets_nobody_in() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let kim = person(&app, "kim@example.com");
    let accept = async |body: Value| kim.post("/v1/invitations/accept", body).await;
    accept(json!({"token": "made-up"})).await.refused(404, "not_found");
    assert_eq!(accept(json!({"token": ""})).await.invalid_fields(), ["/token"]);

    let revoked = invite(&carrier, "kim@example.com", "admin").await;
    carrier.owner.delete(&format!("/v1/invitations/{}", id(&revoked))).await.expect(204);
    accept(token(&revoked)).await.refused(404, "not_found");
    carrier.owner.delete(&format!("/v1/invitations/{}", id(&revoked))).await.refused(404, "not_found");

    let replaced = invite(&carrier, "kim@example.com", "admin").await;
    let expired = invite(&carrier, "KIM@example.com", "driver").await;
    accept(token(&replaced)).await.refused(404, "not_found");
    assert_eq!(ids(&carrier.owner.get("/v1/invitations").await.expect(200)), [id(&expired)]);

    let past = format!("UPDATE invitations SET expires_at = now() - interval '1 s' WHERE id = '{}'", id(&expired));
    app.run(&past).await;
    accept(token(&expired)).await.refused(404, "not_found");
    assert_eq!(kim.get("/v1/me").await.expect(200)["memberships"], json!([]));
}

#[tokio::test]
async fn who_may_invite_and_whom() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let body = |role: &str| json!({"email": "kim@example.com", "role": role});
    let admin = app.member(&carrier, "admin").await;
    admin.post("/v1/invitations", body("owner")).await.refused(403, "forbidden");
    admin.post("/v1/invitations", body("admin")).await.expect(201);
    carrier.owner.post("/v1/invitations", body("owner")).await.expect(201);
    for role in ["dispatcher", "accountant", "driver"] {
        app.member(&carrier, role).await.post("/v1/invitations", body("driver")).await.refused(403, "forbidden");
    }
    app.member(&carrier, "driver").await.get("/v1/invitations").await.refused(403, "forbidden");
    for (body, pointer) in [
        (json!({"email": "nobody", "role": "driver"}), "/email"),
        (body("boss"), "/role"),
        (json!({"email": "kim@example.com", "role": "driver", "tenant_id": carrier.id}), "/tenant_id"),
    ] {
        assert_eq!(carrier.owner.post("/v1/invitations", body).await.invalid_fields(), [pointer]);
    }
}

#[tokio::test]
async fn another_carrier_sees_and_revokes_no_invitation() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let invitation = invite(&carrier, "kim@example.com", "dispatcher").await;
    let path = format!("/v1/invitations/{}", id(&invitation));
    rival.get(&path).await.refused(404, "not_found");
    rival.delete(&path).await.refused(404, "not_found");
    assert!(ids(&rival.get("/v1/invitations").await.expect(200)).is_empty());
    // The same address invited by another carrier replaces nothing here.
    rival.post("/v1/invitations", json!({"email": "kim@example.com", "role": "driver"})).await.expect(201);
    rival.of(carrier.id).get("/v1/invitations").await.refused(403, "forbidden");
    person(&app, "kim@example.com").post("/v1/invitations/accept", token(&invitation)).await.expect(200);
}

#[tokio::test]
async fn the_last_seat_of_the_plan_goes_to_one_and_drivers_need_none() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let (kim, lee) =
        (person(&app, "kim@example.com"), person(&app, "lee@example.com").through(&app.another_instance()));
    let first = invite(&carrier, "kim@example.com", "dispatcher").await;
    let second = invite(&carrier, "lee@example.com", "admin").await;
    let (one, two) = tokio::join!(
        kim.post("/v1/invitations/accept", token(&first)),
        lee.post("/v1/invitations/accept", token(&second))
    );
    let (joined, refused) = if one.status == 200 { (one, two) } else { (two, one) };
    joined.expect(200);
    assert_eq!(refused.refused(402, "over_limit")["limit"], "members");

    let driver = invite(&carrier, "ann@example.com", "driver").await;
    person(&app, "ann@example.com").post("/v1/invitations/accept", token(&driver)).await.expect(200);
}
