//! A router as a Lambda function behind an HTTP API.

use axum::Router;
use axum::body::{self, Body};
use http::Request;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use lambda_http::request::LambdaRequest;
use tower::ServiceExt as _;

/// Answers requests until the instance ends. As `lambda_http::run`, but a body, which may have a hundred kilobytes, is not
/// copied, and there is no span around a request, which no log would show.
///
/// # Errors
/// When the Runtime API is gone.
pub async fn serve(router: Router) -> Result<(), Error> {
    let answer = async |event: LambdaEvent<LambdaRequest>| {
        let request = Request::<lambda_http::Body>::from(event.payload);
        let Ok(response) = router.clone().oneshot(request).await;
        answer(response).await
    };
    Runtime::new(service_fn(answer)).run().await
}

/// In the gateway's format 2.0. We set no cookies, which would have a member of their own.
async fn answer(response: http::Response<Body>) -> Result<ApiGatewayV2httpResponse, Error> {
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body::to_bytes(body, usize::MAX).await?.into());
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    answer.is_base64_encoded = body.is_err();
    answer.body = Some(body.map_or_else(|binary| binary.into_bytes().into(), Into::into));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use axum::response::Html;
    use axum::routing::get;
    use carhaul_testkit::http_event;
    use http::{StatusCode, header};
    use lambda_http::{Adapter, Context, Service as _};
    use serde_json::{Value, json};

    use super::*;

    fn router() -> Router {
        let text = [(header::CONTENT_TYPE, "application/json"), (header::ETAG, "\"7\"")];
        Router::new()
            .route("/json", get(async move || (text, "{\"name\":\"\u{dc}nal \\\"the\\\" carrier\"}")))
            .route("/page", get(async || Html("<p>")))
            .route("/nothing", get(async || StatusCode::NO_CONTENT))
            .route("/picture", get(async || ([(header::CONTENT_TYPE, "image/png")], vec![0x89, 0xff])))
    }

    fn event(path: &str) -> LambdaRequest {
        serde_json::from_value(http_event("GET", path, &[], None)).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_what_lambda_http_makes_of_it() {
        for (path, body, is_base64) in [
            ("/json", "{\"name\":\"\u{dc}nal \\\"the\\\" carrier\"}", false),
            ("/page", "<p>", false),
            ("/nothing", "", false),
            ("/picture", "if8=", true),
            ("/unknown", "", false),
        ] {
            let request = Request::<lambda_http::Body>::from(event(path));
            let Ok(response) = router().oneshot(request).await;
            let ours: Value = serde_json::to_value(answer(response).await.unwrap()).unwrap();
            let event = LambdaEvent::new(event(path), Context::default());
            let theirs = Adapter::from(router()).call(event).await.unwrap();
            assert_eq!(ours, serde_json::to_value(theirs).unwrap(), "{path}");
            assert_eq!((&ours["body"], &ours["isBase64Encoded"]), (&json!(body), &json!(is_base64)), "{path}");
        }
    }
}
