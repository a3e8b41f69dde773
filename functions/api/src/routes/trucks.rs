use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::equipment::EquipmentFilter;
use carhaul_core::identity::permissions::Action;
use carhaul_core::trucks::{self, NewTruck, Truck, TruckId, TruckPatch};
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

/// List trucks, newest first.
#[utoipa::path(get, path = "/v1/trucks", operation_id = "list_trucks", tag = "trucks", params(ListQuery),
    responses((status = OK, body = Page<Truck>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = EquipmentFilter { enclosed: query.enclosed, q: query.q, archived: query.archived };
    Ok(Answer::ok(&trucks::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a truck.
#[utoipa::path(post, path = "/v1/trucks", operation_id = "create_truck", tag = "trucks",
    request_body = NewTruck, responses((status = CREATED, body = Truck)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewTruck>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, key.as_ref()).await?;
    let truck = trucks::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/trucks/{}", truck.id), &truck)?.etag(truck.version);
    Ok(answer.commit(tx).await?)
}

/// Get a truck.
#[utoipa::path(get, path = "/v1/trucks/{truck_id}", operation_id = "get_truck", tag = "trucks",
    params(("truck_id" = TruckId, Path)), responses((status = OK, body = Truck)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<TruckId>) -> Outcome {
    let truck = trucks::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&truck)?.etag(truck.version))
}

/// Change a truck.
#[utoipa::path(patch, path = "/v1/trucks/{truck_id}", operation_id = "update_truck", tag = "trucks",
    params(("truck_id" = TruckId, Path)), request_body = TruckPatch, responses((status = OK, body = Truck)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<TruckId>,
    if_match: IfMatch,
    Json(patch): Json<TruckPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, None).await?;
    let truck = trucks::update(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&truck)?.etag(truck.version).commit(tx).await?)
}

/// Delete a truck; one with orders is archived instead.
#[utoipa::path(delete, path = "/v1/trucks/{truck_id}", operation_id = "delete_truck", tag = "trucks",
    params(("truck_id" = TruckId, Path)),
    responses((status = OK, body = Truck, description = "Archived, since orders refer to it."), (status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<TruckId>, if_match: IfMatch) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::EquipmentWrite, None).await?;
    let archived = trucks::delete(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
