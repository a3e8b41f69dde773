//! The function `ai-worker`: uses the permits of the queue of executions.

use carhaul_ai_worker::Worker;
use carhaul_core::base::clock::Clock;
use carhaul_core::platform::batch::Batch;
use carhaul_core::platform::config::AiWorkerConfig;
use carhaul_core::platform::telemetry;
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = AiWorkerConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    let worker = &Worker::from_config(&config, Clock::system());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        let until = event.context.deadline().into();
        // Boxed, because the compiler gives up on the layout of so deep a future.
        Ok::<_, lambda_runtime::Error>(Box::pin(worker.work(event.payload, until)).await)
    }))
    .await
}
