//! No carrier sees or changes anything of another, on any operation of the API document. What the document has and these
//! tests do not know fails them.

pub mod document;
pub mod examples;
pub mod scene;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use carhaul_testkit::StripeServer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};
use uuid::Uuid;

use self::document::{Operation, operations};
use self::examples::{Example, FILTERS, examples};
use self::scene::{Scene, send};
use crate::support::{Reply, TestApp};

/// An operation with its examples.
pub struct Case {
    pub operation: Operation,
    pub examples: Vec<Example>,
}

pub fn cases() -> Vec<Case> {
    let mut known: BTreeMap<&str, Vec<Example>> = BTreeMap::new();
    for example in examples() {
        known.entry(example.operation).or_default().push(example);
    }
    let cases: Vec<Case> = operations()
        .into_iter()
        .map(|operation| Case { examples: known.remove(operation.id.as_str()).unwrap_or_default(), operation })
        .collect();
    assert!(known.is_empty(), "examples of tenant isolation that are of no operation: {:?}", known.keys());
    cases.iter().for_each(Case::require_complete);
    cases
}

impl Case {
    fn require_complete(&self) {
        let Operation { id, references, .. } = &self.operation;
        let file = "tests/api/tenant_isolation/examples.rs";
        assert!(
            !self.examples.is_empty(),
            "tenant isolation does not know the operation {id}: add an example of it to {file}, one that succeeds in a \
             carrier of one's own"
        );
        let named: BTreeSet<String> =
            self.examples.iter().flat_map(|example| places(&example.body)).map(|(place, _)| place).collect();
        for place in references {
            assert!(
                named.contains(place),
                "tenant isolation does not try {place} in the body of {id}: let an example in {file} name there what it \
                 refers to, such as \"$customers\""
            );
        }
        for parameter in self.operation.parameters("query").filter(|parameter| parameter.is_reference) {
            assert!(
                FILTERS.iter().any(|(operation, name, _)| operation == id && *name == parameter.name),
                "tenant isolation does not try the filter {} of {id}: say in FILTERS in {file} what it names",
                parameter.name
            );
        }
    }

    /// Whether its success leaves a scene that others cannot use: something is gone or has moved on, or somebody has
    /// become a driver, which they do once.
    pub fn spoils(&self) -> bool {
        let Operation { id, method, .. } = &self.operation;
        let moves_orders = ["bulk_orders", "create_trip"].contains(&id.as_str());
        let moves = *method == Method::POST && (!self.operation.collections().is_empty() || moves_orders);
        let named = |example: &Example| places(&example.body).iter().any(|(_, of)| of == "newcomers");
        *method == Method::DELETE || moves || self.examples.iter().any(named)
    }
}

/// Where a body says `$collection`, as `/pickup/location_id` or `/tag_ids/-`, and which.
fn places(body: &Value) -> Vec<(String, String)> {
    let below = |name: &str, member: &Value| -> Vec<(String, String)> {
        places(member).into_iter().map(|(place, of)| (format!("/{name}{place}"), of)).collect()
    };
    match body {
        Value::String(text) => {
            let collection = text.strip_prefix('$').filter(|rest| !rest.starts_with("word"));
            collection.map(|of| (String::new(), of.to_owned())).into_iter().collect()
        }
        Value::Object(members) => members.iter().flat_map(|(name, member)| below(name, member)).collect(),
        Value::Array(items) => items.iter().flat_map(|item| below("-", item)).collect(),
        _ => Vec::new(),
    }
}

/// The body with a value at one of its [`places`].
fn replace(body: &mut Value, place: &str, value: &str) {
    match body.pointer_mut(&place.replace("/-", "/0")) {
        Some(member) => *member = json!(value),
        None => panic!("the body has no {place}"),
    }
}

pub fn succeeded(reply: &Reply) -> bool {
    reply.status.is_success() && problems(reply).is_none_or(|problems| problems.iter().all(Value::is_null))
}

/// Refused as something that is not there.
fn refused(reply: &Reply) -> bool {
    match problems(reply) {
        Some(problems) => problems.iter().all(|problem| [404, 422].contains(&problem["status"].as_i64().unwrap_or(0))),
        None => [404, 422].contains(&reply.status.as_u16()),
    }
}

/// Those of each item, if it is the answer to a bulk request.
fn problems(reply: &Reply) -> Option<Vec<Value>> {
    let results = reply.json["results"].as_array().filter(|_| reply.status.is_success())?;
    Some(results.iter().map(|result| result["problem"].clone()).collect())
}

#[track_caller]
fn assert_tells_nothing_of(victim: &Scene, reply: &Reply, what: &str) {
    for secret in &victim.secrets {
        assert!(!reply.text.contains(secret), "{what} tells {secret} of another carrier: {}", reply.text);
    }
}

