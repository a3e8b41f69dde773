//! Auth-checked CRUD behind API Gateway: `carhaul_api` as a Lambda function.

use carhaul_api::app::{self, App};
use carhaul_core::base::clock::Clock;
use carhaul_core::platform::config::ApiConfig;
use carhaul_core::platform::telemetry;
use carhaul_http::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let config = ApiConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    lambda::serve(app::service(App::from_config(&config, Clock::system()))).await
}
