use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::lookups::notification_preferences::{self, NotificationPreferences};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Json;
use carhaul_http::conditional::IfMatch;

use crate::app::App;
use crate::routes::Outcome;

pub fn router() -> Routes {
    Routes::new().routes(routes!(get, replace))
}

/// Tell who is notified of what, and how.
#[utoipa::path(get, path = "/v1/notification-preferences", operation_id = "get_notification_preferences",
    tag = "lookups", responses((status = OK, body = NotificationPreferences)))]
async fn get(State(app): State<App>, Caller(actor): Caller) -> Outcome {
    let preferences = notification_preferences::get(&app.db, &actor).await?;
    Ok(Answer::ok(&preferences)?.etag(preferences.version()?))
}

/// Say who is notified of what, and how. What the body does not name is not told any more.
#[utoipa::path(put, path = "/v1/notification-preferences", operation_id = "replace_notification_preferences",
    tag = "lookups", request_body = NotificationPreferences, responses((status = OK, body = NotificationPreferences)))]
async fn replace(
    State(app): State<App>,
    Caller(actor): Caller,
    if_match: IfMatch,
    Json(wanted): Json<NotificationPreferences>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = notification_preferences::begin_replace(&app.db, &actor, version).await?;
    notification_preferences::replace(&mut tx, &wanted).await?;
    Ok(Answer::ok(&wanted)?.etag(wanted.version()?).commit(tx).await?)
}
