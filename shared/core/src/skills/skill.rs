//! A skill as it is read: the catalogue's and the carrier's own in one form and one list.

use std::fmt::{self, Write as _};

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_literal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use uuid::Uuid;

use crate::base::error::{Error, Result};
use crate::base::money::Cost;
use crate::base::page::{self, Limit, Page};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Db, Resource, Sql};

crate::id!(SkillId);

/// What the executions of a skill are checked for, and can be applied as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SkillKind)]
pub enum Kind {
    ExtractOrder,
    MatchDriver,
    DraftMessage,
    AuditBilling,
    /// The carrier's own: its result is data and nothing more.
    Custom,
}

crate::text_column!(Kind);

impl Kind {
    /// Those of the catalogue, whose codes they are.
    pub const BUILTIN: [Self; 4] = [Self::ExtractOrder, Self::MatchDriver, Self::DraftMessage, Self::AuditBilling];

    /// Whether its result proposes a change that a person decides on.
    pub fn proposes(self) -> bool {
        matches!(self, Self::ExtractOrder | Self::MatchDriver)
    }

    /// Whether its result has texts for a person, which are worth reading before they are whole.
    pub fn is_for_reading(self) -> bool {
        matches!(self, Self::DraftMessage | Self::Custom)
    }

    /// Whether a run is given rows of the carrier beside its input.
    pub fn has_context(self) -> bool {
        matches!(self, Self::MatchDriver | Self::DraftMessage | Self::AuditBilling)
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SkillProvider)]
pub enum Provider {
    /// Code of ours, without a model: the same input gives the same output, and costs nothing.
    Rules,
    Anthropic,
    Gemini,
    /// OpenAI, or whoever else serves its chat completions.
    OpenaiCompatible,
}

crate::text_column!(Provider);

/// What names a skill: the code of a built-in one, or the id of one of the carrier's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkillRef {
    Builtin(String),
    Own(SkillId),
}

impl SkillRef {
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Own(SkillId(id)));
        }
        let is_code = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_code {
            return Ok(Self::Builtin(text.to_owned()));
        }
        Err("must be the code of a built-in skill or the id of one of your own".into())
    }

    pub fn own(&self) -> Option<SkillId> {
        match self {
            Self::Builtin(_) => None,
            Self::Own(id) => Some(*id),
        }
    }
}

impl fmt::Display for SkillRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(code) => f.write_str(code),
            Self::Own(id) => id.fmt(f),
        }
    }
}

impl Serialize for SkillRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SkillRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for SkillRef {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The code of a built-in skill, or the id of one of the carrier's own."))
            .pattern(Some("^([a-z_]{1,40}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"))
            .examples(["extract_order"])
            .into()
    }
}

impl ToSchema for SkillRef {}

