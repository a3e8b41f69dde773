use axum::extract::State;
use carhaul_core::base::moment::Moment;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::executions::accept::{self, NewExecution, Wanted};
use carhaul_core::executions::{self, BatchId, Execution, ExecutionFilter, ExecutionId, ExecutionStatus, Review};
use carhaul_core::skills::SkillRef;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::query::{Path, Query};
use carhaul_http::router::{Outcome, Routes};
use carhaul_http::routes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;

pub fn router() -> Routes<App> {
    Routes::new().routes(routes!(list, create)).routes(routes!(create_batch)).routes(routes!(get))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    #[serde(default)]
    status: Vec<ExecutionStatus>,
    skill: Option<SkillRef>,
    review: Option<Review>,
    /// Accepted together.
    batch: Option<BatchId>,
    /// Accepted at this time or later.
    created_from: Option<Moment>,
    /// Accepted before this time.
    created_to: Option<Moment>,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List executions, newest first, without their inputs and outputs.
#[utoipa::path(get, path = "/v1/executions", operation_id = "list_executions", tag = "executions", params(ListQuery),
    responses((status = OK, body = Page<Execution>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = ExecutionFilter {
        status: query.status,
        skill: query.skill,
        review: query.review,
        batch: query.batch,
        created_from: query.created_from,
        created_to: query.created_to,
    };
    Ok(Answer::ok(&executions::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Run a skill. The answer comes at once; the result is there when the status of the execution says `succeeded`.
///
/// Ask `GET /v1/executions/{execution_id}` for it, or wait for its event. A result that proposes a change changes
/// nothing until a person applies it. Executions count for the month's `ai_executions` of the plan, whatever model they
/// ask.
#[utoipa::path(post, path = "/v1/executions", operation_id = "create_execution", tag = "executions",
    request_body = NewExecution, responses((status = ACCEPTED, body = Execution)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewExecution>) -> Outcome {
    let (tx, accepted) = accept::accept(&app.db, &actor, key.as_ref(), Wanted::one(body)).await?;
    let execution =
        accepted.first().ok_or_else(|| carhaul_core::base::error::Error::internal("nothing was accepted"))?;
    let answer = Answer::accepted(format!("/v1/executions/{}", execution.id), execution)?.etag(execution.version);
    let answer = answer.commit(tx).await?;
    app.hand_on(&accepted).await;
    Ok(answer)
}

/// Executions that are asked for together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBatch {
    /// All of them are accepted, or none.
    #[schema(min_items = 1, max_items = 100)]
    executions: Vec<NewExecution>,
}

/// The executions of a batch.
#[derive(Serialize, ToSchema)]
struct Batch {
    batch_id: Option<BatchId>,
    /// In the order of the request.
    data: Vec<Execution>,
}

/// Run up to 100 skills: all are accepted, or none. `Location` lists them.
#[utoipa::path(post, path = "/v1/executions/batch", operation_id = "create_execution_batch", tag = "executions",
    request_body = NewBatch, responses((status = ACCEPTED, body = Batch)))]
async fn create_batch(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewBatch>) -> Outcome {
    let wanted = Wanted::many(body.executions)?;
    let batch_id = wanted.batch;
    let (tx, accepted) = accept::accept(&app.db, &actor, key.as_ref(), wanted).await?;
    let location = batch_id.map_or_else(String::new, |id| format!("/v1/executions?batch={id}"));
    let batch = Batch { batch_id, data: accepted };
    let answer = Answer::accepted(location, &batch)?.commit(tx).await?;
    app.hand_on(&batch.data).await;
    Ok(answer)
}

/// Get an execution with its input and, once it has succeeded, its output.
#[utoipa::path(get, path = "/v1/executions/{execution_id}", operation_id = "get_execution", tag = "executions",
    params(("execution_id" = ExecutionId, Path)), responses((status = OK, body = Execution)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ExecutionId>) -> Outcome {
    let execution = executions::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&execution)?.etag(execution.version))
}
