//! The function `billing-worker`: does what the messages of the billing queue name.

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Result;
use carhaul_core::billing::apply::{self, Outcome};
use carhaul_core::billing::job::Job;
use carhaul_core::billing::stripe::client::Stripe;
use carhaul_core::platform::batch::Batch;
use carhaul_core::platform::config::BillingWorkerConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::secrets::Secrets;
use carhaul_core::platform::telemetry;
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::sync::OnceCell;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = BillingWorkerConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    let worker = Worker { db: Db::new(&config.function), stripe: OnceCell::new(), clock: Clock::system(), config };
    let worker = &worker;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        // Boxed, because the compiler gives up on the layout of so deep a future.
        let failures = Box::pin(event.payload.work(async |job: &Job| worker.work(job).await)).await;
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}

struct Worker {
    config: BillingWorkerConfig,
    db: Db,
    /// Made at the first job. None if there is no key: then events alone say what is.
    stripe: OnceCell<Option<Stripe>>,
    clock: Clock,
}

impl Worker {
    async fn work(&self, job: &Job) -> Result<()> {
        let stripe = self.stripe.get_or_try_init(async || match &self.config.stripe {
            Some(config) => Stripe::configured(config, &Secrets::new()).await,
            None => Ok(None),
        });
        let outcome = apply::process(&self.db, stripe.await?.as_ref(), job).await?;
        tracing::info!(?job, ?outcome, "done");
        // What an operator must look at.
        let metric = match outcome {
            Outcome::UnknownPrice => "StripePricesUnknown",
            Outcome::Repaired => "BillingRepairs",
            _ => return Ok(()),
        };
        telemetry::count(&self.clock, &[("Environment", self.config.function.environment.as_str())], metric, 1);
        Ok(())
    }
}
