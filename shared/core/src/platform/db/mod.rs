//! The way into the database. Every access enters a tenant first; [`Db`] hides how, so that a resource's SQL reads like
//! plain SQL.
//!
//! Round trips are the budget:
//! - [`Db::read`] is one: a single statement enters the tenant and reads.
//! - A write is three: [`Db::begin`] opens the transaction, enters and claims the idempotency key (and can load a row on
//!   the way), one statement does the work, [`Tx::commit`] stores the answer and commits.
//!
//! A function instance serves one request at a time, so it has one connection and no pool. A connection that turns out to
//! be dead before anything was done is replaced and the request tried once more.

mod calls;
mod columns;
mod connection;
mod entered;
mod error;
pub mod list;
mod open;
mod parts;
mod resource;
mod system;
mod tx;
mod ways;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Decode, FromRow, Postgres, QueryBuilder, Row, Type};
use tokio::sync::Mutex;

pub use self::calls::{By, Calls, Counted};
pub use self::columns::InOrder;
use self::connection::{Slot, Source, in_time};
pub use self::entered::Entered;
pub use self::parts::{Part, parts};
pub use self::resource::{Assignments, Resource, push_archived};
pub use self::system::{ResultSets, SystemTx};
pub use self::tx::{Loaded, Tx};
pub use self::ways::{ENOUGH, Rare, Ways};
use super::config::FunctionConfig;
use super::idempotency::IdempotencyKey;
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;

/// SQL that is being built, with its arguments.
pub type Sql = QueryBuilder<Postgres>;

/// The database as one function instance sees it.
#[derive(Clone)]
pub struct Db {
    slot: Arc<Mutex<Slot>>,
}

impl Db {
    /// Connects at the first use, as the function's role.
    pub fn new(function: &FunctionConfig) -> Self {
        let (config, secret) = (function.database.clone(), function.database_secret.clone());
        Self { slot: Arc::new(Mutex::new(Slot::new(Source::Secret { config, secret }))) }
    }

