//! Where the numbers of orders, trips and invoices go on, for a carrier that comes with numbers of its own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::base::page::Page;
use crate::base::patch::Patch;
use crate::base::whole::Whole;
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Db, Loaded, Sql};

/// What is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberKind {
    Order,
    Trip,
    Invoice,
}

crate::text_column!(NumberKind);

/// Where the numbers of one kind go on.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct NumberSequence {
    pub kind: NumberKind,
    /// The number that the next one gets.
    pub next_number: i64,
    /// Counts up with each number taken; the ETag.
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberSequencePatch {
    /// At least the present one: a number that was given is never given again.
    #[serde(default)]
    pub next_number: Patch<Whole<1, 999_999_999>>,
}

const COLUMNS: &str = "n.kind, n.next_number, n.version, n.updated_at";

pub async fn list(db: &Db, actor: &Actor) -> Result<Page<NumberSequence>> {
    let (_, data) = db
        .read(actor, Action::LookupsRead, |sql| {
            sql.push("SELECT n.kind AS id, ")
                .push(COLUMNS)
                .push(" FROM number_sequences n WHERE n.tenant_id = e.tenant_id ORDER BY n.kind");
        })
        .await?;
    Ok(Page { data, next_cursor: None })
}

pub async fn get(db: &Db, actor: &Actor, kind: NumberKind) -> Result<NumberSequence> {
    let select = |sql: &mut Sql| {
        sql.push("SELECT n.kind AS id, ").push(COLUMNS);
        sql.push(" FROM number_sequences n WHERE n.tenant_id = e.tenant_id AND n.kind = ").push_bind(kind);
    };
    Ok(db.read_one(actor, Action::LookupsRead, "number sequence", select).await?.1)
}

/// Opens a transaction in which no number of this kind is taken by another.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin_update(db: &Db, actor: &Actor, kind: NumberKind) -> Result<Loaded> {
    let lock = format!(
        "SELECT next_number, version FROM number_sequences WHERE tenant_id = app.tenant_id() AND kind = '{}' FOR UPDATE",
        Word(&kind)
    );
    db.begin_loading(actor, Action::LookupsWrite, None, Some(&lock)).await
}

/// # Errors
/// [`Error::Stale`]; [`Error::Invalid`] for a number that may have been given before.
pub async fn update(
    loaded: &mut Loaded,
    kind: NumberKind,
    version: Option<i64>,
    patch: NumberSequencePatch,
) -> Result<NumberSequence> {
    let row = loaded.rows.first().ok_or(Error::NotFound("number sequence"))?;
    let present: i64 = row.try_get("next_number").map_err(Error::internal)?;
    let present_version: i64 = row.try_get("version").map_err(Error::internal)?;
    if version.is_some_and(|version| version != present_version) {
        return Err(Error::Stale);
    }
    let wanted = match patch.next_number {
        Patch::Keep => present,
        Patch::Set(wanted) => i64::from(wanted.get()),
    };
    if wanted < present {
        return Err(Error::invalid("/next_number", format!("must be at least {present}: lower numbers may be in use")));
    }
    let mut sql = Sql::new("UPDATE number_sequences n SET next_number = ");
    sql.push_bind(wanted)
        .push(" WHERE n.tenant_id = app.tenant_id() AND n.kind = ")
        .push_bind(kind)
        .push(" RETURNING ")
        .push(COLUMNS);
    loaded.tx.fetch_one(sql).await
}
