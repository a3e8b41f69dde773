//! Query strings. A parameter that may have several values is repeated, or has them between commas: `status=new&status=assigned`
//! is `status=new,assigned`. One without a value is refused: a filter that a client means and fails to fill in must not list everything.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carhaul_core::base::error::{Error, FieldError};
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{RefOr, Required};

use crate::problem::Failure;
use crate::sentences::{duplicate, missing, sentence, unknown};

pub struct Query<T>(pub T);

/// What is left of a search when its field is empty.
const MAY_BE_EMPTY: &str = "q";

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = divided::<T>(parts.uri.query().unwrap_or_default())?;
        let pairs: Vec<(String, String)> = serde_html_form::from_str(&query).unwrap_or_default();
        if !pairs.iter().any(is_empty)
            && let Ok(query) = serde_html_form::from_bytes(query.as_bytes())
        {
            return Ok(Self(query));
        }
        Err(Error::Invalid(faults::<T>(pairs)?).into())
    }
}

fn is_empty((name, value): &(String, String)) -> bool {
    value.is_empty() && name != MAY_BE_EMPTY
}

/// Each bad parameter. The rest is read again without the first that was found.
fn faults<T: DeserializeOwned + IntoParams>(mut pairs: Vec<(String, String)>) -> Result<Vec<FieldError>, Error> {
    let mut faults: Vec<FieldError> = Vec::new();
    let mut add = |pointer: &str, detail: String| {
        if !faults.iter().any(|fault| fault.pointer == pointer) {
            faults.push(FieldError { pointer: pointer.to_owned(), detail });
        }
    };
    let sent: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    for (name, _) in pairs.iter().filter(|pair| is_empty(pair)) {
        add(name, "must not be empty; leave it out instead".to_owned());
    }
    pairs.retain(|pair| !is_empty(pair));
    // Each reading names another parameter, or is the last.
    for _ in 0..=pairs.len() {
        let query = serde_html_form::to_string(&pairs).map_err(Error::internal)?;
        let form = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        let Err(error) = serde_path_to_error::deserialize::<_, T>(form) else { break };
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        if let Some(member) = missing(&message) {
            let others = T::into_params(|| None).into_iter().filter(|it| matches!(it.required, Required::True));
            let lacking = others.map(|it| it.name).chain([member.to_owned()]).filter(|name| !sent.contains(name));
            lacking.for_each(|name| add(&name, sentence(&message)));
            break;
        }
        let place = duplicate(&message).or(unknown(&message)).unwrap_or(&path);
        add(place, sentence(&message));
        // Of several values it is the second that `status[1]` means.
        let name = place.split('[').next().unwrap_or(place);
        pairs.retain(|(other, _)| other != name && other != place);
    }
    Ok(faults)
}

/// Refuses the parameters of an operation that has none: those that have some know their own.
pub async fn refuse(State(takes): State<fn() -> bool>, request: Request, next: Next) -> Response {
    match request.uri().query() {
        Some(query) if !query.is_empty() && !takes() => {
            let pairs: Vec<(String, String)> = serde_html_form::from_str(query).unwrap_or_default();
            let names: BTreeSet<String> = pairs.into_iter().map(|(name, _)| name).collect();
            let fault = |pointer| FieldError { pointer, detail: "is unknown: there are no parameters here".to_owned() };
            Failure::from(Error::Invalid(names.into_iter().map(fault).collect())).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether an operation has parameters in its query.
pub fn has_parameters(operation: &Operation) -> bool {
    let in_query = |it: &RefOr<Parameter>| matches!(it, RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query));
    operation.parameters.iter().flatten().any(in_query)
}

/// The query with each value by itself. Most have nothing to divide and stay as they came.
fn divided<T: IntoParams>(query: &str) -> Result<Cow<'_, str>, Error> {
    if !query.contains(',') && !query.contains("%2C") && !query.contains("%2c") {
        return Ok(Cow::Borrowed(query));
    }
    let several = several::<T>();
    let pairs: Vec<(String, String)> = serde_html_form::from_str(query).unwrap_or_default();
    let each = pairs.iter().flat_map(|(name, value)| {
        let most = if several.contains(name) { usize::MAX } else { 1 };
        value.splitn(most, ',').map(move |value| (name, value))
    });
    serde_html_form::to_string(each.collect::<Vec<_>>()).map(Cow::Owned).map_err(Error::internal)
}

/// The parameters that may have several values, as the document says it. Those are words of ours and ids: none has a comma,
/// unlike the name of a city.
fn several<T: IntoParams>() -> Vec<String> {
    let is_array = |schema: &Option<RefOr<Schema>>| matches!(schema, Some(RefOr::T(Schema::Array(_))));
    T::into_params(|| None).into_iter().filter(|it| is_array(&it.schema)).map(|it| it.name).collect()
}

/// A path parameter that is an id: anything else names nothing.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(id)) => Ok(Self(id)),
            Err(_) => Err(Error::NotFound("thing: the id in the address is not a UUID").into()),
        }
    }
}
