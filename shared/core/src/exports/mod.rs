//! Exports: all that a carrier has, as files of one line of JSON for each row, to be had before it goes or at any other time.
//!
//! An export is asked for ([`create`]) and written later, by one worker at a time ([`write::Writer`]): file after file goes into
//! the private bucket, and with each the database is told how far it has come, so that whoever follows on a worker that was killed
//! begins behind its last file. It is read page by page while the carrier works on, and so is no picture of one moment. Files of
//! documents are not copied: the export names each with its SHA-256, and they are downloaded as ever.

mod contents;
pub mod write;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::contents::{LEFT_OUT, TABLES};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::ids::TenantId;
use crate::base::page::{Limit, Page};
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::bucket::{Bucket, DOWNLOAD_LIFE};
use crate::platform::db::{Assignments, Db, Loaded, Resource};
use crate::platform::idempotency::IdempotencyKey;

crate::id!(ExportId);

/// So many in 24 hours: each reads all that a carrier has.
const A_DAY: i64 = 5;

/// How far an export has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportStatus {
    Queued,
    /// It is being written.
    Running,
    /// Its files can be downloaded.
    Ready,
    /// It could not be written; ask for another.
    Failed,
    /// Its files are gone.
    Expired,
}

crate::text_column!(ExportStatus);

/// An export of all that the carrier has.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Export {
    pub id: ExportId,
    pub status: ExportStatus,
    /// Kinds of things that are written, of `tables`.
    pub tables_done: i16,
    /// Kinds of things that it has.
    pub tables: i16,
    /// Rows that are written.
    pub row_count: i64,
    /// Of its files together, in bytes.
    pub size: i64,
    /// Who asked for it.
    #[schema(required)]
    pub created_by: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    /// When it was ready or had failed; null until then.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// Then its files go; null while there are none.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Nothing is to be said: an export has everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExport {}

impl Resource for Export {
    const TABLE: &'static str = "exports";
    const NAME: &'static str = "export";
    const COLUMNS: &'static str = "t.id, t.status, t.tables_done, t.tables, t.row_count, t.size, t.created_by, \
        t.created_at, t.finished_at, t.expires_at";
    const READ: Action = Action::ExportsManage;
    const WRITE: Action = Action::ExportsManage;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

/// The files of an export, for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportDownload {
    /// By kind; of many rows of one kind, one file after the other.
    pub files: Vec<ExportFile>,
    /// Five minutes from now.
    pub expires_at: DateTime<Utc>,
}

/// A file of an export: a line of JSON for each row.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportFile {
    /// The kind of thing that it has; of many, there are several files.
    #[schema(example = "orders.ndjson")]
    pub name: String,
    /// Its lines.
    pub row_count: i64,
    /// In bytes.
    pub size: i64,
    /// Of the file, in hex.
    pub sha256: String,
    /// Signed: whoever has it may read the file. A browser saves it under its name.
    pub url: String,
}

#[derive(FromRow)]
struct WithFiles {
    status: ExportStatus,
    files: Json<Vec<StoredFile>>,
}

#[derive(Deserialize)]
struct StoredFile {
    id: Uuid,
    name: String,
    row_count: i64,
    size: i64,
    sha256: String,
}

/// Where the files of an export are in the bucket, among those of its carrier.
fn prefix(tenant: TenantId, id: ExportId) -> String {
    format!("{tenant}/exports/{id}/")
}

/// Whether an object is one of an export's.
pub fn is_key(key: &str) -> bool {
    let mut parts = key.split('/');
    let is_id = |part: Option<&str>| part.is_some_and(|part| Uuid::try_parse(part).is_ok());
    is_id(parts.next()) && parts.next() == Some("exports") && is_id(parts.next()) && is_id(parts.next())
}

pub async fn list(db: &Db, actor: &Actor, cursor: Option<&str>, limit: Limit) -> Result<Page<Export>> {
    db.list(actor, cursor, limit, |_| {}).await
}

pub async fn get(db: &Db, actor: &Actor, id: ExportId) -> Result<Export> {
    Ok(db.get(actor, id.0).await?.1)
}

