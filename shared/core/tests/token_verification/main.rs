//! The token verifier against a live issuer: what it accepts, what it survives and what it refuses (promises I1 and I2).

mod known;

use std::sync::Arc;
use std::time::{Duration, Instant};

use carhaul_core::base::clock::Clock;
use carhaul_core::identity::tokens::{ClaimedUser, TokenError, TokenVerifier, VerifiedToken, claimed_user};
use carhaul_core::platform::config::{OidcConfig, SigningAlgorithm};
use carhaul_testkit::{AUDIENCE, Issuer, SigningKey, TokenBuilder};
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

struct World {
    issuer: Issuer,
    clock: Clock,
    verifier: TokenVerifier,
}

impl World {
    async fn new() -> Self {
        Self::around(Issuer::start().await, |_| {})
    }

    fn around(issuer: Issuer, configure: impl FnOnce(&mut OidcConfig)) -> Self {
        let clock = Clock::fixed(DateTime::from_timestamp(1_800_000_000, 0).expect("a time of this century"));
        let mut config = OidcConfig {
            issuer: issuer.url().to_owned(),
            discovery_url: None,
            audiences: vec!["another-app".to_owned(), AUDIENCE.to_owned()],
            algorithms: vec![SigningAlgorithm::Rs256],
        };
        configure(&mut config);
        let verifier = TokenVerifier::new(&config, clock.clone());
        Self { issuer, clock, verifier }
    }

    fn token(&self) -> TokenBuilder {
        self.issuer.token().issued_at(self.clock.now())
    }

    async fn verify(&self, token: TokenBuilder) -> Result<VerifiedToken, TokenError> {
        self.verifier.verify(&token.sign()).await
    }
}

fn is_unavailable(result: &Result<VerifiedToken, TokenError>) -> bool {
    matches!(result, Err(TokenError::IssuerUnavailable { retry_after }) if *retry_after > Duration::ZERO)
}

#[tokio::test]
async fn a_good_token_tells_who_its_bearer_is() {
    let world = World::new().await;
    let token = world.token().subject("u-1").email("ada@example.com").name("Ada").expires_in(600);
    let expected = VerifiedToken {
        issuer: world.issuer.url().to_owned(),
        subject: "u-1".to_owned(),
        email: Some("ada@example.com".to_owned()),
        email_verified: true,
        name: Some("Ada".to_owned()),
        expires_at: world.clock.now() + TimeDelta::minutes(10),
    };
    assert_eq!(world.verify(token).await, Ok(expected));
}

#[tokio::test]
async fn es256_is_accepted_where_it_is_configured_and_only_there() {
    let both = |config: &mut OidcConfig| config.algorithms.push(SigningAlgorithm::Es256);
    let world = World::around(Issuer::start_es256().await, both);
    assert!(world.verify(world.token()).await.is_ok());

    let world = World::around(Issuer::start_es256().await, |_| {});
    assert_eq!(world.verify(world.token()).await, Err(TokenError::AlgorithmNotAllowed));
    assert_eq!(world.issuer.key_fetches(), 0);
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_tokens() {
    let world = World::new().await;
    for _ in 0..10 {
        assert!(world.verify(world.token()).await.is_ok());
    }
    assert_eq!((world.issuer.discovery_fetches(), world.issuer.key_fetches()), (1, 1));
}

#[tokio::test]
async fn a_burst_of_first_tokens_causes_one_fetch() {
    let world = Arc::new(World::new().await);
    world.issuer.delay(Duration::from_millis(100));
    let burst = (0..20).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.verify(world.token()).await.is_ok() })
    });
    for verified in burst.collect::<Vec<_>>() {
        assert!(verified.await.unwrap());
    }
    assert_eq!(world.issuer.key_fetches(), 1);
}

