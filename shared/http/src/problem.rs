//! Errors as `application/problem+json` (RFC 9457): the only place that maps the core's errors to status codes.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use carhaul_core::base::error::{ConflictCode, Error, FieldError, PlanLimit};
use carhaul_core::tenants::LimitName;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::rate_limit;

pub const CONTENT_TYPE: &str = "application/problem+json";

/// An error as the client sees it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of error and never changes.
    pub r#type: ProblemType,
    /// The kind of error, for a person.
    #[schema(example = "The input is invalid")]
    pub title: String,
    #[schema(example = 422, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong in this case, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Quote it when you ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Each bad field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Of a `conflict`: why the present state does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<ConflictCode>,
    /// Of a refused move: the states, or moves, that would be allowed; none is an answer, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// Of `over_limit` and `rate_limited`: which limit of the plan it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LimitName>)]
    pub limit: Option<String>,
    /// What the plan allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// How much of it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
    /// When counting starts anew; null for what does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub resets_at: Option<Option<DateTime<Utc>>>,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ProblemType {
    /// Of the endpoint for Stripe alone.
    #[serde(rename = "urn:carhaul:problem:bad_signature")]
    BadSignature,
    #[serde(rename = "urn:carhaul:problem:conflict")]
    Conflict,
    #[serde(rename = "urn:carhaul:problem:forbidden")]
    Forbidden,
    #[serde(rename = "urn:carhaul:problem:gone")]
    Gone,
    #[serde(rename = "urn:carhaul:problem:internal")]
    Internal,
    #[serde(rename = "urn:carhaul:problem:invalid")]
    Invalid,
    #[serde(rename = "urn:carhaul:problem:malformed")]
    Malformed,
    #[serde(rename = "urn:carhaul:problem:method_not_allowed")]
    MethodNotAllowed,
    #[serde(rename = "urn:carhaul:problem:not_found")]
    NotFound,
    #[serde(rename = "urn:carhaul:problem:over_limit")]
    OverLimit,
    #[serde(rename = "urn:carhaul:problem:rate_limited")]
    RateLimited,
    #[serde(rename = "urn:carhaul:problem:stale")]
    Stale,
    #[serde(rename = "urn:carhaul:problem:throttled")]
    Throttled,
    #[serde(rename = "urn:carhaul:problem:too_large")]
    TooLarge,
    #[serde(rename = "urn:carhaul:problem:unauthenticated")]
    Unauthenticated,
    #[serde(rename = "urn:carhaul:problem:unavailable")]
    Unavailable,
    #[serde(rename = "urn:carhaul:problem:unsupported_media_type")]
    UnsupportedMediaType,
    #[serde(rename = "urn:carhaul:problem:version_required")]
    VersionRequired,
}

/// A problem on its way out. [`crate::envelope`] adds the request id and writes it down.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log alone.
    pub cause: Option<String>,
}

impl Refusal {
    pub fn new(status: StatusCode, r#type: ProblemType, title: &str) -> Self {
        let problem = Problem {
            r#type,
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            request_id: None,
            errors: Vec::new(),
            code: None,
            allowed: None,
            limit: None,
            max: None,
            used: None,
            resets_at: None,
        };
        Self { problem, headers: Vec::new(), cause: None }
    }

    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ProblemType::Malformed, "The request cannot be read").detail(detail)
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = Some(detail.into());
        self
    }

    /// Nothing was shown that could be wrong, so the challenge names no error (RFC 6750, section 3.1): a client signs in and
    /// does not try to refresh.
    pub fn no_credential() -> Self {
        Self::unauthenticated("send the header Authorization: Bearer with a token or an API key".into(), "Bearer")
    }

    fn unauthenticated(detail: Cow<'static, str>, challenge: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ProblemType::Unauthenticated, "A valid credential is needed")
            .detail(detail)
            .header(header::WWW_AUTHENTICATE, challenge)
    }

    fn limit(mut self, limit: PlanLimit) -> Self {
        self.problem.limit = Some(limit.limit);
        self.problem.max = Some(limit.max);
        self.problem.used = Some(limit.used);
        self.problem.resets_at = Some(limit.resets_at);
        self
    }

    fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }
}

/// What a handler fails with: a refusal, or an answer that was given before and is given again.
#[derive(Debug)]
pub enum Failure {
    Refused(Box<Refusal>),
    AnsweredBefore(Answer),
}

