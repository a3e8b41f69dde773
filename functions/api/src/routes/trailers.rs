use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::equipment::EquipmentFilter;
use carhaul_core::identity::permissions::Action;
use carhaul_core::trailers::{self, NewTrailer, Trailer, TrailerId, TrailerPatch};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Outcome, deleted};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    enclosed: Option<bool>,
    /// Start of the unit number, in any case of letters.
    #[param(example = "T-1")]
    q: Option<String>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List trailers, newest first.
#[utoipa::path(get, path = "/v1/trailers", operation_id = "list_trailers", tag = "trailers", params(ListQuery),
    responses((status = OK, body = Page<Trailer>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = EquipmentFilter { enclosed: query.enclosed, q: query.q, archived: query.archived };
    Ok(Answer::ok(&trailers::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a trailer.
#[utoipa::path(post, path = "/v1/trailers", operation_id = "create_trailer", tag = "trailers",
    request_body = NewTrailer, responses((status = CREATED, body = Trailer)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewTrailer>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, key.as_ref()).await?;
    let trailer = trailers::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/trailers/{}", trailer.id), &trailer)?.etag(trailer.version);
    Ok(answer.commit(tx).await?)
}

/// Get a trailer.
#[utoipa::path(get, path = "/v1/trailers/{trailer_id}", operation_id = "get_trailer", tag = "trailers",
    params(("trailer_id" = TrailerId, Path)), responses((status = OK, body = Trailer)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<TrailerId>) -> Outcome {
    let trailer = trailers::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&trailer)?.etag(trailer.version))
}

/// Change a trailer.
#[utoipa::path(patch, path = "/v1/trailers/{trailer_id}", operation_id = "update_trailer", tag = "trailers",
    params(("trailer_id" = TrailerId, Path)), request_body = TrailerPatch, responses((status = OK, body = Trailer)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TrailerId>,
    if_match: IfMatch,
    Json(patch): Json<TrailerPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, None).await?;
    let trailer = trailers::update(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&trailer)?.etag(trailer.version).commit(tx).await?)
}

/// Delete a trailer; one with orders is archived instead.
#[utoipa::path(delete, path = "/v1/trailers/{trailer_id}", operation_id = "delete_trailer", tag = "trailers",
    params(("trailer_id" = TrailerId, Path)),
    responses((status = OK, body = Trailer, description = "Archived, since orders refer to it."), (status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TrailerId>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, None).await?;
    let archived = trailers::delete(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
