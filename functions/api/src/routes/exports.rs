use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::chores::{self, Chore};
use carhaul_core::exports::{self, Export, ExportDownload, ExportId, NewExport};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::query::{Path, Query};

use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get)).routes(routes!(download))
}

/// List exports, newest first.
#[utoipa::path(get, path = "/v1/exports", operation_id = "list_exports", tag = "exports", params(PageQuery),
    responses((status = OK, body = Page<Export>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<PageQuery>) -> Outcome {
    Ok(Answer::ok(&exports::list(&app.db, &actor, query.cursor.as_deref(), query.limit).await?)?)
}

/// Ask for an export of all that the carrier has. It is written meanwhile: one at a time, at most five a day.
#[utoipa::path(post, path = "/v1/exports", operation_id = "create_export", tag = "exports",
    request_body = NewExport, responses((status = ACCEPTED, body = Export)))]
async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Post { body: NewExport {}, key }: Post<NewExport>,
) -> Outcome {
    let mut loaded = exports::begin(&app.db, &actor, key.as_ref()).await?;
    let export = exports::create(&mut loaded).await?;
    let location = format!("/v1/exports/{}", export.id);
    let answer = Answer::accepted(location, &export)?.commit(loaded.tx).await?;
    chores::send(&app.chores, Chore::WriteExport { id: export.id }).await;
    Ok(answer)
}

/// Get an export, and how far it has come.
#[utoipa::path(get, path = "/v1/exports/{export_id}", operation_id = "get_export", tag = "exports",
    params(("export_id" = ExportId, Path)), responses((status = OK, body = Export)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ExportId>) -> Outcome {
    Ok(Answer::ok(&exports::get(&app.db, &actor, id).await?)?)
}

/// Get URLs from which the files can be downloaded for five minutes.
#[utoipa::path(get, path = "/v1/exports/{export_id}/download", operation_id = "download_export", tag = "exports",
    params(("export_id" = ExportId, Path)), responses((status = OK, body = ExportDownload)))]
async fn download(State(app): State<App>, Caller(actor): Caller, Path(id): Path<ExportId>) -> Outcome {
    Ok(Answer::ok(&exports::download(&app.db, &actor, &app.bucket, id, app.clock.now()).await?)?)
}
