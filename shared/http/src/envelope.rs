//! What goes around every request: its id, the access log, the problem body, the end of a transaction left open.

use std::net::IpAddr;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carhaul_core::identity::attempts;
use carhaul_core::identity::tokens::{ClaimedUser, claimed_user};
use carhaul_core::platform::db::{Counted, Db};
use http::{HeaderValue, StatusCode, header};
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use tracing::field::display;
use uuid::Uuid;

use crate::problem::{self, Failure, Refusal};
use crate::rate_limit;

/// Ties the answer, the log and the audit log together.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

/// Middleware: `axum::middleware::from_fn_with_state(db, envelope::wrap)`.
pub async fn wrap(State(db): State<Db>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId(Uuid::now_v7());
    request.extensions_mut().insert(id);
    let counted = Counted::default();
    request.extensions_mut().insert(counted.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none".to_owned(), |path| path.as_str().to_owned());

    let attempt = Attempt::of(&request);

    let mut response = next.run(request).await;

    db.settle().await;
    if response.status() == StatusCode::UNAUTHORIZED
        && let Some(attempt) = attempt
        && let Err(throttled) = attempts::record_failure(&db, attempt.address, attempt.user()).await
    {
        response = Failure::from(throttled).into_response();
    }
    let cause = write_problem(&mut response, id);
    if let Some(calls) = counted.get() {
        rate_limit::tell(response.headers_mut(), calls);
    }
    if let Ok(value) = HeaderValue::from_str(&id.0.to_string()) {
        response.headers_mut().insert("request-id", value);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let status = response.status().as_u16();
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    // Nothing of a caller who has entered no tenant: what they claim to be is not who they are.
    let by = counted.by();
    let (tenant_id, actor_id) = (by.map(|by| display(by.tenant_id)), by.map(|by| display(by.actor_id)));
    match cause {
        Some(cause) => tracing::error!(
            request_id = %id.0, tenant_id, actor_id, %method, route, status, milliseconds, cause, "request"
        ),
        None => {
            tracing::info!(request_id = %id.0, tenant_id, actor_id, %method, route, status, milliseconds, "request")
        }
    }
    response
}

/// A credential that was shown, and from where.
struct Attempt {
    authorization: HeaderValue,
    address: Option<IpAddr>,
}

impl Attempt {
    fn of(request: &Request) -> Option<Self> {
        let authorization = request.headers().get(header::AUTHORIZATION)?.clone();
        // As the gateway saw it; a header can say anything.
        let address = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok())
            }
            _ => None,
        };
        Some(Self { authorization, address })
    }

    /// The user that a token claims.
    fn user(&self) -> Option<ClaimedUser> {
        claimed_user(self.authorization.to_str().ok()?.rsplit(' ').next()?)
    }
}

/// Writes the problem that a handler has left, with the request's id; returns what is for the log alone.
fn write_problem(response: &mut Response, id: RequestId) -> Option<String> {
    let Refusal { mut problem, cause, .. } = response.extensions_mut().remove::<Refusal>()?;
    problem.request_id = Some(id.0.to_string());
    if let Ok(body) = serde_json::to_vec(&problem) {
        *response.body_mut() = Body::from(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    cause
}
