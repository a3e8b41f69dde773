//! What SQS hands to a function, and what the function answers: which messages are to come again. Two fields are read and
//! one is written, for which a crate of all events of Lambda would bring fifteen others.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting>

use std::fmt::Debug;

use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::error::Result;

#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
    #[serde(default)]
    receipt_handle: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    /// A number, in quotes.
    #[serde(default)]
    approximate_receive_count: String,
}

/// One delivery of a message.
#[derive(Debug)]
pub struct Delivery {
    /// Names it to the queue.
    pub receipt: String,
    /// How often the message has come, this time too.
    pub count: u32,
}

/// The messages that SQS delivers again, or puts aside if they have come often enough.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Batch {
    /// Does the jobs one after another; each fails alone. A message that is no job fails each time that it comes.
    pub async fn work<J: DeserializeOwned + Debug>(self, work: impl AsyncFn(&J) -> Result<()>) -> Failures {
        let mut failures = Failures::default();
        for Message { message_id, body, .. } in self.messages {
            let is_done = match parse::<J>(&message_id, &body) {
                Some(job) => work(&job).await.inspect_err(|error| tracing::error!(?job, %error, "failed")).is_ok(),
                None => false,
            };
            if !is_done {
                failures.batch_item_failures.push(Failure { item_identifier: message_id });
            }
        }
        failures
    }

    /// Does the jobs at the same time, for jobs that mostly wait; each fails alone. `work` is told of the delivery
    /// besides, and says whether the message is done with.
    pub async fn work_together<J: DeserializeOwned + Debug>(
        self,
        work: impl AsyncFn(J, &Delivery) -> bool,
    ) -> Failures {
        let work = &work;
        let jobs = self.messages.into_iter().map(async |Message { message_id, body, receipt_handle, attributes }| {
            let count = attributes.approximate_receive_count.parse().unwrap_or(1);
            let is_done = match parse(&message_id, &body) {
                Some(job) => work(job, &Delivery { receipt: receipt_handle, count }).await,
                None => false,
            };
            (!is_done).then_some(Failure { item_identifier: message_id })
        });
        Failures { batch_item_failures: join_all(jobs).await.into_iter().flatten().collect() }
    }
}

/// None for a message that is no job. What the parser says is not told: it may quote the message.
fn parse<J: DeserializeOwned>(message_id: &str, body: &str) -> Option<J> {
    serde_json::from_str(body).inspect_err(|_| tracing::error!(message_id, "the message is no job")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::error::Error;
    use crate::billing::job::Job;

    #[tokio::test]
    async fn exactly_the_messages_that_failed_come_again() {
        let message = |id: &str, body: &str| json!({"messageId": id, "body": body, "eventSource": "aws:sqs"});
        let batch = json!({"Records": [
            message("1", r#"{"kind": "event", "id": "evt_1"}"#),
            message("2", r#"{"kind": "event", "id": "evt_2"}"#),
            message("3", "no job"),
            message("4", r#"{"kind": "refund", "id": "evt_4"}"#),
            message("5", r#"{"kind": "subscription", "id": "sub_5"}"#),
        ]});
        let batch: Batch = serde_json::from_value(batch).unwrap();
        let failures = batch
            .work(async |job: &Job| match job {
                Job::Event { id } if id == "evt_2" => Err(Error::internal("a cause")),
                _ => Ok(()),
            })
            .await;
        let expected = json!({"batchItemFailures": [
            {"itemIdentifier": "2"}, {"itemIdentifier": "3"}, {"itemIdentifier": "4"},
        ]});
        assert_eq!(serde_json::to_value(failures).unwrap(), expected);
    }
}
