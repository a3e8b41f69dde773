use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::ids::UserId;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::identity::permissions::{Action, Role};
use carhaul_core::members::{self, Member, MemberPatch};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Json;
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(get, update, delete))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    role: Option<Role>,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List members.
#[utoipa::path(get, path = "/v1/members", operation_id = "list_members", tag = "members", params(ListQuery),
    responses((status = OK, body = Page<Member>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let page = members::list(&app.db, &actor, query.role, query.cursor.as_deref(), query.limit).await?;
    Ok(Answer::ok(&page)?)
}

/// Get a member.
#[utoipa::path(get, path = "/v1/members/{user_id}", operation_id = "get_member", tag = "members",
    params(("user_id" = UserId, Path)), responses((status = OK, body = Member)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<UserId>) -> Outcome {
    let member = members::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&member)?.etag(member.version))
}

/// Change a member's role or name. It counts from their next request on.
#[utoipa::path(patch, path = "/v1/members/{user_id}", operation_id = "update_member", tag = "members",
    params(("user_id" = UserId, Path)), request_body = MemberPatch, responses((status = OK, body = Member)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<UserId>,
    if_match: IfMatch,
    Json(patch): Json<MemberPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut loaded = members::begin(&app.db, &actor, Action::MembersWrite, id).await?;
    let member = members::update(&mut loaded, id, version, patch).await?;
    Ok(Answer::ok(&member)?.etag(member.version).commit(loaded.tx).await?)
}

/// Remove a member, or leave: everybody may remove themselves. Their next request is refused.
///
/// Orders that they look after stay as they are, and open invitations to their address are withdrawn. To remove another needs `members:write`. A carrier keeps an owner (409, `last_owner`).
#[utoipa::path(delete, path = "/v1/members/{user_id}", operation_id = "delete_member", tag = "members",
    params(("user_id" = UserId, Path)), responses((status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<UserId>, if_match: IfMatch) -> Outcome {
    let version = if_match.required()?;
    // Leaving takes no right but that of being there; the operation asks for more to remove others.
    let mut loaded = members::begin(&app.db, &actor, Action::TenantRead, id).await?;
    members::remove(&mut loaded, id, version).await?;
    Ok(Answer::no_content().commit(loaded.tx).await?)
}