/// A digest of the carrier's rows in each table.
async fn rows_of(app: &TestApp, victim: &Scene) -> Vec<(String, Option<String>)> {
    let mut database = app.superuser().await;
    let tenant = victim.carrier.id;
    let tables = "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
                  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attname = 'tenant_id' ORDER BY 1";
    let tables = database.fetch_all(tables).await.expect("the catalog can be read");
    let of_tenant = tables.iter().map(|row| (row.get::<String, _>(0), format!("t.tenant_id = '{tenant}'")));
    let members = format!("t.id IN (SELECT user_id FROM memberships WHERE tenant_id = '{tenant}')");
    let others = [("tenants".to_owned(), format!("t.id = '{tenant}'")), ("users".to_owned(), members)];
    let mut digests: Vec<(String, Option<String>)> = Vec::new();
    for (table, condition) in of_tenant.chain(others) {
        let digest = format!("SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {table} t WHERE {condition}");
        let row = database.fetch_one(AssertSqlSafe(digest)).await.expect("every table can be read");
        digests.push((table, row.get(0)));
    }
    assert!(digests.iter().filter(|(_, digest)| digest.is_some()).count() > 15, "a scene without rows: {digests:?}");
    digests
}

#[tokio::test]
async fn nothing_but_what_is_open_answers_without_a_credential() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let victim = Scene::set(&app, &stripe).await;
    let before = rows_of(&app, &victim).await;
    let mut nobody = victim.owner().clone();
    nobody.authorization = None;
    let mut open = Vec::new();
    for Case { operation, examples } in cases() {
        for example in examples {
            let path = operation.path_with(|of| victim.id(of));
            let body = victim.fill(&example.body, |of| victim.id(of));
            let reply = send(&nobody, &operation, &path, example.query, body).await;
            assert_tells_nothing_of(&victim, &reply, &operation.id);
            if operation.is_open {
                assert!(reply.status.is_success(), "{}: {}", operation.id, reply.text);
                open.push(operation.id.clone());
            } else {
                reply.refused(401, "unauthenticated");
            }
        }
    }
    assert_eq!(open, ["get_docs", "get_health", "get_api_document"]);
    assert_eq!(rows_of(&app, &victim).await, before);
}

#[tokio::test]
async fn the_name_of_another_carrier_in_tenant_id_opens_nothing() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let (victim, rival) = (Scene::set(&app, &stripe).await, Scene::set(&app, &stripe).await);
    let before = rows_of(&app, &victim).await;
    let stranger = app.client(&Uuid::now_v7().to_string());
    let callers = [rival.owner().clone(), rival.owner().with_key(&rival.api_key), stranger];
    for Case { operation, examples } in cases().iter().filter(|case| case.operation.takes("header", "Tenant-Id")) {
        for (caller, example) in callers.iter().flat_map(|caller| examples.iter().map(move |it| (caller, it))) {
            let caller = caller.clone().of(victim.carrier.id);
            let path = operation.path_with(|of| victim.id(of));
            let body = victim.fill(&example.body, |of| victim.id(of));
            let reply = send(&caller, operation, &path, example.query, body).await;
            assert_tells_nothing_of(&victim, &reply, &operation.id);
            reply.refused(403, "forbidden");
        }
    }
    assert_eq!(rows_of(&app, &victim).await, before);
}

