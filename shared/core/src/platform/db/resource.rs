//! What resources have in common: a table with `tenant_id`, `id`, `version` and maybe `archived_at`. A resource adds its
//! columns, its rules and its filters.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Postgres, Type};
use uuid::Uuid;

use super::{Db, Entered, Rare, Sql, Tx, Ways};
use crate::base::error::{Error, Result};
use crate::base::page::{self, Limit, Page};
use crate::base::patch::Patch;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;

/// A kind of row that carriers work with.
pub trait Resource: for<'r> FromRow<'r, PgRow> {
    const TABLE: &'static str;
    /// In the singular, as messages say it.
    const NAME: &'static str;
    /// What a SELECT or RETURNING reads; the table's alias is `t`. One column is called `id`.
    const COLUMNS: &'static str;
    /// The column that names the tenant.
    const TENANT_COLUMN: &'static str = "tenant_id";
    /// The column that names the row within its tenant.
    const ID_COLUMN: &'static str = "id";
    /// The column that names the driver whom row-level security shows the row to, if it hides rows from drivers.
    const DRIVER_COLUMN: Option<&'static str> = None;
    const READ: Action;
    const WRITE: Action;

    fn id(&self) -> Uuid;
}

/// Columns and the values they get, for an INSERT or an UPDATE.
#[derive(Default)]
pub struct Assignments {
    columns: Vec<&'static str>,
    arguments: PgArguments,
}

impl Assignments {
    pub fn set<T>(&mut self, column: &'static str, value: T) -> &mut Self
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        self.columns.push(column);
        self.arguments.add(value).expect("our types encode into their own columns");
        self
    }

    /// Sets the column if the patch has a value for it.
    pub fn patch<T>(&mut self, column: &'static str, patch: Patch<T>) -> &mut Self
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        match patch {
            Patch::Keep => self,
            Patch::Set(value) => self.set(column, value),
        }
    }

    /// Sets `archived_at` for true, clears it for false.
    pub fn archive(&mut self, archived: Patch<bool>) -> &mut Self {
        match archived {
            Patch::Keep => self,
            // The argument says whether; when is the database's clock, see `pairs`.
            Patch::Set(archived) => self.set("archived_at", archived),
        }
    }

    /// Adds an argument that is no column's value, and returns its placeholder. Only after the columns.
    pub(crate) fn bind<T>(&mut self, value: T) -> String
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        self.arguments.add(value).expect("our types encode");
        format!("${}", self.arguments.len())
    }

    fn columns(&self) -> String {
        self.columns.iter().map(|column| format!(", {column}")).collect()
    }

    fn placeholders(&self) -> String {
        (1..=self.columns.len()).map(|n| format!(", ${n}")).collect()
    }

    /// `, a = $1, b = $2`
    pub(crate) fn pairs(&self) -> String {
        let pair = |(column, n): (&&str, usize)| match *column {
            "archived_at" => format!(", archived_at = CASE WHEN ${n} THEN coalesce(t.archived_at, now()) END"),
            column => format!(", {column} = ${n}"),
        };
        self.columns.iter().zip(1..).map(pair).collect()
    }
}

impl Db {
    /// Reads one row by its id, in one round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Db::read`].
    pub async fn get<R: Resource>(&self, actor: &Actor, id: Uuid) -> Result<(Entered, R)> {
        self.read_one(actor, R::READ, R::NAME, |sql| {
            select::<R>(sql);
            sql.push(format_args!(" AND t.{} = ", R::ID_COLUMN)).push_bind(id);
        })
        .await
    }

    /// Reads one page, newest first, in one round trip. `filter` adds ` AND ..` conditions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad cursor; those of [`Db::read`].
    pub async fn list<R: Resource>(
        &self,
        actor: &Actor,
        cursor: Option<&str>,
        limit: Limit,
        filter: impl Fn(&mut Sql),
    ) -> Result<Page<R>> {
        self.list_rare(actor, cursor, limit, filter, &[]).await
    }

    /// Like [`Db::list`], with conditions for which the whole list might be walked in vain.
    ///
    /// # Errors
    /// As [`Db::list`].
    pub async fn list_rare<R: Resource>(
        &self,
        actor: &Actor,
        cursor: Option<&str>,
        limit: Limit,
        filter: impl Fn(&mut Sql),
        rare: &[Rare<'_>],
    ) -> Result<Page<R>> {
        let after: Option<Uuid> = page::after(R::TABLE, cursor)?;
        let (_, rows) = self
            .read::<R>(actor, R::READ, |sql| {
                let conditions = |sql: &mut Sql| {
                    filter(sql);
                    if let Some(after) = after {
                        sql.push(format_args!(" AND t.{} < ", R::ID_COLUMN)).push_bind(after);
                    }
                };
                let end = format!(" ORDER BY t.{} DESC LIMIT {}", R::ID_COLUMN, limit.fetch());
                if R::DRIVER_COLUMN.is_none() && rare.is_empty() {
                    select::<R>(sql);
                    conditions(sql);
                    sql.push(end);
                    return;
                }
                let (columns, table, driver) = (R::COLUMNS, R::TABLE, R::DRIVER_COLUMN);
                Ways { columns, table, driver, rare, end: &end, end_of_all: &end }.push(sql, conditions);
            })
            .await?;
        Ok(Page::from_rows(R::TABLE, rows, limit, R::id))
    }
}

/// A list's condition: the archived rows, or those in use.
pub fn push_archived(sql: &mut Sql, archived: bool) {
    sql.push(if archived { " AND t.archived_at IS NOT NULL" } else { " AND t.archived_at IS NULL" });
}

fn select<R: Resource>(sql: &mut Sql) {
    sql.push("SELECT ")
        .push(R::COLUMNS)
        .push(" FROM ")
        .push(R::TABLE)
        .push(format_args!(" t WHERE t.{} = e.tenant_id", R::TENANT_COLUMN));
}

impl Tx {
    /// Runs one statement with the arguments of `assignments`.
    pub(crate) async fn fetch_assigned<T>(&mut self, sql: String, assignments: Assignments) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.run(sqlx::query_with(AssertSqlSafe(sql), assignments.arguments)).await?;
        rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Inserts a row into the tenant and returns it.
    ///
    /// # Errors
    /// What a constraint or a plan limit refuses.
    pub async fn insert<R: Resource>(&mut self, row: Assignments) -> Result<R> {
        let sql = format!(
            "INSERT INTO {} AS t (tenant_id{}) VALUES (app.tenant_id(){}) RETURNING {}",
            R::TABLE,
            row.columns(),
            row.placeholders(),
            R::COLUMNS
        );
        let rows = self.run(sqlx::query_with(AssertSqlSafe(sql), row.arguments)).await?;
        one(&rows)?.ok_or_else(|| Error::internal("an insert returned no row"))
    }

