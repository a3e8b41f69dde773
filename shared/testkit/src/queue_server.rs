//! One queue of SQS that keeps what it is sent, and can fail or not answer.

use std::time::Duration;

use aws_sdk_sqs::Client;
use carhaul_core::platform::aws;
use carhaul_core::platform::queue::Queue;
use serde_json::Value;

use crate::aws::{Aws, Message, Queues};

/// Stops answering when dropped.
pub struct QueueServer(Aws);

impl QueueServer {
    pub async fn start() -> Self {
        Self(Aws::start().await)
    }

    /// A client of this server, as a function has one.
    pub async fn queue(&self) -> Queue {
        let config = aws::config_at(self.endpoint(), Duration::from_secs(2)).await;
        Queue::with_client(&self.url(), Client::new(&config))
    }

    /// Where the API is, for `AWS_ENDPOINT_URL_SQS`.
    pub fn endpoint(&self) -> &str {
        self.0.url()
    }

    /// The queue's own.
    pub fn url(&self) -> String {
        self.0.queue_url()
    }

    /// The bodies of the messages, with `DelaySeconds` if they have one.
    pub fn sent(&self) -> Vec<Value> {
        self.0.messages().into_iter().map(body).collect()
    }

    /// What has been sent since the last time, and is forgotten.
    pub fn take_sent(&self) -> Vec<Value> {
        self.0.take_messages().into_iter().map(body).collect()
    }

    /// No longer answers.
    pub fn hang(&self) {
        self.0.set_queues(Queues::Hang);
    }

    /// Answers that it is unavailable.
    pub fn fail(&self) {
        self.0.set_queues(Queues::Fail);
    }

    /// Answers again.
    pub fn recover(&self) {
        self.0.set_queues(Queues::Take);
    }
}

fn body(message: Message) -> Value {
    let mut body = message.body;
    if message.delay_seconds > 0 {
        body["DelaySeconds"] = message.delay_seconds.into();
    }
    body
}
