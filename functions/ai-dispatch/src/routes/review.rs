//! What people decide about executions: one route for each.

use axum::extract::State;
use carhaul_core::executions::review::{self, Application};
use carhaul_core::executions::{Execution, ExecutionId, Review};
use carhaul_core::identity::actor::Actor;
use carhaul_core::identity::permissions::Action;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::Path;
use carhaul_http::router::{Outcome, Routes};
use carhaul_http::routes;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;

pub fn router() -> Routes<App> {
    Routes::new().routes(routes!(cancel)).routes(routes!(approve)).routes(routes!(reject)).routes(routes!(apply))
}

/// Nothing is said with it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Cancel an execution that has not ended. It counts for nothing, and a result that comes later is dropped.
#[utoipa::path(post, path = "/v1/executions/{execution_id}/cancel", operation_id = "cancel_execution", tag = "executions",
    params(("execution_id" = ExecutionId, Path)), request_body = Option<Nothing>,
    responses((status = OK, body = Execution)))]
async fn cancel(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ExecutionId>,
    if_match: IfMatch,
    post: Post<Nothing>,
) -> Outcome {
    let version = if_match.optional()?;
    let permission = Action::ExecutionsCreate;
    let (mut tx, execution) = review::begin(&app.db, &actor, permission, post.key.as_ref(), id, version).await?;
    let execution = review::cancel(&mut tx, execution, app.clock.now()).await?;
    Ok(Answer::ok(&execution)?.etag(execution.version).commit(tx).await?)
}

/// Approve a proposal: it can be applied, and nothing is changed by it yet.
#[utoipa::path(post, path = "/v1/executions/{execution_id}/approve", operation_id = "approve_execution",
    tag = "executions", params(("execution_id" = ExecutionId, Path)), request_body = Option<Nothing>,
    responses((status = OK, body = Execution)))]
async fn approve(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ExecutionId>,
    if_match: IfMatch,
    post: Post<Nothing>,
) -> Outcome {
    decide(&app, &actor, id, if_match, &post, Review::Approved).await
}

/// Reject a proposal.
#[utoipa::path(post, path = "/v1/executions/{execution_id}/reject", operation_id = "reject_execution",
    tag = "executions", params(("execution_id" = ExecutionId, Path)), request_body = Option<Nothing>,
    responses((status = OK, body = Execution)))]
async fn reject(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ExecutionId>,
    if_match: IfMatch,
    post: Post<Nothing>,
) -> Outcome {
    decide(&app, &actor, id, if_match, &post, Review::Rejected).await
}

async fn decide(
    app: &App,
    actor: &Actor,
    id: ExecutionId,
    if_match: IfMatch,
    post: &Post<Nothing>,
    to: Review,
) -> Outcome {
    let version = if_match.optional()?;
    let permission = Action::ExecutionsReview;
    let (mut tx, execution) = review::begin(&app.db, actor, permission, post.key.as_ref(), id, version).await?;
    let execution = review::decide(&mut tx, execution, to, app.clock.now()).await?;
    Ok(Answer::ok(&execution)?.etag(execution.version).commit(tx).await?)
}

/// Apply a proposal: a drafted order is created, a match is assigned, with the permissions of whoever applies it and only if
/// its orders have not changed. Applying it again changes nothing.
///
/// A drafted order needs `orders:write`, too, a match `orders:dispatch`.
#[utoipa::path(post, path = "/v1/executions/{execution_id}/apply", operation_id = "apply_execution", tag = "executions",
    params(("execution_id" = ExecutionId, Path)), request_body = Option<Application>,
    responses((status = OK, body = Execution)))]
async fn apply(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ExecutionId>,
    if_match: IfMatch,
    Post { body, key }: Post<Application>,
) -> Outcome {
    let version = if_match.optional()?;
    let (mut tx, applying) = review::begin_apply(&app.db, &actor, key.as_ref(), id, version).await?;
    let execution = review::apply(&mut tx, applying, body, app.clock.now()).await?;
    Ok(Answer::ok(&execution)?.etag(execution.version).commit(tx).await?)
}
