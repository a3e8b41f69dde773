//! What `app.enter` says of the caller, as it is now.

use chrono_tz::Tz;
use postgres_protocol::escape::escape_literal;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::error::classify;
use super::{Counted, Sql};
use crate::base::error::{Error, Result};
use crate::base::ids::{TenantId, UserId};
use crate::identity::actor::Actor;
use crate::identity::permissions::{Grant, Role};

/// The columns of an entry, under names that no table has.
pub const SELECT: &str = "SELECT e.tenant_id AS entered_tenant_id, e.user_id AS entered_user_id, \
    e.actor_id AS entered_actor_id, e.role AS entered_role, e.scopes AS entered_scopes, e.plan AS entered_plan, \
    e.time_zone AS entered_time_zone, e.currency AS entered_currency, e.hide_prices AS entered_hide_prices, \
    e.month AS entered_month, e.month_ends_in AS entered_month_ends_in, e.calls_a_month AS entered_calls_a_month, \
    e.calls_a_second AS entered_calls_a_second";

/// The caller inside a tenant. Read with every request, so that a change of role or plan counts from the next one.
#[derive(Debug, Clone)]
pub struct Entered {
    pub tenant_id: TenantId,
    /// None for an API key.
    pub user_id: Option<UserId>,
    /// The user or the API key, as the audit log names it.
    pub actor_id: Uuid,
    pub grant: Grant,
    pub plan: String,
    pub time_zone: Tz,
    pub currency: String,
    /// A driver of a carrier that does not show prices to drivers.
    pub hide_prices: bool,
}

impl Entered {
    pub(super) fn from_first(row: &PgRow, counted: &Counted) -> Result<Self> {
        let entered = Self::from_row(row).map_err(|e| classify(&e))?;
        counted.enter(&entered);
        Ok(entered)
    }

    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time_zone: String = row.try_get("entered_time_zone")?;
        let grant = match row.try_get::<Option<Vec<String>>, _>("entered_scopes")? {
            Some(scopes) => Grant::Scopes(scopes),
            None => Grant::Role(row.try_get::<Role, _>("entered_role")?),
        };
        Ok(Self {
            tenant_id: row.try_get("entered_tenant_id")?,
            user_id: row.try_get("entered_user_id")?,
            actor_id: row.try_get("entered_actor_id")?,
            grant,
            plan: row.try_get("entered_plan")?,
            time_zone: time_zone.parse().map_err(|e: chrono_tz::ParseError| sqlx::Error::Decode(e.into()))?,
            currency: row.try_get("entered_currency")?,
            hide_prices: row.try_get("entered_hide_prices")?,
        })
    }
}

/// It either enters, which is a row, or refuses.
pub fn none() -> Error {
    Error::internal("app.enter returned no row")
}

/// Binds the arguments of `app.enter`.
pub fn bind(sql: &mut Sql, actor: &Actor) {
    let (kind, issuer, subject) = actor.entry();
    let mut arguments = sql.separated(", ");
    arguments
        .push_bind(kind)
        .push_bind(issuer.map(str::to_owned))
        .push_bind(subject.to_owned())
        .push_bind(actor.tenant)
        .push_bind(actor.request_id);
}

/// The entry without arguments, for a transaction's opening. `tenant` is an SQL expression.
pub fn literal(actor: &Actor, tenant: &str) -> String {
    let (kind, issuer, subject) = actor.entry();
    format!(
        "app.enter('{kind}', {}, {}, {tenant}, '{}') e",
        issuer.map_or("NULL".into(), escape_literal),
        escape_literal(subject),
        actor.request_id,
    )
}