#[tokio::test]
async fn warming_up_fetches_the_keys_before_the_first_token() {
    let world = World::new().await;
    world.verifier.warm_up().await;
    assert_eq!(world.issuer.key_fetches(), 1);
    assert!(world.verify(world.token()).await.is_ok());
    assert_eq!(world.issuer.key_fetches(), 1);
}

// Rotation

#[tokio::test]
async fn a_key_rotated_under_a_running_verifier_is_found_at_once() {
    let world = World::new().await;
    let old = world.token().sign();
    assert!(world.verifier.verify(&old).await.is_ok());
    world.issuer.rotate();
    assert!(world.verify(world.token()).await.is_ok());
    assert!(world.verifier.verify(&old).await.is_ok(), "the old key is still published");
    assert_eq!(world.issuer.key_fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_good_for_an_hour_at_most() {
    let world = World::new().await;
    let old = world.token().expires_in(7200).sign();
    assert!(world.verifier.verify(&old).await.is_ok());
    world.issuer.rotate();
    world.issuer.withdraw_old_keys();
    world.clock.advance(TimeDelta::minutes(59));
    assert!(world.verifier.verify(&old).await.is_ok());
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(world.verifier.verify(&old).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_storm_of_unknown_key_ids_costs_one_fetch_a_minute() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    for forged in 0..200 {
        let token = world.token().header("kid", format!("forged-{forged}"));
        assert_eq!(world.verify(token).await, Err(TokenError::UnknownKey));
    }
    assert_eq!(world.issuer.key_fetches(), 2);
    assert!(world.verify(world.token()).await.is_ok(), "good tokens are not affected");

    world.clock.advance(TimeDelta::seconds(60));
    for forged in 0..200 {
        let token = world.token().header("kid", format!("forged-{forged}"));
        assert_eq!(world.verify(token).await, Err(TokenError::UnknownKey));
    }
    assert_eq!(world.issuer.key_fetches(), 3);
}

#[tokio::test]
async fn a_concurrent_storm_of_unknown_key_ids_costs_one_fetch() {
    let world = Arc::new(World::new().await);
    assert!(world.verify(world.token()).await.is_ok());
    world.issuer.delay(Duration::from_millis(100));
    let storm = (0..50).map(|forged| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.verify(world.token().header("kid", format!("forged-{forged}"))).await })
    });
    for refused in storm.collect::<Vec<_>>() {
        assert_eq!(refused.await.unwrap(), Err(TokenError::UnknownKey));
    }
    assert_eq!(world.issuer.key_fetches(), 2);
}

// The issuer is down, slow or broken

#[tokio::test]
async fn cached_keys_serve_while_the_issuer_is_down_and_no_longer_than_a_day() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    world.issuer.stop().await;
    for hours in [1, 11, 11] {
        world.clock.advance(TimeDelta::hours(hours));
        assert!(world.verify(world.token()).await.is_ok());
    }
    world.clock.advance(TimeDelta::hours(1));
    let refused = world.verify(world.token()).await;
    assert!(is_unavailable(&refused), "{refused:?}");

    world.issuer.restart().await;
    world.clock.advance(TimeDelta::seconds(2));
    assert!(world.verify(world.token()).await.is_ok());
}

