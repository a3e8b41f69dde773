//! A connection: opened with a ticket, told what it hears, closed.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::ticket;
use super::topic::{self, Subscription};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::base::page;
use crate::base::words;
use crate::events::After;
use crate::identity::permissions::{Action, Grant};
use crate::platform::db::Db;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Owner {
    pub tenant_id: TenantId,
    /// None for a member who was removed and a key that no longer holds.
    pub grant: Option<Grant>,
}

/// What a connection hears, and where its stream continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    pub topics: Vec<String>,
    pub cursor: String,
}

/// Makes a connection of a ticket; whether there was one that still held. Nobody can connect twice with the same.
///
/// # Errors
/// [`Error::OverLimit`] when the carrier has as many as its plan allows; the ticket is then as it was.
pub async fn open(db: &Db, ticket: &str, id: &str) -> Result<bool> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT app.open_connection(").push_bind(ticket::hash(ticket)).push(", ").push_bind(id.to_owned());
            sql.push(") AS opened");
        })
        .await?;
    first(&rows, |row| row.try_get("opened"))
}

/// Forgets a connection.
pub async fn close(db: &Db, id: &str) -> Result<()> {
    db.fetch(|sql| {
        sql.push("SELECT app.close_connection(").push_bind(id.to_owned()).push(")");
    })
    .await?;
    Ok(())
}

/// Whose connection it is; None if we know none of this name.
pub async fn owner(db: &Db, id: &str) -> Result<Option<Owner>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT tenant_id, role, scopes FROM app.connection_owner(").push_bind(id.to_owned()).push(")");
        })
        .await?;
    let read = |row: &PgRow| Ok(Owner { tenant_id: row.try_get("tenant_id")?, grant: grant(row)? });
    rows.first().map(read).transpose().map_err(|e: sqlx::Error| Error::internal(e))
}

/// Adds topics. `after` is where the stream continues, for all topics of the connection; None leaves it where it is.
///
/// # Errors
/// [`Error::Forbidden`] for a topic that the owner may not hear; [`Error::Gone`] when some of what comes after `after` has been
/// trimmed; [`Error::NotFound`] if the connection is gone.
pub async fn subscribe(
    db: &Db,
    id: &str,
    grant: &Grant,
    topics: &[Subscription],
    after: Option<After>,
) -> Result<Listening> {
    topic::require(grant, topics)?;
    let (now, position) = match after {
        None => (false, None),
        Some(After::Now) => (true, None),
        Some(After::Nothing) => (false, Some((0, 0))),
        Some(After::Position(xid, seq)) => (false, Some((xid, seq))),
    };
    change(db, id, (topics, &[]), now, position).await
}

/// Takes topics away.
///
/// # Errors
/// [`Error::NotFound`] if the connection is gone.
pub async fn unsubscribe(db: &Db, id: &str, topics: &[Subscription]) -> Result<Listening> {
    change(db, id, (&[], topics), false, None).await
}

async fn change(
    db: &Db,
    id: &str,
    (add, remove): (&[Subscription], &[Subscription]),
    now: bool,
    position: Option<(i64, i64)>,
) -> Result<Listening> {
    let names = |topics: &[Subscription]| -> Vec<String> { topics.iter().map(Subscription::name).collect() };
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT topics, xid, seq FROM app.change_topics(");
            let mut arguments = sql.separated(", ");
            arguments
                .push_bind(id.to_owned())
                .push_bind(names(add))
                .push_bind(names(remove))
                .push_bind(now)
                .push_bind(position.map(|(xid, _)| xid))
                .push_bind(position.map(|(_, seq)| seq));
            sql.push(")");
        })
        .await
        .map_err(|refused| match refused {
            // The table counts what is heard already.
            Error::Invalid(_) => Error::invalid("/topics", format!("a connection hears at most {} topics", topic::MAX)),
            other => other,
        })?;
    let read = |row: &PgRow| -> Result<Listening, sqlx::Error> {
        let position: (i64, i64) = (row.try_get("xid")?, row.try_get("seq")?);
        Ok(Listening { topics: row.try_get("topics")?, cursor: page::encode(&position) })
    };
    rows.first().ok_or(Error::NotFound("connection")).and_then(|row| read(row).map_err(Error::internal))
}

/// What the owner of a connection may do now; None if they may hear nothing at all.
pub(super) fn grant(row: &PgRow) -> Result<Option<Grant>, sqlx::Error> {
    let Some(role) = row.try_get::<Option<String>, _>("role")? else { return Ok(None) };
    let grant = match row.try_get::<Option<Vec<String>>, _>("scopes")? {
        Some(scopes) => Grant::Scopes(scopes),
        None => Grant::Role(words::parse(&role).map_err(|e| sqlx::Error::Decode(e.into()))?),
    };
    Ok(Some(grant).filter(|grant| grant.allows(Action::EventsRead)))
}

fn first<T>(rows: &[PgRow], read: impl Fn(&PgRow) -> Result<T, sqlx::Error>) -> Result<T> {
    rows.first().ok_or(sqlx::Error::RowNotFound).and_then(read).map_err(Error::internal)
}
