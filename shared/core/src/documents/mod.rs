//! Documents of an order: what a driver and an office must be able to show. The database has a row for each, the private bucket
//! its bytes; they go there and come from there by signed URLs, never through a function.
//!
//! A document is announced ([`create`]), which gives a URL for exactly these bytes; S3 tells when they have come, and
//! [`uploads`] looks whether they are what was announced. The order's `has_pod` follows in the database.

mod kind;
pub mod uploads;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::kind::{ContentType, DocumentKind, DocumentStatus};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::ids::TenantId;
use crate::base::page::{Limit, Page};
use crate::base::strings::parsed_string;
use crate::base::text::Text;
use crate::base::whole::Whole;
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::orders::{OrderId, VehicleId};
use crate::platform::bucket::{Bucket, Content, DOWNLOAD_LIFE};
use crate::platform::db::{self, Assignments, Db, Resource, Tx};
use crate::platform::idempotency::IdempotencyKey;

crate::id!(DocumentId);

/// How long an upload may wait to begin.
pub(crate) const UPLOAD_LIFE: Duration = Duration::from_secs(15 * 60);

/// Bytes of a file: 100 MB at most.
pub type FileSize = Whole<1, 104_857_600>;
pub type FileName = Text<255>;

parsed_string!(
    /// A SHA-256, in hex.
    Sha256,
    |raw| {
        let is_sha256 = raw.len() == 64 && raw.bytes().all(|b| b.is_ascii_hexdigit());
        if is_sha256 { Ok(raw.to_ascii_lowercase()) } else { Err("must be the 64 hex digits of a SHA-256".to_owned()) }
    },
    description: "SHA-256 of the file, in hex.",
    pattern: "^[0-9A-Fa-f]{64}$",
    example: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
);

/// A document of an order.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Document {
    pub id: DocumentId,
    /// The order that it belongs to.
    pub order_id: OrderId,
    /// The vehicle that it is about, if it is about one.
    #[schema(required)]
    pub vehicle_id: Option<VehicleId>,
    pub kind: DocumentKind,
    pub status: DocumentStatus,
    /// As the uploader calls it.
    #[schema(example = "pod-1042.pdf")]
    pub file_name: String,
    /// What kind of file it is.
    pub content_type: ContentType,
    /// In bytes.
    pub size: i32,
    /// Of the file, in hex.
    pub sha256: String,
    /// Until then the upload must have begun.
    pub upload_expires_at: DateTime<Utc>,
    /// When the file was found to be what was announced; null until then.
    #[schema(required)]
    pub stored_at: Option<DateTime<Utc>>,
    /// The member or the API key that added it.
    #[schema(required)]
    pub created_by: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

impl Resource for Document {
    const TABLE: &'static str = "documents";
    const NAME: &'static str = "document";
    const COLUMNS: &'static str = "t.id, t.order_id, t.vehicle_id, t.kind, t.status, t.file_name, t.content_type, t.size, \
        t.sha256, t.upload_expires_at, t.stored_at, t.created_by, t.created_at";
    const READ: Action = Action::DocumentsRead;
    const WRITE: Action = Action::DocumentsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

impl db::Part for Document {
    const TABLE: &'static str = <Self as Resource>::TABLE;
    const COLUMNS: &'static str = <Self as Resource>::COLUMNS;
    const OF: &'static str = "order_id";
    const OF_TABLE: &'static str = "orders";
    const OF_NAME: &'static str = "order";
    const READ: Action = <Self as Resource>::READ;
    const NEWEST_FIRST: bool = true;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

/// What is about to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    pub kind: DocumentKind,
    /// As downloads are to call it.
    #[schema(example = "pod-1042.pdf")]
    pub file_name: FileName,
    /// What kind of file it is; a photo is an image.
    pub content_type: ContentType,
    /// In bytes, at most 100 MB.
    #[schema(example = 48213)]
    pub size: FileSize,
    /// Of the file, in hex.
    pub sha256: Sha256,
    /// The vehicle of the order that it is about.
    pub vehicle_id: Option<VehicleId>,
}

/// A new document, and how to upload its file.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnnouncedDocument {
    #[serde(flatten)]
    pub document: Document,
    /// How to upload its file.
    pub upload: Upload,
}

/// A request that uploads the file, and no other.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    /// The method of the request.
    #[schema(example = "PUT")]
    pub method: String,
    /// Signed: whoever has it may send this request.
    pub url: String,
    /// Headers to send with it.
    pub headers: UploadHeaders,
    /// Until then it must have begun.
    pub expires_at: DateTime<Utc>,
}

/// Headers that must be sent as they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadHeaders {
    /// What kind of file it is, as announced.
    #[serde(rename = "content-type")]
    #[schema(example = "application/pdf")]
    pub content_type: String,
    /// SHA-256 of the file, in base64.
    #[serde(rename = "x-amz-checksum-sha256")]
    #[schema(example = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")]
    pub checksum: String,
}

