//! Keys with which programs call the API: scoped, stored as a hash, shown once, revocable at once.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::{Error, Result, Violations};
use crate::base::ids::UserId;
use crate::base::page::{Limit, Page};
use crate::base::text::Name;
use crate::identity::actor::Actor;
use crate::identity::api_key_secret::ApiKeySecret;
use crate::identity::permissions::{Action, Grant};
use crate::platform::db::{Assignments, Db, Resource, Sql, Tx};

crate::id!(ApiKeyId);

/// Who needs a key for longer wants one without an end.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(3660);

/// A key with which a program calls this API for the carrier.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// The end of the key, by which you recognise it.
    #[schema(example = "x7Qk")]
    pub last_four: String,
    /// What it may do.
    #[schema(value_type = Vec<Action>)]
    pub scopes: Vec<String>,
    /// The member who has made it.
    pub created_by: UserId,
    /// From when on it is refused; null is never.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    /// To the hour.
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is revoked; null while it is in use.
    #[schema(required)]
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A new API key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedApiKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key itself. Shown this once: only its hash is kept, and a repeated request gets null.
    #[schema(required)]
    pub key: Option<String>,
}

impl Resource for ApiKey {
    const TABLE: &'static str = "api_keys";
    const NAME: &'static str = "API key";
    const COLUMNS: &'static str = "t.id, t.name, t.last_four, t.scopes, t.created_by, t.expires_at, t.last_used_at, \
        t.revoked_at, t.created_at";
    const READ: Action = Action::ApiKeysManage;
    const WRITE: Action = Action::ApiKeysManage;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    #[schema(example = "Load board sync")]
    pub name: Name,
    /// What the key may do, at most what you may do yourself.
    #[schema(min_items = 1, example = json!(["orders:read", "orders:write"]))]
    pub scopes: Vec<Action>,
    /// In the future, at most ten years away; never unless told.
    pub expires_at: Option<DateTime<Utc>>,
}

pub async fn list(db: &Db, actor: &Actor, cursor: Option<&str>, limit: Limit) -> Result<Page<ApiKey>> {
    db.list(actor, cursor, limit, |_| {}).await
}

pub async fn get(db: &Db, actor: &Actor, id: ApiKeyId) -> Result<ApiKey> {
    Ok(db.get(actor, id.0).await?.1)
}

/// # Errors
/// [`Error::Invalid`] for scopes that keys cannot have or that the creator lacks, and for an impossible end.
pub async fn create(tx: &mut Tx, new: NewApiKey, now: DateTime<Utc>) -> Result<IssuedApiKey> {
    check(&new, &tx.entered.grant, now)?;
    let secret = ApiKeySecret::generate();
    let scopes: BTreeSet<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
    let mut row = Assignments::default();
    row.set("id", ApiKeyId::new())
        .set("name", new.name)
        .set("key_hash", secret.hash())
        .set("last_four", secret.last_four().to_owned())
        .set("scopes", scopes.into_iter().map(str::to_owned).collect::<Vec<_>>())
        .set("created_by", tx.entered.actor_id)
        .set("expires_at", new.expires_at);
    Ok(IssuedApiKey { api_key: tx.insert(row).await?, key: Some(secret.expose().to_owned()) })
}

fn check(new: &NewApiKey, grant: &Grant, now: DateTime<Utc>) -> Result<()> {
    let mut violations = Violations::default();
    violations.add_unless(!new.scopes.is_empty(), "/scopes", "must name at least one scope");
    for (index, scope) in new.scopes.iter().enumerate() {
        let pointer = format!("/scopes/{index}");
        if !scope.grantable_to_keys() {
            violations.add(pointer, format!("{} is for people alone", scope.name()));
        } else if !grant.allows(*scope) {
            violations.add(pointer, format!("you may not {} yourself", scope.name()));
        }
    }
    if let Some(end) = new.expires_at {
        let possible = now < end && end <= now + LONGEST_LIFE;
        violations.add_unless(possible, "/expires_at", "must be in the future, at most ten years away");
    }
    violations.into_result()
}

/// Revokes a key; revoking it again changes nothing. The row stays, so that the audit log's lines keep a name.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(tx: &mut Tx, id: ApiKeyId) -> Result<()> {
    let mut sql = Sql::new(
        "UPDATE api_keys t SET revoked_at = coalesce(t.revoked_at, now()) WHERE t.tenant_id = app.tenant_id() AND t.id = ",
    );
    sql.push_bind(id).push(" RETURNING ").push(ApiKey::COLUMNS);
    match tx.fetch_optional::<ApiKey>(sql).await? {
        Some(_) => Ok(()),
        None => Err(Error::NotFound(ApiKey::NAME)),
    }
}
