//! Query strings. A parameter that may have several values is repeated, or has them between commas: `status=new&status=assigned`
//! is `status=new,assigned`. One without a value is refused: a filter that a client means and fails to fill in must not list everything.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use carhaul_core::base::error::Error;
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::body::missing;
use crate::problem::Failure;

pub struct Query<T>(pub T);

/// What is left of a search when its field is empty.
const MAY_BE_EMPTY: &str = "q";

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = divided::<T>(parts.uri.query().unwrap_or_default())?;
        let pairs: Vec<(String, String)> = serde_html_form::from_str(&query).unwrap_or_default();
        if let Some((name, _)) = pairs.into_iter().find(|(name, value)| value.is_empty() && name != MAY_BE_EMPTY) {
            return Err(Error::invalid(name, "must not be empty; leave it out instead").into());
        }
        let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let (path, message) = (error.path().to_string(), error.into_inner().to_string());
            match missing(&message) {
                Some(name) => Error::invalid(name, "is required").into(),
                None => Error::invalid(path, message).into(),
            }
        })
    }
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
