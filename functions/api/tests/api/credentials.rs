//! Who gets in, who does not, and how often they may try.

use axum::http::Method;
use carhaul_core::base::clock::Clock;
use carhaul_core::identity::tokens::claimed_user;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Client, Instance, Reply, TestApp, oidc};

/// A token of another issuer's key.
fn forged(app: &TestApp, subject: &str) -> Client {
    let key = std::sync::Arc::new(app.issuer.key().another());
    app.client_with(&app.issuer.token().subject(subject).signed_with(key))
}

fn retry_after(reply: &Reply) -> i64 {
    let seconds = reply.headers["retry-after"].to_str().ok().and_then(|value| value.parse().ok());
    seconds.expect("the wait is a number of seconds")
}

#[tokio::test]
async fn the_sixth_bad_token_in_a_minute_is_throttled_over_all_instances() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let subject = Uuid::now_v7().to_string();
    let attacker = forged(&app, &subject);
    let instances = [app.instance.clone(), app.another_instance(), app.another_instance()];
    for attempt in 0..5 {
        let refused = attacker.through(&instances[attempt % 3]).get("/v1/customers").await;
        let challenge = refused.headers["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        refused.refused(401, "unauthenticated");
    }
    for instance in &instances {
        let throttled = attacker.through(instance).get("/v1/customers").await;
        assert!((1..=60).contains(&retry_after(&throttled)), "{throttled:?}");
        throttled.refused(429, "throttled");
    }

    // A good token from the same address, of the very same person, is not held up; nor are others' mistakes elsewhere.
    let mut neighbour = carrier.owner.clone();
    neighbour.address = attacker.address;
    neighbour.get("/v1/customers").await.expect(200);
    let mut victim = app.client(&subject);
    victim.address = attacker.address;
    victim.get("/v1/me").await.expect(200);
    forged(&app, &subject).get("/v1/customers").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_wait_doubles_with_every_further_series() {
    let app = TestApp::start().await;
    let attacker = forged(&app, &Uuid::now_v7().to_string());
    for wait in [60, 120, 240] {
        for _ in 0..5 {
            attacker.get("/v1/customers").await.refused(401, "unauthenticated");
        }
        let throttled = attacker.get("/v1/customers").await;
        assert!((wait - 5..=wait).contains(&retry_after(&throttled)), "{wait}: {throttled:?}");
        throttled.refused(429, "throttled");
        // Now the wait is over.
        app.run(&format!(
            "UPDATE auth_failures SET window_start = now() - interval '{} s', blocked_until = now() - interval '1 s' \
             WHERE blocked_until > now() + interval '{} s' AND blocked_until <= now() + interval '{wait} s' \
             AND key = '{}'",
            wait + 1,
            wait - 10,
            attempts_key(&attacker)
        ))
        .await;
    }
}

#[tokio::test]
async fn users_who_are_made_up_count_as_one_and_each_real_one_by_themselves() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let address = carrier.owner.address;
    let from_there = |mut client: Client| {
        client.address = address;
        client
    };
    for _ in 0..5 {
        from_there(forged(&app, &Uuid::now_v7().to_string())).get("/v1/me").await.refused(401, "unauthenticated");
    }
    from_there(forged(&app, &Uuid::now_v7().to_string())).get("/v1/me").await.refused(429, "throttled");
    // Old tokens of people who share an address say that they are old: theirs are no guesses of others.
    for person in [&carrier.owner, &rival.owner] {
        let forged = from_there(forged(&app, &subject_of(person)));
        for _ in 0..5 {
            forged.get("/v1/me").await.refused(401, "unauthenticated");
        }
        forged.get("/v1/me").await.refused(429, "throttled");
    }
}

fn attempts_key(client: &Client) -> String {
    carhaul_core::platform::crypto::sha256_hex(&[client.address.to_string().as_bytes()])
}

#[tokio::test]
async fn bad_api_keys_are_throttled_by_address_and_a_good_one_is_not() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let body = json!({"name": "Sync", "scopes": ["customers:read"]});
    let issued = carrier.owner.post("/v1/api-keys", body.clone()).await.expect(201);
    let revoked = carrier.owner.post("/v1/api-keys", body).await.expect(201);
    carrier.owner.delete(&format!("/v1/api-keys/{}", crate::support::id(&revoked))).await.expect(204);

    let attacker = carrier.owner.with_key(revoked["key"].as_str().unwrap());
    let mistyped = carrier.owner.with_key("chk_guess").through(&app.another_instance());
    for _ in 0..3 {
        attacker.get("/v1/customers").await.refused(401, "unauthenticated");
    }
    for _ in 0..2 {
        mistyped.get("/v1/customers").await.refused(401, "unauthenticated");
    }
    mistyped.get("/v1/customers").await.refused(429, "throttled");
    attacker.get("/v1/customers").await.refused(429, "throttled");
    carrier.owner.with_key(issued["key"].as_str().unwrap()).get("/v1/customers").await.expect(200);
    carrier.owner.get("/v1/customers").await.expect(200);
}

