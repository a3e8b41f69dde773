//! Tokens that were found good before: their signature is not checked again, all else is.

use std::sync::Arc;

use carhaul_core::identity::tokens::TokenError;
use carhaul_testkit::SigningKey;
use chrono::TimeDelta;

use crate::World;

#[tokio::test]
async fn a_known_token_expires_like_any_other() {
    let world = World::new().await;
    let token = world.token().expires_in(600).sign();
    let first = world.verifier.verify(&token).await.unwrap();
    world.clock.advance(TimeDelta::seconds(609));
    assert_eq!(world.verifier.verify(&token).await, Ok(first), "ten seconds are given");
    world.clock.advance(TimeDelta::seconds(1));
    for _ in 0..2 {
        assert_eq!(world.verifier.verify(&token).await, Err(TokenError::Expired));
    }
}

#[tokio::test]
async fn a_known_token_begins_like_any_other() {
    let world = World::new().await;
    let token = world.token().sign();
    assert!(world.verifier.verify(&token).await.is_ok());
    // As when a clock that was fast has been set right.
    world.clock.advance(TimeDelta::seconds(-61));
    assert_eq!(world.verifier.verify(&token).await, Err(TokenError::NotYetValid));
    world.clock.advance(TimeDelta::seconds(1));
    assert!(world.verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_token_that_was_early_is_good_once_its_time_has_come() {
    let world = World::new().await;
    let token = world.token().claim("nbf", world.clock.now().timestamp() + 120).sign();
    assert_eq!(world.verifier.verify(&token).await, Err(TokenError::NotYetValid));
    world.clock.advance(TimeDelta::seconds(60));
    assert!(world.verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_known_token_is_refused_as_soon_as_its_key_is_gone() {
    let world = World::new().await;
    let old = world.token().expires_in(7200).sign();
    assert!(world.verifier.verify(&old).await.is_ok());
    world.issuer.rotate();
    world.issuer.withdraw_old_keys();
    // A token of the new key has the keys fetched again, long before their hour is over.
    assert!(world.verify(world.token()).await.is_ok());
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(world.verifier.verify(&old).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn another_key_of_the_same_name_knows_nothing() {
    let world = World::new().await;
    let old = world.token().sign();
    assert!(world.verifier.verify(&old).await.is_ok());
    let mut impostor = SigningKey::rsa().jwk();
    impostor["kid"] = world.issuer.key().id().into();
    world.issuer.rotate();
    world.issuer.withdraw_old_keys();
    world.issuer.publish(impostor);
    assert!(world.verify(world.token()).await.is_ok());
    assert_eq!(world.verifier.verify(&old).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn a_token_that_differs_from_a_known_one_in_one_character_is_refused() {
    let world = World::new().await;
    let good = world.token().sign();
    assert!(world.verifier.verify(&good).await.is_ok());
    for position in 0..good.len() {
        let mut other = good.clone().into_bytes();
        other[position] = if other[position] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(world.verifier.verify(&other).await.is_err(), "{position} of {good}");
        assert!(world.verifier.verify(&format!("{good}A")).await.is_err());
    }
    assert!(world.verifier.verify(&good).await.is_ok());
}

#[tokio::test]
async fn a_refused_token_is_refused_again() {
    let world = World::new().await;
    let forged = world.token().signed_with(Arc::new(SigningKey::rsa())).sign();
    let elsewhere = world.token().audience("staging").sign();
    for _ in 0..3 {
        assert_eq!(world.verifier.verify(&forged).await, Err(TokenError::BadSignature));
        assert_eq!(world.verifier.verify(&elsewhere).await, Err(TokenError::WrongAudience));
    }
}

/// More callers than an instance remembers, each asking twice.
#[tokio::test]
async fn nobody_is_taken_for_another() {
    let world = World::new().await;
    let tokens: Vec<_> = (0..1200).map(|n| world.token().subject(&format!("u-{n}")).sign()).collect();
    for _ in 0..2 {
        for (n, token) in tokens.iter().enumerate() {
            assert_eq!(world.verifier.verify(token).await.unwrap().subject, format!("u-{n}"));
        }
    }
}