#[tokio::test]
async fn tokens_are_refused_as_not_checkable_when_the_issuer_was_never_reached() {
    let world = World::new().await;
    world.issuer.stop().await;
    let refused = world.verify(world.token()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_once_in_two_seconds_when_nothing_is_cached() {
    let world = World::new().await;
    world.issuer.fail_with(Some(500));
    for _ in 0..20 {
        assert!(is_unavailable(&world.verify(world.token()).await));
    }
    assert_eq!(world.issuer.discovery_fetches(), 1);
    world.clock.advance(TimeDelta::seconds(2));
    assert!(is_unavailable(&world.verify(world.token()).await));
    assert_eq!(world.issuer.discovery_fetches(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_once_a_minute_while_keys_are_cached() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    world.issuer.fail_with(Some(503));
    world.clock.advance(TimeDelta::hours(2));
    for _ in 0..20 {
        assert!(world.verify(world.token()).await.is_ok());
    }
    assert_eq!(world.issuer.discovery_fetches(), 2);
}

#[tokio::test]
async fn a_key_that_is_unknown_while_the_issuer_is_down_is_not_called_forged() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    world.issuer.rotate();
    world.issuer.stop().await;
    for _ in 0..2 {
        let refused = world.verify(world.token()).await;
        assert!(is_unavailable(&refused), "{refused:?}");
    }
    world.issuer.restart().await;
    world.clock.advance(TimeDelta::seconds(60));
    assert!(world.verify(world.token()).await.is_ok());
}

#[tokio::test]
async fn a_hanging_issuer_holds_a_first_request_for_three_seconds_at_most() {
    let world = World::new().await;
    world.issuer.delay(Duration::from_secs(60));
    let started = Instant::now();
    assert!(is_unavailable(&world.verify(world.token()).await));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_hanging_issuer_holds_one_request_for_a_second_at_most_while_keys_are_cached() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    world.clock.advance(TimeDelta::hours(1));
    world.issuer.delay(Duration::from_secs(60));
    let started = Instant::now();
    for _ in 0..5 {
        assert!(world.verify(world.token()).await.is_ok());
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_not_believed() {
    let world = World::new().await;
    let other = json!({"issuer": "https://other.example.com", "jwks_uri": format!("{}/keys", world.issuer.url())});
    world.issuer.answer_discovery_with(other);
    assert!(is_unavailable(&world.verify(world.token()).await));
    assert_eq!(world.issuer.key_fetches(), 0);
}

#[tokio::test]
async fn a_discovery_document_at_a_configured_address_may_name_another_issuer() {
    let issuer = Issuer::start().await;
    let discovery_url = issuer.discovery_url();
    let world = World::around(issuer, |config| {
        config.issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc".to_owned();
        config.discovery_url = Some(discovery_url);
    });
    let token = world.token().claim("iss", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc");
    assert!(world.verify(token).await.is_ok());
    assert_eq!(world.verify(world.token()).await, Err(TokenError::WrongIssuer));
}

#[tokio::test]
async fn nonsense_from_the_issuer_is_an_outage() {
    let elsewhere = |uri: &'static str| move |world: &World| json!({"issuer": world.issuer.url(), "jwks_uri": uri});
    let file = elsewhere("file:///etc/passwd");
    let text = elsewhere("nonsense");
    let giant = |world: &World| json!({"issuer": world.issuer.url(), "padding": "x".repeat(300 * 1024)});
    let documents: [&dyn Fn(&World) -> Value; 6] =
        [&|_| json!([]), &|_| json!({}), &|_| json!("text"), &file, &text, &giant];
    for document in documents {
        let world = World::new().await;
        let document = document(&world);
        world.issuer.answer_discovery_with(document.clone());
        let refused = world.verify(world.token()).await;
        assert!(is_unavailable(&refused), "{refused:?}");
    }
}

#[tokio::test]
async fn keys_that_are_not_for_these_signatures_are_not_used() {
    let world = World::new().await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let key = Arc::new(SigningKey::rsa());
        let mut jwk = key.jwk();
        change(&mut jwk);
        world.issuer.publish(jwk);
        key
    };
    let unusable = [
        changed(&|jwk| jwk["use"] = json!("enc")),
        changed(&|jwk| jwk["alg"] = json!("RS512")),
        changed(&|jwk| jwk["alg"] = json!("RSA-OAEP")),
        changed(&|jwk| jwk["key_ops"] = json!(["encrypt"])),
        changed(&|jwk| jwk["kty"] = json!("oct")),
        changed(&|jwk| jwk["n"] = json!("***")),
        changed(&|jwk| jwk["x5c"] = json!(12)),
    ];
    let plain = changed(&|jwk| {
        jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "n", "e", "kid"].contains(&name.as_str()))
    });
    let token = |key: &Arc<SigningKey>| world.token().header("kid", key.id()).signed_with(Arc::clone(key));
    for key in &unusable {
        assert_eq!(world.verify(token(key)).await, Err(TokenError::UnknownKey), "{}", key.jwk());
    }
    assert!(world.verify(token(&plain)).await.is_ok(), "use and alg may be absent");
    assert!(world.verify(world.token()).await.is_ok(), "one bad key does not spoil the set");
}

#[tokio::test]
async fn an_issuer_that_loses_its_keys_does_not_make_us_forget_them() {
    let world = World::new().await;
    assert!(world.verify(world.token()).await.is_ok());
    world.issuer.answer_discovery_with(json!({"issuer": world.issuer.url(), "jwks_uri": world.issuer.discovery_url()}));
    world.clock.advance(TimeDelta::hours(2));
    assert!(world.verify(world.token()).await.is_ok());
}

// Attacks

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let world = World::new().await;
    let key = world.issuer.key();
    for secret in [key.public_pem(), key.public_pem().trim().to_owned(), key.jwk()["n"].to_string()] {
        let token = world.token().signed_with_secret(secret);
        assert_eq!(world.verify(token.clone()).await, Err(TokenError::AlgorithmNotAllowed));
        assert_eq!(world.verify(token.algorithm("RS256")).await, Err(TokenError::BadSignature));
    }
}

#[tokio::test]
async fn unsigned_tokens_are_refused() {
    let world = World::new().await;
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let token = world.token().unsigned().algorithm(name);
        assert_eq!(world.verify(token).await, Err(TokenError::AlgorithmNotAllowed), "{name}");
    }
    assert_eq!(world.verify(world.token().unsigned().algorithm("RS256")).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn algorithms_that_are_not_configured_are_refused_though_the_key_could_check_them() {
    let world = World::new().await;
    for name in ["RS384", "PS256", "RS512", "HS256", "EdDSA", "ES256", "rs256"] {
        assert_eq!(world.verify(world.token().algorithm(name)).await, Err(TokenError::AlgorithmNotAllowed), "{name}");
    }
}

#[tokio::test]
async fn a_key_of_one_kind_is_not_used_for_an_algorithm_of_another() {
    let world = World::around(Issuer::start().await, |config| config.algorithms.push(SigningAlgorithm::Es256));
    let elliptic = Arc::new(SigningKey::ec());
    let token = world.token().algorithm("ES256").signed_with(elliptic);
    assert_eq!(world.verify(token).await, Err(TokenError::AlgorithmNotAllowed));
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_ignored() {
    let world = World::new().await;
    let attacker = Issuer::start().await;
    let evil = attacker.key();
    let embedded = world.token().header("jwk", evil.jwk()).signed_with(Arc::clone(&evil));
    assert_eq!(world.verify(embedded.clone()).await, Err(TokenError::BadSignature));
    assert_eq!(world.verify(embedded.header("kid", evil.id())).await, Err(TokenError::UnknownKey));
    let addresses = ["jku", "x5u"];
    for name in addresses {
        let token = world.token().header(name, format!("{}/keys", attacker.url())).signed_with(Arc::clone(&evil));
        assert_eq!(world.verify(token).await, Err(TokenError::BadSignature), "{name}");
    }
    let chain = world.token().header("x5c", json!([evil.public_pem()])).signed_with(Arc::clone(&evil));
    assert_eq!(world.verify(chain).await, Err(TokenError::BadSignature));
    assert_eq!(attacker.key_fetches() + attacker.discovery_fetches(), 0, "nobody calls an address from a token");
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused_before_any_claim_is_read() {
    let world = World::new().await;
    let evil = Arc::new(SigningKey::rsa());
    for token in [world.token(), world.token().expires_in(-999), world.token().claim("iss", 7)] {
        assert_eq!(world.verify(token.signed_with(Arc::clone(&evil))).await, Err(TokenError::BadSignature));
    }
}

#[tokio::test]
async fn a_token_with_any_part_changed_is_refused() {
    let world = World::new().await;
    let (good, other) = (world.token().sign(), world.token().subject("admin").sign());
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (good, other) = (parts(&good), parts(&other));
    let cases = [
        format!("{}.{}.{}", good[0], other[1], good[2]),
        format!("{}.{}.{}", good[0], good[1], other[2]),
        format!("{}.{}.{}", good[0], good[1], &good[2][..good[2].len() - 4]),
        format!("{}.{}.", good[0], good[1]),
        format!("{}.{}.{}=", good[0], good[1], good[2]),
    ];
    for token in cases {
        assert_eq!(world.verifier.verify(&token).await, Err(TokenError::BadSignature), "{token}");
    }
}

#[tokio::test]
async fn every_claim_is_wrong_in_turn() {
    let world = World::new().await;
    let now = world.clock.now().timestamp();
    let t = || world.token();
    let issuer = world.issuer.url();
    use TokenError::{Expired, InvalidClaim, MissingClaim, NotYetValid, WrongAudience, WrongIssuer};
    let cases = [
        ("no iss", t().without("iss"), MissingClaim("iss")),
        ("another iss", t().claim("iss", "https://other.example.com"), WrongIssuer),
        ("iss with a slash more", t().claim("iss", format!("{issuer}/")), WrongIssuer),
        ("iss in a list", t().claim("iss", json!([issuer])), WrongIssuer),
        ("no aud", t().without("aud"), MissingClaim("aud")),
        ("another aud", t().audience("staging"), WrongAudience),
        ("aud in another case", t().audience(&AUDIENCE.to_uppercase()), WrongAudience),
        ("empty list of aud", t().claim("aud", json!([])), WrongAudience),
        ("list of other aud", t().claim("aud", json!(["a", "b", 3])), WrongAudience),
        ("aud is a number", t().claim("aud", 5), WrongAudience),
        (
            "aud beats client_id",
            t().audience("x").claim("client_id", AUDIENCE).claim("token_use", "access"),
            WrongAudience,
        ),
        ("another client_id", t().without("aud").claim("client_id", "x").claim("token_use", "access"), WrongAudience),
        ("client_id alone", t().without("aud").claim("client_id", AUDIENCE), WrongAudience),
        (
            "client_id of an id token",
            t().without("aud").claim("client_id", AUDIENCE).claim("token_use", "id"),
            WrongAudience,
        ),
        ("no exp", t().without("exp"), MissingClaim("exp")),
        ("expired", t().expires_in(-10), Expired),
        ("expired long ago", t().claim("exp", 0), Expired),
        ("exp is text", t().claim("exp", (now + 60).to_string()), InvalidClaim("exp")),
        ("exp is negative", t().claim("exp", -1), InvalidClaim("exp")),
        ("exp is beyond all", t().claim("exp", 1e300), InvalidClaim("exp")),
        ("exp is the largest number", t().claim("exp", i64::MAX), InvalidClaim("exp")),
        ("nbf in the future", t().claim("nbf", now + 61), NotYetValid),
        ("nbf is text", t().claim("nbf", "soon"), InvalidClaim("nbf")),
        ("iat in the future", t().claim("iat", now + 61), NotYetValid),
        ("iat is an object", t().claim("iat", json!({})), InvalidClaim("iat")),
        ("no sub", t().without("sub"), MissingClaim("sub")),
        ("empty sub", t().subject(""), InvalidClaim("sub")),
        ("sub is a number", t().claim("sub", 12), InvalidClaim("sub")),
        ("sub with NUL", t().subject("a\0b"), InvalidClaim("sub")),
        ("sub with a line break", t().subject("a\nb"), InvalidClaim("sub")),
        ("sub too long", t().subject(&"x".repeat(256)), InvalidClaim("sub")),
    ];
    for (name, token, expected) in cases {
        assert_eq!(world.verify(token).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn claims_at_their_limits_are_accepted() {
    let world = World::new().await;
    let now = world.clock.now().timestamp();
    let t = || world.token();
    let cases = [
        ("aud in a list", t().claim("aud", json!(["x", AUDIENCE]))),
        ("an access token of Cognito", t().without("aud").claim("client_id", AUDIENCE).claim("token_use", "access")),
        ("expired within the leeway", t().expires_in(-9)),
        ("exp with a fraction", t().claim("exp", now as f64 + 0.5)),
        ("nbf within the leeway", t().claim("nbf", now + 60)),
        ("no iat", t().without("iat")),
        ("sub of 255 characters", t().subject(&"é".repeat(255))),
        ("type at+jwt", t().header("typ", "at+jwt")),
        ("no type", t().header("typ", Value::Null)),
        ("unusable email and name", t().claim("email", 3).claim("name", "x".repeat(500))),
    ];
    for (name, token) in cases {
        let verified = world.verify(token).await;
        assert!(verified.is_ok(), "{name}: {verified:?}");
    }
}

#[tokio::test]
async fn an_email_counts_as_verified_only_when_the_issuer_says_so() {
    let world = World::new().await;
    let email = || world.token().email("ada@example.com");
    for (claim, verified) in
        [(json!(true), true), (json!("true"), true), (json!(false), false), (json!("yes"), false), (Value::Null, false)]
    {
        let token = world.verify(email().claim("email_verified", claim.clone())).await.unwrap();
        assert_eq!(token.email_verified, verified, "{claim}");
    }
}

#[tokio::test]
async fn odd_headers_are_refused() {
    let world = World::new().await;
    let cases = [
        ("no kid", world.token().header("kid", Value::Null)),
        ("kid is a number", world.token().header("kid", 7)),
        ("no alg", world.token().header("alg", Value::Null)),
        ("critical extensions", world.token().header("crit", json!(["exp"]))),
        ("a logout token", world.token().header("typ", "logout+jwt")),
    ];
    for (name, token) in cases {
        let refused = world.verify(token).await;
        assert!(matches!(refused, Err(TokenError::Malformed(_))), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn junk_is_refused_without_asking_the_issuer() {
    let world = World::new().await;
    let deep = format!("{}.e30.e30", carhaul_testkit::base64url("[".repeat(4000)));
    for junk in ["", ".", "..", "...", "a.b", "a.b.c.d", "é.é.é", "e30.e30.e30", "bnVsbA.bnVsbA.", "%%%.%%%.%%%", &deep]
    {
        let refused = world.verifier.verify(junk).await;
        assert!(matches!(refused, Err(TokenError::Malformed(_))), "{junk}: {refused:?}");
    }
    let giant = world.token().claim("padding", "x".repeat(8 * 1024)).sign();
    assert_eq!(world.verifier.verify(&giant).await, Err(TokenError::TooLarge(8192)));
    assert_eq!(world.issuer.discovery_fetches(), 0);
}

#[tokio::test]
async fn an_expired_token_is_said_to_have_expired() {
    let world = World::new().await;
    let refused = world.verify(world.token().expires_in(-60)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the token has expired");
}

#[tokio::test]
async fn the_user_of_an_unchecked_token_is_told_within_bounds() {
    let world = World::new().await;
    let user = |token: TokenBuilder| claimed_user(&token.sign());
    let issuer = world.issuer.url().to_owned();
    let claimed = ClaimedUser { issuer, subject: "u-1".to_owned() };
    assert_eq!(user(world.token().subject("u-1").expires_in(-999)), Some(claimed));
    assert_eq!(user(world.token().subject("a\0b")), None);
    assert_eq!(user(world.token().subject(&"x".repeat(256))), None);
    assert_eq!(user(world.token().claim("iss", "x".repeat(256))), None);
    assert_eq!(user(world.token().claim("padding", "x".repeat(8 * 1024))), None);
    assert_eq!(claimed_user("junk"), None);
}
