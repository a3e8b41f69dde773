//! What the plan allows and how much of it is used.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::base::day::Month;
use crate::base::error::Result;
use crate::base::money::Cost;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Db, Sql};

/// What the plan allows, and what the carrier has used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    /// The plan that counts now.
    #[schema(example = "free")]
    pub plan: String,
    /// Each limit of the plan.
    pub limits: Vec<LimitUsage>,
    /// What AI has done and cost in the month, by skill; the most expensive first.
    pub ai: Vec<SkillUsage>,
}

/// What one skill has done and cost in a month.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SkillUsage {
    #[schema(example = "extract_order")]
    pub skill: String,
    pub skill_name: String,
    /// Executions that have succeeded.
    pub succeeded: i64,
    /// Executions that have failed.
    pub failed: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// In US dollars.
    pub cost: Cost,
}

/// A limit of the plan, and how much of it is used.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct LimitUsage {
    /// What is limited.
    #[schema(value_type = LimitName)]
    pub limit: String,
    /// Null is unlimited.
    #[schema(required)]
    pub max: Option<i64>,
    /// Over which time it counts.
    pub per: Per,
    /// Null for a rate, which is over as soon as it is counted.
    #[schema(required)]
    pub used: Option<i64>,
    /// When counting starts anew, at the carrier's midnight; null for what does not.
    #[schema(required)]
    pub resets_at: Option<DateTime<Utc>>,
}

/// What a plan limits, as `plan_limits` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// Runs of skills in a month.
    AiExecutions,
    /// Counted calls in a month.
    ApiCalls,
    /// Open WebSockets.
    Connections,
    Members,
    /// New orders in a month.
    Orders,
    /// Calls in a second.
    Requests,
    Trucks,
}

/// Over which time a limit counts.
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

/// Limits are those of now; what AI did is that of a month, of the present one if none is named.
///
/// # Errors
/// As [`Db::read`].
pub async fn usage(db: &Db, actor: &Actor, month: Option<Month>) -> Result<Usage> {
    let limits = |sql: &mut Sql| {
        sql.push(LIMITS);
    };
    let ai = |sql: &mut Sql| {
        sql.push(
            "SELECT coalesce(json_agg(a), '[]') AS aside FROM (SELECT u.skill, u.succeeded, u.failed, u.input_tokens, \
             u.output_tokens, u.cost::text, coalesce((SELECT s.name FROM skills s WHERE s.tenant_id = e.tenant_id \
             AND s.id::text = u.skill), (SELECT b.name FROM builtin_skills b WHERE b.code = u.skill \
             ORDER BY b.version DESC LIMIT 1), u.skill) AS skill_name FROM ai_usage u \
             WHERE u.tenant_id = e.tenant_id AND u.month = coalesce(",
        );
        sql.push_bind(month.map(Month::first_day)).push(", e.month) ORDER BY u.cost DESC, u.skill) a");
    };
    let (entered, limits, Json(ai)) = db.read_with(actor, Action::UsageRead, limits, ai).await?;
    Ok(Usage { plan: entered.plan, limits, ai })
}
