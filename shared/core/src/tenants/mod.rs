//! The carrier itself: how it comes to be, and its settings.

mod usage;

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_literal;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use self::usage::LIMITS;
pub use self::usage::{LimitName, LimitUsage, Per, SkillUsage, Usage, usage};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::base::money::Amount;
use crate::base::patch::Patch;
use crate::base::strings::{Currency, McNumber, TimeZone, UsdotNumber};
use crate::base::text::Name;
use crate::base::whole::Whole;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::identity::tokens::VerifiedToken;
use crate::me;
use crate::platform::crypto::sha256;
use crate::platform::db::{Assignments, Db, Entered, Loaded, Resource, Sql, Tx};
use crate::platform::idempotency::IdempotencyKey;

/// A carrier.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    #[schema(required)]
    pub usdot: Option<String>,
    #[schema(required)]
    pub mc_number: Option<String>,
    /// Months of limits and days of reports are this zone's.
    #[schema(example = "America/New_York")]
    pub time_zone: String,
    /// First day of the week: 1 is Monday, 7 is Sunday.
    #[schema(minimum = 1, maximum = 7)]
    pub week_start: i16,
    #[schema(example = "USD")]
    pub currency: String,
    /// Whether drivers see what an order pays.
    pub drivers_see_prices: bool,
    /// What model providers may charge in a month, in US dollars; null is no budget.
    #[schema(required)]
    pub ai_budget_amount: Option<Amount>,
    /// The plan that counts now: once a payment is overdue for too long, that is free.
    #[schema(example = "free")]
    pub plan: String,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Resource for Tenant {
    const TABLE: &'static str = "tenants";
    const NAME: &'static str = "carrier";
    const COLUMNS: &'static str = "t.id, t.name, t.usdot, t.mc_number, t.time_zone, t.week_start, t.currency, \
        t.drivers_see_prices, t.ai_budget_amount, app.plan_now(t.plan, t.plan_ends_at) AS plan, t.version, t.created_at, t.updated_at";
    const TENANT_COLUMN: &'static str = "id";
    const READ: Action = Action::TenantRead;
    const WRITE: Action = Action::TenantWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    #[schema(example = "Blue Ridge Auto Transport")]
    pub name: Name,
    pub usdot: Option<UsdotNumber>,
    pub mc_number: Option<McNumber>,
    pub time_zone: TimeZone,
    /// USD unless told.
    pub currency: Option<Currency>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub usdot: Patch<Option<UsdotNumber>>,
    #[serde(default)]
    pub mc_number: Patch<Option<McNumber>>,
    #[serde(default)]
    pub time_zone: Patch<TimeZone>,
    /// First day of the week: 1 is Monday, 7 is Sunday.
    #[serde(default)]
    pub week_start: Patch<Whole<1, 7>>,
    #[serde(default)]
    pub currency: Patch<Currency>,
    /// Whether drivers see what an order pays.
    #[serde(default)]
    pub drivers_see_prices: Patch<bool>,
    /// What model providers may charge in a month, in US dollars; null is no budget.
    #[serde(default)]
    pub ai_budget_amount: Patch<Option<Amount>>,
}

/// Opens a transaction in a new carrier whose owner is the signed-in person. The id follows from the person and the
/// Idempotency-Key, so that a repeated call finds the carrier that the first has made, and its answer.
///
/// # Errors
/// A conflict for somebody who owns too many; [`Error::AnsweredBefore`](crate::base::error::Error::AnsweredBefore).
pub async fn begin_create(
    db: &Db,
    actor: &Actor,
    token: &VerifiedToken,
    new: &NewTenant,
    key: Option<&IdempotencyKey>,
) -> Result<Tx> {
    let id = key.map_or_else(Uuid::now_v7, |key| derived_id(token, &key.key));
    let optional = |text: Option<&str>| text.map_or("NULL".to_owned(), escape_literal);
    let create = format!(
        "SELECT app.create_tenant('{id}', {}, {}, {}, {}, {})",
        escape_literal(new.name.as_str()),
        optional(new.usdot.as_ref().map(UsdotNumber::as_str)),
        optional(new.mc_number.as_ref().map(McNumber::as_str)),
        escape_literal(new.time_zone.as_str()),
        escape_literal(new.currency.as_ref().map_or("USD", Currency::as_str)),
    );
    db.begin_after(actor, &[me::sign_in(actor, token), create], key).await
}

