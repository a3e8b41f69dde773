//! Requests as API Gateway sends them to a function (HTTP API, payload format 2.0).

use serde_json::{Map, Value, json};

/// `path` may have a query. Header names are sent in lower case, as the gateway does.
pub fn http_event(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Value {
    let (raw_path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut sent: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), Value::from(*value))).collect();
    sent.entry("host").or_insert_with(|| "api.example.com".into());
    if body.is_some() {
        sent.entry("content-type").or_insert_with(|| "application/json".into());
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": sent,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "carhaul",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "testkit"
            },
            "requestId": "testkit",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64
        },
        "isBase64Encoded": false
    });
    if let Some(body) = body {
        event["body"] = body.to_string().into();
    }
    event
}
