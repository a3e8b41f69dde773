use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::identity::permissions::Action;
use carhaul_core::invitations::{self, Acceptance, Invitation, InvitationId, IssuedInvitation, NewInvitation};
use carhaul_core::me::Membership;
use carhaul_http::actor::{Caller, SignedIn};
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::problem::Problem;
use carhaul_http::query::{Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(accept)).routes(routes!(get, delete))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// True leaves out those that were accepted or have expired.
    #[serde(default)]
    open: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List invitations, newest first.
#[utoipa::path(get, path = "/v1/invitations", operation_id = "list_invitations", tag = "members", params(ListQuery),
    responses((status = OK, body = Page<Invitation>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let page = invitations::list(&app.db, &actor, query.open, query.cursor.as_deref(), query.limit).await?;
    Ok(Answer::ok(&page)?)
}

/// Invite somebody for seven days. The answer has the token to send them; an open invitation of the same address is replaced.
///
/// They accept it with `POST /v1/invitations/accept`, signed in as whoever has that address.
#[utoipa::path(post, path = "/v1/invitations", operation_id = "create_invitation", tag = "members",
    request_body = NewInvitation, responses((status = CREATED, body = IssuedInvitation)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewInvitation>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::MembersWrite, key.as_ref()).await?;
    let mut issued = invitations::create(&mut tx, body).await?;
    let location = format!("/v1/invitations/{}", issued.invitation.id);
    let answer = Answer::created(location.clone(), &issued)?;
    issued.token = None;
    Ok(answer.commit_storing(Answer::created(location, &issued)?, tx).await?)
}

/// Accept an invitation as the signed-in person.
#[utoipa::path(post, path = "/v1/invitations/accept", operation_id = "accept_invitation", tag = "members",
    request_body = Acceptance, responses((status = OK, body = Membership),
        (status = NOT_FOUND, description = "No such invitation, or used or expired", body = Problem,
            content_type = "application/problem+json")))]
async fn accept(
    State(app): State<App>,
    SignedIn { actor, token }: SignedIn,
    Post { body, key }: Post<Acceptance>,
) -> Outcome {
    let mut tx = invitations::begin_accept(&app.db, &actor, &token, &body, key.as_ref()).await?;
    let membership = invitations::accepted(&mut tx).await?;
    Ok(Answer::ok(&membership)?.commit(tx).await?)
}

/// Get an invitation.
#[utoipa::path(get, path = "/v1/invitations/{invitation_id}", operation_id = "get_invitation", tag = "members",
    params(("invitation_id" = InvitationId, Path)), responses((status = OK, body = Invitation)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<InvitationId>) -> Outcome {
    Ok(Answer::ok(&invitations::get(&app.db, &actor, id).await?)?)
}

/// Take an invitation back.
#[utoipa::path(delete, path = "/v1/invitations/{invitation_id}", operation_id = "delete_invitation", tag = "members",
    params(("invitation_id" = InvitationId, Path)), responses((status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<InvitationId>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::MembersWrite, None).await?;
    invitations::delete(&mut tx, id).await?;
    Ok(Answer::no_content().commit(tx).await?)
}
