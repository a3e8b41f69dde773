//! How the SDK's clients are set up.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Region, credentials and endpoint from the environment; `attempt` is the deadline of one attempt, of which the SDK makes up
/// to three.
pub(super) async fn config(attempt: Duration) -> SdkConfig {
    aws_config::from_env().timeout_config(timeouts(attempt)).load().await
}

/// For tests and tools, which talk to an AWS of their own: nothing comes from the environment.
pub async fn config_at(endpoint: &str, attempt: Duration) -> SdkConfig {
    aws_config::from_env()
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .timeout_config(timeouts(attempt))
        .load()
        .await
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

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(attempt / 2)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 5 / 2)
        .build()
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
