use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::api_keys::{self, ApiKey, ApiKeyId, IssuedApiKey, NewApiKey};
use carhaul_core::base::page::Page;
use carhaul_core::identity::permissions::Action;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::query::{Path, Query};

use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get, revoke))
}

/// List API keys, newest first, the revoked ones too.
#[utoipa::path(get, path = "/v1/api-keys", operation_id = "list_api_keys", tag = "api-keys", params(PageQuery),
    responses((status = OK, body = Page<ApiKey>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<PageQuery>) -> Outcome {
    Ok(Answer::ok(&api_keys::list(&app.db, &actor, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create an API key. The answer shows it, this once.
///
/// Give it the scopes that it needs and no others. A request that is repeated with its `Idempotency-Key` does not show
/// the key again.
#[utoipa::path(post, path = "/v1/api-keys", operation_id = "create_api_key", tag = "api-keys",
    request_body = NewApiKey, responses((status = CREATED, body = IssuedApiKey)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewApiKey>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::ApiKeysManage, key.as_ref()).await?;
    let mut issued = api_keys::create(&mut tx, body, app.clock.now()).await?;
    let location = format!("/v1/api-keys/{}", issued.api_key.id);
    let answer = Answer::created(location.clone(), &issued)?;
    issued.key = None;
    Ok(answer.commit_storing(Answer::created(location, &issued)?, tx).await?)
}

/// Get an API key, without the key itself.
#[utoipa::path(get, path = "/v1/api-keys/{api_key_id}", operation_id = "get_api_key", tag = "api-keys",
    params(("api_key_id" = ApiKeyId, Path)), responses((status = OK, body = ApiKey)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ApiKeyId>) -> Outcome {
    Ok(Answer::ok(&api_keys::get(&app.db, &actor, id).await?)?)
}

/// Revoke an API key. Its next request is refused.
#[utoipa::path(delete, path = "/v1/api-keys/{api_key_id}", operation_id = "revoke_api_key", tag = "api-keys",
    params(("api_key_id" = ApiKeyId, Path)), responses((status = NO_CONTENT)))]
async fn revoke(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ApiKeyId>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::ApiKeysManage, None).await?;
    api_keys::revoke(&mut tx, id).await?;
    Ok(Answer::no_content().commit(tx).await?)
}
