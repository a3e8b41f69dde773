use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::identity::permissions::Action;
use carhaul_core::provider_keys::{self, NewProviderKey, ProviderKey, ProviderKeyId, ProviderKeyRotation};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};

use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get, rotate, delete))
}

/// List provider keys, newest first, without the keys themselves.
#[utoipa::path(get, path = "/v1/provider-keys", operation_id = "list_provider_keys", tag = "provider-keys",
    params(PageQuery), responses((status = OK, body = Page<ProviderKey>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<PageQuery>) -> Outcome {
    Ok(Answer::ok(&provider_keys::list(&app.db, &actor, query.cursor.as_deref(), query.limit).await?)?)
}

/// Keep a key. It is tried at the provider first; one that the provider refuses, or cannot be asked about, is not kept.
///
/// One for each provider (409, `already_exists`). Executions ask with it from then on.
#[utoipa::path(post, path = "/v1/provider-keys", operation_id = "create_provider_key", tag = "provider-keys",
    request_body = NewProviderKey, responses((status = CREATED, body = ProviderKey)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewProviderKey>) -> Outcome {
    let prepared = provider_keys::prepare(&app.db, &actor, key.as_ref(), &app.vault, body).await?;
    let mut tx = app.db.begin(&actor, Action::ProviderKeysManage, key.as_ref()).await?;
    let row = provider_keys::create(&mut tx, prepared).await?;
    let answer = Answer::created(format!("/v1/provider-keys/{}", row.id), &row)?.etag(row.version);
    Ok(answer.commit(tx).await?)
}

/// Get a provider key, without the key itself.
#[utoipa::path(get, path = "/v1/provider-keys/{provider_key_id}", operation_id = "get_provider_key",
    tag = "provider-keys", params(("provider_key_id" = ProviderKeyId, Path)),
    responses((status = OK, body = ProviderKey)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ProviderKeyId>) -> Outcome {
    let row = provider_keys::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&row)?.etag(row.version))
}

/// Put another key in the place of this one, tried as a new one is. Executions that start afterwards use it.
#[utoipa::path(patch, path = "/v1/provider-keys/{provider_key_id}", operation_id = "rotate_provider_key",
    tag = "provider-keys", params(("provider_key_id" = ProviderKeyId, Path)), request_body = ProviderKeyRotation,
    responses((status = OK, body = ProviderKey)))]
async fn rotate(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ProviderKeyId>,
    if_match: IfMatch,
    Json(rotation): Json<ProviderKeyRotation>,
) -> Outcome {
    let version = if_match.required()?;
    let prepared = provider_keys::prepare_rotation(&app.db, &actor, &app.vault, id, version, rotation).await?;
    let mut tx = app.db.begin(&actor, Action::ProviderKeysManage, None).await?;
    let row = provider_keys::rotate(&mut tx, version, prepared).await?;
    Ok(Answer::ok(&row)?.etag(row.version).commit(tx).await?)
}

/// Delete a provider key. No execution that starts afterwards can use it.
#[utoipa::path(delete, path = "/v1/provider-keys/{provider_key_id}", operation_id = "delete_provider_key",
    tag = "provider-keys", params(("provider_key_id" = ProviderKeyId, Path)), responses((status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<ProviderKeyId>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::ProviderKeysManage, None).await?;
    provider_keys::delete(&mut tx, id, version).await?;
    Ok(Answer::no_content().commit(tx).await?)
}
