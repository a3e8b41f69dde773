//! The function `realtime`: the routes of the WebSocket API, and the queue of nudges.

use carhaul_core::platform::config::RealtimeConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::sockets::Sockets;
use carhaul_core::platform::telemetry;
use carhaul_realtime::{Event, Realtime};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = RealtimeConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    let realtime = Realtime {
        db: Db::new(&config.function),
        sockets: Sockets::new(&config.endpoint),
        queue: Queue::new(&config.queue_url),
    };
    let realtime = &realtime;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        // Boxed, because the compiler gives up on the layout of so deep a future.
        Ok::<_, lambda_runtime::Error>(Box::pin(realtime.handle(event.payload)).await)
    }))
    .await
}
