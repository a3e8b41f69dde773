//! The least that an invocation can cost: a function that looks at no event and gives one constant answer.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[allow(clippy::disallowed_methods, reason = "a program for developers, told here what to answer")]
    let file = std::env::var("FLOOR_ANSWER")?;
    let answer = RawValue::from_string(std::fs::read_to_string(file)?)?;
    let answer = &*answer;
    Runtime::new(service_fn(async |_: LambdaEvent<IgnoredAny>| Ok::<_, Error>(answer))).run().await
}