/// The problem of one item of a bulk answer.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        refuse(error).problem
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::AnsweredBefore(stored) => Self::AnsweredBefore(Answer::replayed(*stored)),
            error => refuse(error).into(),
        }
    }
}

fn refuse(error: Error) -> Refusal {
    match error {
        Error::Unauthenticated(detail) => {
            let challenge =
                format!("Bearer error=\"invalid_token\", error_description=\"{}\"", detail.replace(['"', '\\'], "'"));
            Refusal::unauthenticated(detail, &challenge)
        }
        Error::Forbidden(detail) => {
            Refusal::new(StatusCode::FORBIDDEN, ProblemType::Forbidden, "You may not do this").detail(detail)
        }
        Error::NotFound(what) => Refusal::new(StatusCode::NOT_FOUND, ProblemType::NotFound, "Not found")
            .detail(format!("there is no such {what}")),
        Error::Gone(detail) => Refusal::new(StatusCode::GONE, ProblemType::Gone, "Kept no longer").detail(detail),
        Error::Conflict { code, detail, allowed } => {
            let mut refusal =
                Refusal::new(StatusCode::CONFLICT, ProblemType::Conflict, "The present state does not allow this")
                    .detail(detail);
            refusal.problem.code = Some(code);
            refusal.problem.allowed = allowed;
            refusal
        }
        Error::Invalid(errors) => {
            let mut refusal =
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ProblemType::Invalid, "The input is invalid")
                    .detail(summary(&errors));
            refusal.problem.errors = errors;
            refusal
        }
        Error::Stale => {
            Refusal::new(StatusCode::PRECONDITION_FAILED, ProblemType::Stale, "It has changed since you read it")
                .detail("read it again and send its new ETag in If-Match")
        }
        Error::VersionRequired => {
            Refusal::new(StatusCode::PRECONDITION_REQUIRED, ProblemType::VersionRequired, "If-Match is required")
                .detail("send the ETag of the version that you mean to change in If-Match")
        }
        Error::OverLimit(limit) => {
            let detail = format!("your plan allows {}", counted(limit.max, &limit.limit.replace('_', " ")));
            Refusal::new(StatusCode::PAYMENT_REQUIRED, ProblemType::OverLimit, "The plan's limit is used up")
                .detail(detail)
                .limit(limit)
        }
        Error::OverRate(limit) => {
            let detail = format!("your plan allows {} a second", counted(limit.max, "requests"));
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, ProblemType::RateLimited, "Too many requests")
                .detail(detail)
                .header(rate_limit::LIMIT, &limit.max.to_string())
                .header(rate_limit::REMAINING, "0")
                .header(rate_limit::RESET, "1")
                .retry_after(1)
                .limit(limit)
        }
        Error::Throttled { retry_after_seconds } => {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, ProblemType::Throttled, "Too many attempts")
                .detail(format!("try again in {retry_after_seconds} s"))
                .retry_after(retry_after_seconds)
        }
        Error::Unavailable { detail, retry_after_seconds } => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ProblemType::Unavailable, "Temporarily unavailable")
                .detail(detail)
                .retry_after(retry_after_seconds)
        }
        Error::AnsweredBefore(_) | Error::Internal(_) => {
            let mut refusal = Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                ProblemType::Internal,
                "Something went wrong on our side",
            );
            refusal.cause = Some(error.to_string());
            refusal
        }
    }
}

/// `1 truck`, `10 trucks`.
fn counted(number: i64, things: &str) -> String {
    let thing = if number == 1 { things.strip_suffix('s').unwrap_or(things) } else { things };
    format!("{number} {thing}")
}

/// The first bad field in a sentence, for who reads no further.
fn summary(errors: &[FieldError]) -> String {
    let Some(first) = errors.first() else {
        return "a field is not valid".to_owned();
    };
    let field = if first.pointer.is_empty() { "the body" } else { &first.pointer };
    match errors.len() - 1 {
        0 => format!("{field}: {}", first.detail),
        more => format!("{field}: {}; and {more} more", first.detail),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::AnsweredBefore(answer) => answer.into_response(),
        }
    }
}

/// No such route.
pub async fn no_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, ProblemType::NotFound, "Not found").detail("there is no such address")
}

/// A route, and not this method.
pub async fn no_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ProblemType::MethodNotAllowed,
        "This address does not take this method",
    )
    .detail("the header Allow names the methods that it takes")
}