    /// Changes a row and returns it. `version` is the one that the caller has seen; None takes any.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotFound`], what a constraint refuses.
    pub async fn update<R: Resource>(&mut self, id: Uuid, version: Option<i64>, mut changes: Assignments) -> Result<R> {
        let n = changes.columns.len();
        let pairs = changes.pairs();
        changes.set("id", id).set("version", version);
        let sql = format!(
            "UPDATE {} AS t SET updated_at = now(){pairs} WHERE t.{} = app.tenant_id() AND t.{} = ${} \
             AND (${} IS NULL OR t.version = ${}) RETURNING {}",
            R::TABLE,
            R::TENANT_COLUMN,
            R::ID_COLUMN,
            n + 1,
            n + 2,
            n + 2,
            R::COLUMNS
        );
        let rows = self.run(sqlx::query_with(AssertSqlSafe(sql), changes.arguments)).await?;
        match one(&rows)? {
            Some(row) => Ok(row),
            None => Err(self.why_unchanged::<R>(id).await),
        }
    }

    /// Deletes a row, or archives it when `references` (tables and their columns) name it: what an order refers to is
    /// never lost. Returns the row if it was archived.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotFound`].
    pub async fn delete_or_archive<R: Resource>(
        &mut self,
        id: Uuid,
        version: Option<i64>,
        references: &[(&str, &str)],
    ) -> Result<Option<R>> {
        let referenced: Vec<String> = references
            .iter()
            .map(|(table, column)| {
                format!("EXISTS (SELECT 1 FROM {table} WHERE tenant_id = app.tenant_id() AND {column} = $1)")
            })
            .collect();
        // The CASE of the outer query keeps the two apart: one row says which of them happened.
        let sql = format!(
            "WITH used AS MATERIALIZED (SELECT {used} AS used), \
             gone AS (DELETE FROM {table} t WHERE t.tenant_id = app.tenant_id() AND t.id = $1 \
                      AND ($2 IS NULL OR t.version = $2) AND NOT (SELECT used FROM used) RETURNING {columns}), \
             kept AS (UPDATE {table} t SET archived_at = coalesce(t.archived_at, now()) WHERE t.tenant_id = app.tenant_id() \
                      AND t.id = $1 AND ($2 IS NULL OR t.version = $2) AND (SELECT used FROM used) RETURNING {columns}) \
             SELECT true AS archived, * FROM kept UNION ALL SELECT false, * FROM gone",
            used = referenced.join(" OR "),
            table = R::TABLE,
            columns = R::COLUMNS,
        );
        let mut arguments = Assignments::default();
        arguments.set("id", id).set("version", version);
        let rows = self.run(sqlx::query_with(AssertSqlSafe(sql), arguments.arguments)).await?;
        let archived = rows.first().map(|row| sqlx::Row::try_get::<bool, _>(row, "archived")).transpose();
        match archived.map_err(Error::internal)? {
            None => Err(self.why_unchanged::<R>(id).await),
            Some(true) => one(&rows),
            Some(false) => Ok(None),
        }
    }

    /// Deletes a row that nothing needs to remember.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotFound`], a conflict when it is in use.
    pub async fn delete<R: Resource>(&mut self, id: Uuid, version: Option<i64>) -> Result<()> {
        let mut sql = Sql::new("DELETE FROM ");
        sql.push(R::TABLE)
            .push(format_args!(" t WHERE t.tenant_id = app.tenant_id() AND t.{} = ", R::ID_COLUMN))
            .push_bind(id);
        if let Some(version) = version {
            sql.push(" AND t.version = ").push_bind(version);
        }
        sql.push(" RETURNING ").push(R::COLUMNS);
        match self.fetch_optional::<R>(sql).await? {
            Some(_) => Ok(()),
            None => Err(self.why_unchanged::<R>(id).await),
        }
    }

    /// Why a guarded change met no row: it is gone, or its version is another.
    pub(crate) async fn why_unchanged<R: Resource>(&mut self, id: Uuid) -> Error {
        let mut sql = Sql::new("SELECT 1 AS one FROM ");
        sql.push(R::TABLE)
            .push(format_args!(" WHERE {} = app.tenant_id() AND {} = ", R::TENANT_COLUMN, R::ID_COLUMN))
            .push_bind(id);
        match self.fetch_optional::<(i32,)>(sql).await {
            Ok(Some(_)) => Error::Stale,
            Ok(None) => Error::NotFound(R::NAME),
            Err(e) => e,
        }
    }
}

fn one<R: Resource>(rows: &[PgRow]) -> Result<Option<R>> {
    rows.first().map(R::from_row).transpose().map_err(Error::internal)
}
