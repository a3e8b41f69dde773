use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::chores::{self, Chore};
use carhaul_core::me::{self, Me};
use carhaul_http::actor::SignedIn;
use carhaul_http::answer::Answer;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(get, delete))
}

/// Tell who you are and which carriers you work for. Your first call makes you known.
#[utoipa::path(get, path = "/v1/me", operation_id = "get_me", tag = "me", responses((status = OK, body = Me)))]
async fn get(State(app): State<App>, SignedIn { actor, token }: SignedIn) -> Outcome {
    Ok(Answer::ok(&me::get(&app.db, &actor, &token).await?)?)
}

/// Delete yourself. You are a member nowhere any more, carriers keep what was done without your name, and signing in again makes
/// somebody new. Not while a carrier would be without an owner.
#[utoipa::path(delete, path = "/v1/me", operation_id = "delete_me", tag = "me", responses((status = NO_CONTENT)))]
async fn delete(State(app): State<App>, SignedIn { actor, token }: SignedIn) -> Outcome {
    let id = me::erase(&app.db, &actor, &token).await?;
    chores::send(&app.chores, Chore::EraseUser { id }).await;
    Ok(Answer::no_content())
}
