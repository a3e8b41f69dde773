use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use uuid::Uuid;

use crate::orders;
use crate::support::{Carrier, Client, TestApp, a_customer, id};

/// Follows the carrier's events, or those of a topic (`&topic=`), from `after` until `done`: what a transaction leaves shows once all older ones are over, and other
/// tests have transactions too.
async fn follow(client: &Client, topic: &str, after: &str, done: impl Fn(&[Value]) -> bool) -> (Vec<Value>, String) {
    let (mut seen, mut cursor) = (Vec::new(), after.to_owned());
    for _ in 0..200 {
        let page = client.get(&format!("/v1/events?limit=2{topic}&after={cursor}")).await.expect(200);
        cursor = page["next_cursor"].as_str().expect("there always is a cursor").to_owned();
        seen.extend(page["data"].as_array().expect("a page has data").iter().cloned());
        if done(&seen) {
            return (seen, cursor);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was waited for did not come: {seen:?}");
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

fn subjects(events: &[Value]) -> Vec<String> {
    events.iter().filter_map(|event| event["subject_id"].as_str()).map(str::to_owned).collect()
}

/// No other event of a new carrier is one of these.
const TAGS: &str = "&topic=tags";

/// Before everything.
fn start() -> String {
    carhaul_core::base::page::encode(&(0, 0))
}

#[tokio::test]
async fn every_change_is_an_event_and_is_read_once_in_order() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let now = carrier.get("/v1/events?after=now").await.expect(200);
    assert_eq!(now["data"], json!([]));
    let now = now["next_cursor"].as_str().unwrap();
    let customer = carrier.post("/v1/customers", a_customer()).await.expect(201);
    let path = format!("/v1/customers/{}", id(&customer));
    carrier.patch(&path, json!({"phone": "859 555 0134"})).await.expect(200);
    carrier.patch(&path, json!({"archived": true})).await.expect(200);
    carrier.delete(&path).await.expect(204);

    let is_over = |seen: &[Value]| types(seen).last() == Some(&"customer.deleted");
    let (events, cursor) = follow(&carrier, "", now, is_over).await;
    let customers: Vec<Value> = events.into_iter().filter(|event| event["topic"] == "customers").collect();
    assert_eq!(types(&customers), ["customer.created", "customer.updated", "customer.archived", "customer.deleted"]);
    assert!(subjects(&customers).iter().all(|subject| *subject == id(&customer)));
    assert_eq!(customers[1]["data"]["changed"], json!(["phone"]));
    assert_eq!(customers[1]["data"]["version"], 2);

    // From the middle on, and from the end on.
    let middle = customers[1]["cursor"].as_str().unwrap();
    let rest = carrier.get(&format!("/v1/events?after={middle}")).await.expect(200);
    assert_eq!(rest["data"], json!(customers[2..]));
    let empty = carrier.get(&format!("/v1/events?after={cursor}")).await.expect(200);
    assert_eq!(empty, json!({"data": [], "next_cursor": cursor}));
    let tags = carrier.get(&format!("/v1/events?after={now}&topic=tags")).await.expect(200);
    assert_eq!(tags["data"], json!([]));

    // Another carrier hears nothing, and a cursor of this one opens nothing there.
    let heard = rival.get(&format!("/v1/events?after={now}")).await.expect(200);
    assert!(!subjects(heard["data"].as_array().unwrap()).contains(&id(&customer)));
    rival.of(carrier.tenant.unwrap()).get("/v1/events").await.refused(403, "forbidden");
    for (query, field) in [("after=x", "after"), ("topic=secrets", "topic"), ("limit=0", "limit"), ("x=1", "x")] {
        assert_eq!(carrier.get(&format!("/v1/events?{query}")).await.invalid_fields(), [field]);
    }
}

/// A transaction of this carrier that has done something and goes on.
async fn open_transaction(app: &TestApp, carrier: &Carrier, tag: Uuid) -> PgConnection {
    let mut connection = app.database.direct().connect().await.expect("the database is up");
    let sql = format!(
        "BEGIN; INSERT INTO tags (tenant_id, id, name, color) VALUES ('{}', '{tag}', '{tag}', '#000000')",
        carrier.id
    );
    connection.execute(AssertSqlSafe(sql)).await.expect("a tag can be written");
    connection
}

#[tokio::test]
async fn transactions_that_end_out_of_order_are_neither_skipped_nor_repeated() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (early, middle, late) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let mut first = open_transaction(&app, &carrier, early).await;
    let mut second = open_transaction(&app, &carrier, middle).await;
    let mut third = open_transaction(&app, &carrier, late).await;

    // The last to begin is the first to end: its event has to wait for the others.
    third.execute("COMMIT").await.unwrap();
    let page = carrier.owner.get(&format!("/v1/events?after={}{TAGS}", start())).await.expect(200);
    assert!(subjects(page["data"].as_array().unwrap()).is_empty(), "{page}");
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();

    first.execute("COMMIT").await.unwrap();
    let (seen, cursor) = follow(&carrier.owner, TAGS, &cursor, |seen| !seen.is_empty()).await;
    assert_eq!(subjects(&seen), [early.to_string()]);
    second.execute("COMMIT").await.unwrap();
    let (seen, cursor) = follow(&carrier.owner, TAGS, &cursor, |seen| seen.len() >= 2).await;
    assert_eq!(subjects(&seen), [middle.to_string(), late.to_string()]);
    let end = carrier.owner.get(&format!("/v1/events?after={cursor}")).await.expect(200);
    assert_eq!(end["data"], json!([]));
}

#[tokio::test]
async fn a_reader_among_many_writers_misses_nothing() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let client = carrier.owner.through(&app.another_instance());
        writers.spawn(async move {
            let mut made = Vec::new();
            for n in 0..10 {
                let tag = json!({"name": format!("{writer}-{n}"), "color": "#000000"});
                made.push(id(&client.post("/v1/tags", tag).await.expect(201)));
            }
            made
        });
    }
    let from = start();
    let reading = follow(&carrier.owner, TAGS, &from, |seen| seen.len() >= 40);
    let (written, (seen, _)) = tokio::join!(writers.join_all(), reading);
    let (mut written, mut seen) = (written.concat(), subjects(&seen));
    written.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, written);
}

