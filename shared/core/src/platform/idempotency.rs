//! A POST with an `Idempotency-Key` has one effect, however often it is sent.

use serde_json::Value;

/// A client's key for one request, with the request's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// SHA-256 of method, path, query and body, in hex.
    pub request_hash: String,
}

/// An answer as it was given; it commits with the work that it tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAnswer {
    pub status: i16,
    /// An object of header names and values.
    pub headers: Value,
    pub body: String,
}
