//! The API: who may ask, what is repeated, and what there is to ask.

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::account::{Account, NewCheckout, Shelf, random_id, text};
use super::invoices::subscription_of;
use super::objects::list;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::server::{Shared, StripeRequest};

/// The first version whose objects look like ours, `2025-03-31.basil`.
const OLDEST_VERSION: &str = "2025-03-31";

const MAX_BODY: usize = 1024 * 1024;

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Refusal::state("The request is too large.").into_response();
    };
    let form = if head.method == Method::GET { head.uri.query().unwrap_or_default().as_bytes() } else { &body };
    let mut response = match Parameters::parse(form) {
        Ok(parameters) => {
            let request = StripeRequest {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                parameters: parameters.pairs().to_vec(),
                idempotency_key: header(&head.headers, "idempotency-key").map(str::to_owned),
            };
            handle(&shared, &head.headers, request, parameters)
        }
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert("request-id", HeaderValue::try_from(random_id("req_", 14)).expect("an id is plain"));
    if let Some(version) = head.headers.get("stripe-version") {
        headers.insert("stripe-version", version.clone());
    }
    response
}

fn handle(shared: &Shared, headers: &HeaderMap, request: StripeRequest, parameters: Parameters) -> Response {
    shared.lock().requests.push(request.clone());
    if let Err(refusal) = check_key(headers, &shared.key).and_then(|()| check_version(headers)) {
        return refusal.into_response();
    }
    // Of a GET it means nothing.
    let key = request.idempotency_key.clone().filter(|_| request.method == "POST");
    let is_get = request.method == "GET";
    let answer = |account: &mut Account, at| {
        if let Some(key) = &key {
            match repeated(account.answers.get(key), key, &request) {
                Ok(None) => {}
                Ok(Some(answer)) => return ([("idempotent-replayed", "true")], Json(answer)).into_response(),
                Err(refusal) => return refusal.into_response(),
            }
        }
        let answer = match dispatch(account, &shared.url, &request, parameters, at) {
            Ok(answer) => answer,
            // Nothing has begun: the key is good for a better request.
            Err(refusal) => return refusal.into_response(),
        };
        if let Some(key) = &key {
            account.answers.insert(key.clone(), (request, answer.clone()));
        }
        Json(answer).into_response()
    };
    if is_get { shared.look(answer) } else { shared.change(answer) }
}

fn check_key(headers: &HeaderMap, key: &str) -> Result<(), Refusal> {
    match header(headers, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if given == key => Ok(()),
        Some(given) => {
            let (first, last) = (given.get(..8).unwrap_or_default(), given.len().saturating_sub(4));
            let shown = format!("{first}****{}", given.get(last..).unwrap_or_default());
            Err(Refusal::unauthorized(format!("Invalid API Key provided: {shown}")))
        }
        None => Err(Refusal::unauthorized("You did not provide an API key.")),
    }
}

/// Stripe would take the account's default; who relies on that gets another shape one day.
fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = header(headers, "stripe-version").unwrap_or_default();
    let (date, name) = given.split_once('.').unwrap_or_default();
    if name.is_empty() || date.parse::<NaiveDate>().is_err() || date < OLDEST_VERSION {
        return Err(Refusal::state(format!("Invalid Stripe API version: {given}")));
    }
    Ok(())
}

/// What was answered to the same request with the same key. <https://docs.stripe.com/api/idempotent_requests>
fn repeated(
    known: Option<&(StripeRequest, Value)>,
    key: &str,
    request: &StripeRequest,
) -> Result<Option<Value>, Refusal> {
    if key.is_empty() || key.len() > 255 {
        return Err(Refusal::idempotency("Idempotency keys have 1 to 255 characters."));
    }
    match known {
        None => Ok(None),
        Some((first, answer)) if first == request => Ok(Some(answer.clone())),
        Some((first, _)) => {
            let only = if first.path == request.path { "with the same parameters" } else { "for the same endpoint" };
            Err(Refusal::idempotency(format!(
                "Keys for idempotent requests can only be used {only} they were first used with. Try using a key other than \
                 '{key}' if you meant to execute a different request."
            )))
        }
    }
}

