use crate::router::Routes;
use crate::router::routes;
use axum::extract::State;
use carhaul_core::base::page::{Limit, Page};
use carhaul_core::customers::{self, Customer, CustomerFilter, CustomerId, CustomerPatch, CustomerType, NewCustomer};
use carhaul_core::identity::permissions::Action;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::body::{Json, Post};
use carhaul_http::conditional::IfMatch;
use carhaul_http::query::{Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Outcome, deleted};
use crate::app::App;

pub fn router() -> Routes {
    Routes::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    r#type: Option<CustomerType>,
    /// Prefixes of words of the name, the MC or the USDOT number.
    q: Option<String>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// List customers, newest first.
#[utoipa::path(get, path = "/v1/customers", operation_id = "list_customers", tag = "customers", params(ListQuery),
    responses((status = OK, body = Page<Customer>)))]
async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let filter = CustomerFilter { r#type: query.r#type, q: query.q, archived: query.archived };
    Ok(Answer::ok(&customers::list(&app.db, &actor, &filter, query.cursor.as_deref(), query.limit).await?)?)
}

/// Create a customer.
#[utoipa::path(post, path = "/v1/customers", operation_id = "create_customer", tag = "customers",
    request_body = NewCustomer, responses((status = CREATED, body = Customer)))]
async fn create(State(app): State<App>, Caller(actor): Caller, Post { body, key }: Post<NewCustomer>) -> Outcome {
    let mut tx = app.db.begin(&actor, Action::CustomersWrite, key.as_ref()).await?;
    let customer = customers::create(&mut tx, body).await?;
    let answer = Answer::created(format!("/v1/customers/{}", customer.id), &customer)?.etag(customer.version);
    Ok(answer.commit(tx).await?)
}

/// Get a customer.
#[utoipa::path(get, path = "/v1/customers/{customer_id}", operation_id = "get_customer", tag = "customers",
    params(("customer_id" = CustomerId, Path)), responses((status = OK, body = Customer)))]
async fn get(State(app): State<App>, Caller(actor): Caller, Path(id): Path<CustomerId>) -> Outcome {
    let customer = customers::get(&app.db, &actor, id).await?;
    Ok(Answer::ok(&customer)?.etag(customer.version))
}

/// Change a customer.
#[utoipa::path(patch, path = "/v1/customers/{customer_id}", operation_id = "update_customer", tag = "customers",
    params(("customer_id" = CustomerId, Path)), request_body = CustomerPatch, responses((status = OK, body = Customer)))]
async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<CustomerId>,
    if_match: IfMatch,
    Json(patch): Json<CustomerPatch>,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::CustomersWrite, None).await?;
    let customer = customers::update(&mut tx, id, version, patch).await?;
    Ok(Answer::ok(&customer)?.etag(customer.version).commit(tx).await?)
}

/// Delete a customer; one with orders is archived instead.
#[utoipa::path(delete, path = "/v1/customers/{customer_id}", operation_id = "delete_customer", tag = "customers",
    params(("customer_id" = CustomerId, Path)),
    responses((status = OK, body = Customer, description = "Archived, since orders refer to it."), (status = NO_CONTENT)))]
async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<CustomerId>,
    if_match: IfMatch,
) -> Outcome {
    let version = if_match.required()?;
    let mut tx = app.db.begin(&actor, Action::CustomersWrite, None).await?;
    let archived = customers::delete(&mut tx, id, version).await?;
    Ok(deleted(archived)?.commit(tx).await?)
}
