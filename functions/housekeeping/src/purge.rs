//! Deletes what has expired, in batches: each is a transaction of its own that holds its locks for milliseconds.

use std::collections::BTreeMap;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Result;
use carhaul_core::platform::db::Db;
use serde::Serialize;
use sqlx::FromRow;

/// What a run has deleted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Rows by table, also of tables where there was nothing to delete.
    pub purged: BTreeMap<String, i64>,
    /// False if time ran out; the next run goes on.
    pub complete: bool,
}

#[derive(FromRow)]
struct Batch {
    table_name: String,
    purged: i64,
}

/// Deletes expired rows of all carriers, `batch` of each table at a time, until none is left or `until` has come.
pub async fn purge_expired(db: &Db, batch: i32, clock: &Clock, until: chrono::DateTime<chrono::Utc>) -> Result<Purged> {
    let mut total = Purged::default();
    while !total.complete && clock.now() < until {
        let tables = purge_batch(db, batch).await?;
        // A table that gave less than a batch has no more.
        total.complete = tables.iter().all(|table| table.purged < i64::from(batch));
        for table in tables {
            *total.purged.entry(table.table_name).or_default() += table.purged;
        }
    }
    Ok(total)
}

async fn purge_batch(db: &Db, batch: i32) -> Result<Vec<Batch>> {
    db.fetch_all(|sql| {
        sql.push("SELECT table_name, purged FROM app.purge_expired(").push_bind(batch);
        sql.push(") UNION ALL SELECT table_name, purged FROM app.purge_realtime(").push_bind(batch).push(")");
    })
    .await
}