fn dispatch(
    account: &mut Account,
    base: &str,
    request: &StripeRequest,
    mut given: Parameters,
    at: i64,
) -> Result<Value, Refusal> {
    account.expire_old_checkouts(at)?;
    let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "customers", id]) => one(&account.customers, "customer", id, given),
        ("GET", ["v1", "subscriptions", id]) => one(&account.subscriptions, "subscription", id, given),
        ("GET", ["v1", "invoices", id]) => one(&account.invoices, "invoice", id, given),
        ("GET", ["v1", "events", id]) => one(&account.events, "event", id, given),
        ("GET", ["v1", "checkout", "sessions", id]) => one(&account.checkouts, "checkout.session", id, given),
        ("GET", ["v1", "checkout", "sessions"]) => {
            let (customer, status) = (given.take("customer")?, given.take("status")?);
            page(&account.checkouts, "checkout.session", &request.path, given, |session| {
                is(session, "customer", customer.as_deref()) && is(session, "status", status.as_deref())
            })
        }
        ("GET", ["v1", "subscriptions"]) => {
            let (customer, status) = (given.take("customer")?, given.take("status")?);
            page(&account.subscriptions, "subscription", &request.path, given, |subscription| {
                is(subscription, "customer", customer.as_deref())
                    && match status.as_deref() {
                        None => subscription["status"] != "canceled",
                        Some("all") => true,
                        // Those that have come to an end.
                        Some("ended") => subscription["status"] == "canceled",
                        status => is(subscription, "status", status),
                    }
            })
        }
        ("GET", ["v1", "invoices"]) => {
            let (customer, status) = (given.take("customer")?, given.take("status")?);
            let subscription = given.take("subscription")?;
            page(&account.invoices, "invoice", &request.path, given, |invoice| {
                is(invoice, "customer", customer.as_deref())
                    && is(invoice, "status", status.as_deref())
                    && subscription.as_deref().is_none_or(|wanted| subscription_of(invoice) == wanted)
            })
        }
        ("GET", ["v1", "events"]) => {
            let since = given.whole("created[gte]", 0..=i64::MAX)?;
            let until = given.whole("created[lte]", 0..=i64::MAX)?;
            let (kind, kinds) = (given.take("type")?, given.all("types", 20)?);
            page(&account.events, "event", &request.path, given, |event| {
                let created = event["created"].as_i64();
                since.is_none_or(|since| created >= Some(since))
                    && until.is_none_or(|until| created <= Some(until))
                    && is(event, "type", kind.as_deref())
                    && (kinds.is_empty() || kinds.iter().any(|kind| event["type"] == kind.as_str()))
            })
        }
        ("POST", ["v1", "customers"]) => {
            let (name, email, metadata) = (given.take("name")?, given.take("email")?, given.map("metadata"));
            given.end()?;
            Ok(account.create_customer(name.as_deref(), email.as_deref(), metadata, at))
        }
        ("DELETE", ["v1", "customers", id]) => {
            given.end()?;
            account.delete_customer(id, at)?;
            Ok(json!({"id": id, "object": "customer", "deleted": true}))
        }
        ("POST", ["v1", "checkout", "sessions"]) => {
            if given.require("mode")? != "subscription" {
                return Err(Refusal::invalid("mode", "parameter_invalid", "Only subscriptions are sold here."));
            }
            let new = NewCheckout {
                customer: given.require("customer")?,
                price: given.require("line_items[0][price]")?,
                quantity: given.whole("line_items[0][quantity]", 1..=999_999)?.unwrap_or(1),
                reference: given.take("client_reference_id")?,
                metadata: given.map("metadata"),
                success_url: required("success_url", given.address("success_url")?)?,
                cancel_url: given.address("cancel_url")?,
            };
            given.end()?;
            account.open_checkout(base, new, at)
        }
        ("POST", ["v1", "checkout", "sessions", id, "expire"]) => {
            given.end()?;
            account.expire_checkout(id, at)
        }
        ("POST", ["v1", "billing_portal", "sessions"]) => {
            let (customer, return_url) = (given.require("customer")?, given.address("return_url")?);
            given.end()?;
            account.open_portal(base, &customer, return_url, at)
        }
        ("POST", ["v1", "invoices", "create_preview"]) => {
            let (customer, subscription) = (given.take("customer")?, given.require("subscription")?);
            given.end()?;
            let preview = account.preview(&subscription, at)?;
            match customer.is_none_or(|customer| preview["customer"] == customer) {
                true => Ok(preview),
                false => Err(Refusal::missing("subscription", "subscription", &subscription)),
            }
        }
        (method, _) => Err(Refusal::no_route(method, &request.path)),
    }
}

fn one(shelf: &Shelf, kind: &str, id: &str, given: Parameters) -> Result<Value, Refusal> {
    given.end()?;
    shelf.get(id).cloned().ok_or_else(|| Refusal::not_found(kind, id))
}

/// A part of a list, newest first. <https://docs.stripe.com/api/pagination>
fn page(
    shelf: &Shelf,
    kind: &str,
    path: &str,
    mut given: Parameters,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value, Refusal> {
    let limit = given.whole("limit", 1..=100)?.unwrap_or(10);
    let after = given.take("starting_after")?;
    given.end()?;
    let before = match after {
        None => shelf.all().len(),
        Some(id) => shelf.position(&id).ok_or_else(|| Refusal::missing("starting_after", kind, &id))?,
    };
    let mut rest = shelf.all()[..before].iter().rev().filter(|object| wanted(object));
    let limit = usize::try_from(limit).expect("it is between 1 and 100");
    let data = rest.by_ref().take(limit).cloned().collect();
    let mut page = list(path, data);
    page["has_more"] = rest.next().is_some().into();
    if let Some(page) = page.as_object_mut() {
        page.remove("total_count");
    }
    Ok(page)
}

fn is(object: &Value, field: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| text(object, field) == wanted)
}

fn required(name: &str, given: Option<String>) -> Result<String, Refusal> {
    given.ok_or_else(|| Refusal::invalid(name, "parameter_missing", format!("Missing required param: {name}.")))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
