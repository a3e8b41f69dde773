//! Request bodies: JSON whose errors name each bad field, and for a POST the idempotency key with the request's fingerprint.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use carhaul_core::base::error::{Error, FieldError};
use carhaul_core::platform::crypto::sha256_hex;
use carhaul_core::platform::idempotency::IdempotencyKey;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::faults;
use crate::objects::Objects;
use crate::problem::{Failure, ProblemType, Refusal};
use crate::sentences::{duplicate, sentence};

/// Far above any order, far below what a function can hold.
const MAX_BODY: usize = 1024 * 1024;

/// The body of a PATCH or PUT.
pub struct Json<T>(pub T);

/// The body of a POST and its `Idempotency-Key`. No body counts as `{}`.
pub struct Post<T> {
    pub body: T,
    pub key: Option<IdempotencyKey>,
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for Post<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        let key = idempotency_key(&parts.headers)?.map(|key| {
            let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
            let tenant = parts.headers.get("tenant-id").map_or(&b""[..], |value| value.as_bytes());
            let fingerprint = [parts.method.as_str().as_bytes(), target.as_bytes(), tenant, &bytes];
            IdempotencyKey { key, request_hash: sha256_hex(&fingerprint) }
        });
        let body = parse(if bytes.is_empty() { b"{}" } else { &bytes })?;
        Ok(Self { body, key })
    }
}

async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Failure> {
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemType::TooLarge, "The body is larger than 1 MB")
            .detail("send at most 1048576 bytes")
    })?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = matches!(essence.as_str(), "application/json" | "application/merge-patch+json");
    if !bytes.is_empty() && !json {
        let refusal = Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemType::UnsupportedMediaType,
            "The body must be JSON",
        );
        return Err(refusal.detail("send it with Content-Type: application/json").into());
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let malformed = |error| Failure::from(Refusal::malformed(format!("the body is not JSON: {error}")));
    match T::deserialize(Objects(&mut json)) {
        Ok(value) => json.end().map(|()| value).map_err(malformed),
        Err(error) => {
            let mut faults = faults::of::<T>(serde_json::from_slice(bytes).map_err(malformed)?);
            // A member that is there twice is there once in a value.
            if faults.is_empty() {
                faults.extend(twice(&error));
            }
            Err(Error::Invalid(faults).into())
        }
    }
}

fn twice(error: &serde_json::Error) -> Option<FieldError> {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let pointer = duplicate(message).map(|member| format!("/{member}")).unwrap_or_default();
    Some(FieldError { pointer, detail: sentence(message) })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Error::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters").into()),
    }
}
