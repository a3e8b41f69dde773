//! Builds tokens: good ones by default, and any bad one that a test can think of.

use std::sync::Arc;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::keys::{SigningKey, encode};

#[derive(Clone)]
pub struct TokenBuilder {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    lifetime: TimeDelta,
    issued_at: Option<DateTime<Utc>>,
    signature: Signature,
}

#[derive(Clone)]
enum Signature {
    Key(Arc<SigningKey>),
    Hmac(Vec<u8>),
    None,
}

impl TokenBuilder {
    pub(crate) fn new(issuer: &str, audience: &str, key: Arc<SigningKey>) -> Self {
        let header = json!({"typ": "JWT", "alg": key.algorithm(), "kid": key.id()});
        let claims = json!({"iss": issuer, "aud": audience, "sub": "somebody"});
        Self {
            header: header.as_object().cloned().unwrap_or_default(),
            claims: claims.as_object().cloned().unwrap_or_default(),
            lifetime: TimeDelta::hours(1),
            issued_at: None,
            signature: Signature::Key(key),
        }
    }

    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// A verified address.
    pub fn email(self, email: &str) -> Self {
        self.claim("email", email).claim("email_verified", true)
    }

    pub fn name(self, name: &str) -> Self {
        self.claim("name", name)
    }

    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Counted from the time of issue; negative for a token that has expired before.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.lifetime = TimeDelta::seconds(seconds);
        self
    }

    /// Instead of now.
    pub fn issued_at(mut self, time: DateTime<Utc>) -> Self {
        self.issued_at = Some(time);
        self
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        // Null stands for "leave it out", also for the claims that `sign` would add.
        self.claims.insert(name.to_owned(), Value::Null);
        self
    }

    /// Sets a header member; null leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Signs with the issuer's key, but after another algorithm that this kind of key knows.
    pub fn algorithm(self, name: &str) -> Self {
        self.header("alg", name)
    }

    /// Signs with `key`, but goes on naming the issuer's key.
    pub fn signed_with(mut self, key: Arc<SigningKey>) -> Self {
        self.signature = Signature::Key(key);
        self
    }

    /// Signs with HS256 and this secret.
    pub fn signed_with_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.signature = Signature::Hmac(secret.as_ref().to_vec());
        self.algorithm("HS256")
    }

    pub fn unsigned(mut self) -> Self {
        self.signature = Signature::None;
        self.algorithm("none")
    }

    pub fn sign(mut self) -> String {
        #[allow(clippy::disallowed_methods, reason = "a token for a running system needs the real time")]
        let now = self.issued_at.unwrap_or_else(Utc::now);
        self.claims.entry("iat").or_insert_with(|| now.timestamp().into());
        self.claims.entry("exp").or_insert_with(|| (now + self.lifetime).timestamp().into());
        self.claims.retain(|_, value| !value.is_null());
        self.header.retain(|_, value| !value.is_null());
        let message = format!("{}.{}", encode(json!(self.header).to_string()), encode(json!(self.claims).to_string()));
        let algorithm = self.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let signature = match &self.signature {
            Signature::Key(key) => key.sign(algorithm, message.as_bytes()),
            Signature::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes()).as_ref().to_vec()
            }
            Signature::None => Vec::new(),
        };
        format!("{message}.{}", encode(signature))
    }
}
