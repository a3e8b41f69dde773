//! The carrier's own words. The four kinds of label have the same five operations, which the macro below writes.

mod cancel_reasons;
mod custom_statuses;
mod expense_categories;
mod notification_preferences;
mod number_sequences;
mod tags;

use crate::router::Routes;
use axum::extract::State;
use carhaul_core::base::page::Limit;
use carhaul_core::lookups::{self, Lookup};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Outcome, deleted};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new()
        .merge(cancel_reasons::router())
        .merge(custom_statuses::router())
        .merge(expense_categories::router())
        .merge(notification_preferences::router())
        .merge(number_sequences::router())
        .merge(tags::router())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// Writes the routes of one [`Lookup`].
macro_rules! lookup_routes {
    ($kind:ident, $new:ident, $patch:ident, $path:literal, $one:literal, $many:literal, $words:literal, $delete:literal) => {
        pub fn router() -> crate::router::Routes {
            use crate::router::routes;
            crate::router::Routes::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
        }

        #[utoipa::path(get, path = $path, operation_id = concat!("list_", $many), tag = "lookups",
                            summary = concat!("List ", $words, ", newest first."), params(super::ListQuery),
                            responses((status = OK, body = carhaul_core::base::page::Page<$kind>)))]
        async fn list(
            app: axum::extract::State<crate::app::App>,
            caller: carhaul_http::actor::Caller,
            query: carhaul_http::query::Query<super::ListQuery>,
        ) -> crate::routes::Outcome {
            super::list::<$kind>(app, caller, query).await
        }

        #[utoipa::path(post, path = $path, operation_id = concat!("create_", $one), tag = "lookups",
                            summary = concat!("Add to the ", $words, "."), request_body = $new,
                            responses((status = CREATED, body = $kind)))]
        async fn create(
            app: axum::extract::State<crate::app::App>,
            caller: carhaul_http::actor::Caller,
            post: carhaul_http::body::Post<$new>,
        ) -> crate::routes::Outcome {
            super::create::<$kind>(app, caller, post).await
        }

        #[utoipa::path(get, path = concat!($path, "/{id}"), operation_id = concat!("get_", $one), tag = "lookups",
                            summary = concat!("Get one of the ", $words, "."), params(("id" = uuid::Uuid, Path)),
                            responses((status = OK, body = $kind)))]
        async fn get(
            app: axum::extract::State<crate::app::App>,
            caller: carhaul_http::actor::Caller,
            id: carhaul_http::query::Path<uuid::Uuid>,
        ) -> crate::routes::Outcome {
            super::get::<$kind>(app, caller, id).await
        }

        #[utoipa::path(patch, path = concat!($path, "/{id}"), operation_id = concat!("update_", $one), tag = "lookups",
                            summary = concat!("Change one of the ", $words, "."), params(("id" = uuid::Uuid, Path)),
                            request_body = $patch, responses((status = OK, body = $kind)))]
        async fn update(
            app: axum::extract::State<crate::app::App>,
            caller: carhaul_http::actor::Caller,
            id: carhaul_http::query::Path<uuid::Uuid>,
            if_match: carhaul_http::conditional::IfMatch,
            patch: carhaul_http::body::Json<$patch>,
        ) -> crate::routes::Outcome {
            super::update::<$kind>(app, caller, id, if_match, patch).await
        }

        #[utoipa::path(delete, path = concat!($path, "/{id}"), operation_id = concat!("delete_", $one), tag = "lookups",
                            summary = $delete,
                            params(("id" = uuid::Uuid, Path)),
                            responses((status = OK, body = $kind, description = "Archived, since orders refer to it."),
                                (status = NO_CONTENT)))]
        async fn delete(
            app: axum::extract::State<crate::app::App>,
            caller: carhaul_http::actor::Caller,
            id: carhaul_http::query::Path<uuid::Uuid>,
            if_match: carhaul_http::conditional::IfMatch,
        ) -> crate::routes::Outcome {
            super::delete::<$kind>(app, caller, id, if_match).await
        }
    };
}
use lookup_routes;

async fn list<L: Lookup>(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let page = lookups::list::<L>(&app.db, &actor, query.archived, query.cursor.as_deref(), query.limit).await?;
    Ok(Answer::ok(&page)?)
}

async fn create<L: Lookup>(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<L::New>) -> Outcome {
    let mut tx = app.db.begin(&actor, L::WRITE, key.as_ref()).await?;
    let row = lookups::create::<L>(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/{}/{}", L::PATH, row.id()), &row)?.etag(row.version());
    Ok(answer.commit(tx).await?)
}

async fn get<L: Lookup>(State(app): State<App>, Caller(actor): Caller, Path(id): Path<Uuid>) -> Outcome {
    let row = lookups::get::<L>(&app.db, &actor, id).await?;
    Ok(Answer::ok(&row)?.etag(row.version()))
}

async fn update<L: Lookup>(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    Json(patch): Json<L::Patch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, L::WRITE, None).await?;
    let row = lookups::update::<L>(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&row)?.etag(row.version()).commit(tx).await?)
}

async fn delete<L: Lookup>(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, L::WRITE, None).await?;
    let archived = lookups::delete::<L>(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
