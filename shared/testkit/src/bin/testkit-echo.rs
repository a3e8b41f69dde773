//! A function to try [`carhaul_testkit::LambdaRuntime`] with: answers with what it was sent and one variable of its
//! environment.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let event = event.payload;
    match event["do"].as_str() {
        Some("fail") => Err("told to fail".into()),
        Some("exit") => std::process::exit(3),
        _ => {
            eprintln!("echoing");
            #[allow(clippy::disallowed_methods, reason = "to show what the runtime hands over")]
            let variable = std::env::var("GREETING").ok();
            Ok(json!({"event": event, "greeting": variable}))
        }
    }
}
