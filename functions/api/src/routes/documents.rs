use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::documents::{self, AnnouncedDocument, Document, DocumentId, Download, NewDocument};
use carhaul_core::orders::OrderId;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::query::{Path, Query};

use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get, delete)).routes(routes!(download))
}

/// List the documents of an order, newest first.
#[utoipa::path(get, path = "/v1/orders/{order_id}/documents", operation_id = "list_order_documents", tag = "documents",
    params(("order_id" = OrderId, Path), PageQuery), responses((status = OK, body = Page<Document>)))]
async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(order): Path<OrderId>,
    Query(query): Query<PageQuery>,
) -> Outcome {
    Ok(Answer::ok(&documents::list(&app.db, &actor, order, query.cursor.as_deref(), query.limit).await?)?)
}

/// Add a document to an order. The answer says where to PUT the file; it is `stored` once that has come and been checked.
///
/// Send the file with `upload.method` to `upload.url` with `upload.headers`, before `upload.expires_at`. What comes is
/// compared with `size`, `content_type` and `sha256`; then the document is `stored`, or `refused`, and an event
/// `document.uploaded` or `document.refused` tells of it.
#[utoipa::path(post, path = "/v1/orders/{order_id}/documents", operation_id = "create_order_document", tag = "documents",
    params(("order_id" = OrderId, Path)), request_body = NewDocument,
    responses((status = CREATED, body = AnnouncedDocument)))]
async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(order): Path<OrderId>,
    Post { body, key }: Post<NewDocument>,
) -> Outcome {
    let mut tx = documents::begin(&app.db, &actor, key.as_ref(), order).await?;
    let announced = documents::create(&mut tx, &app.bucket, order, body, app.clock.now()).await?;
    let location = format!("/v1/documents/{}", announced.document.id);
    Ok(Answer::created(location, &announced)?.commit(tx).await?)
}

/// Get a document, without its file.
#[utoipa::path(get, path = "/v1/documents/{document_id}", operation_id = "get_document", tag = "documents",
    params(("document_id" = DocumentId, Path)), responses((status = OK, body = Document)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<DocumentId>) -> Outcome {
    Ok(Answer::ok(&documents::get(&app.db, &actor, id).await?)?)
}

/// Get a URL from which the file can be downloaded for five minutes.
///
/// A document whose file has not come, or was refused, is a 409, `not_stored`.
#[utoipa::path(get, path = "/v1/documents/{document_id}/download", operation_id = "download_document", tag = "documents",
    params(("document_id" = DocumentId, Path)), responses((status = OK, body = Download)))]
async fn download(State(app): State<App>, Caller(actor): Caller, Path(id): Path<DocumentId>) -> Outcome {
    Ok(Answer::ok(&documents::download(&app.db, &actor, &app.bucket, id, app.clock.now()).await?)?)
}

/// Delete a document, and its file.
#[utoipa::path(delete, path = "/v1/documents/{document_id}", operation_id = "delete_document", tag = "documents",
    params(("document_id" = DocumentId, Path)), responses((status = NO_CONTENT)))]
async fn delete(State(app): State<App>, Caller(actor): Caller, Path(id): Path<DocumentId>) -> Outcome {
    let mut tx = documents::begin_delete(&app.db, &actor, id).await?;
    documents::delete(&mut tx, id).await?;
    Ok(Answer::no_content().commit(tx).await?)
}
