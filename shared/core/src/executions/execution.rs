//! An execution as it is read.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::Result;
use crate::base::moment::Moment;
use crate::base::money::Cost;
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::orders::OrderId;
use crate::platform::db::{Db, Resource, Sql};
use crate::skills::{Kind, Provider, SkillRef};

crate::id!(ExecutionId);
crate::id!(
    /// Executions that were accepted together.
    BatchId
);

/// How far an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// It was not begun in time.
    Expired,
}

crate::text_column!(ExecutionStatus);

/// What a person has made of a result that proposes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    Pending,
    Approved,
    Applied,
    Rejected,
}

crate::text_column!(Review);

/// Why it has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExecutionFailure)]
pub struct Failure {
    #[schema(example = "unknown_reference")]
    pub code: String,
    pub detail: String,
}

/// What a model has said of the answer that it is writing, unchecked: gone once the attempt is over. The events
/// `execution.progress` bring the same in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExecutionProgress)]
pub struct Progress {
    /// The attempt that writes it, from 1.
    pub attempt: i32,
    /// 2: the first answer did not fit, and this one is written in its place.
    pub draft: i32,
    /// The number of the last piece of the attempt: what events bring under this number or a lower one is in here.
    pub part: i32,
    /// The texts that are members of the output itself, as far as they have come.
    #[schema(example = json!({"subject": "Picked up: LB-48213", "body": "Hello Dana,\n\nOrder 10"}))]
    pub text: BTreeMap<String, String>,
}

/// One run of a skill.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Execution {
    pub id: ExecutionId,
    /// Null for one that was accepted alone.
    #[schema(required)]
    pub batch_id: Option<BatchId>,
    pub skill: SkillRef,
    pub skill_name: String,
    /// The version that runs, whatever becomes of the skill meanwhile.
    pub skill_version: i64,
    pub kind: Kind,
    pub provider: Provider,
    #[schema(required)]
    pub model: Option<String>,
    pub status: ExecutionStatus,
    /// Null for a result that proposes nothing.
    #[schema(required)]
    pub review: Option<Review>,
    /// How often it was begun.
    pub attempt: i32,
    /// Why it failed; while it is queued, why the last attempt did.
    #[schema(required)]
    pub error: Option<Failure>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// In US dollars, over all attempts.
    pub cost: Cost,
    /// The orders that applying it has made or changed.
    pub applied_order_ids: Vec<OrderId>,
    #[schema(required)]
    pub created_by: Option<Uuid>,
    /// Who has decided about it.
    #[schema(required)]
    pub reviewed_by: Option<Uuid>,
    /// Of the last attempt.
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; null while it is queued or running.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// When a person has decided about it.
    #[schema(required)]
    pub reviewed_at: Option<DateTime<Utc>>,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// On a single execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Value>,
    /// On a single execution that has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
    /// On a single execution that is running, whose model has begun to write texts for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

macro_rules! columns {
    ($more:literal) => {
        concat!(
            "t.id, t.batch_id, t.skill, t.skill_version, t.kind, t.provider, t.model, t.status, t.review, t.attempt, \
             t.error_code, t.error_detail, t.input_tokens, t.output_tokens, t.cost, t.applied_order_ids, t.created_by, \
             t.reviewed_by, t.started_at, t.finished_at, t.reviewed_at, t.version, t.created_at, t.updated_at, \
             CASE WHEN t.own_skill_id IS NULL THEN (SELECT b.name FROM builtin_skills b WHERE b.code = t.skill \
             AND b.version = t.skill_version) ELSE (SELECT s.name FROM skills s WHERE s.tenant_id = t.tenant_id \
             AND s.id = t.own_skill_id) END AS skill_name, ",
            $more
        )
    };
}