/// An instance that stands at another time than the issuer's.
fn instance_at(app: &TestApp, clock: &Clock) -> Instance {
    Instance::new(app.database.options("carhaul_api"), &oidc(&app.issuer), clock.clone())
}

#[tokio::test]
async fn an_expired_token_is_told_so_and_a_fresh_one_works() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let start = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap();
    let clock = Clock::fixed(start);
    let instance = instance_at(&app, &clock);
    let token = |at| app.issuer.token().subject(&subject_of(&carrier.owner)).issued_at(at).expires_in(3600);
    let old = app.client_with(&token(start)).of(carrier.id).through(&instance);
    old.get("/v1/customers").await.expect(200);

    clock.advance(TimeDelta::minutes(61));
    let refused = old.get("/v1/customers").await;
    let challenge = refused.headers["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains("expired"), "{challenge}");
    refused.refused(401, "unauthenticated");
    let fresh = app.client_with(&token(clock.now())).of(carrier.id).through(&instance);
    fresh.get("/v1/customers").await.expect(200);
}

fn subject_of(client: &Client) -> String {
    let token = client.authorization.as_deref().and_then(|value| value.rsplit(' ').next());
    token.and_then(claimed_user).expect("a client of these tests shows a token").subject
}

#[tokio::test]
async fn while_the_issuer_is_down_known_keys_serve_and_unknown_ones_are_refused_for_now() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    carrier.owner.get("/v1/customers").await.expect(200);
    app.issuer.stop().await;
    carrier.owner.get("/v1/customers").await.expect(200);
    let cold = carrier.owner.through(&app.cold_instance());
    let refused = cold.get("/v1/customers").await;
    assert!(retry_after(&refused) >= 0);
    refused.refused(503, "unavailable");
    // API keys need no issuer.
    app.issuer.restart().await;
    carrier.owner.get("/v1/customers").await.expect(200);
}

#[tokio::test]
async fn tokens_after_a_rotation_of_keys_are_good_and_of_withdrawn_keys_on_a_new_instance_are_not() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    carrier.owner.get("/v1/customers").await.expect(200);
    app.issuer.rotate();
    let rotated = app.client(&subject_of(&carrier.owner)).of(carrier.id);
    rotated.get("/v1/customers").await.expect(200);
    carrier.owner.get("/v1/customers").await.expect(200);
    app.issuer.withdraw_old_keys();
    let elsewhere = app.cold_instance();
    rotated.through(&elsewhere).get("/v1/customers").await.expect(200);
    carrier.owner.through(&elsewhere).get("/v1/customers").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn tokens_for_another_audience_issuer_or_algorithm_and_other_schemes_are_refused() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let token = || app.issuer.token().subject(&subject_of(&carrier.owner));
    for bad in [
        token().audience("carhaul-staging"),
        token().claim("iss", "https://issuer.example.com"),
        token().without("exp"),
        token().unsigned(),
        token().signed_with_secret("secret"),
    ] {
        app.client_with(&bad).of(carrier.id).get("/v1/customers").await.refused(401, "unauthenticated");
    }
    for value in ["Basic YTpi", "Bearer", "Bearer a.b.c", "chk_x"] {
        let mut client = app.client("x").of(carrier.id);
        client.authorization = Some(value.to_owned());
        client.get("/v1/customers").await.refused(401, "unauthenticated");
    }
    let strange = app.client(&subject_of(&carrier.owner));
    let named = [("tenant-id", "mine")];
    let refused = strange.send(Method::GET, "/v1/customers", &named, None).await;
    assert_eq!(refused.invalid_fields(), ["Tenant-Id"]);
}

#[tokio::test]
async fn a_downgrade_counts_from_the_next_request_with_the_old_token() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let truck = |n: u8| json!({"unit_number": format!("T-{n}"), "capacity": 2});
    for n in 1..=2 {
        carrier.owner.post("/v1/trucks", truck(n)).await.expect(201);
    }
    app.change_plan(&carrier, "free").await;
    let refused = carrier.owner.post("/v1/trucks", truck(3)).await.refused(402, "over_limit");
    assert_eq!((&refused["limit"], &refused["max"]), (&json!("trucks"), &json!(1)));
    // What is there stays, and can be changed.
    let trucks = carrier.owner.get("/v1/trucks").await.expect(200);
    let path = format!("/v1/trucks/{}", crate::support::ids(&trucks)[0]);
    carrier.owner.patch(&path, json!({"notes": "Sleeper"})).await.expect(200);
    app.change_plan(&carrier, "starter").await;
    carrier.owner.post("/v1/trucks", truck(3)).await.expect(201);
}
