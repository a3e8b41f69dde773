//! A carrier's keys at model providers: write-only, tried at the provider before they are kept, encrypted for the carrier,
//! and opened by the AI worker alone.

mod secret;
mod vault;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::secret::ProviderSecret;
pub use self::vault::{OpenError, Vault};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, Resource, Sql, Tx};
use crate::platform::envelope::Sealed;
use crate::platform::idempotency::IdempotencyKey;
use crate::providers::ProviderName;
use crate::providers::base_url::BaseUrl;

crate::id!(ProviderKeyId);

/// What the provider said of a key when it was last shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestResult {
    Accepted,
    /// Executions that need it fail until it is rotated.
    Refused,
}

crate::text_column!(TestResult);

/// A carrier's key for a model provider, without the key itself.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub struct ProviderKey {
    pub id: ProviderKeyId,
    pub provider: ProviderName,
    /// Where the API is, if not where the provider itself serves it.
    #[schema(required)]
    pub base_url: Option<String>,
    /// The end of the key, by which you recognise it.
    #[schema(example = "x7Qk")]
    pub last_four: String,
    /// When the provider last said what it thinks of the key.
    pub tested_at: DateTime<Utc>,
    /// What the provider thought of it when it was last tried.
    pub test_result: TestResult,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Resource for ProviderKey {
    const TABLE: &'static str = "provider_keys";
    const NAME: &'static str = "provider key";
    const COLUMNS: &'static str = "t.id, t.provider, t.base_url, t.last_four, t.tested_at, t.test_result, t.version, \
        t.created_at, t.updated_at";
    const READ: Action = Action::ProviderKeysManage;
    const WRITE: Action = Action::ProviderKeysManage;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProviderKey {
    /// A carrier has one key for each.
    pub provider: ProviderName,
    /// The key itself. It is tried at the provider, kept encrypted, and never shown again.
    pub key: ProviderSecret,
    /// For `openai_compatible`: where the API is, up to what comes before `/chat/completions`; OpenAI itself unless told.
    pub base_url: Option<BaseUrl>,
}

/// Another key in the place of the present one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKeyRotation {
    /// Needed also to change the address alone: a key is never sent anywhere that it was not given for.
    pub key: ProviderSecret,
    #[serde(default)]
    pub base_url: Patch<Option<BaseUrl>>,
}

/// A key that the provider has accepted, ready to be kept.
#[derive(Debug)]
pub struct Prepared {
    id: ProviderKeyId,
    provider: ProviderName,
    base_url: Option<BaseUrl>,
    last_four: String,
    sealed: Sealed,
    tested_at: DateTime<Utc>,
}

pub async fn list(db: &Db, actor: &Actor, cursor: Option<&str>, limit: Limit) -> Result<Page<ProviderKey>> {
    db.list(actor, cursor, limit, |_| {}).await
}

pub async fn get(db: &Db, actor: &Actor, id: ProviderKeyId) -> Result<ProviderKey> {
    Ok(db.get(actor, id.0).await?.1)
}

/// Tries the key at the provider and encrypts it, outside of any transaction. None: the carrier has a key for the provider
/// already, of which the transaction will tell.
///
/// # Errors
/// [`Error::AnsweredBefore`] for a request that was answered before, whatever has become of the key since;
/// [`Error::Invalid`] that names `key` or `base_url`; [`Error::Unavailable`] when the provider cannot be asked: an untried
/// key would fail where nobody looks.
pub async fn prepare(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    vault: &Vault,
    new: NewProviderKey,
) -> Result<Option<Prepared>> {
    #[derive(FromRow)]
    struct Situation {
        has_one: bool,
    }
    let NewProviderKey { provider, key: secret, base_url } = new;
    let situation = |sql: &mut Sql| {
        sql.push(
            "SELECT e.tenant_id AS id, EXISTS (SELECT FROM provider_keys t WHERE t.tenant_id = e.tenant_id AND t.provider = ",
        )
        .push_bind(provider)
        .push(") AS has_one");
    };
    let (entered, Situation { has_one }) =
        db.read_unanswered(actor, Action::ProviderKeysManage, key, "carrier", situation).await?;
    if has_one {
        return Ok(None);
    }
    Ok(Some(vault.prepare(entered.tenant_id, ProviderKeyId::new(), provider, base_url, secret).await?))
}

