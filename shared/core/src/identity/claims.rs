//! What a token must say, once its signature has been found right.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::token_error::TokenError;

/// How far the issuer's clock may be ahead of ours. Expiry is stricter: a client that is told so can refresh, but nobody
/// can make a token valid earlier.
const START_LEEWAY: TimeDelta = TimeDelta::seconds(60);
const EXPIRY_LEEWAY: TimeDelta = TimeDelta::seconds(10);

const SUBJECT_MAX: usize = 255;
/// RFC 5321: 64 for the local part, 255 for the domain, one `@`.
const EMAIL_MAX: usize = 320;
const NAME_MAX: usize = 200;

/// What a token that was found good says about its bearer. Who that is to us, and what they may do, is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub expires_at: DateTime<Utc>,
}

/// The claims of a token whose signature is right. They hold at some times and not at others.
#[derive(Debug)]
pub(super) struct Claims {
    token: VerifiedToken,
    /// The latest of what it says of its beginning.
    starts_at: Option<DateTime<Utc>>,
}

impl Claims {
    /// Checks all that is the same whenever it is asked.
    pub(super) fn read(claims: &Map<String, Value>, issuer: &str, audiences: &[String]) -> Result<Self, TokenError> {
        if required(claims, "iss")?.as_str() != Some(issuer) {
            return Err(TokenError::WrongIssuer);
        }
        check_audience(claims, audiences)?;
        let expires_at = time(claims, "exp")?.ok_or(TokenError::MissingClaim("exp"))?;
        let starts_at = time(claims, "nbf")?.max(time(claims, "iat")?);
        let subject = required(claims, "sub")?.as_str().filter(|s| is_plain_text(s, SUBJECT_MAX));
        let token = VerifiedToken {
            issuer: issuer.to_owned(),
            subject: subject.ok_or(TokenError::InvalidClaim("sub"))?.to_owned(),
            email: text(claims, "email", EMAIL_MAX),
            email_verified: email_is_verified(claims),
            name: text(claims, "name", NAME_MAX),
            expires_at,
        };
        Ok(Self { token, starts_at })
    }

    /// What they say, if they hold now.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Result<VerifiedToken, TokenError> {
        if now >= self.token.expires_at + EXPIRY_LEEWAY {
            return Err(TokenError::Expired);
        }
        if self.starts_at.is_some_and(|start| start > now + START_LEEWAY) {
            return Err(TokenError::NotYetValid);
        }
        Ok(self.token.clone())
    }
}

/// Whether `sub` can be stored and shown: 1 to 255 characters, none of them a control character (Postgres takes no NUL).
pub(super) fn is_subject(subject: &str) -> bool {
    is_plain_text(subject, SUBJECT_MAX)
}

/// Cognito's access tokens have no `aud`; they name the app client in `client_id` and say what they are in `token_use`.
fn check_audience(claims: &Map<String, Value>, audiences: &[String]) -> Result<(), TokenError> {
    let is_ours = |value: &Value| value.as_str().is_some_and(|one| audiences.iter().any(|ours| ours == one));
    let accepted = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().any(is_ours),
        Some(one) => is_ours(one),
        None if claims.get("client_id").is_none() => return Err(TokenError::MissingClaim("aud")),
        None => {
            claims.get("token_use").is_some_and(|usage| usage == "access")
                && claims.get("client_id").is_some_and(is_ours)
        }
    };
    if accepted { Ok(()) } else { Err(TokenError::WrongAudience) }
}

fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a Value, TokenError> {
    claims.get(name).ok_or(TokenError::MissingClaim(name))
}

/// RFC 7519's NumericDate: seconds since 1970, perhaps with a fraction.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<DateTime<Utc>>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    // The latest time that is of any use; it keeps what follows far from chrono's limits.
    let seconds = seconds.filter(|seconds| (0..=253_402_300_799).contains(seconds));
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map(Some).ok_or(TokenError::InvalidClaim(name))
}

/// What only describes the bearer is left out when it is unusable; it is no reason to refuse them.
fn text(claims: &Map<String, Value>, name: &str, max: usize) -> Option<String> {
    let text = claims.get(name)?.as_str()?.trim();
    is_plain_text(text, max).then(|| text.to_owned())
}

/// Some issuers, Cognito among them in places, send the string "true".
fn email_is_verified(claims: &Map<String, Value>) -> bool {
    claims.get("email_verified").is_some_and(|verified| verified == true || verified == "true")
}

fn is_plain_text(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}
