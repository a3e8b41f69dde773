//! What calls over HTTP to somebody else have in common: no redirects, bounded answers, secrets that no log shows.

use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, redirect};
use rustls::{ClientConfig, RootCertStore};

/// The certificates that this machine trusts. Reading them is most of what a client costs, so it is done once for all.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::error!(errors = ?found.errors, "this machine trusts no certificate");
    }
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
});

/// A client to configure further.
pub fn client() -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(TLS.clone())
        .connect_timeout(Duration::from_secs(2))
        // A connection that was kept while the instance was frozen is dead, and nobody says so.
        .pool_idle_timeout(Duration::from_secs(5))
        // Whoever answers must not choose whom our keys are shown to.
        .redirect(redirect::Policy::none())
}

/// A header's value that prints as `Sensitive`; None if it has characters that no header has.
pub fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it sent more than {0} bytes")]
    TooLarge(usize),
    #[error("{}", chain(.0))]
    Broken(reqwest::Error),
}

/// The whole body, if it has at most `max` bytes.
pub async fn read(mut response: Response, max: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ReadError::Broken(error.without_url()))? {
        if body.len() + chunk.len() > max {
            return Err(ReadError::TooLarge(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What `Retry-After` says, in seconds or as a date (RFC 9110, 10.2.3); a date that has passed is no wait at all.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

/// An error with its causes, of which reqwest's own text has none.
pub fn chain(error: &dyn Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What caused an error, the nearest first.
pub fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().to_utc();
        let wait = |value: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]), now)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 01 Mar 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(wait("Sun, 01 Mar 2026 11:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-3", "1.5", "", "99999999999999999999"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_sensitive_value_does_not_print() {
        let value = sensitive("Bearer sk-of-a-tenant").unwrap();
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert!(sensitive("sk\n").is_none());
    }
}