/// # Errors
/// A conflict when the carrier has a key for the provider already.
pub async fn create(tx: &mut Tx, prepared: Option<Prepared>) -> Result<ProviderKey> {
    let Some(prepared) = prepared else {
        return Err(Error::conflict(
            ConflictCode::AlreadyExists,
            "there is a key for this provider already: rotate it",
        ));
    };
    let mut row = Assignments::default();
    row.set("id", prepared.id).set("provider", prepared.provider);
    prepared.write(&mut row);
    tx.insert(row).await
}

/// As [`prepare`], for a key in the place of one that is there.
///
/// # Errors
/// Those of [`prepare`]; [`Error::NotFound`]; [`Error::Stale`].
pub async fn prepare_rotation(
    db: &Db,
    actor: &Actor,
    vault: &Vault,
    id: ProviderKeyId,
    version: Option<i64>,
    rotation: ProviderKeyRotation,
) -> Result<Prepared> {
    let (entered, present) = db.get::<ProviderKey>(actor, id.0).await?;
    if version.is_some_and(|version| version != present.version) {
        return Err(Error::Stale);
    }
    let base_url = match rotation.base_url {
        Patch::Set(base_url) => base_url,
        Patch::Keep => present.base_url.as_deref().map(BaseUrl::parse).transpose().map_err(Error::internal)?,
    };
    vault.prepare(entered.tenant_id, id, present.provider, base_url, rotation.key).await
}

/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`].
pub async fn rotate(tx: &mut Tx, version: Option<i64>, prepared: Prepared) -> Result<ProviderKey> {
    let mut changes = Assignments::default();
    let id = prepared.id;
    prepared.write(&mut changes);
    tx.update(id.0, version, changes).await
}

/// Deletes it with its ciphertext: no execution that starts from now on can use it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`].
pub async fn delete(tx: &mut Tx, id: ProviderKeyId, version: Option<i64>) -> Result<()> {
    tx.delete::<ProviderKey>(id.0, version).await
}

impl Prepared {
    fn write(self, row: &mut Assignments) {
        row.set("base_url", self.base_url)
            .set("ciphertext", self.sealed.ciphertext)
            .set("data_key", self.sealed.data_key)
            .set("nonce", self.sealed.nonce)
            .set("last_four", self.last_four)
            .set("tested_at", self.tested_at)
            .set("test_result", TestResult::Accepted);
    }
}

/// A key as the worker reads it, for [`Vault::open`].
#[derive(Debug, Clone, FromRow)]
pub struct SealedKey {
    pub id: ProviderKeyId,
    pub provider: ProviderName,
    pub base_url: Option<String>,
    pub version: i64,
    pub ciphertext: Vec<u8>,
    pub data_key: Vec<u8>,
    pub nonce: Vec<u8>,
}

/// A statement without arguments that reads the entered carrier's [`SealedKey`] for a provider; no row when it has none.
pub fn select_sealed(provider: ProviderName) -> String {
    format!(
        "SELECT t.id, t.provider, t.base_url, t.version, t.ciphertext, t.data_key, t.nonce FROM provider_keys t \
         WHERE t.tenant_id = app.tenant_id() AND t.provider = '{}'",
        Word(&provider)
    )
}

/// A statement that notes for the entered carrier that the provider refused this key, unless it has been rotated since.
pub fn note_refusal(key: &SealedKey) -> Sql {
    let mut sql = Sql::new("UPDATE provider_keys SET tested_at = now(), test_result = ");
    sql.push_bind(TestResult::Refused).push(" WHERE tenant_id = app.tenant_id() AND id = ").push_bind(key.id);
    sql.push(" AND version = ").push_bind(key.version);
    sql
}
