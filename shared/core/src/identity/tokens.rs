//! Checks the tokens that people sign in with: JWTs (RFC 7519) of one OpenID Connect issuer, after RFC 8725's advice.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

pub use super::claims::VerifiedToken;
use super::claims::{self, Claims};
use super::issuer_client::IssuerClient;
use super::jwks::KeyCache;
use super::known_tokens::Fingerprint;
pub use super::token_error::TokenError;
use crate::base::clock::Clock;
use crate::platform::config::{OidcConfig, SigningAlgorithm};

/// Issuers' tokens have one or two kilobytes.
const TOKEN_MAX: usize = 8 * 1024;

/// Checks tokens against the issuer's keys, which its clones share.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Verifier>);

struct Verifier {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<SigningAlgorithm>,
    keys: KeyCache,
    clock: Clock,
}

/// Members that would bring a key along (`jwk`, `jku`, `x5u`, `x5c`) are not looked at: only the issuer says which keys are
/// its own.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    typ: Option<Cow<'a, str>>,
    crit: Option<serde_json::Value>,
}

impl TokenVerifier {
    /// Asks the issuer for nothing yet.
    pub fn new(config: &OidcConfig, clock: Clock) -> Self {
        let issuer = IssuerClient::new(&config.issuer, config.discovery_url.as_deref());
        Self(Arc::new(Verifier {
            issuer: config.issuer.clone(),
            audiences: config.audiences.clone(),
            algorithms: config.algorithms.clone(),
            keys: KeyCache::new(issuer, config.algorithms.clone(), clock.clone()),
            clock,
        }))
    }

    /// Fetches the issuer's keys unless they are cached, so that the first request does not wait for them. A failure is
    /// only logged: the first token tries again.
    pub async fn warm_up(&self) {
        self.0.keys.warm_up().await;
    }

    /// Who `token` speaks for, if its signature and all it claims are right.
    ///
    /// Nothing that it claims is read before its signature is found right. That is done once for each token and key; whether
    /// the key counts and the claims hold is checked every time.
    ///
    /// # Errors
    /// [`TokenError::IssuerUnavailable`] when that can't be told now, any other [`TokenError`] when it is no good.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        let parts = Parts::of(token)?;
        let header = decode(parts.header)?;
        let header: Header<'_> = serde_json::from_slice(&header)
            .map_err(|_| TokenError::Malformed("its header is not the expected JSON"))?;
        let algorithm = header.algorithm(&self.0.algorithms)?;
        let key_id = header.kid.ok_or(TokenError::Malformed("its header names no key (`kid`)"))?;
        let key = self.0.keys.key(&key_id).await?;
        let fingerprint = Fingerprint::of(token);
        if let Some(claims) = key.known_tokens.recall(&fingerprint) {
            return claims.at(self.0.clock.now());
        }
        key.verify(algorithm, parts.message, parts.signature)?;
        let claims = serde_json::from_slice(&decode(parts.claims)?)
            .map_err(|_| TokenError::Malformed("its claims are not a JSON object"))?;
        let claims = Claims::read(&claims, &self.0.issuer, &self.0.audiences)?;
        let verified = claims.at(self.0.clock.now())?;
        key.known_tokens.remember(fingerprint, Arc::new(claims));
        Ok(verified)
    }
}

impl Header<'_> {
    fn algorithm(&self, allowed: &[SigningAlgorithm]) -> Result<SigningAlgorithm, TokenError> {
        // RFC 7515, 4.1.11: what is marked critical and not understood makes the token invalid.
        if self.crit.is_some() {
            return Err(TokenError::Malformed("its header has critical extensions"));
        }
        let is_jwt =
            |typ: &str| ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ));
        if !self.typ.as_deref().is_none_or(is_jwt) {
            return Err(TokenError::Malformed("its header says that it is another kind of token"));
        }
        let named = self.alg.parse().ok().filter(|named| allowed.contains(named));
        named.ok_or(TokenError::AlgorithmNotAllowed)
    }
}

/// Who a token says that its bearer is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClaimedUser {
    #[serde(rename = "iss")]
    pub issuer: String,
    #[serde(rename = "sub")]
    pub subject: String,
}

/// The user that `token` claims, checked for nothing but its form. It tells whose failed attempts to count together,
/// and must never decide anything else. At most 8 KB are looked at.
pub fn claimed_user(token: &str) -> Option<ClaimedUser> {
    let claims = decode(Parts::of(token).ok()?.claims).ok()?;
    let user: ClaimedUser = serde_json::from_slice(&claims).ok()?;
    (claims::is_subject(&user.issuer) && claims::is_subject(&user.subject)).then_some(user)
}

struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What is signed: header and claims with the dot between them.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_MAX {
            return Err(TokenError::TooLarge(TOKEN_MAX));
        }
        let three_parts = || {
            let (message, signature) = token.rsplit_once('.')?;
            let (header, claims) = message.split_once('.')?;
            (!claims.contains('.')).then_some(Parts { header, claims, signature, message })
        };
        three_parts().ok_or(TokenError::Malformed("it does not have three parts"))
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("it is not base64url"))
}
