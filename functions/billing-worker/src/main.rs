//! The function `billing-worker`: does what the messages of the billing queue name.

use carhaul_core::base::error::Error;
use carhaul_core::billing::job::Job;
use carhaul_core::platform::batch::Batch;
use carhaul_core::platform::config::HousekeepingConfig;
use carhaul_core::platform::telemetry;
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = HousekeepingConfig::from_env()?;
    telemetry::init(&config.log_level);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        // Whatever cannot be applied stays in the queue.
        let failures = event.payload.work(async |_: &Job| Err(Error::internal("nothing is applied yet"))).await;
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}
