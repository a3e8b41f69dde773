//! Writes exports: reads a table page by page, puts what fits into a file into the bucket, writes down how far that was.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::{ExportId, TABLES, prefix};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::platform::bucket::{Bucket, Content};
use crate::platform::crypto::sha256_of;
use crate::platform::db::{Db, Sql};

/// Rows that are read at once, and bytes: it ends with the row that reaches either.
const PAGE: i32 = 200;
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// A file ends with the page that reaches this, so that memory is bounded whatever a carrier has. In bytes.
const FULL: usize = 8 * 1024 * 1024;
/// Nobody else writes it for so long after each file.
const LEASE: Duration = Duration::from_secs(120);
/// How long its files stay.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

const CONTENT_TYPE: &str = "application/x-ndjson";

pub struct Writer<'a> {
    pub db: &'a Db,
    pub bucket: &'a Bucket,
    pub clock: &'a Clock,
    /// When to stop.
    pub until: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Completely,
    /// Time ran out; the next run goes on.
    InPart,
    /// There was nothing to write: it is done, or somebody else writes it.
    Nothing,
}

/// An export that is being written, and how far it has come.
#[derive(FromRow)]
struct Claim {
    tenant_id: TenantId,
    attempt: i32,
    tables_done: i16,
    /// Files of the present table that are there.
    part: i32,
    /// Of the last row that was written.
    last_key: Option<Value>,
}

#[derive(FromRow)]
struct Line {
    key: Value,
    line: String,
}

/// What goes into one file.
#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    rows: i64,
    /// The table has no more.
    is_last: bool,
}

impl Writer<'_> {
    /// Takes an export that is due and writes on until it is done or time runs out.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when database or bucket are; it is due again at once.
    pub async fn write(&self, id: ExportId) -> Result<Written> {
        let claim = self.db.fetch_all::<Claim>(|sql| {
            sql.push("SELECT tenant_id, attempt, tables_done, part, last_key FROM app.claim_export(").push_bind(id);
            push_seconds(sql, LEASE);
        });
        let Some(mut claim) = claim.await?.pop() else { return Ok(Written::Nothing) };
        let written = self.write_claimed(id, &mut claim).await;
        if !matches!(written, Ok(Written::Completely | Written::Nothing)) {
            self.db
                .fetch_all::<()>(|sql| {
                    sql.push("SELECT FROM app.release_export(")
                        .push_bind(id)
                        .push(", ")
                        .push_bind(claim.attempt)
                        .push(")");
                })
                .await?;
        }
        written
    }

    async fn write_claimed(&self, id: ExportId, claim: &mut Claim) -> Result<Written> {
        while let Some(table) = usize::try_from(claim.tables_done).ok().and_then(|done| TABLES.get(done)) {
            let file = self.read(id, claim, table).await?;
            let (rows, is_last) = (file.rows, file.is_last);
            let name = match claim.part {
                0 => format!("{table}.ndjson"),
                part => format!("{table}-{}.ndjson", part + 1),
            };
            if is_last {
                (claim.tables_done, claim.part, claim.last_key) = (claim.tables_done + 1, 0, None);
            } else {
                claim.part += 1;
            }
            if rows > 0 && !self.keep(id, claim, &name, file).await? {
                return Ok(Written::Nothing);
            }
            if self.clock.now() >= self.until {
                return Ok(Written::InPart);
            }
        }
        let finished = self.ask(|sql| {
            sql.push("SELECT app.finish_export(").push_bind(id).push(", ").push_bind(claim.attempt);
            push_seconds(sql, LIFE);
        });
        if !finished.await? {
            return Ok(Written::Nothing);
        }
        tracing::info!(tenant_id = %claim.tenant_id, export_id = %id, "an export is ready");
        Ok(Written::Completely)
    }

    /// The next file of a table; it moves the claim's key behind what was read.
    async fn read(&self, id: ExportId, claim: &mut Claim, table: &str) -> Result<File> {
        let mut file = File::default();
        while !file.is_last && file.bytes.len() < FULL {
            let lines: Vec<Line> = self
                .db
                .fetch_all(|sql| {
                    sql.push("SELECT key, line FROM app.export_rows(")
                        .push_bind(id)
                        .push(", ")
                        .push_bind(claim.attempt);
                    sql.push(", ").push_bind(table.to_owned()).push(", ").push_bind(claim.last_key.clone());
                    sql.push(", ").push_bind(PAGE).push(", ").push_bind(PAGE_BYTES as i64).push(")");
                })
                .await?;
            let bytes: usize = lines.iter().map(|line| line.line.len()).sum();
            file.is_last = lines.len() < PAGE as usize && bytes < PAGE_BYTES;
            file.rows += i64::try_from(lines.len()).map_err(Error::internal)?;
            for Line { key, line } in lines {
                file.bytes.extend(line.into_bytes());
                file.bytes.push(b'\n');
                claim.last_key = Some(key);
            }
        }
        Ok(file)
    }

    /// Puts a file into the bucket and writes it down. Under a name of its own, so that a worker that was given up on spoils
    /// nobody's. False: the attempt is over.
    async fn keep(&self, id: ExportId, claim: &Claim, name: &str, file: File) -> Result<bool> {
        let (size, sha256) = (i64::try_from(file.bytes.len()).map_err(Error::internal)?, sha256_of(&file.bytes));
        let object = Uuid::now_v7();
        let content = Content { content_type: CONTENT_TYPE.to_owned(), size, sha256: Some(sha256.clone()) };
        self.bucket.put(&format!("{}{object}", prefix(claim.tenant_id, id)), &content, file.bytes).await?;
        self.ask(|sql| {
            sql.push("SELECT app.record_export_file(").push_bind(id).push(", ").push_bind(claim.attempt);
            sql.push(", ").push_bind(name.to_owned()).push(", ").push_bind(object).push(", ").push_bind(file.rows);
            sql.push(", ").push_bind(size).push(", ").push_bind(sha256.clone()).push(", ").push_bind(claim.tables_done);
            sql.push(", ").push_bind(claim.part).push(", ").push_bind(claim.last_key.clone());
            push_seconds(sql, LEASE);
        })
        .await
    }

    async fn ask(&self, build: impl Fn(&mut Sql)) -> Result<bool> {
        let (yes,) = self.db.fetch_one(build).await?;
        Ok(yes)
    }
}

/// Deletes the files of exports that have expired, of so many and until it is late; how many it were.
///
/// # Errors
/// [`Error::Unavailable`]: the next run tries again.
pub async fn expire(db: &Db, bucket: &Bucket, limit: i32, is_late: impl Fn() -> bool) -> Result<usize> {
    let expired: Vec<(TenantId, ExportId)> = db
        .fetch_all(|sql| {
            sql.push("SELECT tenant_id, id FROM app.expired_exports(").push_bind(limit).push(")");
        })
        .await?;
    for (done, (tenant, id)) in expired.iter().enumerate() {
        if is_late() || !bucket.delete_below(&prefix(*tenant, *id), &is_late).await? {
            return Ok(done);
        }
        db.fetch_all::<()>(|sql| {
            sql.push("SELECT FROM app.expire_export(").push_bind(*id).push(")");
        })
        .await?;
    }
    Ok(expired.len())
}

/// The last argument, an interval.
fn push_seconds(sql: &mut Sql, time: Duration) {
    sql.push(", make_interval(secs => ").push_bind(time.as_secs_f64()).push("))");
}
