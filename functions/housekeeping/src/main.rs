//! The function `housekeeping`: runs on a schedule and answers what it has done; hears from S3 which documents have come; and does
//! chores, which are erasures and exports.

use carhaul_core::base::clock::Clock;
use carhaul_core::billing::stripe::client::Stripe;
use carhaul_core::chores::Chore;
use carhaul_core::documents::uploads::Notification;
use carhaul_core::platform::batch::Batch;
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::config::HousekeepingConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secrets;
use carhaul_core::platform::telemetry;
use carhaul_housekeeping::{
    Chores, Nudged, Purged, Reconciled, Reconciler, Requeued, Swept, Tended, Tidied, Uploads, purge_expired,
    push_forgotten, requeue, tend_executions,
};
use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json, to_value};

/// Rows of each table in one transaction: some tens of milliseconds of locks.
const BATCH: i32 = 2_000;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Request {
    /// Of the queue of documents or that of chores.
    Messages(Batch),
    /// What a schedule asks for; one that does not say wants the purge.
    Scheduled {
        #[serde(default)]
        task: Task,
        /// Messages that cannot be read are no schedule: SQS would take them for done.
        #[serde(rename = "Records", default)]
        _no_messages: (),
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Chore(Chore),
    Arrival(Notification),
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    #[default]
    Purge,
    Requeue,
    Push,
    Executions,
    Reconcile,
    Documents,
    Chores,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = HousekeepingConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    let db = Db::new(&config.function);
    let queue = Queue::new(&config.billing_queue_url);
    let nudges = Queue::new(&config.realtime_queue_url);
    let ai_queue = Queue::new(&config.ai_queue_url);
    let chores_queue = Queue::new(&config.chores_queue_url);
    let bucket = Bucket::new(&config.documents_url);
    let clock = Clock::system();
    let uploads = &Uploads {
        db: &db,
        bucket: &bucket,
        nudges: &nudges,
        clock: &clock,
        environment: config.function.environment.as_str(),
    };
    let chores = &Chores {
        db: &db,
        bucket: &bucket,
        stripe: config.stripe.as_ref(),
        queue: &chores_queue,
        nudges: &nudges,
        clock: &clock,
        environment: config.function.environment.as_str(),
    };
    let (config, db, queue, nudges, ai_queue) = (&config, &db, &queue, &nudges, &ai_queue);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Request>| {
        let task = match event.payload {
            Request::Messages(batch) => {
                let until = until(&event.context);
                let work = async |message: &Message| match message {
                    Message::Chore(chore) => chores.work(*chore, until).await,
                    Message::Arrival(notification) => uploads.arrived(notification).await,
                };
                return Ok(to_value(Box::pin(batch.work(work)).await)?);
            }
            Request::Scheduled { task, .. } => task,
        };
        // Boxed, because the compiler gives up on the layout of so deep a future.
        let done = match task {
            Task::Purge => Box::pin(run(config, db, &event.context)).await.and_then(|done| Ok(to_value(done)?)),
            Task::Requeue => Box::pin(run_requeue(config, db, queue)).await.and_then(|done| Ok(to_value(done)?)),
            Task::Push => Box::pin(run_push(config, db, nudges)).await.and_then(|done| Ok(to_value(done)?)),
            Task::Executions => {
                Box::pin(run_executions(config, db, ai_queue)).await.and_then(|done| Ok(to_value(done)?))
            }
            Task::Reconcile => Box::pin(run_reconcile(config, db, queue, &event.context)).await,
            Task::Documents => {
                Box::pin(run_documents(uploads, &event.context)).await.and_then(|done| Ok(to_value(done)?))
            }
            Task::Chores => Box::pin(run_chores(chores, &event.context)).await.and_then(|done| Ok(to_value(done)?)),
        };
        done.inspect_err(|error| tracing::error!(%error, ?task, "failed"))
    }))
    .await
}

async fn run_requeue(config: &HousekeepingConfig, db: &Db, queue: &Queue) -> Result<Requeued, Error> {
    let done = requeue(db, queue).await?;
    if done.requeued > 0 {
        let dimensions = [("Environment", config.function.environment.as_str())];
        let count = i64::try_from(done.requeued).unwrap_or(i64::MAX);
        telemetry::count(&Clock::system(), &dimensions, "StripeEventsRequeued", count);
    }
    tracing::info!(requeued = done.requeued, "queued what was forgotten");
    Ok(done)
}

