//! A transaction inside a tenant.

use postgres_protocol::escape::escape_literal;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{FromRow, Postgres, Row};

use super::Sql;
use super::calls::{self, Calls, Counted};
use super::entered::{self, Entered};
use super::error::classify;
use super::open::Open;
use crate::base::error::{Error, Result};
use crate::identity::permissions::Action;
use crate::platform::idempotency::{IdempotencyKey, StoredAnswer};

/// The answer that the entered caller was given before, as the columns of [`WITH_ANSWER`]; lacks the condition for the key.
pub const ANSWERED: &str = "SELECT k.request_hash, k.status, k.headers, k.body FROM idempotency_keys k \
    WHERE k.tenant_id = e.tenant_id AND k.actor_id = e.actor_id AND k.expires_at >= now()";
/// What is read with it, under names that no table has.
pub const WITH_ANSWER: &str = "r.*, k.request_hash AS answered_request_hash, k.status AS answered_status, \
    k.headers AS answered_headers, k.body AS answered_body";

/// RDS Proxy pins a session when a statement is longer than 16 KB.
const LONGEST_STATEMENT: usize = 15 * 1024;

/// An open transaction. Dropped without a commit it is rolled back, at the latest when the connection is used next.
pub struct Tx {
    open: Open,
    pub entered: Entered,
    key: Option<IdempotencyKey>,
}

/// A transaction with the rows that were loaded while it was opened.
pub struct Loaded {
    pub tx: Tx,
    pub rows: Vec<PgRow>,
}

/// The statements that open a transaction, sent together as one simple query.
pub struct Opening<'a> {
    /// Statements that create or join the tenant; empty for one that is there.
    pub prelude: &'a [String],
    /// The call of `app.enter`, as `e`.
    pub enter: String,
    /// The quota that holds for this request, unless it was counted before. Counting is a transaction of its own, so that
    /// the carrier's other requests do not wait for this one's work.
    pub quota: Option<&'static str>,
    pub counted: &'a Counted,
    /// What the caller must be allowed to do; also to be told again what was answered before.
    pub action: Option<Action>,
    pub key: Option<&'a IdempotencyKey>,
    pub load: Option<&'a str>,
}

impl Opening<'_> {
    pub fn sql(&self) -> String {
        let mut statements = vec!["BEGIN".to_owned()];
        if let Some(quota) = self.quota {
            let count = format!(
                "{}, {} FROM {} CROSS JOIN LATERAL \
                 app.count_call('{quota}', e.month, e.calls_a_month, e.calls_a_second) q",
                entered::SELECT,
                calls::SELECT,
                self.enter
            );
            statements.extend([count, "COMMIT".to_owned(), "BEGIN".to_owned()]);
        }
        statements.extend_from_slice(self.prelude);
        statements.push(format!("{} FROM {}", entered::SELECT, self.enter));
        statements.extend(self.key.map(|key| {
            let (key, hash) = (escape_literal(&key.key), escape_literal(&key.request_hash));
            format!("SELECT * FROM app.claim_idempotency_key({key}, {hash})")
        }));
        statements.extend(self.load.map(str::to_owned));
        statements.join("; ")
    }
}

impl Tx {
    /// `sets` has the rows of each statement of the opening, in its order.
    pub(super) fn opened(open: Open, sets: Vec<Vec<PgRow>>, opening: &Opening<'_>) -> Result<Loaded> {
        let mut sets = sets.into_iter().skip(1);
        if opening.quota.is_some() {
            let calls = sets.next().unwrap_or_default();
            opening.counted.set(calls.first().map(Calls::from_row).transpose().map_err(|e| classify(&e))?.flatten());
            // COMMIT and BEGIN.
            sets.nth(1);
        }
        let mut sets = sets.skip(opening.prelude.len());
        let entered = sets.next().unwrap_or_default();
        let entered = Entered::from_first(entered.first().ok_or_else(entered::none)?, opening.counted)?;
        opening.action.map_or(Ok(()), |action| entered.grant.require(action))?;
        if opening.key.is_some() {
            let claim = sets.next().unwrap_or_default();
            check_claim(claim.first().ok_or_else(|| Error::internal("no claim of the idempotency key"))?)?;
        }
        // The end of the last statement has opened one more, empty set.
        let rows = if opening.load.is_some() { sets.rev().nth(1).unwrap_or_default() } else { Vec::new() };
        Ok(Loaded { tx: Self { open, entered, key: opening.key.cloned() }, rows })
    }

