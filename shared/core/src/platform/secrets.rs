//! Secrets from AWS Secrets Manager, kept in memory for the life of the function instance.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OnceCell};

use super::aws;
use crate::base::error::Error;

const ATTEMPT: Duration = Duration::from_secs(4);

/// Text that must not be seen: it prints as `***`, and only `expose` gives it away.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A database role's login, as its secret holds it: `{"username": "..", "password": ".."}` and maybe more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Credentials {
    pub username: String,
    pub password: Secret,
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: Secret::new(password) }
    }

    /// Reads a secret's text. The error says nothing of the text.
    pub fn parse(id: &str, text: &str) -> Result<Self, SecretsError> {
        parse(id, text)
    }
}

/// What a function reads from a secret.
pub trait Stored: DeserializeOwned {
    /// What its text is, for the message of a secret that is something else.
    const FORM: &str;
}

impl Stored for Credentials {
    const FORM: &str = "an object with username and password";
}

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("the secret {id} cannot be read: {reason}")]
    Unavailable { id: String, reason: String },
    #[error("the secret {id} is not {form}")]
    Malformed { id: String, form: &'static str },
}

impl From<SecretsError> for Error {
    fn from(error: SecretsError) -> Self {
        tracing::error!(%error, "no secret");
        Self::Unavailable { detail: "a secret cannot be read", retry_after_seconds: 5 }
    }
}

/// Reads secrets once and remembers their text; the client is made at the first use, as it costs a cold start 1.6 ms.
#[derive(Debug, Default)]
pub struct Secrets {
    client: OnceCell<Client>,
    known: Mutex<HashMap<String, Secret>>,
}

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// The secret with this name or ARN, from memory if it has been read before.
    ///
    /// # Errors
    /// [`SecretsError`], which says nothing of the text.
    pub async fn read<T: Stored>(&self, id: &str) -> Result<T, SecretsError> {
        let mut known = self.known.lock().await;
        let text = match known.get(id) {
            Some(text) => text.clone(),
            None => {
                let text = self.fetch(id).await?;
                known.insert(id.to_owned(), text.clone());
                text
            }
        };
        parse(id, text.expose())
    }

    /// Reads the secret again, for when what was remembered is refused: it may have been rotated.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub async fn refresh<T: Stored>(&self, id: &str) -> Result<T, SecretsError> {
        self.known.lock().await.remove(id);
        self.read(id).await
    }

    /// The SDK's client, for what goes beyond reading.
    pub async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&aws::config(ATTEMPT).await)).await
    }

    async fn fetch(&self, id: &str) -> Result<Secret, SecretsError> {
        let unavailable = |reason: String| SecretsError::Unavailable { id: id.to_owned(), reason };
        let secret = self.client().await.get_secret_value().secret_id(id).send().await;
        let secret = secret.map_err(|error| unavailable(aws::reason(&error)))?;
        let text = secret.secret_string().ok_or_else(|| unavailable("it is binary".to_owned()))?;
        Ok(Secret::new(text))
    }
}

fn parse<T: Stored>(id: &str, text: &str) -> Result<T, SecretsError> {
    serde_json::from_str(text).map_err(|_| SecretsError::Malformed { id: id.to_owned(), form: T::FORM })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let credentials = Credentials::new("carhaul_api", "hunter2");
        let printed = format!("{credentials:?} {}", credentials.password);
        assert!(
            printed.contains("carhaul_api") && printed.contains("***") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    #[test]
    fn credentials_are_read_from_a_secret_with_more_in_it() {
        let text = r#"{"engine": "postgres", "username": "carhaul_api", "password": "p\"w", "port": 5432}"#;
        assert_eq!(Credentials::parse("s", text).unwrap(), Credentials::new("carhaul_api", "p\"w"));
    }

    #[test]
    fn a_malformed_secret_is_named_and_not_shown() {
        let error =
            Credentials::parse("arn:secret", r#"{"password": 12, "other": "hunter2"}"#).unwrap_err().to_string();
        assert!(error.contains("arn:secret") && !error.contains("hunter2"), "{error}");
    }
}
