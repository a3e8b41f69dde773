//! Who is told of what, and how: a small set of event, channel and role that is read and replaced as a whole.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::identity::actor::Actor;
use crate::identity::permissions::{Action, Role};
use crate::platform::crypto::sha256_hex;
use crate::platform::db::{Db, Sql, Tx};

/// What somebody can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum NotificationEvent {
    #[serde(rename = "order.created")]
    OrderCreated,
    #[serde(rename = "order.assigned")]
    OrderAssigned,
    #[serde(rename = "order.picked_up")]
    OrderPickedUp,
    #[serde(rename = "order.delivered")]
    OrderDelivered,
    #[serde(rename = "order.cancelled")]
    OrderCancelled,
}

crate::text_column!(NotificationEvent);

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Sms,
    Push,
}

crate::text_column!(Channel);

/// Members in this role are told of this event through this channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationPreference {
    /// What they are told of.
    pub event: NotificationEvent,
    /// How they are told.
    pub channel: Channel,
    pub role: Role,
}

/// All preferences of the carrier; who is in none of them is not told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationPreferences {
    /// Each says one event, channel and role.
    #[schema(value_type = Vec<NotificationPreference>)]
    pub preferences: BTreeSet<NotificationPreference>,
}

pub async fn get(db: &Db, actor: &Actor) -> Result<NotificationPreferences> {
    let (_, rows) = db
        .read::<NotificationPreference>(actor, Action::LookupsRead, |sql| {
            sql.push(
                "SELECT p.event AS id, p.event, p.channel, p.role FROM notification_preferences p \
                 WHERE p.tenant_id = e.tenant_id",
            );
        })
        .await?;
    Ok(NotificationPreferences { preferences: rows.into_iter().collect() })
}

impl NotificationPreferences {
    /// A fingerprint of the set, at most 17 digits. The same set is the same version, whatever it was in between: who replaces
    /// it loses nothing of what they have not seen.
    pub fn version(&self) -> Result<i64> {
        let text = serde_json::to_vec(&self.preferences).map_err(Error::internal)?;
        i64::from_str_radix(&sha256_hex(&[&text])[..14], 16).map_err(Error::internal)
    }
}

/// Opens a transaction in which no other replaces the set, and refuses if it is another one than the caller has seen.
///
/// # Errors
/// [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin_replace(db: &Db, actor: &Actor, version: Option<i64>) -> Result<Tx> {
    let load = "SELECT id FROM tenants WHERE id = app.tenant_id() FOR NO KEY UPDATE; \
        SELECT event, channel, role FROM notification_preferences WHERE tenant_id = app.tenant_id()";
    let loaded = db.begin_loading(actor, Action::LookupsWrite, None, Some(load)).await?;
    let rows = loaded.rows.iter().map(NotificationPreference::from_row);
    let present = NotificationPreferences { preferences: rows.collect::<Result<_, _>>().map_err(Error::internal)? };
    if version.is_some_and(|version| present.version().is_ok_and(|present| present != version)) {
        return Err(Error::Stale);
    }
    Ok(loaded.tx)
}

/// Makes the set what `wanted` says; rows that stay are left alone.
pub async fn replace(tx: &mut Tx, wanted: &NotificationPreferences) -> Result<()> {
    let mut sql = Sql::new("WITH wanted AS (SELECT * FROM jsonb_to_recordset(");
    sql.push_bind(Json(wanted.preferences.clone())).push(
        ") AS w (event text, channel text, role text)), \
         gone AS (DELETE FROM notification_preferences p WHERE p.tenant_id = app.tenant_id() \
                  AND (p.event, p.channel, p.role) NOT IN (SELECT w.event, w.channel, w.role FROM wanted w)) \
         INSERT INTO notification_preferences (tenant_id, event, channel, role) \
         SELECT app.tenant_id(), w.event, w.channel, w.role FROM wanted w ON CONFLICT DO NOTHING RETURNING event",
    );
    tx.fetch_all::<(String,)>(sql).await?;
    Ok(())
}
