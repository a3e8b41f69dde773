//! Where Stripe delivers its events: `carhaul_stripe_webhook` as a Lambda function.

use carhaul_core::base::clock::Clock;
use carhaul_core::platform::config::StripeWebhookConfig;
use carhaul_core::platform::telemetry;
use carhaul_http::lambda;
use carhaul_stripe_webhook::{App, service};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let config = StripeWebhookConfig::from_env()?;
    telemetry::init(&config.function.log_level);
    lambda::serve(service(App::from_config(&config, Clock::system()))).await
}
