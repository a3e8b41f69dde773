//! What has happened to one row of a resource, page by page.

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Db, Sql};
use crate::base::error::{Error, Result};
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;

/// A line of a history, which is only ever added to: its ids are in the order of time.
pub trait History: for<'r> FromRow<'r, PgRow> {
    const TABLE: &'static str;
    /// What a SELECT reads; the table's alias is `h`.
    const COLUMNS: &'static str;
    /// The column that says whose history it is.
    const OF: &'static str;
    /// The table of that.
    const OF_TABLE: &'static str;
    /// In the singular, as messages say it.
    const OF_NAME: &'static str;
    const READ: Action;

    fn id(&self) -> Uuid;
}

/// Reads a page of what happened to a row, oldest first, in one round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad cursor; those of [`Db::read`].
pub async fn history<T: History>(
    db: &Db,
    actor: &Actor,
    of: Uuid,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<T>> {
    let after: Option<Uuid> = page::decode(cursor)?;
    let select = |sql: &mut Sql| {
        sql.push(format_args!("SELECT {} FROM {} h WHERE h.tenant_id = e.tenant_id", T::COLUMNS, T::TABLE));
        sql.push(format_args!(" AND h.{} = ", T::OF)).push_bind(of);
        if let Some(after) = after {
            sql.push(" AND h.id > ").push_bind(after);
        }
        sql.push(" ORDER BY h.id LIMIT ").push(limit.fetch());
    };
    let exists = |sql: &mut Sql| {
        sql.push(format_args!("SELECT EXISTS (SELECT FROM {} t WHERE t.tenant_id = e.tenant_id", T::OF_TABLE));
        sql.push(" AND t.id = ").push_bind(of).push(") AS aside");
    };
    let (_, entries, exists) = db.read_with(actor, T::READ, select, exists).await?;
    if exists { Ok(Page::from_rows(entries, limit, T::id)) } else { Err(Error::NotFound(T::OF_NAME)) }
}
