//! Asks an OpenID Connect issuer for the keys that it signs with.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::platform::http::{self, ReadError};

const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
/// Real key sets have a few kilobytes, real discovery documents less than ten.
const DOCUMENT_MAX: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the issuer did not answer in time")]
    Late,
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("{url} answered with status {status}")]
    Status { url: Url, status: u16 },
    #[error("{url} sent more than {DOCUMENT_MAX} bytes")]
    TooLarge { url: Url },
    #[error("{url} did not send the expected JSON: {source}")]
    NotJson { url: Url, source: serde_json::Error },
    #[error("`{0}` is not a usable URL")]
    BadUrl(String),
    #[error("the discovery document is of issuer `{0}`")]
    OtherIssuer(String),
    #[error("the key set at {url} has no key that could be used")]
    NoKeys { url: Url },
}

pub(super) struct IssuerClient {
    discovery_url: String,
    /// What the discovery document must name; `None` when its address was configured apart from the issuer, which is how
    /// a local emulation that names the real issuer is used.
    expected_issuer: Option<String>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Keys are parsed one by one later, so that one unknown kind does not spoil the set.
#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<serde_json::Value>,
}

impl IssuerClient {
    pub(super) fn new(issuer: &str, discovery_url: Option<&str>) -> Self {
        let default_url = || format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Self {
            discovery_url: discovery_url.map_or_else(default_url, str::to_owned),
            expected_issuer: discovery_url.is_none().then(|| issuer.to_owned()),
        }
    }

    /// Fetches the discovery document, then the key set that it names; all within `deadline`.
    pub(super) async fn fetch_keys(&self, deadline: Duration) -> Result<(Url, Vec<serde_json::Value>), FetchError> {
        tokio::time::timeout(deadline, self.fetch()).await.map_err(|_| FetchError::Late)?
    }

    async fn fetch(&self) -> Result<(Url, Vec<serde_json::Value>), FetchError> {
        // Made for each fetch, of which there is one an hour. An issuer that moved is configured anew; following it elsewhere
        // would let it choose whom we trust.
        let client = http::client().timeout(REQUEST_DEADLINE).build()?;
        let discovery_url = parse_url(&self.discovery_url)?;
        let discovery: Discovery = get(&client, &discovery_url).await?;
        if self.expected_issuer.as_ref().is_some_and(|expected| *expected != discovery.issuer) {
            return Err(FetchError::OtherIssuer(discovery.issuer));
        }
        let keys_url = parse_url(&discovery.jwks_uri)?;
        // Whoever can read the key set's traffic must not be able to replace what a TLS connection told us.
        if discovery_url.scheme() == "https" && keys_url.scheme() != "https" {
            return Err(FetchError::BadUrl(discovery.jwks_uri));
        }
        let document: KeySetDocument = get(&client, &keys_url).await?;
        Ok((keys_url, document.keys))
    }
}

async fn get<T: DeserializeOwned>(client: &Client, url: &Url) -> Result<T, FetchError> {
    let response = client.get(url.clone()).header("accept", "application/json").send().await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status { url: url.clone(), status: response.status().as_u16() });
    }
    let body = http::read(response, DOCUMENT_MAX).await.map_err(|error| match error {
        ReadError::TooLarge(_) => FetchError::TooLarge { url: url.clone() },
        ReadError::Broken(error) => FetchError::Http(error),
    })?;
    serde_json::from_slice(&body).map_err(|source| FetchError::NotJson { url: url.clone(), source })
}

fn parse_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    url.ok_or_else(|| FetchError::BadUrl(text.to_owned()))
}
