//! An answer in the form in which it can be stored under an idempotency key and given again.

use axum::response::{IntoResponse, Response};
use carhaul_core::base::error::{Error, Result};
use carhaul_core::platform::db::Tx;
use carhaul_core::platform::idempotency::StoredAnswer;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: String,
}

impl Answer {
    /// 200 with a body.
    ///
    /// # Errors
    /// [`Error::Internal`] when the body cannot be written as JSON.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Self::with_body(StatusCode::OK, body)
    }

    /// 201 with the new thing and where it is.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn created(location: String, body: &impl Serialize) -> Result<Self> {
        let mut answer = Self::with_body(StatusCode::CREATED, body)?;
        answer.headers.push((header::LOCATION, location));
        Ok(answer)
    }

    /// 201 with something that has no address of its own.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn issued(body: &impl Serialize) -> Result<Self> {
        Self::with_body(StatusCode::CREATED, body)
    }

    /// 202 with what was accepted and where it is.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn accepted(location: String, body: &impl Serialize) -> Result<Self> {
        let mut answer = Self::with_body(StatusCode::ACCEPTED, body)?;
        answer.headers.push((header::LOCATION, location));
        Ok(answer)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: String::new() }
    }

    fn with_body(status: StatusCode, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(Error::internal)?;
        Ok(Self { status, headers: Vec::new(), body })
    }

    #[must_use]
    pub fn etag(mut self, version: i64) -> Self {
        self.headers.push((header::ETAG, format!("\"{version}\"")));
        self
    }

    /// Commits the work together with this answer.
    ///
    /// # Errors
    /// Those of [`Tx::commit`].
    pub async fn commit(self, tx: Tx) -> Result<Self> {
        tx.commit(&self.to_stored()).await?;
        Ok(self)
    }

    /// Commits the work and gives this answer; who repeats the request gets `stored`. For an answer with a secret, which is
    /// shown once and never kept.
    ///
    /// # Errors
    /// Those of [`Tx::commit`].
    pub async fn commit_storing(self, stored: Self, tx: Tx) -> Result<Self> {
        tx.commit(&stored.to_stored()).await?;
        Ok(self)
    }

    fn to_stored(&self) -> StoredAnswer {
        let headers =
            self.headers.iter().map(|(name, value)| (name.to_string(), Value::from(value.as_str()))).collect();
        StoredAnswer {
            status: i16::try_from(self.status.as_u16()).unwrap_or(i16::MAX),
            headers: Value::Object(headers),
            body: self.body.clone(),
        }
    }

    /// An answer that was given before.
    pub fn replayed(stored: StoredAnswer) -> Self {
        let headers = stored.headers.as_object().cloned().unwrap_or_default();
        let mut headers: Vec<_> = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str()?.to_owned())))
            .collect();
        headers.push((HeaderName::from_static("idempotency-replayed"), "true".to_owned()));
        let status = u16::try_from(stored.status).ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or_default();
        Self { status, headers, body: stored.body }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in self.headers {
            headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
        }
        response
    }
}
