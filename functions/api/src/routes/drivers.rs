use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::day::Day;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::drivers::{self, Driver, DriverFilter, DriverId, DriverPatch, NewDriver};
use carhaul_core::identity::permissions::Action;
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
    /// Prefix of the name, in any case.
    q: Option<String>,
    /// Those whose licence or medical card is no longer valid on this day.
    expiring_before: Option<Day>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List drivers, newest first. A driver sees only their own record.
#[utoipa::path(get, path = "/v1/drivers", operation_id = "list_drivers", tag = "drivers", params(ListQuery),
    responses((status = OK, body = Page<Driver>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = DriverFilter { q: query.q, expiring_before: query.expiring_before, archived: query.archived };
    Ok(Answer::ok(&drivers::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a driver.
#[utoipa::path(post, path = "/v1/drivers", operation_id = "create_driver", tag = "drivers",
    request_body = NewDriver, responses((status = CREATED, body = Driver)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewDriver>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::DriversWrite, key.as_ref()).await?;
    let driver = drivers::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/drivers/{}", driver.id), &driver)?.etag(driver.version);
    Ok(answer.commit(tx).await?)
}

/// Get a driver.
#[utoipa::path(get, path = "/v1/drivers/{driver_id}", operation_id = "get_driver", tag = "drivers",
    params(("driver_id" = DriverId, Path)), responses((status = OK, body = Driver)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<DriverId>) -> Outcome {
    let driver = drivers::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&driver)?.etag(driver.version))
}

/// Change a driver.
#[utoipa::path(patch, path = "/v1/drivers/{driver_id}", operation_id = "update_driver", tag = "drivers",
    params(("driver_id" = DriverId, Path)), request_body = DriverPatch, responses((status = OK, body = Driver)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<DriverId>,
    if_match: IfMatch,
    Json(patch): Json<DriverPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::DriversWrite, None).await?;
    let driver = drivers::update(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&driver)?.etag(driver.version).commit(tx).await?)
}

/// Delete a driver; one with orders is archived instead.
#[utoipa::path(delete, path = "/v1/drivers/{driver_id}", operation_id = "delete_driver", tag = "drivers",
    params(("driver_id" = DriverId, Path)),
    responses((status = OK, body = Driver, description = "Archived, since orders refer to it."), (status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<DriverId>, if_match: IfMatch) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::DriversWrite, None).await?;
    let archived = drivers::delete(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
