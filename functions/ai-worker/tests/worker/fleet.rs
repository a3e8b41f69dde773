//! Instances of the worker, each with a connection of its own, and the queue that feeds them one message at a time, as SQS does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use carhaul_ai_worker::Worker;
use carhaul_core::base::clock::Clock;
use carhaul_core::platform::batch::Failures;
use carhaul_testkit::Aws;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::stage::Stage;

/// A message that nobody has said anything about comes back after this.
const VISIBILITY: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);

struct Message {
    body: Value,
    /// Of its last delivery.
    receipt: String,
    visible_at: Instant,
    deliveries: u32,
}

#[derive(Default)]
struct Queue {
    messages: RefCell<VecDeque<Message>>,
    busy: Cell<usize>,
    deliveries: Cell<usize>,
    dead_letters: Cell<usize>,
}

pub struct Fleet<'a> {
    aws: &'a Aws,
    workers: Vec<Worker>,
    queue: Rc<Queue>,
}

impl<'a> Fleet<'a> {
    /// As many instances as there are slots.
    pub async fn start(stage: &'a Stage, slots: usize) -> Self {
        Self::start_with(stage, slots, slots).await
    }

    pub async fn start_with(stage: &'a Stage, instances: usize, slots: usize) -> Self {
        let mut workers = Vec::new();
        for _ in 0..instances {
            let mut worker = stage.worker().await;
            worker.runner.slots = i32::try_from(slots).expect("not so many");
            workers.push(worker);
        }
        Self { aws: &stage.aws, workers, queue: Rc::default() }
    }

    pub fn send(&self, body: Value) {
        self.queue.send(body, 0);
    }

    /// Messages that could be taken now.
    pub fn waiting(&self) -> usize {
        self.queue.messages.borrow().iter().filter(|message| message.visible_at <= Instant::now()).count()
    }

    /// Nothing is in the queue, and nobody works.
    pub fn idle(&self) -> bool {
        self.listen();
        self.queue.busy.get() == 0 && self.queue.messages.borrow().is_empty()
    }

    pub fn deliveries(&self) -> usize {
        self.queue.deliveries.get()
    }

    pub fn dead_letters(&self) -> usize {
        self.queue.dead_letters.get()
    }

    /// Lets the instances work until `then` is over.
    pub async fn run<T>(&self, then: impl Future<Output = T>) -> T {
        let (local, mut working) = (LocalSet::new(), JoinSet::new());
        for worker in &self.workers {
            let (worker, queue) = (worker.clone(), Rc::clone(&self.queue));
            working.spawn_local_on(async move { queue.feed(&worker).await }, &local);
        }
        let listen = async {
            loop {
                self.listen();
                sleep(PAUSE).await;
            }
        };
        local
            .run_until(async {
                tokio::select! {
                    done = then => done,
                    () = listen => unreachable!("it has no end"),
                }
            })
            .await
    }

    /// Puts into the queue what workers have sent.
    fn listen(&self) {
        for message in self.aws.take_messages() {
            if message.queue_url.ends_with("/ai") {
                self.queue.send(message.body, message.delay_seconds);
            } else if message.queue_url.ends_with("/ai-dead-letters") {
                self.queue.dead_letters.set(self.queue.dead_letters.get() + 1);
            }
        }
        for (receipt, seconds) in self.aws.take_hidden() {
            let mut messages = self.queue.messages.borrow_mut();
            if let Some(message) = messages.iter_mut().find(|message| message.receipt == receipt) {
                message.visible_at = after(seconds);
            }
        }
    }
}

fn after(seconds: i64) -> Instant {
    Instant::now() + Duration::from_secs(seconds.try_into().unwrap_or_default())
}

impl Queue {
    fn send(&self, body: Value, delay_seconds: i64) {
        let message = Message { body, receipt: String::new(), visible_at: after(delay_seconds), deliveries: 0 };
        self.messages.borrow_mut().push_back(message);
    }

    /// Delivers the next message, which is hidden from then on.
    fn receive(&self) -> Option<Value> {
        let mut messages = self.messages.borrow_mut();
        let now = Instant::now();
        let message = messages.iter_mut().find(|message| message.visible_at <= now)?;
        message.visible_at = now + VISIBILITY;
        message.deliveries += 1;
        message.receipt = Uuid::now_v7().to_string();
        self.deliveries.set(self.deliveries.get() + 1);
        Some(json!({
            "messageId": message.receipt,
            "receiptHandle": message.receipt,
            "body": message.body.to_string(),
            "attributes": {"ApproximateReceiveCount": message.deliveries.to_string()},
        }))
    }

    /// One message after another, and deletes those that are done with.
    async fn feed(&self, worker: &Worker) {
        loop {
            let Some(record) = self.receive() else {
                sleep(PAUSE).await;
                continue;
            };
            self.busy.set(self.busy.get() + 1);
            let batch = serde_json::from_value(json!({"Records": [record]})).expect("a batch");
            let failures = worker.work(batch, Clock::system().now() + TimeDelta::seconds(300)).await;
            if failures == Failures::default() {
                self.messages.borrow_mut().retain(|message| record["receiptHandle"] != message.receipt);
            }
            self.busy.set(self.busy.get() - 1);
        }
    }
}

/// How long it took until something was so.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < LONG, "what was waited for did not come");
        sleep(PAUSE).await;
    }
    begun.elapsed()
}
