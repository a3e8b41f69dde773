//! What the plan allows and how much of it is used.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::base::error::Result;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::Db;

#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    #[schema(example = "free")]
    pub plan: String,
    pub limits: Vec<LimitUsage>,
}

#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct LimitUsage {
    #[schema(example = "orders")]
    pub limit: String,
    /// Null is unlimited.
    #[schema(required)]
    pub max: Option<i64>,
    pub per: Per,
    /// Null for a rate, which is over as soon as it is counted.
    #[schema(required)]
    pub used: Option<i64>,
    /// When counting starts anew, at the carrier's midnight; null for what does not.
    #[schema(required)]
    pub resets_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Total,
    Month,
    Second,
}

crate::text_column!(Per);

/// Reads the limits of the entered carrier's plan.
pub const LIMITS: &str = "SELECT l.name AS id, l.name AS \"limit\", l.max, l.per, n.resets_at, \
    CASE WHEN l.name = 'api_calls' THEN CASE WHEN u.month = n.period THEN u.calls ELSE 0 END \
         WHEN l.per <> 'second' THEN coalesce(c.used, 0) END AS used \
    FROM plan_limits l CROSS JOIN LATERAL app.limit_now(e.tenant_id, l.name) n \
    LEFT JOIN api_usage u ON u.tenant_id = e.tenant_id \
    LEFT JOIN counters c ON c.tenant_id = e.tenant_id AND c.name = l.name AND c.period = n.period \
    WHERE l.plan = e.plan ORDER BY l.name";

pub async fn usage(db: &Db, actor: &Actor) -> Result<Usage> {
    let (entered, limits) = db
        .read(actor, Action::UsageRead, |sql| {
            sql.push(LIMITS);
        })
        .await?;
    Ok(Usage { plan: entered.plan, limits })
}