impl FromRow<'_, PgRow> for Execution {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let skill: String = row.try_get("skill")?;
        let code: Option<String> = row.try_get("error_code")?;
        let detail: Option<String> = row.try_get("error_detail")?;
        Ok(Self {
            id: row.try_get("id")?,
            batch_id: row.try_get("batch_id")?,
            skill: SkillRef::parse(&skill).map_err(|e| sqlx::Error::Decode(e.into()))?,
            skill_name: row.try_get("skill_name")?,
            skill_version: row.try_get("skill_version")?,
            kind: row.try_get("kind")?,
            provider: row.try_get("provider")?,
            model: row.try_get("model")?,
            status: row.try_get("status")?,
            review: row.try_get("review")?,
            attempt: row.try_get("attempt")?,
            error: code.map(|code| Failure { code, detail: detail.unwrap_or_default() }),
            input_tokens: row.try_get("input_tokens")?,
            output_tokens: row.try_get("output_tokens")?,
            cost: row.try_get("cost")?,
            applied_order_ids: row.try_get("applied_order_ids")?,
            created_by: row.try_get("created_by")?,
            reviewed_by: row.try_get("reviewed_by")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            reviewed_at: row.try_get("reviewed_at")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            input: row.try_get("input")?,
            output: row.try_get("output")?,
            progress: row.try_get::<Option<Json<Progress>>, _>("progress")?.map(|progress| progress.0),
        })
    }
}

impl Resource for Execution {
    const TABLE: &'static str = "executions";
    const NAME: &'static str = "execution";
    const COLUMNS: &'static str = columns!(
        "t.input, t.output, CASE WHEN t.status = 'running' THEN app.execution_progress(t.tenant_id, t.id) END AS progress"
    );
    const READ: Action = Action::ExecutionsRead;
    const WRITE: Action = Action::ExecutionsCreate;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

/// Without input and output, which may be long: of a list.
const LISTED: &str = columns!("NULL::jsonb AS input, NULL::jsonb AS output, NULL::jsonb AS progress");

#[derive(Debug, Default)]
pub struct ExecutionFilter {
    pub status: Vec<ExecutionStatus>,
    pub skill: Option<SkillRef>,
    pub review: Option<Review>,
    pub batch: Option<BatchId>,
    pub created_from: Option<Moment>,
    pub created_to: Option<Moment>,
}

/// One page, newest first, without inputs and outputs.
///
/// # Errors
/// [`Error::Invalid`](crate::base::error::Error::Invalid) for a bad cursor; those of [`Db::read`].
pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &ExecutionFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Execution>> {
    let after: Option<Uuid> = page::after(Execution::TABLE, cursor)?;
    let (_, executions) = db
        .read::<Execution>(actor, Execution::READ, |sql| {
            sql.push("SELECT ").push(LISTED).push(" FROM executions t WHERE t.tenant_id = e.tenant_id");
            filter.push(sql);
            if let Some(after) = after {
                sql.push(" AND t.id < ").push_bind(after);
            }
            sql.push(" ORDER BY t.id DESC LIMIT ").push(limit.fetch());
        })
        .await?;
    Ok(Page::from_rows(Execution::TABLE, executions, limit, Resource::id))
}

impl ExecutionFilter {
    fn push(&self, sql: &mut Sql) {
        match self.status.as_slice() {
            [] => {}
            // So that an index also gives the order.
            [status] => {
                sql.push(" AND t.status = ").push_bind(*status);
            }
            several => {
                sql.push(" AND t.status = ANY (").push_bind(several.to_vec()).push(")");
            }
        }
        if let Some(skill) = &self.skill {
            sql.push(" AND t.skill = ").push_bind(skill.to_string());
        }
        if let Some(review) = self.review {
            sql.push(" AND t.review = ").push_bind(review);
        }
        if let Some(batch) = self.batch {
            sql.push(" AND t.batch_id = ").push_bind(batch);
        }
        // The list is in the order of the ids, whose time is a function's: so that the rest of it is not walked.
        if let Some(from) = self.created_from {
            sql.push(" AND t.created_at >= ").push_bind(from);
            sql.push(" AND t.id >= ").push_bind(first_id(from.0 - CLOCKS_DIFFER));
        }
        if let Some(to) = self.created_to {
            sql.push(" AND t.created_at < ").push_bind(to);
            sql.push(" AND t.id < ").push_bind(first_id(to.0 + CLOCKS_DIFFER));
        }
    }
}

/// By less than this, a function's and the database's.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::hours(1);

/// None that is made at this time comes before it.
fn first_id(at: DateTime<Utc>) -> Uuid {
    Uuid::from_u128(u128::try_from(at.timestamp_millis()).unwrap_or_default() << 80)
}

pub async fn get(db: &Db, actor: &Actor, id: ExecutionId) -> Result<Execution> {
    Ok(db.get(actor, id.0).await?.1)
}
