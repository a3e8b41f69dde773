//! What the API document promises of every operation, tried on every operation: what a plan refuses, what a repeated POST
//! does, what is said of a member that is missing. Answers and their headers are compared with the document whenever an
//! example is sent, see [`crate::tenant_isolation::scene`].

use std::collections::BTreeSet;

use axum::http::Method;
use carhaul_testkit::StripeServer;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::support::TestApp;
use crate::tenant_isolation::document::{self, Operation, operations};
use crate::tenant_isolation::scene::{Scene, send, send_with};
use crate::tenant_isolation::{Case, cases, make_ready, succeeded};

/// A plan's limit on these refuses it, and not the limit on calls.
const LIMITED_OTHERWISE: [&str; 1] = ["accept_invitation"];

#[tokio::test]
async fn when_the_months_calls_are_used_up_exactly_what_the_document_says_is_refused() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let scene = Scene::set(&app, &stripe).await;
    let plan = format!("nothing_{}", Uuid::now_v7().simple());
    app.run(&format!(
        "INSERT INTO plans (code, name) VALUES ('{plan}', 'Nothing'); \
         INSERT INTO plan_limits (plan, name, max, per) SELECT '{plan}', name, max, per FROM plan_limits \
             WHERE plan = 'pro' AND name NOT IN ('api_calls', 'requests'); \
         INSERT INTO plan_limits (plan, name, max, per) VALUES ('{plan}', 'api_calls', 0, 'month')"
    ))
    .await;
    app.change_plan(&scene.carrier, &plan).await;
    let (mut refused, mut documented) = (BTreeSet::new(), BTreeSet::new());
    let mut cases = cases();
    // With it the carrier ends.
    cases.sort_by_key(|case| case.operation.id == "delete_tenant");
    for case in cases {
        for example in &case.examples {
            let reply = scene.send(&case.operation, example).await;
            let id = &case.operation.id;
            assert!(reply.status == 402 || !reply.status.is_server_error(), "{id}: {}", reply.text);
            if reply.status == 402 {
                assert_eq!(reply.refused(402, "over_limit")["limit"], "api_calls", "{id}");
                refused.insert(id.clone());
            }
        }
        if case.operation.answers_with(402) && !LIMITED_OTHERWISE.contains(&case.operation.id.as_str()) {
            documented.insert(case.operation.id);
        }
    }
    assert_eq!(refused, documented);
    assert!(refused.len() > 60 && refused.contains("list_orders") && !refused.contains("pick_up_order"));
}

/// What is shown once is not in the answer that is given again.
fn without_secrets(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Value::Object(members) = &mut answer {
        members.retain(|name, _| !["key", "ticket", "token"].contains(&name.as_str()));
    }
    answer
}

#[tokio::test]
async fn a_post_that_is_repeated_with_its_key_has_one_effect_in_its_carrier() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let known = cases();
    let (mut shared, mut other) = (Scene::set(&app, &stripe).await, Scene::set(&app, &stripe).await);
    let takes_key = |operation: &Operation| operation.takes("header", "Idempotency-Key");
    let mut posts = 0;
    for case in known.iter().filter(|case| case.operation.method == Method::POST) {
        assert_eq!(takes_key(&case.operation), case.operation.id != "test_skill", "{}", case.operation.id);
        for (n, example) in case.examples.iter().enumerate().filter(|(_, example)| example.succeeds) {
            if !takes_key(&case.operation) {
                continue;
            }
            posts += 1;
            let mut own = if case.spoils() {
                Some((Scene::set(&app, &stripe).await, Scene::set(&app, &stripe).await))
            } else {
                None
            };
            let (scene, rival) = own.as_mut().map_or((&mut shared, &mut other), |(one, two)| (one, two));
            let id = &case.operation.id;
            let key = format!("{id}-{n}");
            let headers = [("idempotency-key", key.as_str())];
            for carrier in [&mut *scene, &mut *rival] {
                make_ready(&app, &known, carrier, example).await;
                let path = case.operation.path_with(|of| carrier.id(of));
                let body = carrier.fill(&example.body, |of| carrier.id(of));
                let send = async |body: &Value| {
                    send_with(carrier.owner(), &case.operation, &path, "", &headers, body.clone()).await
                };
                let first = send(&body).await;
                assert!(succeeded(&first), "{id}: {} {}", first.status, first.text);
                assert!(!first.headers.contains_key("idempotency-replayed"), "{id}: another carrier's key is its own");
                let again = send(&body).await;
                assert_eq!(again.status, first.status, "{id}: {}", again.text);
                assert_eq!(without_secrets(&again.json), without_secrets(&first.json), "{id}");
                assert_eq!(again.headers["idempotency-replayed"], "true", "{id}");
                for header in ["etag", "location"] {
                    assert_eq!(again.headers.get(header), first.headers.get(header), "{id}: {header}");
                }
                let another = carrier.fill(&example.body, |of| carrier.id(of));
                if another != body {
                    assert_eq!(send(&another).await.invalid_fields(), ["Idempotency-Key"], "{id}");
                }
            }
        }
    }
    assert!(posts > 35, "{posts}");
}

