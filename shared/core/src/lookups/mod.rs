//! The carrier's own words: small tables that orders refer to. They have one shape, so what can be done with them is
//! written once; each file adds its columns.

pub mod cancel_reasons;
pub mod custom_statuses;
pub mod expense_categories;
pub mod notification_preferences;
pub mod number_sequences;
pub mod tags;

use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::Result;
use crate::base::page::{Limit, Page};
use crate::identity::actor::Actor;
use crate::platform::db::{Assignments, Db, Resource, Tx, push_archived};

/// A word of the carrier's own.
pub trait Lookup: Resource + Serialize {
    type New: DeserializeOwned + ToSchema;
    type Patch: DeserializeOwned + ToSchema;
    /// Its path below `/v1`.
    const PATH: &'static str;
    /// Whether it can be archived.
    const ARCHIVES: bool;
    /// The tables and columns whose rows keep it from being deleted, so that it is archived instead.
    const REFERENCES: &'static [(&'static str, &'static str)];

    fn version(&self) -> i64;
    fn row(new: Self::New) -> Assignments;
    fn changes(patch: Self::Patch) -> Assignments;
}

pub async fn list<L: Lookup>(
    db: &Db,
    actor: &Actor,
    archived: bool,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<L>> {
    db.list(actor, cursor, limit, |sql| {
        if L::ARCHIVES {
            push_archived(sql, archived);
        } else if archived {
            sql.push(" AND false");
        }
    })
    .await
}

pub async fn get<L: Lookup>(db: &Db, actor: &Actor, id: Uuid) -> Result<L> {
    Ok(db.get(actor, id).await?.1)
}

pub async fn create<L: Lookup>(tx: &mut Tx, new: L::New) -> Result<L> {
    let mut row = L::row(new);
    row.set("id", Uuid::now_v7());
    tx.insert(row).await
}

pub async fn update<L: Lookup>(tx: &mut Tx, id: Uuid, version: Option<i64>, patch: L::Patch) -> Result<L> {
    tx.update(id, version, L::changes(patch)).await
}

/// Deletes it, or archives it if it is in use.
pub async fn delete<L: Lookup>(tx: &mut Tx, id: Uuid, version: Option<i64>) -> Result<Option<L>> {
    if L::REFERENCES.is_empty() {
        return tx.delete::<L>(id, version).await.map(|()| None);
    }
    tx.delete_or_archive(id, version, L::REFERENCES).await
}
