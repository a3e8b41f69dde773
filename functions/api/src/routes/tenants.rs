use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::day::Month;
use carhaul_core::chores::{self, Chore};
use carhaul_core::identity::permissions::Action;
use carhaul_core::tenants::{self, NewTenant, Tenant, TenantPatch, Usage};
use carhaul_http::actor::{Caller, SignedIn};
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::Query;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(create)).routes(routes!(get, update, delete)).routes(routes!(usage))
}

/// Create a carrier and become its owner. Send an Idempotency-Key, so that a repeated request makes no second one.
///
/// It is on the plan `free`. Name it in `Tenant-Id` once you belong to several.
#[utoipa::path(post, path = "/v1/tenants", operation_id = "create_tenant", tag = "tenant",
    request_body = NewTenant, responses((status = CREATED, body = Tenant)))]
async fn create(
    State(app): State<App>,
    SignedIn { actor, token }: SignedIn,
    Post { body, key }: Post<NewTenant>,
) -> Outcome {
    let mut tx = tenants::begin_create(&app.db, &actor, &token, &body, key.as_ref()).await?;
    let tenant = tenants::entered(&mut tx).await?;
    Ok(Answer::created("/v1/tenant".into(), &tenant)?.etag(tenant.version).commit(tx).await?)
}

/// Get the carrier and its settings.
#[utoipa::path(get, path = "/v1/tenant", operation_id = "get_tenant", tag = "tenant",
    responses((status = OK, body = Tenant)))]
async fn get(State(app): State<App>, Caller(actor): Caller) -> Outcome {
    let tenant = tenants::get(&app.db, &actor).await?;
    Ok(Answer::ok(&tenant)?.etag(tenant.version))
}

/// Change the carrier's settings.
#[utoipa::path(patch, path = "/v1/tenant", operation_id = "update_tenant", tag = "tenant",
    request_body = TenantPatch, responses((status = OK, body = Tenant)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    if_match: IfMatch,
    Json(patch): Json<TenantPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::TenantWrite, None).await?;
    let tenant = tenants::update(&mut tx, version, patch).await?;
    Ok(Answer::ok(&tenant)?.etag(tenant.version).commit(tx).await?)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// The carrier's name, so that nobody does it by mistake.
    confirm: String,
}

/// Delete the carrier with all that is its, files included. It cannot be undone: export it first. Nobody can enter it any more at
/// once, and no API key of it works; its data are gone a little later. Not while a subscription is live.
#[utoipa::path(delete, path = "/v1/tenant", operation_id = "delete_tenant", tag = "tenant", params(DeleteQuery),
    responses((status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    if_match: IfMatch,
    Query(query): Query<DeleteQuery>,
) -> Outcome {
    let version = if_match.required()?;
    let mut loaded = tenants::begin_close(&app.db, &actor).await?;
    tenants::close(&mut loaded, version, &query.confirm).await?;
    let id = loaded.tx.entered.tenant_id;
    let answer = Answer::no_content().commit(loaded.tx).await?;
    chores::send(&app.chores, Chore::EraseTenant { id }).await;
    Ok(answer)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// Of which month `ai` tells; the present one, if it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")]
    month: Option<Month>,
}

/// Tell what the plan allows and how much of it is used, and what AI has done and cost in a month.
///
/// `used` of `requests` is null: a second is over as soon as it is counted.
#[utoipa::path(get, path = "/v1/usage", operation_id = "get_usage", tag = "tenant",
    params(UsageQuery), responses((status = OK, body = Usage)))]
async fn usage(State(app): State<App>, Caller(actor): Caller, Query(query): Query<UsageQuery>) -> Outcome {
    Ok(Answer::ok(&tenants::usage(&app.db, &actor, query.month).await?)?)
}