    /// Runs one statement that returns rows.
    ///
    /// # Errors
    /// What the database refuses, naming the field where a constraint does.
    pub async fn fetch_all<T>(&mut self, mut sql: Sql) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.run(sql.build()).await?;
        rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Runs one statement that returns at most one row.
    ///
    /// # Errors
    /// As [`Tx::fetch_all`].
    pub async fn fetch_optional<T>(&mut self, sql: Sql) -> Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(self.fetch_all(sql).await?.into_iter().next())
    }

    /// Runs one statement that returns exactly one row.
    ///
    /// # Errors
    /// As [`Tx::fetch_all`].
    pub async fn fetch_one<T>(&mut self, sql: Sql) -> Result<T>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        self.fetch_optional(sql).await?.ok_or_else(|| Error::internal("a statement returned no row"))
    }

    pub(super) async fn run(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>> {
        self.open.run(query).await
    }

    /// Commits, and stores the answer under the idempotency key if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection breaks: whether it was committed is then unknown, and the client finds
    /// out by repeating the request with its Idempotency-Key.
    pub async fn commit(mut self, answer: &StoredAnswer) -> Result<()> {
        let mut before = String::new();
        if let Some(key) = self.key.take() {
            let store = store_answer(&self.entered, &key, answer);
            if store.len() < LONGEST_STATEMENT {
                before = store + "; ";
            } else {
                self.run(store_long_answer(&key, answer).build()).await?;
            }
        }
        self.open.commit_heard(&before, self.entered.tenant_id, "").await.map(drop)
    }
}

fn check_claim(claim: &PgRow) -> Result<()> {
    let claimed = claim.try_get("claimed").map_err(|e| classify(&e))?;
    if claimed {
        return Ok(());
    }
    check_request(claim.try_get("same_request").ok() == Some(true), stored_answer(claim, ""))
}

/// Of a row with the columns of [`WITH_ANSWER`].
pub fn check_answered(row: &PgRow, request_hash: &str) -> Result<()> {
    let answered: Option<String> = row.try_get("answered_request_hash").map_err(Error::internal)?;
    answered.map_or(Ok(()), |hash| check_request(hash == request_hash, stored_answer(row, "answered_")))
}

fn check_request(is_same: bool, stored: Result<StoredAnswer, sqlx::Error>) -> Result<()> {
    match stored.map_err(|e| classify(&e))? {
        stored if is_same => Err(Error::AnsweredBefore(Box::new(stored))),
        _ => Err(Error::invalid("Idempotency-Key", "was used for another request")),
    }
}

fn stored_answer(row: &PgRow, prefix: &str) -> Result<StoredAnswer, sqlx::Error> {
    let column = |name: &str| format!("{prefix}{name}");
    Ok(StoredAnswer {
        status: row.try_get(&*column("status"))?,
        headers: row.try_get(&*column("headers"))?,
        body: row.try_get(&*column("body"))?,
    })
}

fn store_answer(entered: &Entered, key: &IdempotencyKey, answer: &StoredAnswer) -> String {
    format!(
        "UPDATE idempotency_keys SET status = {}, headers = {}, body = {} WHERE (tenant_id, actor_id, key) = ('{}', '{}', {})",
        answer.status,
        escape_literal(&answer.headers.to_string()),
        escape_literal(&answer.body),
        entered.tenant_id,
        entered.actor_id,
        escape_literal(&key.key),
    )
}

fn store_long_answer(key: &IdempotencyKey, answer: &StoredAnswer) -> Sql {
    let mut sql = Sql::new("UPDATE idempotency_keys SET status = ");
    sql.push_bind(answer.status)
        .push(", headers = ")
        .push_bind(answer.headers.clone())
        .push(", body = ")
        .push_bind(answer.body.clone())
        .push(" WHERE (tenant_id, actor_id, key) = (app.tenant_id(), app.actor_id(), ")
        .push_bind(key.key.clone())
        .push(")");
    sql
}
