//! Work that takes longer than anybody waits: carriers and users are erased, exports are written. The message of its queue names
//! what is to be done; whether it is, the database says, so that one that comes twice, late or for nothing does no harm.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::base::error::{Error, Result};
use crate::base::ids::{TenantId, UserId};
use crate::exports::ExportId;
use crate::platform::db::Db;
use crate::platform::queue::Queue;

/// Whoever has asked for it waits for no longer than this; housekeeping finds what was not sent.
const DEADLINE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chore", rename_all = "snake_case")]
pub enum Chore {
    EraseTenant { id: TenantId },
    EraseUser { id: UserId },
    WriteExport { id: ExportId },
}

/// Sends a chore after what asks for it was committed. Fails silently: it is found by [`waiting`].
pub async fn send(queue: &Queue, chore: Chore) {
    // Why the queue was not reached, it has logged itself.
    if !matches!(tokio::time::timeout(DEADLINE, queue.send(&chore)).await, Ok(Ok(()))) {
        tracing::warn!(?chore, "not sent: housekeeping will");
    }
}

/// Chores that have waited for so many minutes, the oldest first; erasures that somebody is at only if they are asked for.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Internal`] of one that is not known here.
pub async fn waiting(db: &Db, minutes: i32, limit: i32, also_held: bool) -> Result<Vec<Chore>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT kind, id FROM app.waiting_chores(make_interval(mins => ").push_bind(minutes);
            sql.push("), ").push_bind(limit).push(", ").push_bind(also_held).push(")");
        })
        .await?;
    let chore = |row| -> Result<Chore, sqlx::Error> {
        let row: &sqlx::postgres::PgRow = row;
        let id = row.try_get("id")?;
        Ok(match row.try_get("kind")? {
            "erase_tenant" => Chore::EraseTenant { id: TenantId(id) },
            "erase_user" => Chore::EraseUser { id: UserId(id) },
            "write_export" => Chore::WriteExport { id: ExportId(id) },
            kind => return Err(sqlx::Error::Decode(format!("{kind:?} is no chore").into())),
        })
    };
    rows.iter().map(chore).collect::<Result<_, _>>().map_err(Error::internal)
}
