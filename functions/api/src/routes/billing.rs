use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::Page;
use carhaul_core::billing::checkout::{self, HostedPage, NewCheckoutSession};
use carhaul_core::billing::events::{self, BillingEvent};
use carhaul_core::billing::invoices::{self, BillingInvoice};
use carhaul_core::billing::overview::{self, Billing};
use carhaul_core::billing::portal::{self, NewPortalSession};
use carhaul_core::billing::prices::{self, Price};
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::Post;
use carhaul_http::query::Query;

use super::{Outcome, PageQuery};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new()
        .routes(routes!(get))
        .routes(routes!(list_prices))
        .routes(routes!(list_invoices))
        .routes(routes!(list_events))
        .routes(routes!(create_checkout_session))
        .routes(routes!(create_portal_session))
}

/// Tell what the carrier has bought, what it owes, what holds because of it, and how much of the plan is used.
#[utoipa::path(get, path = "/v1/billing", operation_id = "get_billing", tag = "billing",
    responses((status = OK, body = Billing)))]
async fn get(State(app): State<App>, Caller(actor): Caller) -> Outcome {
    Ok(Answer::ok(&overview::get(&app.db, &actor).await?)?)
}

/// List what can be bought.
#[utoipa::path(get, path = "/v1/billing/prices", operation_id = "list_billing_prices", tag = "billing",
    responses((status = OK, body = Page<Price>)))]
async fn list_prices(State(app): State<App>, Caller(actor): Caller) -> Outcome {
    Ok(Answer::ok(&prices::list(&app.db, &actor).await?)?)
}

/// List what the carrier was billed, the last invoice first.
#[utoipa::path(get, path = "/v1/billing/invoices", operation_id = "list_billing_invoices", tag = "billing",
    params(PageQuery), responses((status = OK, body = Page<BillingInvoice>)))]
async fn list_invoices(State(app): State<App>, Caller(actor): Caller, Query(query): Query<PageQuery>) -> Outcome {
    Ok(Answer::ok(&invoices::list(&app.db, &actor, query.cursor.as_deref(), query.limit).await?)?)
}

/// List what Stripe has told of the carrier and what came of it, the last first.
#[utoipa::path(get, path = "/v1/billing/events", operation_id = "list_billing_events", tag = "billing",
    params(PageQuery), responses((status = OK, body = Page<BillingEvent>)))]
async fn list_events(State(app): State<App>, Caller(actor): Caller, Query(query): Query<PageQuery>) -> Outcome {
    Ok(Answer::ok(&events::list(&app.db, &actor, query.cursor.as_deref(), query.limit).await?)?)
}

/// Open the page where the carrier subscribes; one that was opened before is closed. A carrier with a subscription changes it
/// in the portal.
///
/// `success_url` and `cancel_url` are `https://` and on an origin that may call this service. What was bought holds
/// when Stripe has told of it, a moment after the browser is back: see `GET /v1/billing`.
#[utoipa::path(post, path = "/v1/billing/checkout-sessions", operation_id = "create_checkout_session", tag = "billing",
    request_body = NewCheckoutSession, responses((status = CREATED, body = HostedPage)))]
async fn create_checkout_session(
    State(app): State<App>,
    Caller(actor): Caller,
    Post { body, key }: Post<NewCheckoutSession>,
) -> Outcome {
    let (page, tx) = checkout::begin(&app.db, &app.payments, &actor, &body, key.as_ref()).await?;
    Ok(Answer::created(page.url.clone(), &page)?.commit(tx).await?)
}

/// Open the portal, where the carrier changes, pays and ends its subscription.
///
/// `return_url` is `https://` and on an origin that may call this service.
#[utoipa::path(post, path = "/v1/billing/portal-sessions", operation_id = "create_portal_session", tag = "billing",
    request_body = NewPortalSession, responses((status = CREATED, body = HostedPage)))]
async fn create_portal_session(
    State(app): State<App>,
    Caller(actor): Caller,
    Post { body, key }: Post<NewPortalSession>,
) -> Outcome {
    let (page, tx) = portal::begin(&app.db, &app.payments, &actor, &body, key.as_ref()).await?;
    Ok(Answer::created(page.url.clone(), &page)?.commit(tx).await?)
}