    /// Connects with given options, for tests and tools.
    pub fn with_options(options: sqlx::postgres::PgConnectOptions) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot::new(Source::Options(Box::new(options))))) }
    }

    /// Enters the actor's tenant and reads, in one round trip. `select` writes a SELECT that takes its rows from tables
    /// with `tenant_id = e.tenant_id` and has a column `id`; rows come in its order.
    ///
    /// # Errors
    /// [`Error::Forbidden`] unless the actor may do `action`; what the database refuses; [`Error::Unavailable`].
    pub async fn read<T>(&self, actor: &Actor, action: Action, select: impl Fn(&mut Sql)) -> Result<(Entered, Vec<T>)>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let page = self.enter_and(actor, action, "r.*", select, |_| {}).await?;
        Ok((page.entered, page.rows))
    }

    /// One statement that enters the tenant as `e`, joins the rows of `select` as `r` (without any, `r` is null), and counts
    /// the call: last, so that the carrier's count is locked for no longer than it takes to commit.
    async fn enter_and<T>(
        &self,
        actor: &Actor,
        action: Action,
        columns: &str,
        select: impl Fn(&mut Sql),
        join_more: impl Fn(&mut Sql),
    ) -> Result<Page<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let quota = actor.counted.next(action);
        let rows: Rows<T> = self
            .fetch_into(|sql| {
                sql.push("WITH page AS MATERIALIZED (").push(entered::SELECT).push(", ").push(columns);
                sql.push(" FROM app.enter(");
                entered::bind(sql, actor);
                sql.push(") e LEFT JOIN LATERAL (");
                select(sql);
                sql.push(") r ON true");
                join_more(sql);
                sql.push(") SELECT page.*, ").push(calls::SELECT);
                // An aggregate, which waits for the whole page.
                sql.push(
                    " FROM (SELECT max(entered_month) AS month, max(entered_calls_a_month) AS a_month, \
                     max(entered_calls_a_second) AS a_second FROM page) p CROSS JOIN LATERAL app.count_call(",
                );
                sql.push_bind(quota).push(", p.month, p.a_month, p.a_second) q CROSS JOIN page");
            })
            .await?;
        let first = rows.first.ok_or_else(entered::none)?;
        actor.counted.set(Calls::from_row(&first).map_err(Error::internal)?);
        let entered = Entered::from_first(&first, &actor.counted)?;
        entered.grant.require(action)?;
        Ok(Page { entered, first, rows: rows.read.map_err(Error::internal)? })
    }

    /// Like [`Db::read`], with something beside the rows, read in the same round trip: `aside` writes a SELECT of one row
    /// with one column of that name.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn read_with<T, A>(
        &self,
        actor: &Actor,
        action: Action,
        select: impl Fn(&mut Sql),
        aside: impl Fn(&mut Sql),
    ) -> Result<(Entered, Vec<T>, A)>
    where
        T: for<'r> FromRow<'r, PgRow>,
        A: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        let join = |sql: &mut Sql| {
            sql.push(" CROSS JOIN LATERAL (");
            aside(sql);
            sql.push(") x");
        };
        let page = self.enter_and(actor, action, "r.*, x.aside", select, join).await?;
        let aside = page.first.try_get("aside").map_err(Error::internal)?;
        Ok((page.entered, page.rows, aside))
    }

    /// Like [`Db::read`], for one row.
    ///
    /// # Errors
    /// [`Error::NotFound`] of `what` besides.
    pub async fn read_one<T>(
        &self,
        actor: &Actor,
        action: Action,
        what: &'static str,
        select: impl Fn(&mut Sql),
    ) -> Result<(Entered, T)>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let (entered, rows) = self.read(actor, action, select).await?;
        Ok((entered, rows.into_iter().next().ok_or(Error::NotFound(what))?))
    }

    /// Like [`Db::read_one`], for a POST that asks somebody else before its transaction begins: what was answered under its
    /// key before is found here, so that nobody is asked twice. The key is claimed by the transaction, as ever.
    ///
    /// # Errors
    /// As [`Db::read_one`]; [`Error::AnsweredBefore`] when the key has an answer already.
    pub async fn read_unanswered<T>(
        &self,
        actor: &Actor,
        action: Action,
        key: Option<&IdempotencyKey>,
        what: &'static str,
        select: impl Fn(&mut Sql),
    ) -> Result<(Entered, T)>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let join = |sql: &mut Sql| {
            sql.push(" LEFT JOIN LATERAL (").push(tx::ANSWERED);
            sql.push(" AND k.key = ").push_bind(key.map(|key| key.key.clone()));
            sql.push(") k ON true");
        };
        let hash = key.map(|key| key.request_hash.as_str()).unwrap_or_default();
        let page = self.enter_and(actor, action, tx::WITH_ANSWER, select, join).await?;
        tx::check_answered(&page.first, hash)?;
        let row = page.rows.into_iter().next().ok_or(Error::NotFound(what))?;
        Ok((page.entered, row))
    }

    /// One statement outside any tenant, tried again on a fresh connection if the old one was dead: it must be safe to
    /// run twice.
    ///
    /// # Errors
    /// What the database refuses; [`Error::Unavailable`].
    pub async fn fetch(&self, build: impl Fn(&mut Sql)) -> Result<Vec<PgRow>> {
        // Boxed, or the futures that wait for it nest deeper than the compiler follows.
        Box::pin(self.fetch_into(build)).await
    }

    /// Like [`Db::fetch`], with the rows read.
    ///
    /// # Errors
    /// As [`Db::fetch`].
    pub async fn fetch_all<T>(&self, build: impl Fn(&mut Sql)) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        self.fetch(build).await?.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Like [`Db::fetch_all`], for a statement that returns exactly one row.
    ///
    /// # Errors
    /// As [`Db::fetch`].
    pub async fn fetch_one<T>(&self, build: impl Fn(&mut Sql)) -> Result<T>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        self.fetch_all(build).await?.pop().ok_or_else(|| Error::internal("a statement returned no row"))
    }

    /// Like [`Db::fetch`]; each row is read as soon as it has come, while others are on their way.
    async fn fetch_into<R: Default + Extend<PgRow>>(&self, build: impl Fn(&mut Sql)) -> Result<R> {
        let mut slot = self.slot.clone().lock_owned().await;
        for last in [false, true] {
            let connection = slot.clean_connection().await?;
            let mut sql = Sql::default();
            build(&mut sql);
            match in_time(sql.build().fetch(connection).try_collect()).await {
                Ok(rows) => return Ok(rows),
                Err(e) => slot.after_error(&e, last).map_err(error::of_read)?,
            }
        }
        Err(error::unavailable())
    }

    /// Opens a transaction in the actor's tenant, in one round trip.
    ///
    /// # Errors
    /// As [`Db::read`]; [`Error::AnsweredBefore`] when the key has an answer already.
    pub async fn begin(&self, actor: &Actor, action: Action, key: Option<&IdempotencyKey>) -> Result<Tx> {
        Ok(self.begin_loading(actor, action, key, None).await?.tx)
    }

    /// Opens a transaction and loads rows in the same round trip: `load` is SELECTs without arguments (ids are safe
    /// to write into them), separated by semicolons; the rows of the last one are returned. What is to be changed is
    /// locked by a first, with FOR UPDATE, and read by a second.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_loading(
        &self,
        actor: &Actor,
        action: Action,
        key: Option<&IdempotencyKey>,
        load: Option<&str>,
    ) -> Result<Loaded> {
        let tenant = actor.tenant.map_or("NULL".into(), |id| format!("'{id}'"));
        let enter = entered::literal(actor, &tenant);
        let (quota, counted) = (actor.counted.next(action), &actor.counted);
        self.enter(&tx::Opening { prelude: &[], enter, quota, counted, action: Some(action), key, load }).await
    }

    /// Opens a transaction for a signed-in user who need not belong to the tenant yet: `prelude` is statements that
    /// create or join one, and the tenant that they leave set is entered.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_after(&self, actor: &Actor, prelude: &[String], key: Option<&IdempotencyKey>) -> Result<Tx> {
        let enter = entered::literal(actor, "app.tenant_id()");
        let counted = &actor.counted;
        let opening = tx::Opening { prelude, enter, quota: None, counted, action: None, key, load: None };
        Ok(self.enter(&opening).await?.tx)
    }

    async fn enter(&self, opening: &tx::Opening<'_>) -> Result<Loaded> {
        let (open, sets) = self.open(&opening.sql()).await?;
        Tx::opened(open, sets, opening)
    }

    /// Notes that somebody of the tenant is connected to hear of what a stored function has committed by itself.
    pub async fn note_listening(&self, tenant: TenantId) {
        self.slot.lock().await.listening.add(tenant);
    }

    /// Carriers that have something to push since this was asked last: see [`crate::realtime::nudge`].
    pub async fn take_listening(&self) -> BTreeSet<TenantId> {
        self.slot.lock().await.listening.take()
    }

    /// Ends a transaction that was left open by an error, so that it holds no locks while the instance sleeps.
    pub async fn settle(&self) {
        self.slot.lock().await.settle().await;
    }
}

/// What one statement has read.
struct Page<T> {
    entered: Entered,
    /// Has what stands beside the rows, also where there are none.
    first: PgRow,
    rows: Vec<T>,
}

/// Rows as they come: the first one, and what was read of all that are there.
struct Rows<T> {
    first: Option<PgRow>,
    read: Result<Vec<T>, sqlx::Error>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { first: None, read: Ok(Vec::new()) }
    }
}

impl<T> Extend<PgRow> for Rows<T>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    fn extend<I: IntoIterator<Item = PgRow>>(&mut self, rows: I) {
        for row in rows {
            // Without any row of the SELECT there is one in which it is null.
            let is_there = row.try_get_raw("id").is_ok_and(|id| !sqlx::ValueRef::is_null(&id));
            if let (true, Ok(read)) = (is_there, &mut self.read) {
                match T::from_row(&row) {
                    Ok(row) => read.push(row),
                    Err(e) => self.read = Err(e),
                }
            }
            self.first.get_or_insert(row);
        }
    }
}