/// What AI can be asked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Skill {
    pub id: SkillRef,
    /// From the catalogue: it is the same for every carrier and can be copied, not changed.
    pub is_builtin: bool,
    pub name: String,
    #[schema(required)]
    pub description: Option<String>,
    pub kind: Kind,
    /// What is asked, with `{{input.field}}` and `{{context}}` for what a run fills in.
    pub instructions: String,
    /// JSON Schema 2020-12.
    #[schema(value_type = Object)]
    pub input_schema: Value,
    /// JSON Schema 2020-12.
    #[schema(value_type = Object)]
    pub output_schema: Value,
    pub provider: Provider,
    /// Null for `rules`.
    #[schema(required)]
    pub model: Option<String>,
    pub max_output_tokens: i32,
    /// How long one attempt may take, in seconds.
    pub deadline_seconds: i32,
    /// The most that one execution may cost, in US dollars; null is no limit of its own.
    #[schema(required)]
    pub max_cost: Option<Cost>,
    /// Since when it is archived: out of the list, still on its executions.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with each change; the ETag of a carrier's own.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Skill {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id: String = row.try_get("id")?;
        Ok(Self {
            id: SkillRef::parse(&id).map_err(|e| sqlx::Error::Decode(e.into()))?,
            is_builtin: row.try_get("is_builtin")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            kind: row.try_get("kind")?,
            instructions: row.try_get("instructions")?,
            input_schema: row.try_get("input_schema")?,
            output_schema: row.try_get("output_schema")?,
            provider: row.try_get("provider")?,
            model: row.try_get("model")?,
            max_output_tokens: row.try_get("max_output_tokens")?,
            deadline_seconds: row.try_get("deadline_seconds")?,
            max_cost: row.try_get("max_cost")?,
            archived_at: row.try_get("archived_at")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

impl Resource for Skill {
    const TABLE: &'static str = "skills";
    const NAME: &'static str = "skill";
    const COLUMNS: &'static str = "t.id::text AS id, false AS is_builtin, t.name, t.description, t.kind, t.instructions, \
        t.input_schema, t.output_schema, t.provider, t.model, t.max_output_tokens, t.deadline_seconds, t.max_cost, \
        t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::SkillsRead;
    const WRITE: Action = Action::SkillsWrite;

    /// Lists mix it with the catalogue and have a cursor of their own.
    fn id(&self) -> Uuid {
        self.id.own().map_or(Uuid::nil(), |id| id.0)
    }
}

/// A row of the catalogue, `b`, with the columns of a skill: rules run it, until a carrier copies it for a model.
const BUILTIN: &str = "b.code AS id, true AS is_builtin, b.name, b.description, b.code AS kind, b.instructions, \
    b.input_schema, b.output_schema, 'rules' AS provider, NULL::text AS model, 4096 AS max_output_tokens, \
    30 AS deadline_seconds, NULL::numeric AS max_cost, NULL::timestamptz AS archived_at, b.version, b.created_at, \
    b.created_at AS updated_at";

const LATEST: &str = "b.version = (SELECT max(l.version) FROM builtin_skills l WHERE l.code = b.code)";

/// One of the carrier's own as it was at a version, `v`.
const VERSION: &str = "v.skill_id::text AS id, false AS is_builtin, v.name, v.description, v.kind, v.instructions, \
    v.input_schema, v.output_schema, v.provider, v.model, v.max_output_tokens, v.deadline_seconds, v.max_cost, \
    v.archived_at, v.version, v.created_at, v.created_at AS updated_at";

#[derive(Debug, Default)]
pub struct SkillFilter {
    pub kind: Option<Kind>,
    pub archived: bool,
}

/// One page: the catalogue by its codes, then the carrier's own, newest first.
///
/// # Errors
/// [`Error::Invalid`] for a bad cursor; those of [`Db::read`].
pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &SkillFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Skill>> {
    let after: Option<SkillRef> = page::after(Skill::TABLE, cursor)?;
    let kind = |sql: &mut Sql, column: &str| {
        if let Some(kind) = filter.kind {
            sql.push(format_args!(" AND {column} = ")).push_bind(kind);
        }
    };
    let (_, skills) = db
        .read::<Skill>(actor, Action::SkillsRead, |sql| {
            sql.push("SELECT s.* FROM (");
            if !matches!(after, Some(SkillRef::Own(_))) && !filter.archived {
                sql.push(format_args!("(SELECT {BUILTIN} FROM builtin_skills b WHERE {LATEST}"));
                kind(sql, "b.code");
                if let Some(SkillRef::Builtin(code)) = &after {
                    sql.push(" AND b.code > ").push_bind(code.clone());
                }
                sql.push(") UNION ALL ");
            }
            sql.push(format_args!("(SELECT {} FROM skills t WHERE t.tenant_id = e.tenant_id", Skill::COLUMNS));
            sql.push(if filter.archived { " AND t.archived_at IS NOT NULL" } else { " AND t.archived_at IS NULL" });
            kind(sql, "t.kind");
            if let Some(SkillRef::Own(id)) = &after {
                sql.push(" AND t.id < ").push_bind(*id);
            }
            sql.push(" ORDER BY t.id DESC LIMIT ").push(limit.fetch());
            sql.push(")) s ORDER BY s.is_builtin DESC, CASE WHEN s.is_builtin THEN s.id END, s.id DESC LIMIT ");
            sql.push(limit.fetch());
        })
        .await?;
    Ok(Page::from_rows(Skill::TABLE, skills, limit, |skill: &Skill| skill.id.clone()))
}

/// A skill as it is now, or at one of its versions.
///
/// # Errors
/// [`Error::NotFound`]; those of [`Db::read`].
pub async fn get(db: &Db, actor: &Actor, skill: &SkillRef, version: Option<i64>) -> Result<Skill> {
    let (_, skill) = db
        .read_one(actor, Action::SkillsRead, Skill::NAME, |sql| match (skill, version) {
            (SkillRef::Own(id), None) => {
                sql.push(format_args!(
                    "SELECT {} FROM skills t WHERE t.tenant_id = e.tenant_id AND t.id = ",
                    Skill::COLUMNS
                ));
                sql.push_bind(*id);
            }
            (SkillRef::Own(id), Some(version)) => {
                sql.push(format_args!("SELECT {VERSION} FROM skill_versions v WHERE v.tenant_id = e.tenant_id"));
                sql.push(" AND v.skill_id = ").push_bind(*id).push(" AND v.version = ").push_bind(version);
            }
            (SkillRef::Builtin(code), version) => {
                sql.push(format_args!("SELECT {BUILTIN} FROM builtin_skills b WHERE b.code = "))
                    .push_bind(code.clone());
                match version {
                    None => sql.push(" AND ").push(LATEST),
                    Some(version) => sql.push(" AND b.version = ").push_bind(version),
                };
            }
        })
        .await?;
    Ok(skill)
}

/// A page of a skill's versions, newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad cursor; those of [`Db::read`].
pub async fn versions(
    db: &Db,
    actor: &Actor,
    skill: &SkillRef,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Skill>> {
    let before: Option<i64> = page::after("skill_versions", cursor)?;
    let (_, versions) = db
        .read::<Skill>(actor, Action::SkillsRead, |sql| {
            match skill {
                SkillRef::Own(id) => sql
                    .push(format_args!("SELECT {VERSION} FROM skill_versions v WHERE v.tenant_id = e.tenant_id"))
                    .push(" AND v.skill_id = ")
                    .push_bind(*id),
                SkillRef::Builtin(code) => sql
                    .push(format_args!("SELECT {BUILTIN} FROM builtin_skills b WHERE b.code = "))
                    .push_bind(code.clone()),
            };
            if let Some(before) = before {
                sql.push(" AND version < ").push_bind(before);
            }
            sql.push(" ORDER BY version DESC LIMIT ").push(limit.fetch());
        })
        .await?;
    // Every skill has at least the version that it was made with.
    if versions.is_empty() && before.is_none() {
        return Err(Error::NotFound(Skill::NAME));
    }
    Ok(Page::from_rows("skill_versions", versions, limit, |skill: &Skill| skill.version))
}

/// A SELECT without arguments of those of these skills that can be run now.
pub fn select_current<'a>(skills: impl IntoIterator<Item = &'a SkillRef>) -> String {
    let (mut codes, mut ids) = (String::from("NULL"), String::from("NULL"));
    for skill in skills {
        let _ = match skill {
            SkillRef::Builtin(code) => write!(codes, ", {}", escape_literal(code)),
            SkillRef::Own(id) => write!(ids, ", '{id}'"),
        };
    }
    format!(
        "SELECT {BUILTIN} FROM builtin_skills b WHERE b.code IN ({codes}) AND {LATEST} UNION ALL \
         SELECT {} FROM skills t WHERE t.tenant_id = app.tenant_id() AND t.id IN ({ids}) AND t.archived_at IS NULL",
        Skill::COLUMNS
    )
}

/// A SELECT without arguments of a skill as it was at a version.
pub(crate) fn select_version(skill: &SkillRef, version: i64) -> String {
    match skill {
        SkillRef::Builtin(code) => format!(
            "SELECT {BUILTIN} FROM builtin_skills b WHERE b.code = {} AND b.version = {version}",
            escape_literal(code)
        ),
        SkillRef::Own(id) => format!(
            "SELECT {VERSION} FROM skill_versions v WHERE v.tenant_id = app.tenant_id() AND v.skill_id = '{id}' \
             AND v.version = {version}"
        ),
    }
}
