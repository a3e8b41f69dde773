//! How the SDK's clients are set up.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{ConfigLoader, Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use reqwest::{Client, Method};

use super::http;

/// Region, credentials and endpoint from the environment; `attempt` is the deadline of one attempt, of which the SDK makes up
/// to three.
pub(super) async fn config(attempt: Duration) -> SdkConfig {
    loader(attempt).load().await
}

/// For tests and tools, which talk to an AWS of their own: nothing comes from the environment.
pub async fn config_at(endpoint: &str, attempt: Duration) -> SdkConfig {
    loader(attempt)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await
}

fn loader(attempt: Duration) -> ConfigLoader {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(attempt * 5 / 2).build();
    aws_config::from_env().http_client(http_client(attempt / 2)).timeout_config(timeouts)
}

/// The SDK's requests go out by a client like all others: the SDK's own would read the machine's certificates once more.
pub fn http_client(connect_deadline: Duration) -> SharedHttpClient {
    let client = http::client().connect_timeout(connect_deadline).build().expect("all that it is built of is constant");
    let connector = SharedHttpConnector::new(Connector(client));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(send(self.0.clone(), request))
    }
}

async fn send(client: Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|e| ConnectorError::user(e.into()))?;
    let body = request.body().bytes().ok_or_else(|| ConnectorError::user("a body must be in memory".into()))?;
    let mut outgoing = client.request(method, request.uri()).body(body.to_vec());
    for (name, value) in request.headers() {
        outgoing = outgoing.header(name, value);
    }
    let response = outgoing.send().await.map_err(failed)?;
    let status = response.status().as_u16().try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
    let headers = response.headers().clone();
    let mut answer = HttpResponse::new(status, SdkBody::from(response.bytes().await.map_err(failed)?));
    for (name, value) in &headers {
        // The SDK takes text alone; AWS sends no other.
        if let Ok(value) = value.to_str() {
            answer.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}

/// What the SDK may try again: what came too late, or broke on the way.
fn failed(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

/// Why a service did not do what it was asked, for the log: nothing of what it answered but code and message, since an answer
/// may hold a secret.
pub fn reason<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(refused) => {
            let refused = refused.err();
            format!("{}: {}", refused.code().unwrap_or("no code"), refused.message().unwrap_or("no message"))
        }
        SdkError::ResponseError(_) => "its answer cannot be read".to_owned(),
        error => DisplayErrorContext(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::http::HttpResponse;
    use aws_sdk_sqs::error::ErrorMetadata;
    use aws_sdk_sqs::operation::send_message::SendMessageError;

    use super::*;

    #[test]
    fn of_an_answer_code_and_message_alone_are_told() {
        let raw = || HttpResponse::new(400.try_into().unwrap(), r#"{"SecretString": "hunter2"}"#.into());
        let refused = ErrorMetadata::builder().code("AccessDenied").message("it is not yours").build();
        let refused = SdkError::service_error(SendMessageError::generic(refused), raw());
        assert_eq!(reason(&refused), "AccessDenied: it is not yours");
        let unreadable = SdkError::<SendMessageError>::response_error("hunter2 is no JSON", raw());
        assert_eq!(reason(&unreadable), "its answer cannot be read");
        assert!(reason(&SdkError::<SendMessageError>::timeout_error("late")).contains("late"));
    }
}
