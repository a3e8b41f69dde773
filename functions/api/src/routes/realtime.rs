use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::identity::permissions::Action;
use carhaul_core::realtime::ticket::{self, IssuedTicket, NewTicket};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;

use super::Outcome;
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(create_ticket))
}

/// Get a ticket that opens one WebSocket within a minute.
///
/// Open `{url}?ticket={ticket}` and send `{"type": "subscribe", "topics": ["orders"], "after": "now"}`; topics are
/// those of `GET /v1/events`, whole or for one thing (`orders/{id}`), and `after` takes its cursors. What comes is
/// `{"type": "events", "data": [..], "next_cursor": ".."}`. Send `{"type": "ping"}` every few minutes.
#[utoipa::path(post, path = "/v1/realtime/tickets", operation_id = "create_realtime_ticket", tag = "events",
    request_body = NewTicket, responses((status = CREATED, body = IssuedTicket)))]
async fn create_ticket(
    State(app): State<App>,
    Caller(actor): Caller,
    Post { body: NewTicket {}, key }: Post<NewTicket>,
) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::EventsRead, key.as_ref()).await?;
    let mut issued = ticket::create(&mut tx, &app.realtime.url).await?;
    let answer = Answer::issued(&issued)?;
    issued.ticket = None;
    Ok(answer.commit_storing(Answer::issued(&issued)?, tx).await?)
}