#[tokio::test]
async fn a_member_that_is_missing_is_named_wherever_it_is_required() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let document = carhaul_api::openapi::document();
    let mut tried = 0;
    for case in cases().iter().filter(|case| case.operation.body.is_object()) {
        let operation = &case.operation;
        let path = operation.path_with(|_| Uuid::now_v7().to_string());
        for Lack { body, pointer } in lacks(&document, &operation.body) {
            let headers: &[(&str, &str)] =
                if operation.takes("header", "If-Match") { &[("if-match", "*")] } else { &[] };
            let reply = owner.send(operation.method.clone(), &path, headers, Some(body.clone())).await;
            let detail = reply.json["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(reply.invalid_fields(), [pointer.as_str()], "{}: {body}", operation.id);
            assert!(detail.starts_with(&pointer), "{}: {detail}", operation.id);
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[tokio::test]
async fn each_bad_field_of_a_body_is_named_at_once_and_where_it_was_sent() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let vehicle = json!({"year": 2020, "make": "Ford", "model": "F-150"});
    let order = json!({
        "customer_id": "x", "transport_type": "boat", "colour": "red", "price": 5,
        "pickup": ["Reno"], "delivery": {"city": 7, "state": "Nevada"}, "notes": "",
        "vehicles": [vehicle, 5, {"year": "new", "make": 1}, ["Ford"], vehicle, {"hue": "red"}], "tag_ids": [1, "x"],
    });
    let reply = owner.post("/v1/orders", order).await;
    let errors = reply.json["errors"].as_array().cloned().unwrap_or_default();
    let says = |pointer: &str| {
        let says: Vec<_> = errors.iter().filter(|error| error["pointer"] == pointer).map(|it| &it["detail"]).collect();
        assert_eq!(says.len(), 1, "{pointer}: {errors:#?}");
        says[0].as_str().expect("a detail is text").to_owned()
    };
    assert_eq!(says("/customer_id"), "must be a UUID");
    assert!(says("/transport_type").starts_with("must be one of "), "{}", says("/transport_type"));
    assert!(says("/colour").starts_with("is unknown; known are customer_id, "), "{}", says("/colour"));
    assert_eq!(says("/pickup"), "must be an object");
    assert_eq!(says("/delivery/city"), "must be text");
    assert_eq!(says("/vehicles/1"), "must be an object");
    assert_eq!(says("/vehicles/2/year"), "must be a whole number");
    assert_eq!(says("/vehicles/2/make"), "must be text");
    assert_eq!(says("/vehicles/3"), "must be an object");
    for pointer in ["/price", "/notes", "/delivery/state", "/vehicles/5/hue", "/tag_ids/0", "/tag_ids/1"] {
        says(pointer);
    }
    assert!(!errors.iter().any(|error| error["pointer"].to_string().contains("vehicles/4")), "{errors:#?}");
    assert_eq!(reply.invalid_fields().len(), errors.len());

    let missing = owner.post("/v1/orders", json!({"price": "x"})).await.invalid_fields();
    assert_eq!(missing, ["/price", "/customer_id", "/transport_type", "/pickup", "/delivery"]);
    let action = json!({"type": "cancel", "note": 7, "reason_id": 5});
    let bulk = owner.post("/v1/orders/bulk", json!({"order_ids": ["x"], "action": action})).await.invalid_fields();
    assert_eq!(bulk, ["/action/note", "/action/reason_id", "/order_ids/0"]);
    let twice = Some(("application/json", r##"{"name": "One", "color": "#2b8a3e", "name": "Two"}"##.to_owned()));
    assert_eq!(owner.send_text(Method::POST, "/v1/tags", &[], twice).await.invalid_fields(), ["/name"]);
    assert_eq!(owner.get("/v1/orders").await.expect(200)["data"], json!([]), "nothing of it was written");
}

/// Whatever is sent for a member, the answer is in the words of the API.
#[tokio::test]
async fn what_is_said_of_a_bad_field_has_no_words_of_the_code() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let document = carhaul_api::openapi::document();
    let (mut said, mut faults) = (0, Vec::new());
    for operation in operations().iter().filter(|operation| operation.body.is_object()) {
        let path = operation.path_with(|_| Uuid::now_v7().to_string());
        let headers: &[(&str, &str)] = if operation.takes("header", "If-Match") { &[("if-match", "*")] } else { &[] };
        let schema = document::resolve(&document, &operation.body);
        let names: Vec<&String> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        for value in [json!({"nothing": 1}), json!(1.5), json!([[]]), json!("\u{1}"), json!(true), json!(null)] {
            let body: Map<String, Value> = names.iter().map(|name| ((*name).clone(), value.clone())).collect();
            let reply = owner.send(operation.method.clone(), &path, headers, Some(Value::Object(body))).await;
            for error in reply.json["errors"].as_array().into_iter().flatten() {
                let detail = error["detail"].as_str().unwrap_or_default();
                let leaks = [
                    "expected",
                    "invalid type",
                    "invalid value",
                    "struct",
                    "enum",
                    "variant",
                    "parsing",
                    "`",
                    "wrong type",
                ];
                if leaks.iter().any(|word| detail.contains(word)) {
                    faults.push(format!("{} {value}: {error}", operation.id));
                }
                said += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(said > 500, "{said}");
}

#[tokio::test]
async fn each_bad_parameter_is_named_at_once() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let bad = "limit=0&colour=red&status=new,odd&driver=x&truck=&unassigned=maybe&sort=up&number=1&number=2";
    let reply = owner.get(&format!("/v1/orders?{bad}")).await;
    let errors = reply.json["errors"].as_array().cloned().unwrap_or_default();
    let says = |name: &str| errors.iter().find(|it| it["pointer"] == name).map(|it| it["detail"].to_string());
    assert_eq!(says("unassigned").as_deref(), Some("\"must be true or false\""), "{errors:#?}");
    assert_eq!(says("driver[0]").as_deref(), Some("\"must be a UUID\""), "{errors:#?}");
    assert!(says("status[1]").is_some_and(|it| it.starts_with("\"must be one of new, ")), "{errors:#?}");
    assert!(says("colour").is_some_and(|it| it.starts_with("\"is unknown; known are ")), "{errors:#?}");
    let mut named = reply.invalid_fields();
    named.sort();
    assert_eq!(named, ["colour", "driver[0]", "limit", "number", "sort", "status[1]", "truck", "unassigned"]);
    assert_eq!(owner.delete("/v1/tenant?colour=red").await.invalid_fields(), ["colour", "confirm"]);
    owner.get("/v1/tenant").await.expect(200);
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_have_is_refused() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let scene = Scene::set(&app, &stripe).await;
    for case in cases() {
        let (operation, example) = (&case.operation, &case.examples[0]);
        let path = operation.path_with(|of| scene.id(of));
        let body = scene.fill(&example.body, |of| scene.id(of));
        let query = format!("{}{}colour=red", example.query, if example.query.is_empty() { "" } else { "&" });
        let reply = send(scene.owner(), operation, &path, &query, body).await;
        operation.require_described(&reply);
        assert_eq!(reply.invalid_fields(), ["colour"], "{}", operation.id);
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let scene = Scene::with_two_pages(&app, &stripe).await;
    let mut cursors = Vec::new();
    for operation in operations().iter().filter(|operation| operation.is_list && operation.takes("query", "cursor")) {
        let path = operation.path_with(|of| scene.id(of));
        let page = scene.owner().get(&format!("{path}?limit=1")).await.expect(200);
        if let Some(cursor) = page["next_cursor"].as_str() {
            cursors.push((path, cursor.to_owned()));
        }
    }
    assert!(cursors.len() > 10, "{cursors:?}");
    for (path, _) in &cursors {
        for (of, cursor) in &cursors {
            let reply = scene.owner().get(&format!("{path}?cursor={cursor}")).await;
            if of == path {
                reply.expect(200);
            } else {
                assert_eq!(reply.invalid_fields(), ["cursor"], "{path} took one of {of}");
            }
        }
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_told_the_others() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let path = "/v1/customers";
    let method = owner.send(Method::PUT, path, &[], None).await;
    let allowed = method.headers["allow"].to_str().expect("methods are ASCII").to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    assert!(method.refused(405, "method_not_allowed")["detail"].is_string());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_wherever_there_is_one() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    let mut tried = 0;
    for operation in operations().iter().filter(|operation| operation.body.is_object()) {
        let path = operation.path_with(|_| Uuid::now_v7().to_string());
        let headers: &[(&str, &str)] = if operation.takes("header", "If-Match") { &[("if-match", "*")] } else { &[] };
        for (status, kind, content_type, body) in [
            (400, "malformed", "application/json", "{"),
            (422, "invalid", "application/json", "[]"),
            (413, "too_large", "application/json", &large),
            (415, "unsupported_media_type", "text/plain", "{}"),
        ] {
            let body = Some((content_type, body.to_owned()));
            let reply = owner.send_text(operation.method.clone(), &path, headers, body).await;
            operation.require_described(&reply);
            let detail = reply.refused(status, kind)["detail"].clone();
            assert!(detail.is_string(), "{}: {status}", operation.id);
            if status == 415 {
                assert_eq!(detail, "send it with Content-Type: application/json", "{}", operation.id);
            }
        }
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

#[tokio::test]
async fn what_is_no_etag_is_refused_by_its_header_and_a_weak_one_matches_nothing() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let scene = Scene::set(&app, &stripe).await;
    let mut tried = 0;
    for case in cases().iter().filter(|case| case.operation.takes("header", "If-Match")) {
        let Some(example) = case.examples.iter().find(|example| example.succeeds) else { continue };
        let (id, path) = (&case.operation.id, case.operation.path_with(|of| scene.id(of)));
        let send = async |etag: &str| {
            let body = scene.fill(&example.body, |of| scene.id(of));
            send_with(scene.owner(), &case.operation, &path, example.query, &[("if-match", etag)], body).await
        };
        assert_eq!(send("zz").await.invalid_fields(), ["If-Match"], "{id}");
        assert_eq!(send("W/\"1\"").await.refused(412, "stale")["errors"], Value::Null, "{id}");
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

/// What a key without a scope is refused for is what the document says, one after the other. What only some bodies need is
/// said in the description.
#[tokio::test]
async fn each_operation_needs_the_permissions_that_the_document_says_and_no_others() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let scene = Scene::set(&app, &stripe).await;
    let document = carhaul_api::openapi::document();
    // Those whose success leaves nothing to try the others on come last.
    let mut cases = cases();
    cases.sort_by_key(|case| case.spoils());
    let (mut tried, mut faults) = (0, Vec::new());
    for Case { operation, examples } in cases.iter().filter(|case| case.operation.takes("header", "Tenant-Id")) {
        let id = &operation.id;
        let example = examples.iter().find(|example| example.succeeds).unwrap_or(&examples[0]);
        let method = operation.method.as_str().to_lowercase();
        let says = &document["paths"][&operation.path][method];
        let needed: Vec<&str> =
            says["x-permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(!needed.is_empty(), "say in src/openapi/permissions.json what {id} needs");
        for has in 0..=needed.len() {
            // Of no use for it: a key has at least one.
            let idle = if needed.contains(&"usage:read") { "events:read" } else { "usage:read" };
            let scopes: Vec<&str> = std::iter::once(idle).chain(needed[..has].iter().copied()).collect();
            let issued = scene.owner().post("/v1/api-keys", json!({"name": "One", "scopes": scopes})).await;
            if issued.status == 422 {
                break; // no key can have it
            }
            let key = scene.owner().with_key(issued.expect(201)["key"].as_str().expect("a new key is shown"));
            let path = operation.path_with(|of| scene.id(of));
            let reply = send(&key, operation, &path, example.query, scene.fill(&example.body, |of| scene.id(of))).await;
            let detail = reply.json["detail"].as_str().unwrap_or_default();
            let lacks = detail.strip_prefix("the API key lacks the scope ");
            let of_body = has == needed.len()
                && lacks.is_some_and(|it| says["description"].to_string().contains(&format!("needs `{it}`")));
            if lacks != needed.get(has).copied() && !of_body {
                faults.push(format!("{id} with {scopes:?}: {}", reply.text));
            }
            tried += 1;
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(tried > 200, "{tried}");
}

/// A body from which one required member was taken, and where it was.
struct Lack {
    body: Value,
    pointer: String,
}

fn lacks(document: &Value, schema: &Value) -> Vec<Lack> {
    let schema = document::resolve(document, schema);
    if let Some(parts) = schema["oneOf"].as_array() {
        return parts.iter().flat_map(|part| lacks(document, part)).collect();
    }
    if schema["items"].is_object() {
        let of_item = |lack: Lack| Lack { body: json!([lack.body]), pointer: format!("/0{}", lack.pointer) };
        return lacks(document, &schema["items"]).into_iter().map(of_item).collect();
    }
    let whole = sample(document, schema);
    let mut found = Vec::new();
    for name in required(schema) {
        let mut body = whole.clone();
        body.as_object_mut().expect("what has required members is an object").remove(name);
        found.push(Lack { body, pointer: format!("/{name}") });
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(lacks(document, member).into_iter().map(|lack| {
            let mut body = whole.clone();
            body[name] = lack.body;
            Lack { body, pointer: format!("/{name}{}", lack.pointer) }
        }));
    }
    found
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The least that fits a schema.
fn sample(document: &Value, schema: &Value) -> Value {
    let schema = document::resolve(document, schema);
    if let Some(given) = schema.get("const").or(schema.pointer("/enum/0")) {
        return given.clone();
    }
    if schema["properties"].is_object() {
        let member = |name: &str| (name.to_owned(), sample(document, &schema["properties"][name]));
        return Value::Object(required(schema).map(member).collect::<Map<_, _>>());
    }
    if let Some(example) = schema.get("example").or(schema.pointer("/examples/0")) {
        return example.clone();
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        return parts.first().map_or(Value::Null, |part| sample(document, part));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("uuid")) => json!(Uuid::now_v7()),
        (_, Some("date-time")) => json!("2030-03-09T09:00:00Z"),
        (_, Some("date")) => json!("2030-03-09"),
        (Some("integer"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        (Some("boolean"), _) => json!(true),
        (Some("array"), _) => json!([sample(document, &schema["items"])]),
        (Some("object"), _) => json!({}),
        _ => {
            let least = schema["minLength"].as_u64().and_then(|least| usize::try_from(least).ok());
            json!("x".repeat(least.unwrap_or(1)))
        }
    }
}

/// The plans are data: a limit that a migration adds is to be told of.
#[tokio::test]
async fn the_document_names_every_limit_that_there_is() {
    let document = carhaul_api::openapi::document();
    let names: Vec<String> =
        serde_json::from_value(document["components"]["schemas"]["LimitName"]["enum"].clone()).expect("it is an enum");
    let app = TestApp::start().await;
    let known = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let strangers = format!("SELECT count(*) FROM plan_limits WHERE plan IN ('free', 'pro') AND name NOT IN ({known})");
    assert_eq!(app.count(&strangers).await, 0, "LimitName lacks one");
    let found = format!("SELECT count(DISTINCT name) FROM plan_limits WHERE plan = 'free' AND name IN ({known})");
    assert_eq!(app.count(&found).await, i64::try_from(names.len()).unwrap());
}
