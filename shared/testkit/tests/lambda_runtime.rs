//! The stand-in for Lambda, with a function built by the crate that the real ones are built with.

use std::path::Path;
use std::time::Duration;

use carhaul_testkit::{LambdaRuntime, RuntimeError, http_event};
use serde_json::json;

const ECHO: &str = env!("CARGO_BIN_EXE_testkit-echo");

async fn echo() -> LambdaRuntime {
    LambdaRuntime::spawn(Path::new(ECHO), [("GREETING", "hello")]).await.expect("the function starts")
}

#[tokio::test]
async fn a_function_is_started_and_answers_events_one_after_another() {
    let mut function = echo().await;
    assert!(function.until_ready().await.unwrap() < Duration::from_secs(5));
    for number in 0..3 {
        let event = json!({"number": number});
        let answer = function.invoke(&event).await.unwrap();
        assert_eq!(answer.result, Ok(json!({"event": event, "greeting": "hello"})));
        assert!(answer.elapsed < Duration::from_secs(1));
    }
    assert!(function.log().contains(&"echoing".to_owned()));
    let usage = function.usage().unwrap();
    assert!((500..100_000).contains(&usage.peak_memory_kib) && usage.cpu_time < Duration::from_secs(5), "{usage:?}");
}

#[tokio::test]
async fn a_functions_error_is_told_from_its_answer() {
    let mut function = echo().await;
    let answer = function.invoke(&json!({"do": "fail"})).await.unwrap();
    assert_eq!(answer.result.unwrap_err()["errorMessage"], "told to fail");
    assert!(function.invoke(&json!({})).await.unwrap().result.is_ok());
}

#[tokio::test]
async fn a_function_that_exits_is_reported_with_its_log() {
    let mut function = echo().await;
    function.invoke(&json!({})).await.unwrap();
    let gone = function.invoke(&json!({"do": "exit"})).await;
    assert!(matches!(&gone, Err(RuntimeError::Gone { log }) if log.contains("echoing")), "{gone:?}");
}

#[tokio::test]
async fn a_function_sees_nothing_of_the_tests_environment() {
    let mut function = LambdaRuntime::spawn(Path::new(ECHO), [("OTHER", "")]).await.unwrap();
    assert_eq!(function.invoke(&json!({})).await.unwrap().result.unwrap()["greeting"], json!(null));
}

#[test]
fn an_http_event_splits_path_and_query_and_names_headers_as_the_gateway_does() {
    let event = http_event("POST", "/v1/orders?a=1&b=2", &[("Tenant-Id", "t")], Some(&json!({"n": 1})));
    assert_eq!(event["rawPath"], "/v1/orders");
    assert_eq!(event["rawQueryString"], "a=1&b=2");
    assert_eq!(event["headers"]["tenant-id"], "t");
    assert_eq!(event["headers"]["content-type"], "application/json");
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
    assert_eq!(event["body"], r#"{"n":1}"#);
}