/// UUIDv8 (RFC 9562, 5.8).
fn derived_id(token: &VerifiedToken, key: &str) -> Uuid {
    let hash = sha256(&[token.issuer.as_bytes(), token.subject.as_bytes(), key.as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The carrier that the transaction has entered.
///
/// # Errors
/// Those of [`Tx::fetch_one`].
pub async fn entered(tx: &mut Tx) -> Result<Tenant> {
    let mut sql = Sql::new("SELECT ");
    sql.push(Tenant::COLUMNS).push(" FROM tenants t WHERE t.id = app.tenant_id()");
    tx.fetch_one(sql).await
}

pub async fn get(db: &Db, actor: &Actor) -> Result<Tenant> {
    let (_, tenant) = db
        .read_one(actor, Tenant::READ, Tenant::NAME, |sql| {
            sql.push("SELECT ").push(Tenant::COLUMNS).push(" FROM tenants t WHERE t.id = e.tenant_id");
        })
        .await?;
    Ok(tenant)
}

pub async fn update(tx: &mut Tx, version: Option<i64>, patch: TenantPatch) -> Result<Tenant> {
    let mut changes = Assignments::default();
    changes
        .patch("name", patch.name)
        .patch("usdot", patch.usdot)
        .patch("mc_number", patch.mc_number)
        .patch("time_zone", patch.time_zone)
        .patch("week_start", patch.week_start)
        .patch("currency", patch.currency)
        .patch("drivers_see_prices", patch.drivers_see_prices)
        .patch("ai_budget_amount", patch.ai_budget_amount);
    tx.update(tx.entered.tenant_id.0, version, changes).await
}

/// Opens a transaction to close the carrier, with its row locked.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin_close(db: &Db, actor: &Actor) -> Result<Loaded> {
    let lock = "SELECT name, version FROM tenants WHERE id = app.tenant_id() FOR NO KEY UPDATE";
    db.begin_loading(actor, Action::TenantErase, None, Some(lock)).await
}

/// Closes the carrier: from the commit on nobody enters it, and all that is its goes ([`crate::erasures`]). `name` must be the
/// carrier's, so that nobody does it by mistake.
///
/// # Errors
/// [`Error::Stale`]; [`Error::Invalid`] for another name; a conflict while a subscription is live.
pub async fn close(loaded: &mut Loaded, version: Option<i64>, name: &str) -> Result<()> {
    let row = loaded.rows.first().ok_or(Error::NotFound(Tenant::NAME))?;
    let present: i64 = row.try_get("version").map_err(Error::internal)?;
    if version.is_some_and(|version| version != present) {
        return Err(Error::Stale);
    }
    if row.try_get::<&str, _>("name").map_err(Error::internal)? != name {
        return Err(Error::invalid("confirm", "must be the name of the carrier that is to be deleted"));
    }
    loaded.tx.fetch_all::<()>(Sql::new("SELECT FROM app.close_tenant()")).await?;
    let Entered { tenant_id, actor_id, .. } = &loaded.tx.entered;
    tracing::info!(%tenant_id, %actor_id, "a carrier is to be erased");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(subject: &str) -> VerifiedToken {
        VerifiedToken {
            issuer: "https://issuer.example.com".into(),
            subject: subject.into(),
            email: None,
            email_verified: false,
            name: None,
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_id_of_a_repeated_request_is_the_same_and_everybody_has_their_own() {
        let id = derived_id(&somebody("a"), "k");
        assert_eq!(id, derived_id(&somebody("a"), "k"));
        assert_ne!(id, derived_id(&somebody("a"), "l"));
        assert_ne!(id, derived_id(&somebody("b"), "k"));
        assert_eq!(id.get_version_num(), 8);
    }
}
