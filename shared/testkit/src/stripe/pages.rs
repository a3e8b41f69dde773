//! The pages that a person is sent to, in the place of a card: where a checkout is paid, and where a customer changes, pays and
//! ends what it has. Whoever has the address may, as at Stripe.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::DateTime;
use serde_json::Value;

use super::account::{Account, text};
use super::invoices::subscription_of;
use super::life::terms;
use super::parameters::Parameters;
use super::price::dollars;
use super::refusal::Refusal;
use super::server::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/checkout/{session}", get(checkout))
        .route("/checkout/{session}/pay", post(pay))
        .route("/checkout/{session}/fail", post(fail))
        .route("/portal/{session}", get(portal))
        .route("/portal/{session}/{action}", post(act))
}

async fn checkout(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.look(|account, at| {
        let session = match account.expire_old_checkouts(at).and_then(|()| session(account, &id)) {
            Ok(session) => session,
            Err(refusal) => return refused(&refusal),
        };
        let body = match session["status"].as_str() {
            Some("open") => {
                let (price, quantity) = account.basket(&id);
                let cancel = session["cancel_url"].as_str().map(|url| link(url, "Back without buying"));
                format!(
                    "<p>{quantity} × {}. To pay now: <b>{}</b>.</p>{}{}<p>{}</p>",
                    escape(&price),
                    dollars(session["amount_total"].as_i64().unwrap_or_default()),
                    button(&format!("/checkout/{id}/pay"), "Pay", &[]),
                    button(&format!("/checkout/{id}/fail"), "Let the payment fail", &[]),
                    cancel.unwrap_or_default()
                )
            }
            Some("complete") => "<p>This has been paid.</p>".to_owned(),
            _ => "<p>This page has expired. Ask for a new one.</p>".to_owned(),
        };
        page(StatusCode::OK, "Checkout", &body)
    })
}

async fn pay(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.change(|account, at| {
        let paid = account.expire_old_checkouts(at).and_then(|()| account.complete_checkout(&id, at));
        match paid.and_then(|_| session(account, &id)) {
            Ok(session) => see(&text(session, "success_url").replace("{CHECKOUT_SESSION_ID}", &id)),
            Err(refusal) => refused(&refusal),
        }
    })
}

/// At Stripe's checkout a declined card buys nothing, and another one can be tried.
async fn fail(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    match session(&shared.lock().account, &id) {
        Ok(_) => {
            let again = link(&format!("/checkout/{id}"), "Try again");
            let body = format!("<p>The card was declined, and nothing was bought.</p><p>{again}</p>");
            page(StatusCode::PAYMENT_REQUIRED, "Checkout", &body)
        }
        Err(refusal) => refused(&refusal),
    }
}

async fn portal(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let account = &shared.lock().account;
    let Some(session) = account.portals.get(&id) else { return refused(&Refusal::not_found("portal session", &id)) };
    let customer = text(session, "customer");
    let mut body = String::new();
    for subscription in account.subscriptions.of("customer", &customer).rev() {
        body += &subscription_section(account, &id, subscription);
    }
    if body.is_empty() {
        body += "<p>There is no subscription.</p>";
    }
    body += "<h2>Invoices</h2><ul>";
    for invoice in account.invoices.of("customer", &customer).rev() {
        let _ = write!(body, "<li>{}</li>", invoice_line(invoice));
    }
    body += "</ul>";
    if let Some(url) = session["return_url"].as_str() {
        let _ = write!(body, "<p>{}</p>", link(url, "Back"));
    }
    page(StatusCode::OK, "Your subscription", &body)
}

