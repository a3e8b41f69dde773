//! Credentials from AWS Secrets Manager, kept in memory for the life of the function instance.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};

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
        serde_json::from_str(text).map_err(|_| SecretsError::Malformed(id.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("the secret {id} cannot be read: {reason}")]
    Unavailable { id: String, reason: String },
    #[error("the secret {0} is not an object with username and password")]
    Malformed(String),
}

/// Reads credentials once and remembers them; the client is made at the first use, as it costs a cold start 1.6 ms.
#[derive(Debug, Default)]
pub struct Secrets {
    client: OnceCell<Client>,
    known: Mutex<HashMap<String, Credentials>>,
}

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// The credentials in the secret with this name or ARN, from memory if they have been read before.
    pub async fn credentials(&self, id: &str) -> Result<Credentials, SecretsError> {
        let mut known = self.known.lock().await;
        if let Some(credentials) = known.get(id) {
            return Ok(credentials.clone());
        }
        let credentials = self.fetch(id).await?;
        known.insert(id.to_owned(), credentials.clone());
        Ok(credentials)
    }

    /// Reads the secret again, for when the database has refused what was remembered: it may have been rotated.
    pub async fn refresh(&self, id: &str) -> Result<Credentials, SecretsError> {
        self.known.lock().await.remove(id);
        self.credentials(id).await
    }

    /// The SDK's client, for what goes beyond reading.
    pub async fn client(&self) -> &Client {
        self.client.get_or_init(connect).await
    }

    async fn fetch(&self, id: &str) -> Result<Credentials, SecretsError> {
        let unavailable = |reason: String| SecretsError::Unavailable { id: id.to_owned(), reason };
        let secret = self.client().await.get_secret_value().secret_id(id).send().await;
        let secret = secret.map_err(|error| unavailable(DisplayErrorContext(&error).to_string()))?;
        let text = secret.secret_string().ok_or_else(|| unavailable("it is binary".to_owned()))?;
        Credentials::parse(id, text)
    }
}

async fn connect() -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(4))
        .operation_timeout(Duration::from_secs(10))
        .build();
    let config = aws_config::from_env().timeout_config(timeouts).load().await;
    Client::new(&config)
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
