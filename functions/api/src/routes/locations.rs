use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::base::strings::StateCode;
use carhaul_core::base::text::Name;
use carhaul_core::identity::permissions::Action;
use carhaul_core::locations::{self, Location, LocationFilter, LocationId, LocationPatch, LocationType, NewLocation};
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
    r#type: Option<LocationType>,
    state: Option<StateCode>,
    /// The whole name of the city, in any case.
    city: Option<Name>,
    /// Prefix of the name, in any case.
    q: Option<String>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List locations, newest first.
#[utoipa::path(get, path = "/v1/locations", operation_id = "list_locations", tag = "locations", params(ListQuery),
    responses((status = OK, body = Page<Location>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = LocationFilter {
        r#type: query.r#type,
        state: query.state,
        city: query.city,
        q: query.q,
        archived: query.archived,
    };
    Ok(Answer::ok(&locations::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a location.
#[utoipa::path(post, path = "/v1/locations", operation_id = "create_location", tag = "locations",
    request_body = NewLocation, responses((status = CREATED, body = Location)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewLocation>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::LocationsWrite, key.as_ref()).await?;
    let location = locations::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/locations/{}", location.id), &location)?.etag(location.version);
    Ok(answer.commit(tx).await?)
}

/// Get a location.
#[utoipa::path(get, path = "/v1/locations/{location_id}", operation_id = "get_location", tag = "locations",
    params(("location_id" = LocationId, Path)), responses((status = OK, body = Location)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<LocationId>) -> Outcome {
    let location = locations::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&location)?.etag(location.version))
}

/// Change a location.
#[utoipa::path(patch, path = "/v1/locations/{location_id}", operation_id = "update_location", tag = "locations",
    params(("location_id" = LocationId, Path)), request_body = LocationPatch, responses((status = OK, body = Location)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<LocationId>,
    if_match: IfMatch,
    Json(patch): Json<LocationPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::LocationsWrite, None).await?;
    let location = locations::update(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&location)?.etag(location.version).commit(tx).await?)
}

/// Delete a location; one where orders stop is archived instead.
#[utoipa::path(delete, path = "/v1/locations/{location_id}", operation_id = "delete_location", tag = "locations",
    params(("location_id" = LocationId, Path)),
    responses((status = OK, body = Location, description = "Archived, since orders refer to it."), (status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<LocationId>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::LocationsWrite, None).await?;
    let archived = locations::delete(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