async fn run_push(config: &HousekeepingConfig, db: &Db, queue: &Queue) -> Result<Nudged, Error> {
    let done = push_forgotten(db, queue).await?;
    if done.nudged > 0 {
        let dimensions = [("Environment", config.function.environment.as_str())];
        let count = i64::try_from(done.nudged).unwrap_or(i64::MAX);
        telemetry::count(&Clock::system(), &dimensions, "PushesForgotten", count);
    }
    tracing::info!(nudged = done.nudged, "nudged for what was forgotten");
    Ok(done)
}

async fn run_executions(config: &HousekeepingConfig, db: &Db, queue: &Queue) -> Result<Tended, Error> {
    let done = tend_executions(db, queue, config.slots).await?;
    let dimensions = [("Environment", config.function.environment.as_str())];
    if done.requeued > 0 {
        let count = i64::try_from(done.requeued).unwrap_or(i64::MAX);
        telemetry::count(&Clock::system(), &dimensions, "ExecutionsRequeued", count);
    }
    if done.expired > 0 {
        telemetry::count(&Clock::system(), &dimensions, "ExecutionsExpired", i64::from(done.expired));
    }
    telemetry::count(&Clock::system(), &dimensions, "ExecutionsHeld", done.held);
    tracing::info!(requeued = done.requeued, expired = done.expired, held = done.held, "tended executions");
    Ok(done)
}

async fn run_documents(uploads: &Uploads<'_>, context: &Context) -> Result<Tidied, Error> {
    let done = uploads.tidy(until(context)).await?;
    tracing::info!(?done, "tidied documents");
    Ok(done)
}

async fn run_chores(chores: &Chores<'_>, context: &Context) -> Result<Swept, Error> {
    let done = chores.sweep(until(context)).await?;
    tracing::info!(?done, "queued chores that were forgotten");
    Ok(done)
}

async fn run(config: &HousekeepingConfig, db: &Db, context: &Context) -> Result<Purged, Error> {
    let clock = Clock::system();
    let purged = purge_expired(db, BATCH, &clock, until(context)).await?;
    for (table, rows) in &purged.purged {
        let dimensions = [("Environment", config.function.environment.as_str()), ("Table", table)];
        telemetry::count(&clock, &dimensions, "RowsPurged", *rows);
    }
    tracing::info!(complete = purged.complete, "purged");
    Ok(purged)
}

async fn run_reconcile(config: &HousekeepingConfig, db: &Db, queue: &Queue, context: &Context) -> Result<Value, Error> {
    let stripe = match &config.stripe {
        // The key is read each time: it may have been put there or exchanged since.
        Some(stripe) => Stripe::configured(stripe, &Secrets::new()).await?,
        None => None,
    };
    let Some(stripe) = stripe else {
        tracing::info!("nothing is reconciled: no key of Stripe is configured");
        return Ok(json!({"skipped": "no key of Stripe is configured"}));
    };
    let clock = Clock::system();
    let reconciler = Reconciler { db, queue, stripe: &stripe, clock: &clock, livemode: config.livemode };
    let mut done = Reconciled::default();
    let result = reconciler.run(until(context), &mut done).await;
    // Also what was done before it failed.
    if done.events_recovered > 0 {
        let dimensions = [("Environment", config.function.environment.as_str())];
        let count = i64::try_from(done.events_recovered).unwrap_or(i64::MAX);
        telemetry::count(&clock, &dimensions, "StripeEventsRecovered", count);
    }
    tracing::info!(
        events_recovered = done.events_recovered,
        subscriptions_drifting = done.subscriptions_drifting,
        complete = done.complete,
        "compared with Stripe"
    );
    result?;
    Ok(to_value(done)?)
}

/// When to stop: time enough is left for the last batch, the answer and the log.
fn until(context: &Context) -> DateTime<Utc> {
    DateTime::from(context.deadline()) - TimeDelta::seconds(30)
}