#[tokio::test]
async fn who_comes_back_after_events_were_trimmed_is_told_that_they_missed_some() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let mut tags = Vec::new();
    for name in ["First", "Second", "Third"] {
        tags.push(id(&carrier.owner.post("/v1/tags", json!({"name": name, "color": "#000000"})).await.expect(201)));
    }
    let (seen, _) = follow(&carrier.owner, TAGS, &start(), |seen| seen.len() >= 3).await;
    let cursors: Vec<&str> = seen.iter().filter_map(|event| event["cursor"].as_str()).collect();
    let mut superuser = app.database.direct().connect().await.expect("the database is up");
    let trim = format!("DELETE FROM tenant_events WHERE subject_id IN ('{}', '{}')", tags[0], tags[1]);
    superuser.execute(AssertSqlSafe(trim)).await.expect("events can be trimmed");

    for (query, topic) in [(start(), ""), (start(), TAGS), (cursors[0].to_owned(), ""), (cursors[0].to_owned(), TAGS)] {
        let refused = carrier.owner.get(&format!("/v1/events?after={query}{topic}")).await.refused(410, "gone");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("now")), "{refused}");
    }
    // Nothing is missing behind the last that is gone, of another topic, from the beginning, and at another carrier.
    let rest = carrier.owner.get(&format!("/v1/events?after={}{TAGS}", cursors[1])).await.expect(200);
    assert_eq!(rest["data"], json!([seen[2]]));
    for query in [format!("after={}&topic=orders", start()), "topic=tags".to_owned(), "after=now".to_owned()] {
        carrier.owner.get(&format!("/v1/events?{query}")).await.expect(200);
    }
    rival.owner.get(&format!("/v1/events?after={}", start())).await.expect(200);
}

#[tokio::test]
async fn everybody_hears_only_of_what_they_may_read() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let driver = app.member(&carrier, "driver").await;
    let own = json!({"name": "Sam", "user_id": driver.user_id});
    let own = owner.post("/v1/drivers", own).await.expect(201);
    let other = owner.post("/v1/drivers", json!({"name": "Lee"})).await.expect(201);
    let key = json!({"name": "Sync", "scopes": ["events:read", "customers:read"]});
    let key = owner.post("/v1/api-keys", key).await.expect(201);
    owner.post("/v1/tags", json!({"name": "Last", "color": "#000000"})).await.expect(201);
    let customer = owner.post("/v1/customers", a_customer()).await.expect(201);
    let all = |seen: &[Value]| types(seen).contains(&"customer.created");
    let (heard, _) = follow(owner, "", &start(), all).await;
    for kind in ["member.created", "driver.created", "api_key.created", "tag.created"] {
        assert!(types(&heard).contains(&kind), "{kind}");
    }

    let dispatcher = app.member(&carrier, "dispatcher").await;
    let (heard, _) = follow(&dispatcher, "", &start(), all).await;
    assert!(!types(&heard).contains(&"api_key.created"));
    let program = owner.with_key(key["key"].as_str().unwrap());
    let (heard, _) = follow(&program, "", &start(), all).await;
    assert_eq!(subjects(&heard), [id(&customer)]);
    // Drivers hear of themselves and nothing else.
    let heard = driver.get("/v1/events?limit=200").await.expect(200);
    assert_eq!(subjects(heard["data"].as_array().unwrap()), [id(&own)], "not {}", id(&other));
}

#[tokio::test]
async fn a_driver_hears_of_an_order_that_goes_to_somebody_else() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (first, second) = (app.member(&carrier, "driver").await, app.member(&carrier, "driver").await);
    let mut drivers = Vec::new();
    for (name, client) in [("Dana Reyes", &first), ("Noor Haddad", &second)] {
        let driver = json!({"name": name, "user_id": client.user_id});
        drivers.push(id(&carrier.owner.post("/v1/drivers", driver).await.expect(201)));
    }
    let customer = orders::create_customer(&carrier.owner).await;
    let order = id(&carrier.owner.post("/v1/orders", orders::an_order(&customer)).await.expect(201));
    let path = format!("/v1/orders/{order}");
    carrier.owner.post(&format!("{path}/assign"), json!({"driver_id": drivers[0]})).await.expect(200);
    carrier.owner.post(&format!("{path}/unassign"), json!({})).await.expect(200);
    carrier.owner.post(&format!("{path}/assign"), json!({"driver_id": drivers[1]})).await.expect(200);

    let is_over = |seen: &[Value]| types(seen).contains(&"order.unassigned");
    let (heard, _) = follow(&first, "&topic=orders", &start(), is_over).await;
    assert_eq!(types(&heard), ["order.assigned", "order.unassigned"]);
    assert_eq!(heard[1]["subject_id"], order);
    let is_over = |seen: &[Value]| types(seen).contains(&"order.assigned");
    let (heard, _) = follow(&second, "&topic=orders", &start(), is_over).await;
    assert_eq!(types(&heard), ["order.assigned"]);
}
