//! Work for later: messages of a queue in SQS. They carry ids and never content, so that one that comes twice or late does
//! no harm.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::aws;
use crate::base::error::{Error, Result};

/// Somebody waits for the answer.
const ATTEMPT: Duration = Duration::from_secs(2);
/// The most that SQS takes at once.
const BATCH: usize = 10;

/// A queue; cloning is cheap. The client is made at the first use.
#[derive(Debug, Clone)]
pub struct Queue {
    url: Arc<str>,
    client: Arc<OnceCell<Client>>,
}

impl Queue {
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), client: Arc::default() }
    }

    /// # Errors
    /// [`Error::Unavailable`]; the message may have been sent all the same.
    pub async fn send(&self, message: &impl Serialize) -> Result<()> {
        let body = serde_json::to_string(message).map_err(Error::internal)?;
        let sent = self.client().await.send_message().queue_url(&*self.url).message_body(body).send().await;
        sent.map(drop).map_err(|error| unavailable(&DisplayErrorContext(&error)))
    }

    /// Sends messages ten at a time.
    ///
    /// # Errors
    /// As [`Queue::send`], also if a single one was refused.
    pub async fn send_all<M: Serialize>(&self, messages: &[M]) -> Result<()> {
        for batch in messages.chunks(BATCH) {
            let entries = batch.iter().enumerate().map(|(n, message)| {
                let body = serde_json::to_string(message).map_err(Error::internal)?;
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(body)
                    .build()
                    .map_err(Error::internal)
            });
            let entries = entries.collect::<Result<Vec<_>>>()?;
            let request = self.client().await.send_message_batch().queue_url(&*self.url).set_entries(Some(entries));
            let sent = request.send().await.map_err(|error| unavailable(&DisplayErrorContext(&error)))?;
            if let Some(refused) = sent.failed().first() {
                return Err(unavailable(&refused.code()));
            }
        }
        Ok(())
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&aws::config(ATTEMPT).await)).await
    }
}

fn unavailable(cause: &dyn std::fmt::Display) -> Error {
    tracing::error!(%cause, "the queue cannot be reached");
    Error::Unavailable { detail: "the queue cannot be reached", retry_after_seconds: 5 }
}
