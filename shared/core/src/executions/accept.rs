//! Accepting executions: the skill as it is now, the input against its schema, the plan's limit and the budget; then rows.
//! Nobody's model is asked, and nobody waits: the message that has them run is sent once they are committed.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::{BatchId, Execution, ExecutionId};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::identity::actor::Actor;
use crate::platform::db::{Db, Resource, Sql, Tx};
use crate::platform::idempotency::IdempotencyKey;
use crate::skills::schema::{Compiled, check_storable};
use crate::skills::{Provider, Skill, SkillRef, select_current};

/// Executions in one batch.
pub const MAX_BATCH: usize = 100;
/// How often one is begun before it fails.
const MAX_ATTEMPTS: i32 = 4;
/// What has not begun by then is of no use to anybody any more.
const LIFETIME: &str = "interval '24 hours'";

/// A skill to run, and on what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExecution {
    pub skill: SkillRef,
    /// What the skill's input schema asks for.
    pub input: Map<String, Value>,
}

/// What is wanted, and where a request says it.
pub struct Wanted {
    pub executions: Vec<NewExecution>,
    /// None: a single execution, whose fields stand at the top.
    pub batch: Option<BatchId>,
}

impl Wanted {
    pub fn one(execution: NewExecution) -> Self {
        Self { executions: vec![execution], batch: None }
    }

    /// # Errors
    /// [`Error::Invalid`] for none or too many.
    pub fn many(executions: Vec<NewExecution>) -> Result<Self> {
        if executions.is_empty() || executions.len() > MAX_BATCH {
            return Err(Error::invalid("/executions", format!("must be 1 to {MAX_BATCH} executions")));
        }
        Ok(Self { executions, batch: Some(BatchId::new()) })
    }

    fn at(&self, n: usize) -> String {
        self.batch.map_or(String::new(), |_| format!("/executions/{n}"))
    }
}

/// Accepts all of them or none, in a transaction that is yet to be committed.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field; the plan's limit; a conflict when the month's budget is used up; those of
/// [`Db::begin`].
pub async fn accept(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    wanted: Wanted,
) -> Result<(Tx, Vec<Execution>)> {
    let load = format!(
        "SELECT s.*, {BUDGET_LEFT} AS budget_left FROM ({}) s",
        select_current(wanted.executions.iter().map(|execution| &execution.skill))
    );
    let loaded = db.begin_loading(actor, Execution::WRITE, key, Some(&load)).await?;
    let skills = loaded.rows.iter().map(Skill::from_row).collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
    let skills: BTreeMap<_, _> = skills.into_iter().map(|skill| (skill.id.clone(), skill)).collect();
    let budget_left = loaded.rows.first().map(|row| row.try_get::<Option<Decimal>, _>("budget_left"));
    let budget_left = budget_left.transpose().map_err(Error::internal)?.flatten();
    check(&wanted, &skills)?;
    if budget_left.is_some_and(|left| left <= Decimal::ZERO) && skills.values().any(|it| it.provider != Provider::Rules)
    {
        return Err(budget_reached());
    }
    let mut tx = loaded.tx;
    let executions = insert(&mut tx, &wanted, &skills).await?;
    Ok((tx, executions))
}

/// What is left of the month's budget of the carrier that was entered; null without one.
const BUDGET_LEFT: &str = "(SELECT n.ai_budget_amount - coalesce((SELECT sum(u.cost) FROM ai_usage u \
    WHERE u.tenant_id = n.id AND u.month = date_trunc('month', now() AT TIME ZONE n.time_zone)::date), 0) \
    FROM tenants n WHERE n.id = app.tenant_id())";

fn budget_reached() -> Error {
    Error::conflict(
        ConflictCode::AiBudgetReached,
        "this month's budget for model providers is used up; see ai_budget_amount of the carrier",
    )
}

fn check(wanted: &Wanted, skills: &BTreeMap<SkillRef, Skill>) -> Result<()> {
    let mut violations = Violations::default();
    let mut compiled = BTreeMap::new();
    for (n, execution) in wanted.executions.iter().enumerate() {
        let at = wanted.at(n);
        let Some(skill) = skills.get(&execution.skill) else {
            violations.add(format!("{at}/skill"), "there is no such skill in your carrier");
            continue;
        };
        let input = Value::Object(execution.input.clone());
        check_storable(&input, &format!("{at}/input"), &mut violations);
        let schema = match compiled.entry(&execution.skill) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(Compiled::new(&skill.input_schema).map_err(Error::internal)?)
            }
        };
        schema.check(&input, &format!("{at}/input"), &mut violations);
    }
    violations.into_result()
}

/// All in one statement, however many.
async fn insert(tx: &mut Tx, wanted: &Wanted, skills: &BTreeMap<SkillRef, Skill>) -> Result<Vec<Execution>> {
    let rows = wanted.executions.iter().filter_map(|execution| {
        let skill = skills.get(&execution.skill)?;
        Some(json!({
            "id": ExecutionId::new(),
            "batch_id": wanted.batch,
            "skill": skill.id,
            "skill_version": skill.version,
            "own_skill_id": skill.id.own(),
            "kind": skill.kind,
            "provider": skill.provider,
            "model": skill.model,
            "input": execution.input,
            "deadline_seconds": skill.deadline_seconds,
        }))
    });
    let mut sql = Sql::new(
        "INSERT INTO executions AS t (tenant_id, id, batch_id, skill, skill_version, own_skill_id, kind, provider, model, input, \
         deadline_seconds, max_attempts, expires_at, month, created_by) \
         SELECT app.tenant_id(), x.id, x.batch_id, x.skill, x.skill_version, x.own_skill_id, x.kind, x.provider, x.model, x.input, \
         x.deadline_seconds, ",
    );
    sql.push(MAX_ATTEMPTS).push(", now() + ").push(LIFETIME);
    sql.push(", l.period, app.actor_id() FROM jsonb_to_recordset(").push_bind(Json(rows.collect::<Vec<_>>()));
    sql.push(
        ") AS x (id uuid, batch_id uuid, skill text, skill_version bigint, own_skill_id uuid, kind text, provider text, \
         model text, input jsonb, deadline_seconds integer) CROSS JOIN app.limit_now(app.tenant_id(), 'ai_executions') l RETURNING ",
    );
    sql.push(Execution::COLUMNS);
    let mut executions: Vec<Execution> = tx.fetch_all(sql).await?;
    // Ids that are made one after the other sort like that.
    executions.sort_by_key(|execution| execution.id);
    Ok(executions)
}