/// Opens a transaction to ask for an export.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin(db: &Db, actor: &Actor, key: Option<&IdempotencyKey>) -> Result<Loaded> {
    let load = "SELECT count(*) FILTER (WHERE status IN ('queued', 'running')) AS unfinished, \
         count(*) FILTER (WHERE created_at > now() - interval '1 day') AS of_today, \
         extract(epoch FROM min(created_at) FILTER (WHERE created_at > now() - interval '1 day') + interval '1 day' - now())::integer \
         AS next_in \
         FROM exports WHERE tenant_id = app.tenant_id()";
    db.begin_loading(actor, Action::ExportsManage, key, Some(load)).await
}

/// Asks for an export; a worker writes it.
///
/// # Errors
/// A conflict while another one is being written; [`Error::Throttled`] when there were enough of them today.
pub async fn create(loaded: &mut Loaded) -> Result<Export> {
    let row = loaded.rows.first().ok_or_else(|| Error::internal("a count returned no row"))?;
    if row.try_get::<i64, _>("unfinished").map_err(Error::internal)? > 0 {
        return Err(Error::conflict(ConflictCode::ExportUnfinished, "another export is being written: wait for it"));
    }
    if row.try_get::<i64, _>("of_today").map_err(Error::internal)? >= A_DAY {
        let seconds: i32 = row.try_get("next_in").map_err(Error::internal)?;
        return Err(Error::Throttled { retry_after_seconds: u32::try_from(seconds).unwrap_or(0).max(1) });
    }
    let mut row = Assignments::default();
    row.set("id", ExportId::new())
        .set("tables", i16::try_from(TABLES.len()).map_err(Error::internal)?)
        .set("created_by", loaded.tx.entered.actor_id);
    let export: Export = loaded.tx.insert(row).await?;
    let entered = &loaded.tx.entered;
    tracing::info!(tenant_id = %entered.tenant_id, actor_id = %entered.actor_id, export_id = %export.id, "an export was asked for");
    Ok(export)
}

/// Signs downloads of the files of an export that is ready.
///
/// # Errors
/// [`Error::NotFound`]; a conflict while it is not ready, or no longer; [`Error::Unavailable`] when nothing can be signed.
pub async fn download(
    db: &Db,
    actor: &Actor,
    bucket: &Bucket,
    id: ExportId,
    now: DateTime<Utc>,
) -> Result<ExportDownload> {
    let (entered, export) = db
        .read_one::<WithFiles>(actor, Export::READ, Export::NAME, |sql| {
            sql.push(
                "SELECT t.id, t.status, (SELECT coalesce(jsonb_agg(to_jsonb(f) ORDER BY f.id), '[]') FROM export_files f \
                 WHERE (f.tenant_id, f.export_id) = (t.tenant_id, t.id)) AS files \
                 FROM exports t WHERE t.tenant_id = e.tenant_id AND t.id = ",
            );
            sql.push_bind(id);
        })
        .await?;
    if export.status != ExportStatus::Ready {
        return Err(Error::conflict(
            ConflictCode::NotReady,
            format!("its files are not there: it is {}", Word(&export.status)),
        ));
    }
    let mut files = Vec::new();
    for StoredFile { id: file, name, row_count, size, sha256 } in export.files.0 {
        let key = format!("{}{file}", prefix(entered.tenant_id, id));
        let url = bucket.sign_get(&key, &name, now, DOWNLOAD_LIFE).await?;
        files.push(ExportFile { name, row_count, size, sha256, url });
    }
    Ok(ExportDownload { files, expires_at: now + DOWNLOAD_LIFE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exports_files_are_below_its_carrier_and_told_from_documents() {
        let id = Uuid::now_v7();
        let prefix = prefix(TenantId(id), ExportId(id));
        assert!(is_key(&format!("{prefix}{id}")));
        for other in [format!("{id}/{id}"), prefix, format!("{id}/exports/{id}"), "exports/1".to_owned(), String::new()]
        {
            assert!(!is_key(&other), "{other}");
        }
    }
}
