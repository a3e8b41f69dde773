//! What belongs to one row of a resource, page by page: what has happened to it, what was added to it.

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Db, Sql};
use crate::base::error::{Error, Result};
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;

/// What is only ever added to a row of a resource: its ids are in the order of time.
pub trait Part: for<'r> FromRow<'r, PgRow> {
    const TABLE: &'static str;
    /// What a SELECT reads; the table's alias is `t`.
    const COLUMNS: &'static str;
    /// The column that says whose it is.
    const OF: &'static str;
    /// The table of that.
    const OF_TABLE: &'static str;
    /// In the singular, as messages say it.
    const OF_NAME: &'static str;
    const READ: Action;
    const NEWEST_FIRST: bool = false;

    fn id(&self) -> Uuid;
}

/// Reads a page of what belongs to a row, in one round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad cursor; those of [`Db::read`].
pub async fn parts<T: Part>(db: &Db, actor: &Actor, of: Uuid, cursor: Option<&str>, limit: Limit) -> Result<Page<T>> {
    let after: Option<Uuid> = page::after(T::TABLE, cursor)?;
    let (beyond, order) = if T::NEWEST_FIRST { (" < ", " DESC") } else { (" > ", "") };
    let select = |sql: &mut Sql| {
        sql.push(format_args!("SELECT {} FROM {} t WHERE t.tenant_id = e.tenant_id", T::COLUMNS, T::TABLE));
        sql.push(format_args!(" AND t.{} = ", T::OF)).push_bind(of);
        if let Some(after) = after {
            sql.push(" AND t.id").push(beyond).push_bind(after);
        }
        sql.push(" ORDER BY t.id").push(order).push(" LIMIT ").push(limit.fetch());
    };
    let exists = |sql: &mut Sql| {
        sql.push(format_args!("SELECT EXISTS (SELECT FROM {} t WHERE t.tenant_id = e.tenant_id", T::OF_TABLE));
        sql.push(" AND t.id = ").push_bind(of).push(") AS aside");
    };
    let (_, rows, exists) = db.read_with(actor, T::READ, select, exists).await?;
    if exists { Ok(Page::from_rows(T::TABLE, rows, limit, T::id)) } else { Err(Error::NotFound(T::OF_NAME)) }
}
