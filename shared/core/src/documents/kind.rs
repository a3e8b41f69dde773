//! The words of documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// Bill of lading.
    Bol,
    /// Proof of delivery; the order's `has_pod` says whether one is stored.
    Pod,
    GatePass,
    RateConfirmation,
    Receipt,
    /// Of a vehicle or a place; an image.
    Photo,
}

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    /// The upload is awaited.
    Pending,
    /// The file is there and is what was announced.
    Stored,
    /// The file was not what was announced, and is gone.
    Refused,
    /// No file came in time.
    Expired,
}

/// The types of files that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ContentType {
    #[serde(rename = "application/pdf")]
    Pdf,
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/heic")]
    Heic,
    #[serde(rename = "image/webp")]
    Webp,
}

crate::text_column!(DocumentKind);
crate::text_column!(DocumentStatus);
crate::text_column!(ContentType);

impl DocumentKind {
    /// Whether such a document can be a file of this type.
    pub fn takes(self, content_type: ContentType) -> bool {
        self != Self::Photo || content_type != ContentType::Pdf
    }
}
