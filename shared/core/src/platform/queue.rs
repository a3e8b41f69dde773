//! Work for later: messages of a queue in SQS. They carry ids and never content, so that one that comes twice or late does
//! no harm.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::aws;
use crate::base::error::{Error, Result};

/// Somebody waits for the answer.
const ATTEMPT: Duration = Duration::from_secs(2);
/// The most that SQS takes at once.
const BATCH: usize = 10;
/// The longest that SQS hides a message, in seconds.
const LONGEST_HIDDEN: i32 = 12 * 3600;

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

    /// With a given client, for tests and tools.
    pub fn with_client(url: &str, client: Client) -> Self {
        Self { url: url.into(), client: Arc::new(OnceCell::new_with(Some(client))) }
    }

    /// # Errors
    /// [`Error::Unavailable`]; the message may have been sent all the same.
    pub async fn send(&self, message: &impl Serialize) -> Result<()> {
        self.send_in(Duration::ZERO, message).await
    }

    /// Sends a message that nobody sees before `delay` is over: whole seconds, at most 15 minutes.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub async fn send_in(&self, delay: Duration, message: &impl Serialize) -> Result<()> {
        let body = serde_json::to_string(message).map_err(Error::internal)?;
        let request = self.client().await.send_message().queue_url(&*self.url).message_body(body);
        let sent = request.set_delay_seconds(seconds(delay)).send().await;
        sent.map(drop).map_err(|error| unavailable(&aws::reason(&error)))
    }

    /// Sends messages ten at a time.
    ///
    /// # Errors
    /// As [`Queue::send`], also if a single one was refused.
    pub async fn send_all<M: Serialize>(&self, messages: &[M]) -> Result<()> {
        self.send_all_in(Duration::ZERO, messages).await
    }

    /// Sends messages as [`Queue::send_in`] sends one.
    ///
    /// # Errors
    /// As [`Queue::send_all`].
    pub async fn send_all_in<M: Serialize>(&self, delay: Duration, messages: &[M]) -> Result<()> {
        let delay = seconds(delay);
        for batch in messages.chunks(BATCH) {
            let entries = batch.iter().enumerate().map(|(n, message)| {
                let body = serde_json::to_string(message).map_err(Error::internal)?;
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(body)
                    .set_delay_seconds(delay)
                    .build()
                    .map_err(Error::internal)
            });
            let entries = entries.collect::<Result<Vec<_>>>()?;
            let request = self.client().await.send_message_batch().queue_url(&*self.url).set_entries(Some(entries));
            let sent = request.send().await.map_err(|error| unavailable(&aws::reason(&error)))?;
            if let Some(refused) = sent.failed().first() {
                return Err(unavailable(&refused.code()));
            }
        }
        Ok(())
    }

    /// Lets nobody see a message that was received before so much time has passed; whole seconds, the next above.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn hide(&self, receipt: &str, time: Duration) -> Result<()> {
        let seconds = i32::try_from(time.as_secs_f64().ceil() as i64).unwrap_or(i32::MAX).min(LONGEST_HIDDEN);
        let request = self.client().await.change_message_visibility().queue_url(&*self.url).receipt_handle(receipt);
        let hidden = request.visibility_timeout(seconds).send().await;
        hidden.map(drop).map_err(|error| unavailable(&aws::reason(&error)))
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&aws::config(ATTEMPT).await)).await
    }
}

/// None for no delay.
fn seconds(delay: Duration) -> Option<i32> {
    i32::try_from(delay.as_secs()).ok().filter(|seconds| *seconds > 0)
}

fn unavailable(cause: &dyn std::fmt::Display) -> Error {
    tracing::error!(%cause, "the queue cannot be reached");
    Error::Unavailable { detail: "the queue cannot be reached", retry_after_seconds: 5 }
}
