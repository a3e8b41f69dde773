use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Limit;
use carhaul_core::events::{self, After, Events, Topic};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::problem::Problem;
use carhaul_http::query::Query;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// A cursor, to get what came after it; `now`, to start with what comes next. Without it, the list starts with the
    /// oldest event that is kept (30 days). When some of what came after it is kept no longer, the answer is 410.
    after: Option<String>,
    topic: Option<Topic>,
    #[serde(default)]
    limit: Limit,
}

/// List what has changed, oldest first. Ask again with `next_cursor` to follow; nothing is skipped or repeated.
///
/// Begin with `after=now`, or with what you have read, and keep `next_cursor`: there always is one, also of an empty
/// page. An event tells what has changed and not how it is now: read the thing anew. Without polling: `POST
/// /v1/realtime/tickets`.
#[utoipa::path(get, path = "/v1/events", operation_id = "list_events", tag = "events", params(ListQuery),
    responses((status = OK, body = Events), (status = GONE, description = "Some of what came after the cursor is kept no longer",
        body = Problem, content_type = "application/problem+json")))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let after = After::parse(query.after.as_deref())?;
    Ok(Answer::ok(&events::list(&app.db, &actor, after, query.topic, query.limit).await?)?)
}