/// Where a file is for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct Download {
    /// Signed: whoever has it may read the file. A browser saves it under its name.
    pub url: String,
    /// Five minutes from now.
    pub expires_at: DateTime<Utc>,
}

/// Where the file of a document is in the bucket. It begins with the carrier, so that all of a carrier's can be found, and
/// knows no order: a vehicle that goes to another one takes its documents along.
pub fn key(tenant: TenantId, id: DocumentId) -> String {
    format!("{tenant}/{id}")
}

/// The documents of an order, newest first.
///
/// # Errors
/// Those of [`db::parts`].
pub async fn list(
    db: &Db,
    actor: &Actor,
    order: OrderId,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Document>> {
    db::parts(db, actor, order.0, cursor, limit).await
}

pub async fn get(db: &Db, actor: &Actor, id: DocumentId) -> Result<Document> {
    Ok(db.get(actor, id.0).await?.1)
}

/// Opens a transaction to add a document to an order. No limit of the plan is in the way: a delivery must be proven.
///
/// # Errors
/// [`Error::NotFound`] of the order; those of [`Db::begin`].
pub async fn begin(db: &Db, actor: &Actor, key: Option<&IdempotencyKey>, order: OrderId) -> Result<Tx> {
    let load = format!("SELECT t.id FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id = '{order}'");
    let loaded = db.begin_loading(actor, Action::DocumentsRecord, key, Some(&load)).await?;
    if loaded.rows.is_empty() { Err(Error::NotFound("order")) } else { Ok(loaded.tx) }
}

/// Announces a document and signs its upload.
///
/// # Errors
/// [`Error::Invalid`] for a type of file that the kind cannot have, and for a vehicle of another order; [`Error::Forbidden`] for a
/// price that the caller may not see; [`Error::Unavailable`] when nothing can be signed.
pub async fn create(
    tx: &mut Tx,
    bucket: &Bucket,
    order: OrderId,
    new: NewDocument,
    now: DateTime<Utc>,
) -> Result<AnnouncedDocument> {
    if !new.kind.takes(new.content_type) {
        let detail = format!("a {} cannot be {}", Word(&new.kind), Word(&new.content_type));
        return Err(Error::invalid("/content_type", detail));
    }
    if new.kind == DocumentKind::RateConfirmation && tx.entered.hide_prices {
        return Err(Error::Forbidden(
            "a rate confirmation says the price, which drivers of this carrier do not see".into(),
        ));
    }
    let id = DocumentId::new();
    let content = Content {
        content_type: Word(&new.content_type).to_string(),
        size: new.size.get().into(),
        sha256: Some(new.sha256.to_string()),
    };
    let signed = bucket.sign_put(&key(tx.entered.tenant_id, id), &content, now, UPLOAD_LIFE).await?;
    let mut row = Assignments::default();
    row.set("id", id)
        .set("order_id", order)
        .set("vehicle_id", new.vehicle_id)
        .set("kind", new.kind)
        .set("file_name", new.file_name)
        .set("content_type", new.content_type)
        .set("size", new.size)
        .set("sha256", new.sha256)
        .set("upload_expires_at", now + UPLOAD_LIFE)
        .set("created_by", tx.entered.actor_id);
    let document: Document = tx.insert(row).await?;
    let headers = UploadHeaders { content_type: signed.content_type, checksum: signed.checksum };
    let expires_at = document.upload_expires_at;
    let upload = Upload { method: "PUT".to_owned(), url: signed.url, headers, expires_at };
    Ok(AnnouncedDocument { document, upload })
}

/// Signs a download of a file that is there.
///
/// # Errors
/// [`Error::NotFound`]; a conflict when the file is not there; [`Error::Unavailable`] when nothing can be signed.
pub async fn download(db: &Db, actor: &Actor, bucket: &Bucket, id: DocumentId, now: DateTime<Utc>) -> Result<Download> {
    let (entered, document) = db.get::<Document>(actor, id.0).await?;
    if document.status != DocumentStatus::Stored {
        let detail = format!("its file is not there: it is {}", Word(&document.status));
        return Err(Error::conflict(ConflictCode::NotStored, detail));
    }
    let key = key(entered.tenant_id, id);
    let url = bucket.sign_get(&key, &document.file_name, now, DOWNLOAD_LIFE).await?;
    Ok(Download { url, expires_at: now + DOWNLOAD_LIFE })
}

/// Opens a transaction to delete a document. Its order is locked first, as it is by all that changes an order.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin_delete(db: &Db, actor: &Actor, id: DocumentId) -> Result<Tx> {
    let lock = format!("SELECT app.lock_order_of_document(app.tenant_id(), '{id}')");
    Ok(db.begin_loading(actor, Action::DocumentsWrite, None, Some(&lock)).await?.tx)
}

/// Deletes a document. Its file goes from the bucket a little later.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(tx: &mut Tx, id: DocumentId) -> Result<()> {
    tx.delete::<Document>(id.0, None).await
}
