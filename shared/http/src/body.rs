//! Request bodies: JSON whose errors name the field, and for a POST the idempotency key with the request's fingerprint.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use carhaul_core::base::error::Error;
use carhaul_core::platform::crypto::sha256_hex;
use carhaul_core::platform::idempotency::IdempotencyKey;
use http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::{Failure, ProblemType, Refusal};

/// Far above any order, far below what a function can hold.
const MAX_BODY: usize = 1024 * 1024;

/// The body of a PATCH or PUT.
pub struct Json<T>(pub T);

/// The body of a POST and its `Idempotency-Key`. No body counts as `{}`.
pub struct Post<T> {
    pub body: T,
    pub key: Option<IdempotencyKey>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Post<T> {
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

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // serde would take an array for an object, by the order of its members.
    if bytes.trim_ascii_start().starts_with(b"[") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Err(Error::invalid("", "must be an object").into());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        match error.into_inner() {
            e if e.is_data() => invalid(pointer, &message(&e)).into(),
            // An enum that meets null or a number is reported as bad syntax.
            _ if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => {
                Error::invalid(pointer, "has the wrong type").into()
            }
            e => Failure::from(Refusal::malformed(format!("the body is not JSON: {e}"))),
        }
    })?;
    json.end().map_err(|e| Refusal::malformed(format!("the body is not JSON: {e}")))?;
    Ok(value)
}

/// What is missing is named itself, and not what lacks it.
fn invalid(pointer: String, message: &str) -> Error {
    match missing(message) {
        Some(member) => Error::invalid(format!("{pointer}/{member}"), "is required"),
        None => Error::invalid(pointer, message),
    }
}

/// What serde says is missing.
pub(crate) fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The path of a field as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// What serde says, without its position in the text, as the pointer says where, and without the names of our types.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match message.split_once(", expected struct ") {
        Some((found, _)) => format!("{found}, expected an object"),
        None => message.to_owned(),
    }
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
