use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::lookups::number_sequences::{self, NumberKind, NumberSequence, NumberSequencePatch};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Json;
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::Path;

use crate::app::App;
use crate::routes::Outcome;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(get, update))
}

/// List where the numbers of orders, trips and invoices go on.
#[utoipa::path(get, path = "/v1/number-sequences", operation_id = "list_number_sequences", tag = "lookups",
    responses((status = OK, body = Page<NumberSequence>)))]
async fn list(State(app): State<App>, Caller(actor): Caller) -> Outcome {
    Ok(Answer::ok(&number_sequences::list(&app.db, &actor).await?)?)
}

/// Get where the numbers of one kind go on.
#[utoipa::path(get, path = "/v1/number-sequences/{kind}", operation_id = "get_number_sequence", tag = "lookups",
    params(("kind" = NumberKind, Path)), responses((status = OK, body = NumberSequence)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(kind): Path<NumberKind>) -> Outcome {
    let sequence = number_sequences::get(&app.db, &actor, kind).await?;
    Ok(Answer::ok(&sequence)?.etag(sequence.version))
}

/// Let numbers go on from a higher one.
///
/// `If-Match` takes its ETag, which counts up with each number taken: `*` is safe, since numbers never go back.
#[utoipa::path(patch, path = "/v1/number-sequences/{kind}", operation_id = "update_number_sequence", tag = "lookups",
    params(("kind" = NumberKind, Path)), request_body = NumberSequencePatch,
    responses((status = OK, body = NumberSequence)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(kind): Path<NumberKind>,
    if_match: IfMatch,
    Json(patch): Json<NumberSequencePatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut loaded = number_sequences::begin_update(&app.db, &actor, kind).await?;
    let sequence = number_sequences::update(&mut loaded, kind, version, patch).await?;
    Ok(Answer::ok(&sequence)?.etag(sequence.version).commit(loaded.tx).await?)
}
