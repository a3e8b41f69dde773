use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::me::{self, Me};
use carhaul_http::actor::SignedIn;
use carhaul_http::answer::Answer;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(get))
}

/// Tell who you are and which carriers you work for. Your first call makes you known.
#[utoipa::path(get, path = "/v1/me", operation_id = "get_me", tag = "me", responses((status = OK, body = Me)))]
async fn get(State(app): State<App>, SignedIn { actor, token }: SignedIn) -> Outcome {
    Ok(Answer::ok(&me::get(&app.db, &actor, &token).await?)?)
}