fn subscription_section(account: &Account, session: &str, subscription: &Value) -> String {
    let id = text(subscription, "id");
    let (price, quantity, _, end) = terms(subscription);
    let label = account.price(&price, "price").map_or_else(|_| price.clone(), |price| price.label());
    let ends = if subscription["cancel_at_period_end"] == true { "ends" } else { "renews" };
    let status = text(subscription, "status");
    let mut section = format!("<h2>{quantity} × {}</h2><p>{status}", escape(&label));
    if status == "canceled" {
        return section + "</p>";
    }
    let _ = write!(section, ", {ends} on {}. <small>{id}</small></p>", day(end));
    let mut offer = |action: &str, label: &str, price: Option<&str>| {
        let mut fields = vec![("subscription", id.as_str())];
        fields.extend(price.map(|price| ("price", price)));
        section += &button(&format!("/portal/{session}/{action}"), label, &fields);
    };
    for other in account.prices.iter().filter(|other| other.is_offered && other.id != price) {
        let name = other.nickname.as_deref().unwrap_or(&other.id);
        offer("change-price", &format!("Change to {name}"), Some(&other.id));
    }
    match account.open_invoices(&id).is_empty() {
        true => offer("pay", "End the period now and pay the next", None),
        false => offer("pay", "Pay what is owed", None),
    }
    offer("fail-payment", "Let the payment fail", None);
    match subscription["cancel_at_period_end"] == true {
        true => offer("resume", "Do not cancel", None),
        false => offer("cancel-at-period-end", "Cancel at the end of the period", None),
    }
    offer("cancel", "Cancel now", None);
    section
}

fn invoice_line(invoice: &Value) -> String {
    let field = |name: &str| escape(invoice[name].as_str().unwrap_or_default());
    let cents = |name: &str| dollars(invoice[name].as_i64().unwrap_or_default());
    let mut line =
        format!("{}: {}, {}, paid {}", field("number"), field("status"), cents("total"), cents("amount_paid"));
    for row in invoice["lines"]["data"].as_array().into_iter().flatten() {
        let what = escape(row["description"].as_str().unwrap_or_default());
        let _ = write!(line, "<br><small>{what}: {}</small>", dollars(row["amount"].as_i64().unwrap_or_default()));
    }
    let _ = write!(line, "<br><small>for {}</small>", subscription_of(invoice).as_str().unwrap_or_default());
    line
}

async fn act(
    State(shared): State<Arc<Shared>>,
    Path((session, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let done = shared.change(|account, at| {
        let mut given = Parameters::parse(&body)?;
        let portal = account.portals.get(&session).ok_or_else(|| Refusal::not_found("portal session", &session))?;
        let id = given.require("subscription")?;
        // Only what is this customer's.
        if account.subscription(&id)?["customer"] != portal["customer"] {
            return Err(Refusal::not_found("subscription", &id));
        }
        match action.as_str() {
            "change-price" => account.change_price(&id, &given.require("price")?, at),
            "pay" => account.pay(&id, at),
            "fail-payment" => account.fail_payment(&id, at),
            "cancel" => account.cancel(&id, at),
            "cancel-at-period-end" => account.cancel_at_period_end(&id, at),
            "resume" => account.resume(&id, at),
            _ => Err(Refusal::no_route("POST", &format!("/portal/{session}/{action}"))),
        }
    });
    match done {
        Ok(()) => see(&format!("/portal/{session}")),
        Err(refusal) => refused(&refusal),
    }
}

fn session<'a>(account: &'a Account, id: &str) -> Result<&'a Value, Refusal> {
    account.checkouts.get(id).ok_or_else(|| Refusal::not_found("checkout.session", id))
}

fn see(url: &str) -> Response {
    Redirect::to(url).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    page(refusal.status, "Not possible", &format!("<p>{}</p>", escape(&refusal.message)))
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
         <style>body{{font:1rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         form{{display:inline}}aside{{background:#fe9;padding:.5rem 1rem}}</style>\
         <aside>This is a local stand-in of Stripe. No card is asked for and no money moves.</aside>\
         <h1>{title}</h1>{body}\n"
    );
    (status, Html(html)).into_response()
}

fn button(action: &str, label: &str, fields: &[(&str, &str)]) -> String {
    let hidden = |(name, value): &(&str, &str)| format!("<input type=hidden name={name} value=\"{}\">", escape(value));
    let fields: String = fields.iter().map(hidden).collect();
    format!("<form method=post action=\"{}\">{fields}<button>{}</button></form>\n", escape(action), escape(label))
}

fn link(url: &str, label: &str) -> String {
    format!("<a href=\"{}\">{label}</a>", escape(url))
}

fn day(at: i64) -> String {
    DateTime::from_timestamp(at, 0).map(|at| at.date_naive().to_string()).unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
