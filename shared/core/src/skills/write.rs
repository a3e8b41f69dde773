//! Creating and changing a carrier's own skills. Each change is a new version; the database keeps the ones before.

use serde::Deserialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::definition::Definition;
use super::skill::select_current;
use super::{Kind, Provider, Skill, SkillId, SkillRef};
use crate::base::error::{ConflictCode, Error, Result};
use crate::base::money::Cost;
use crate::base::patch::Patch;
use crate::base::text::{LongText, Name, Text};
use crate::base::whole::Whole;
use crate::identity::actor::Actor;
use crate::platform::db::{Assignments, Db, Resource, Tx};
use crate::platform::idempotency::IdempotencyKey;

type Instructions = LongText<20_000>;
/// One that a worker can wait for within its own time.
type Deadline = Whole<5, 240>;
type Tokens = Whole<1, 64_000>;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSkill {
    #[schema(example = "Tenders of Lakeside")]
    pub name: Name,
    pub description: Option<LongText<1000>>,
    /// A built-in skill to copy: what is left out here is as there.
    pub based_on: Option<SkillRef>,
    /// Needed without `based_on`.
    pub instructions: Option<Instructions>,
    /// JSON Schema 2020-12 of an object. Needed without `based_on`.
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<Value>,
    /// JSON Schema 2020-12 of an object. Needed without `based_on`.
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<Value>,
    /// Needed without `based_on`.
    pub provider: Option<Provider>,
    /// Needed unless the provider is `rules`.
    pub model: Option<Text<120>>,
    pub max_output_tokens: Option<Tokens>,
    pub deadline_seconds: Option<Deadline>,
    /// The most that one execution may cost, in US dollars.
    pub max_cost: Option<Cost>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkillPatch {
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub description: Patch<Option<LongText<1000>>>,
    #[serde(default)]
    pub instructions: Patch<Instructions>,
    /// JSON Schema 2020-12 of an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub input_schema: Patch<Value>,
    /// JSON Schema 2020-12 of an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub output_schema: Patch<Value>,
    #[serde(default)]
    pub provider: Patch<Provider>,
    #[serde(default)]
    pub model: Patch<Option<Text<120>>>,
    #[serde(default)]
    pub max_output_tokens: Patch<Tokens>,
    #[serde(default)]
    pub deadline_seconds: Patch<Deadline>,
    #[serde(default)]
    pub max_cost: Patch<Option<Cost>>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

/// Opens a transaction with the skill that the new one is based on.
///
/// # Errors
/// [`Error::Invalid`] for a base that is none; those of [`Db::begin`].
pub async fn begin_create(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    new: &NewSkill,
) -> Result<(Tx, Option<Skill>)> {
    let Some(base) = &new.based_on else {
        return Ok((db.begin(actor, Skill::WRITE, key).await?, None));
    };
    if base.own().is_some() {
        return Err(Error::invalid("/based_on", "must be the code of a built-in skill"));
    }
    let load = select_current([base]);
    let loaded = db.begin_loading(actor, Skill::WRITE, key, Some(&load)).await?;
    let base = loaded.rows.first().map(Skill::from_row).transpose().map_err(Error::internal)?;
    let base = base.ok_or_else(|| Error::invalid("/based_on", "there is no such built-in skill"))?;
    Ok((loaded.tx, Some(base)))
}

/// # Errors
/// [`Error::Invalid`] naming each bad field; a conflict for a name that is taken.
pub async fn create(tx: &mut Tx, new: NewSkill, base: Option<Skill>) -> Result<Skill> {
    let kind = base.as_ref().map_or(Kind::Custom, |base| base.kind);
    let needed = |field: &str| Error::invalid(format!("/{field}"), "is needed without based_on");
    let base = base.as_ref();
    let instructions = new.instructions.map(|text| text.to_string()).or(base.map(|base| base.instructions.clone()));
    let instructions = instructions.ok_or_else(|| needed("instructions"))?;
    let input_schema = new.input_schema.or_else(|| base.map(|base| base.input_schema.clone()));
    let input_schema = input_schema.ok_or_else(|| needed("input_schema"))?;
    let output_schema = new.output_schema.or_else(|| base.map(|base| base.output_schema.clone()));
    let output_schema = output_schema.ok_or_else(|| needed("output_schema"))?;
    let provider = new.provider.or(base.map(|base| base.provider)).ok_or_else(|| needed("provider"))?;
    Definition {
        name: new.name.as_str(),
        kind,
        instructions: &instructions,
        input_schema: &input_schema,
        output_schema: &output_schema,
        provider,
        model: new.model.as_ref().map(Text::as_str),
    }
    .check()?;
    let description = new.description.map(|text| text.to_string()).or(base.and_then(|base| base.description.clone()));
    let mut row = Assignments::default();
    row.set("id", SkillId::new())
        .set("name", new.name)
        .set("description", description)
        .set("kind", kind)
        .set("instructions", instructions)
        .set("input_schema", input_schema)
        .set("output_schema", output_schema)
        .set("provider", provider)
        .set("model", new.model)
        .set("max_output_tokens", new.max_output_tokens.map_or(4096, Whole::get))
        .set("deadline_seconds", new.deadline_seconds.map_or(60, Whole::get))
        .set("max_cost", new.max_cost)
        .set("created_by", tx.entered.actor_id);
    tx.insert(row).await
}

/// Opens a transaction with a skill of the carrier's own loaded and locked. `version` is the one that the caller has seen.
///
/// # Errors
/// A conflict for a built-in skill; [`Error::NotFound`], [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin_update(db: &Db, actor: &Actor, skill: &SkillRef, version: Option<i64>) -> Result<(Tx, Skill)> {
    let Some(id) = skill.own() else {
        // Whoever may not change skills is told so first.
        db.begin(actor, Skill::WRITE, None).await?;
        return Err(unchangeable());
    };
    let this = format!("FROM skills t WHERE t.tenant_id = app.tenant_id() AND t.id = '{id}'");
    let load = format!("SELECT 1 {this} FOR UPDATE; SELECT {} {this}", Skill::COLUMNS);
    let loaded = db.begin_loading(actor, Skill::WRITE, None, Some(&load)).await?;
    let skill = loaded.rows.first().map(Skill::from_row).transpose().map_err(Error::internal)?;
    let skill = skill.ok_or(Error::NotFound(Skill::NAME))?;
    if version.is_some_and(|version| version != skill.version) {
        return Err(Error::Stale);
    }
    Ok((loaded.tx, skill))
}

fn unchangeable() -> Error {
    Error::conflict(
        ConflictCode::BuiltinSkill,
        "a built-in skill cannot be changed: create one of your own that is based_on it",
    )
}

/// Makes a new version of a skill that was loaded for it.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field; a conflict for a name that is taken.
pub async fn update(tx: &mut Tx, skill: Skill, patch: SkillPatch) -> Result<Skill> {
    let id = skill.id.own().ok_or_else(unchangeable)?;
    let name = patch.name.as_ref().over_ref(&skill.name, Name::as_str);
    let provider = patch.provider.over(skill.provider);
    let model = match &patch.model {
        Patch::Set(model) => model.as_ref().map(Text::as_str),
        Patch::Keep => skill.model.as_deref(),
    };
    Definition {
        name,
        kind: skill.kind,
        instructions: patch.instructions.as_ref().over_ref(&skill.instructions, Instructions::as_str),
        input_schema: patch.input_schema.as_ref().over(&skill.input_schema),
        output_schema: patch.output_schema.as_ref().over(&skill.output_schema),
        provider,
        model,
    }
    .check()?;
    let mut changes = Assignments::default();
    changes
        .patch("name", patch.name)
        .patch("description", patch.description)
        .patch("instructions", patch.instructions)
        .patch("input_schema", patch.input_schema)
        .patch("output_schema", patch.output_schema)
        .patch("provider", patch.provider)
        .patch("model", patch.model)
        .patch("max_output_tokens", patch.max_output_tokens)
        .patch("deadline_seconds", patch.deadline_seconds)
        .patch("max_cost", patch.max_cost)
        .archive(patch.archived);
    tx.update(id.0, None, changes).await
}

/// Deletes it, or archives it if it was ever run.
///
/// # Errors
/// A conflict for a built-in skill; [`Error::NotFound`], [`Error::Stale`].
pub async fn delete(tx: &mut Tx, skill: &SkillRef, version: Option<i64>) -> Result<Option<Skill>> {
    let id = skill.own().ok_or_else(unchangeable)?;
    tx.delete_or_archive(id.0, version, &[("executions", "own_skill_id")]).await
}
