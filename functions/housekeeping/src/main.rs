//! The function `housekeeping`: runs on a schedule and answers what it has done.

use carhaul_core::base::clock::Clock;
use carhaul_core::platform::config::HousekeepingConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::telemetry;
use carhaul_housekeeping::{Purged, purge_expired};
use chrono::{DateTime, TimeDelta};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;

/// Rows of each table in one transaction: some tens of milliseconds of locks.
const BATCH: i32 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = HousekeepingConfig::from_env()?;
    telemetry::init(&config.log_level);
    let db = Db::new(config.database.clone(), config.database_secret.clone());
    let (config, db) = (&config, &db);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        // Boxed, because the compiler gives up on the layout of so deep a future.
        let purged = Box::pin(run(config, db, &event.context)).await;
        purged.inspect_err(|error| tracing::error!(%error, "failed"))
    }))
    .await
}

async fn run(config: &HousekeepingConfig, db: &Db, context: &Context) -> Result<Purged, Error> {
    let clock = Clock::system();
    // Time enough is left for the last batch, the answer and the log.
    let until = DateTime::from(context.deadline()) - TimeDelta::seconds(30);
    let purged = purge_expired(db, BATCH, &clock, until).await?;
    for (table, rows) in &purged.purged {
        let dimensions = [("Environment", config.environment.as_str()), ("Table", table)];
        telemetry::count(&clock, &dimensions, "RowsPurged", *rows);
    }
    tracing::info!(complete = purged.complete, "purged");
    Ok(purged)
}
