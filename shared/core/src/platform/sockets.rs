//! The open WebSockets, as API Gateway's management API reaches them.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::delete_connection::DeleteConnectionError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use tokio::sync::OnceCell;

use super::aws;

/// A post takes some ten milliseconds. Whoever waits for longer keeps others waiting.
pub const POST_DEADLINE: Duration = Duration::from_secs(3);

/// Why a message did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// Nobody is there any more.
    Gone,
    /// It may arrive another time; it may even have arrived.
    Failed,
}

/// The sockets of one WebSocket API; cloning is cheap. The client is made at the first use.
#[derive(Debug, Clone)]
pub struct Sockets {
    endpoint: Arc<str>,
    client: Arc<OnceCell<Client>>,
}

impl Sockets {
    /// `endpoint` is the management API's, with the stage.
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.into(), client: Arc::default() }
    }

    /// Some that are reached in a given way, for tests and tools.
    pub fn with_config(endpoint: &str, config: &SdkConfig) -> Self {
        let client = client(endpoint, config);
        Self { endpoint: endpoint.into(), client: Arc::new(OnceCell::new_with(Some(client))) }
    }

    /// Sends one message of at most 128 KB, once: whether to try again depends on more than this message.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn post(&self, id: &str, message: &str) -> Result<(), Undelivered> {
        let data = Blob::new(message.as_bytes());
        match self.client().await.post_to_connection().connection_id(id).data(data).send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(e)) if matches!(e.err(), PostToConnectionError::GoneException(_)) => {
                Err(Undelivered::Gone)
            }
            Err(error) => {
                tracing::warn!(connection = id, error = aws::reason(&error), "a message was not delivered");
                Err(Undelivered::Failed)
            }
        }
    }

    /// Ends a connection; one that is gone already is as good.
    ///
    /// # Errors
    /// [`Undelivered::Failed`]: it may still be open.
    pub async fn close(&self, id: &str) -> Result<(), Undelivered> {
        match self.client().await.delete_connection().connection_id(id).send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(e)) if matches!(e.err(), DeleteConnectionError::GoneException(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(connection = id, error = aws::reason(&error), "a connection was not closed");
                Err(Undelivered::Failed)
            }
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || client(&self.endpoint, &aws::config(POST_DEADLINE).await)).await
    }
}

fn client(endpoint: &str, config: &SdkConfig) -> Client {
    Client::from_conf(Builder::from(config).endpoint_url(endpoint).retry_config(RetryConfig::disabled()).build())
}
