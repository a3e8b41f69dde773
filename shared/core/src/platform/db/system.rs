//! A transaction of work that nobody asked for: it has no actor, and enters a tenant by what it works on.

use sqlx::FromRow;
use sqlx::postgres::PgRow;

use super::open::Open;
use super::{Db, Sql};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;

/// An open transaction. Dropped without a commit it is rolled back, at the latest when the connection is used next.
pub struct SystemTx(Open);

/// The rows of each statement of an opening, in their order.
pub struct ResultSets(std::vec::IntoIter<Vec<PgRow>>);

impl Db {
    /// Opens a transaction with statements without arguments, in one round trip. Each sees what was committed when it
    /// began.
    ///
    /// # Errors
    /// What the database refuses; [`Error::Unavailable`].
    pub async fn begin_system(&self, statements: &[String]) -> Result<(SystemTx, ResultSets)> {
        let (open, sets) = self.open(&format!("BEGIN; {}", statements.join("; "))).await?;
        let mut sets = sets.into_iter();
        // BEGIN has no rows.
        sets.next();
        Ok((SystemTx(open), ResultSets(sets)))
    }
}

impl ResultSets {
    /// The rows of the next statement.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not what is expected.
    pub fn next_set<T>(&mut self) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.0.next().unwrap_or_default();
        rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// The first row of the next statement.
    ///
    /// # Errors
    /// As [`ResultSets::next_set`].
    pub fn next_row<T>(&mut self) -> Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(self.next_set()?.into_iter().next())
    }
}

impl SystemTx {
    /// Runs one statement that returns rows.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn fetch_all<T>(&mut self, mut sql: Sql) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.0.run(sql.build()).await?;
        rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Runs one statement that returns at most one row.
    ///
    /// # Errors
    /// As [`SystemTx::fetch_all`].
    pub async fn fetch_optional<T>(&mut self, sql: Sql) -> Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(self.fetch_all(sql).await?.into_iter().next())
    }

    /// Runs one statement for what it does.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn execute(&mut self, mut sql: Sql) -> Result<()> {
        self.0.run(sql.build()).await?;
        Ok(())
    }

    /// Commits what those of the entered tenant are to hear of, if somebody is connected (see [`Db::take_listening`]), and asks
    /// once more in the same round trip, when everybody sees what was committed: `then` is a SELECT of one row, without
    /// arguments, outside any tenant.
    ///
    /// # Errors
    /// As [`SystemTx::commit`].
    pub async fn commit_heard_then<T>(self, tenant: TenantId, then: &str) -> Result<T>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let answers = self.0.commit_heard("", tenant, &format!("; {then}")).await?;
        let row = answers.iter().rev().flatten().next().ok_or(sqlx::Error::RowNotFound);
        row.and_then(|row| T::from_row(row)).map_err(Error::internal)
    }

    /// # Errors
    /// [`Error::Unavailable`] when the connection breaks: whether it was committed is then unknown.
    pub async fn commit(self) -> Result<()> {
        self.0.commit("COMMIT").await.map(drop)
    }
}
