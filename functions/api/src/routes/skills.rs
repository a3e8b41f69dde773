use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::error::{Error, Violations};
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::skills::schema::Compiled;
use carhaul_core::skills::{self, Kind, NewSkill, Skill, SkillFilter, SkillPatch, SkillRef, prompt};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{Outcome, PageQuery, deleted};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(test_run))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    kind: Option<Kind>,
    /// True lists the archived ones instead, which are the carrier's own.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List skills: the built-in ones, then the carrier's own, newest first.
#[utoipa::path(get, path = "/v1/skills", operation_id = "list_skills", tag = "skills", params(ListQuery),
    responses((status = OK, body = Page<Skill>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = SkillFilter { kind: query.kind, archived: query.archived };
    Ok(Answer::ok(&skills::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a skill of the carrier's own; with `based_on` it starts as a copy of a built-in one.
#[utoipa::path(post, path = "/v1/skills", operation_id = "create_skill", tag = "skills",
    request_body = NewSkill, responses((status = CREATED, body = Skill)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewSkill>) -> Outcome {
    let (mut tx, base) = skills::begin_create(&app.db, &actor, key.as_ref(), &body).await?;
    let skill = skills::create(&mut tx, body, base).await?;
    let answer = Answer::created(format!("/v1/skills/{}", skill.id), &skill)?.etag(skill.version);
    Ok(answer.commit(tx).await?)
}

/// Get a skill by its id, a built-in one by its code.
#[utoipa::path(get, path = "/v1/skills/{skill_id}", operation_id = "get_skill", tag = "skills",
    params(("skill_id" = SkillRef, Path)), responses((status = OK, body = Skill)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<SkillRef>) -> Outcome {
    let skill = skills::get(&app.db, &actor, &id, None).await?;
    Ok(Answer::ok(&skill)?.etag(skill.version))
}

/// Change a skill of the carrier's own: executions from now on run the new version, those before keep theirs.
#[utoipa::path(patch, path = "/v1/skills/{skill_id}", operation_id = "update_skill", tag = "skills",
    params(("skill_id" = SkillRef, Path)), request_body = SkillPatch, responses((status = OK, body = Skill)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<SkillRef>,
    if_match: IfMatch,
    Json(patch): Json<SkillPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let (mut tx, skill) = skills::begin_update(&app.db, &actor, &id, version).await?;
    let skill = skills::update(&mut tx, skill, patch).await?;
    Ok(Answer::ok(&skill)?.etag(skill.version).commit(tx).await?)
}

/// Delete a skill of the carrier's own; one that was ever run is archived instead.
#[utoipa::path(delete, path = "/v1/skills/{skill_id}", operation_id = "delete_skill", tag = "skills",
    params(("skill_id" = SkillRef, Path)),
    responses((status = OK, body = Skill, description = "Archived, since executions refer to it."), (status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<SkillRef>, if_match: IfMatch) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, carhaul_core::identity::permissions::Action::SkillsWrite, None).await?;
    let archived = skills::delete(&mut tx, &id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}

/// List the versions of a skill, newest first.
#[utoipa::path(get, path = "/v1/skills/{skill_id}/versions", operation_id = "list_skill_versions", tag = "skills",
    params(("skill_id" = SkillRef, Path), PageQuery), responses((status = OK, body = Page<Skill>)))]
async fn versions(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<SkillRef>,
    Query(query): Query<PageQuery>,
) -> Outcome {
    Ok(Answer::ok(&skills::versions(&app.db, &actor, &id, query.cursor.as_deref(), query.limit).await?)?)
}

/// Get a skill as it was at one of its versions.
#[utoipa::path(get, path = "/v1/skills/{skill_id}/versions/{version}", operation_id = "get_skill_version", tag = "skills",
    params(("skill_id" = SkillRef, Path), ("version" = i64, Path)), responses((status = OK, body = Skill)))]
async fn version(State(app): State<App>, Caller(actor): Caller, Path((id, version)): Path<(SkillRef, i64)>) -> Outcome {
    Ok(Answer::ok(&skills::get(&app.db, &actor, &id, Some(version)).await?)?)
}

/// An input to try a skill with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestRun {
    /// What the skill's input schema asks for.
    #[schema(value_type = Object)]
    input: Map<String, Value>,
}

/// What a model would be shown. Nobody was asked.
#[derive(Serialize, ToSchema)]
struct RenderedPrompt {
    /// The version of the skill that was rendered.
    skill_version: i64,
    /// What the model is told of its task.
    system: String,
    /// What the model is given to work on.
    user: String,
}

/// Check an input against a skill and see what a model would be shown. Nobody is asked, and nothing is counted.
///
/// It can be repeated as it is, without an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/skills/{skill_id}/test-runs", operation_id = "test_skill", tag = "skills",
    params(("skill_id" = SkillRef, Path)), request_body = TestRun, responses((status = OK, body = RenderedPrompt)))]
async fn test_run(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<SkillRef>,
    Post { body, key: _ }: Post<TestRun>,
) -> Outcome {
    let skill = skills::get(&app.db, &actor, &id, None).await?;
    let input = Value::Object(body.input);
    let mut violations = Violations::default();
    Compiled::new(&skill.input_schema).map_err(Error::internal)?.check(&input, "/input", &mut violations);
    violations.into_result()?;
    let prompt = prompt::render(&skill, &input, None);
    Ok(Answer::ok(&RenderedPrompt { skill_version: skill.version, system: prompt.system, user: prompt.user })?)
}
