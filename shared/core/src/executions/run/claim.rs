//! Whose turn it is, in a transaction of one statement; and then its skill as it was accepted, and the rows that it is about.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::answer::Failed;
use super::context::{self, Context};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::base::money::Cost;
use crate::executions::ExecutionId;
use crate::platform::db::{Db, Sql, SystemTx};
use crate::provider_keys::{SealedKey, select_sealed};
use crate::providers::ProviderName;
use crate::providers::price::Price;
use crate::skills::{Provider, Skill, SkillRef, select_version};

/// Beyond the deadline of the attempt: for loading, checking and writing.
pub const MARGIN: TimeDelta = TimeDelta::seconds(30);

/// An execution that this worker alone may run, until its lease ends.
pub struct Claim {
    pub id: ExecutionId,
    /// The fencing number.
    pub attempt: i32,
    pub max_attempts: i32,
    pub deadline_seconds: i32,
    pub input: Value,
    pub tenant_id: TenantId,
    pub skill: Skill,
    pub money: Money,
    pub context: std::result::Result<Context, Failed>,
}

/// What a model's provider is asked with, and what it may cost.
#[derive(Default)]
pub struct Money {
    pub key: Option<SealedKey>,
    /// None: of a model that is not in the price list.
    pub price: Option<Price>,
    /// Whether the carrier has a budget, which is then held before the provider is asked.
    pub has_budget: bool,
    /// Of attempts before this one.
    pub spent: Cost,
}

impl Money {
    /// A provider that charges for a model of which no price is known: what it costs is booked as nothing. A carrier's own
    /// server costs us nothing.
    pub fn is_unpriced(&self) -> bool {
        self.price.is_none() && self.key.as_ref().is_some_and(|key| key.base_url.is_none())
    }
}

pub enum Taken {
    Nothing,
    /// Something is due, of carriers that have their share of the slots.
    Held,
    /// Its last attempt did not come to an end: it has failed.
    Lost(ExecutionId),
    /// It ended without being run: it was too late, cancelled just now, or its carrier is closed.
    Over,
    Claim(Box<Claim>),
}

struct Claimed {
    tenant_id: TenantId,
    is_heard: bool,
    id: ExecutionId,
    attempt: i32,
    max_attempts: i32,
    deadline_seconds: i32,
    skill: SkillRef,
    skill_version: i64,
    input: Value,
}

impl FromRow<'_, PgRow> for Claimed {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let skill: String = row.try_get("skill")?;
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            is_heard: row.try_get("is_heard")?,
            id: row.try_get("id")?,
            attempt: row.try_get("attempt")?,
            max_attempts: row.try_get("max_attempts")?,
            deadline_seconds: row.try_get("deadline_seconds")?,
            skill: SkillRef::parse(&skill).map_err(|e| sqlx::Error::Decode(e.into()))?,
            skill_version: row.try_get("skill_version")?,
            input: row.try_get("input")?,
        })
    }
}

/// Of `slots` that all workers have together.
pub async fn claim(db: &Db, permit: ExecutionId, slots: i32) -> Result<Taken> {
    let claim_id = Uuid::now_v7();
    let rows = db.fetch(|sql| {
        sql.push("SELECT * FROM app.claim_execution(").push_bind(permit).push(", make_interval(secs => ");
        sql.push_bind(MARGIN.as_seconds_f64()).push("), ").push_bind(slots).push(", ").push_bind(claim_id).push(")");
    });
    let rows = rows.await?;
    let Some(row) = rows.first() else { return Ok(Taken::Nothing) };
    let outcome: String = row.try_get("outcome").map_err(Error::internal)?;
    if outcome == "held" {
        return Ok(Taken::Held);
    }
    let claimed = Claimed::from_row(row).map_err(Error::internal)?;
    if claimed.is_heard {
        db.note_listening(claimed.tenant_id).await;
    }
    match outcome.as_str() {
        "run" => load(db, claimed).await,
        "lost" => Ok(Taken::Lost(claimed.id)),
        _ => Ok(Taken::Over),
    }
}

async fn load(db: &Db, row: Claimed) -> Result<Taken> {
    let enter = format!("SELECT app.enter_execution('{}', {}) AS entered", row.id, row.attempt);
    let (mut tx, mut sets) = db.begin_system(&[enter, select_version(&row.skill, row.skill_version)]).await?;
    if sets.next_row::<(bool,)>()? != Some((true,)) {
        tx.commit().await?;
        return Ok(Taken::Over);
    }
    let skill: Option<Skill> = sets.next_row()?;
    let skill = skill.ok_or_else(|| Error::internal("an execution of a skill that is not there"))?;
    let money = load_money(&mut tx, row.id, &skill).await?;
    let context = context::load(&mut tx, skill.kind, &row.input).await?;
    tx.commit().await?;
    Ok(Taken::Claim(Box::new(Claim {
        tenant_id: row.tenant_id,
        money,
        id: row.id,
        attempt: row.attempt,
        max_attempts: row.max_attempts,
        deadline_seconds: row.deadline_seconds,
        input: row.input,
        skill,
        context,
    })))
}

/// Nothing for rules, which need none.
async fn load_money(tx: &mut SystemTx, id: ExecutionId, skill: &Skill) -> Result<Money> {
    let name = match skill.provider {
        Provider::Rules => return Ok(Money::default()),
        Provider::Anthropic => ProviderName::Anthropic,
        Provider::Gemini => ProviderName::Gemini,
        Provider::OpenaiCompatible => ProviderName::OpenaiCompatible,
    };
    let key: Option<SealedKey> = tx.fetch_optional(Sql::new(select_sealed(name))).await?;
    let mut sql = Sql::new(
        "SELECT x.cost AS spent, n.ai_budget_amount IS NOT NULL AS has_budget, p.input_price, p.output_price FROM executions x \
         JOIN tenants n ON n.id = x.tenant_id LEFT JOIN LATERAL (",
    );
    sql.push("SELECT p.input_price, p.output_price FROM ai_prices p WHERE p.provider = ").push_bind(skill.provider);
    sql.push(" AND p.model = ").push_bind(skill.model.clone()).push(" AND p.valid_from <= now() ");
    sql.push("ORDER BY p.valid_from DESC LIMIT 1) p ON true WHERE x.tenant_id = app.tenant_id() AND x.id = ")
        .push_bind(id);
    type Row = (Cost, bool, Option<Decimal>, Option<Decimal>);
    let row: Option<Row> = tx.fetch_optional(sql).await?;
    let (spent, has_budget, input, output) = row.unwrap_or_default();
    let price = input.zip(output).map(|(input, output)| Price { input, output });
    Ok(Money { key, price, has_budget, spent })
}
