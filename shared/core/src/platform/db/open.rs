//! An open transaction, whoever's it is.

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Either, Postgres, Row};
use tokio::sync::OwnedMutexGuard;

use super::Db;
use super::connection::{Slot, in_time};
use super::error::{self, is_disconnect};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;

/// The connection, for as long as the transaction is open on it. Dropped without a commit it is rolled back, at the latest
/// when the connection is used next.
pub struct Open {
    slot: OwnedMutexGuard<Slot>,
    /// A statement has failed: Postgres would turn a COMMIT into a silent ROLLBACK.
    failed: bool,
}

impl Db {
    /// Sends the statements that open a transaction, as one simple query, and returns the rows of each. On a connection
    /// that turns out to be dead they are tried once more on a fresh one.
    pub(super) async fn open(&self, sql: &str) -> Result<(Open, Vec<Vec<PgRow>>)> {
        let mut slot = self.slot.clone().lock_owned().await;
        for last in [false, true] {
            slot.clean_connection().await?;
            // From here on, whatever happens, even if this future is dropped half-way.
            slot.in_transaction = true;
            let answer = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(slot.open_connection()?);
            match in_time(result_sets(answer)).await {
                Ok(sets) => return Ok((Open { slot, failed: false }, sets)),
                Err(e) => slot.after_error(&e, last)?,
            }
        }
        Err(error::unavailable())
    }
}

impl Open {
    pub async fn run(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>> {
        let answer = in_time(query.fetch_all(self.slot.open_connection()?)).await;
        answer.map_err(|e| self.fail(&e))
    }

    /// Sends the statements that end with COMMIT, as one simple query, and returns the rows of each.
    pub async fn commit(mut self, sql: &str) -> Result<Vec<Vec<PgRow>>> {
        if self.failed {
            return Err(Error::internal("commit after a failed statement"));
        }
        let commit = sqlx::raw_sql(AssertSqlSafe(sql));
        match in_time(result_sets(commit.fetch_many(self.slot.open_connection()?))).await {
            Ok(sets) => {
                self.slot.in_transaction = false;
                Ok(sets)
            }
            Err(e) => Err(self.fail(&e)),
        }
    }

    /// Commits after what is to come `before`, and notes for [`Db::take_listening`] whether somebody of the tenant is connected
    /// to hear of it: asked on the way, so that a change nobody hears of costs no message. Returns the rows of each statement.
    pub async fn commit_heard(self, before: &str, tenant: TenantId, after: &str) -> Result<Vec<Vec<PgRow>>> {
        let listening = self.slot.listening.clone();
        let asked = "SELECT EXISTS (SELECT FROM realtime_connections WHERE tenant_id = app.tenant_id()) AS listening";
        let answers = self.commit(&format!("{before}{asked}; COMMIT{after}")).await?;
        if answers.iter().flatten().any(|row| row.try_get("listening").unwrap_or(false)) {
            listening.add(tenant);
        }
        Ok(answers)
    }

    fn fail(&mut self, error: &sqlx::Error) -> Error {
        self.failed = true;
        if is_disconnect(error) {
            tracing::warn!(%error, "lost the database in a transaction");
        }
        // Also forgets a dead connection; a transaction is never tried again by itself.
        self.slot.after_error(error, true).err().unwrap_or_else(error::unavailable)
    }
}

/// Collects the rows of each statement of a simple query.
async fn result_sets(
    mut answer: BoxStream<'_, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>,
) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let mut sets = vec![Vec::new()];
    while let Some(item) = answer.try_next().await? {
        match item {
            Either::Left(_) => sets.push(Vec::new()),
            Either::Right(row) => sets.last_mut().expect("it starts with one and only grows").push(row),
        }
    }
    Ok(sets)
}