#[tokio::test]
async fn lists_filters_and_searches_find_nothing_of_another_carrier() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let (victim, rival) = (Scene::with_two_pages(&app, &stripe).await, Scene::set(&app, &stripe).await);
    let before = rows_of(&app, &victim).await;
    let reads = |case: &Case| case.operation.method == Method::GET && case.operation.collections().is_empty();
    for Case { operation, examples } in cases().into_iter().filter(reads) {
        let get = async |of: &Scene, query: String| {
            let path = operation.path_with(|collection| of.id(collection));
            let reply = send(of.owner(), &operation, &path, &query, Value::Null).await;
            assert!(reply.status.is_success(), "{}?{query}: {}", operation.id, reply.text);
            if of.carrier.id == rival.carrier.id {
                assert_tells_nothing_of(&victim, &reply, &operation.id);
            }
            reply.json
        };
        for example in examples {
            let found = get(&rival, example.query.to_owned()).await;
            // Events show once all older transactions are over, and other tests have transactions too.
            assert!(
                found["data"] != json!([]) || operation.id == "list_events",
                "{} has nothing to find",
                operation.id
            );
        }
        let named = FILTERS.iter().filter(|(id, ..)| *id == operation.id);
        let mut filters: Vec<_> = named.map(|(_, name, of)| (*name, rival.id(of), victim.id(of))).collect();
        if operation.takes("query", "q") {
            filters.push(("q", rival.word().to_owned(), victim.word().to_owned()));
        }
        for (filter, own, foreign) in filters {
            assert_ne!(get(&rival, format!("{filter}={own}")).await["data"], json!([]), "{}: {filter}", operation.id);
            assert_eq!(
                get(&rival, format!("{filter}={foreign}")).await["data"],
                json!([]),
                "{}: {filter}",
                operation.id
            );
        }
    }
    let mut continued = BTreeSet::new();
    for operation in operations().iter().filter(|operation| operation.method == Method::GET) {
        let path_of = |scene: &Scene| operation.path_with(|collection| scene.id(collection));
        let Some(place) = ["cursor", "after"].into_iter().find(|name| operation.takes("query", name)) else { continue };
        let first = send(victim.owner(), operation, &path_of(&victim), "limit=1", Value::Null).await.expect(200);
        let Some(cursor) = first["next_cursor"].as_str() else {
            assert!(!operation.collections().is_empty(), "{} has one page", operation.id);
            continue;
        };
        let reply = send(rival.owner(), operation, &path_of(&rival), &format!("{place}={cursor}"), Value::Null).await;
        assert_tells_nothing_of(&victim, &reply, &operation.id);
        reply.expect(200);
        continued.insert(operation.id.clone());
    }
    assert!(["list_events", "list_order_history"].iter().all(|id| continued.contains(*id)), "{continued:?}");
    // The victim has asked for its own pages, which counts as calls of its own.
    let but_calls = |rows: Vec<(String, Option<String>)>| -> Vec<_> {
        rows.into_iter().filter(|(table, _)| table != "api_usage").collect()
    };
    assert_eq!(but_calls(rows_of(&app, &victim).await), but_calls(before));
}

#[tokio::test]
async fn ids_of_another_carrier_name_nothing_in_any_path_or_body() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let (victim, mut shared) = (Scene::set(&app, &stripe).await, Scene::set(&app, &stripe).await);
    let before = rows_of(&app, &victim).await;
    let known = cases();
    for case in &known {
        for example in case.examples.iter().filter(|_| !case.operation.is_open) {
            let mut own = if case.spoils() { Some(Scene::set(&app, &stripe).await) } else { None };
            let rival = own.as_mut().unwrap_or(&mut shared);
            make_ready(&app, &known, rival, example).await;
            refuses_foreign_paths(&victim, rival, &case.operation, example).await;
            refuses_foreign_members(&victim, rival, &case.operation, example).await;
            // It was the id that was refused: with one's own, the same request succeeds.
            let reply = rival.send(&case.operation, example).await;
            assert_eq!(succeeded(&reply), example.succeeds, "{} by its own carrier: {}", example.operation, reply.text);
        }
    }
    assert_eq!(rows_of(&app, &victim).await, before);
}

/// Brings the carrier to where the example succeeds.
pub async fn make_ready(app: &TestApp, known: &[Case], scene: &mut Scene, example: &Example) {
    for operation in example.after {
        let earlier = known.iter().find(|case| case.operation.id == *operation).expect("an operation by its name");
        let reply = scene.send(&earlier.operation, &earlier.examples[0]).await;
        assert!(succeeded(&reply), "{operation} before {}: {}", example.operation, reply.text);
    }
    if example.operation == "cancel_execution" {
        scene.unfinish_execution(app).await;
    }
    if example.body.get("driver_id").is_some() && example.operation == "apply_execution" {
        scene.match_drivers(app).await;
    }
}

/// All ids of the path of another carrier, and each of them beside the others of one's own.
async fn refuses_foreign_paths(victim: &Scene, rival: &Scene, operation: &Operation, example: &Example) {
    let collections = operation.collections();
    let one_by_one = collections.iter().map(|of| vec![*of]);
    for foreign in one_by_one.chain([collections.clone()]).filter(|foreign| !foreign.is_empty()) {
        let path = operation.path_with(|of| if foreign.contains(&of) { victim.id(of) } else { rival.id(of) });
        let body = rival.fill(&example.body, |of| rival.id(of));
        let reply = send(rival.owner(), operation, &path, example.query, body).await;
        assert_tells_nothing_of(victim, &reply, &operation.id);
        assert_eq!(reply.status, 404, "{} of another carrier's {foreign:?}: {}", operation.id, reply.text);
    }
}

/// Each id in the body of another carrier, the others of one's own.
async fn refuses_foreign_members(victim: &Scene, rival: &Scene, operation: &Operation, example: &Example) {
    for (place, of) in places(&example.body) {
        let mut body = rival.fill(&example.body, |of| rival.id(of));
        replace(&mut body, &place, &victim.id(&of));
        let path = operation.path_with(|of| rival.id(of));
        let reply = send(rival.owner(), operation, &path, example.query, body).await;
        assert!(refused(&reply), "{} with another carrier's {place}: {} {}", operation.id, reply.status, reply.text);
    }
}
