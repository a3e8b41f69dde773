//! How the SDK's clients are set up.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;

/// Region, credentials and endpoint from the environment; `attempt` is the deadline of one attempt, of which the SDK makes up
/// to three.
pub(super) async fn config(attempt: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(attempt / 2)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 5 / 2)
        .build();
    aws_config::from_env().timeout_config(timeouts).load().await
}
