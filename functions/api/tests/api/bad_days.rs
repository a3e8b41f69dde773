//! Days on which everything happens at once, or breaks in the middle: no wrong answer, nothing done twice, and the next
//! request works by itself.

use std::time::{Duration, Instant};

use axum::http::Method;
use carhaul_core::base::clock::Clock;
use carhaul_testkit::{Fault, TripCounter};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orders;
use crate::support::{Carrier, Client, Instance, Reply, TestApp, a_customer, id, ids, oidc};

const CUSTOMERS: &str = "/v1/customers";

fn named(name: &str) -> Value {
    let mut customer = a_customer();
    customer["name"] = json!(name);
    customer
}

async fn customers_of(app: &TestApp, carrier: &Carrier) -> i64 {
    app.count(&format!("SELECT count(*) FROM customers WHERE tenant_id = '{}'", carrier.id)).await
}

/// A client on an instance that reaches the pooler over a wire of its own.
async fn wired(app: &TestApp, client: &Client) -> (TripCounter, Client) {
    let wire = TripCounter::start(app.database.pooler()).await;
    let options = app.database.options_at("carhaul_api", &wire.host(), wire.port());
    let instance = Instance::new(options, &oidc(&app.issuer), Clock::system());
    (wire, client.through(&instance))
}

/// A client on an instance whose sessions can be told from others in `pg_stat_activity`.
async fn direct(app: &TestApp, client: &Client) -> (String, Client) {
    let name = Uuid::now_v7().to_string();
    let server = app.database.direct();
    let options = app.database.options_at("carhaul_api", server.get_host(), server.get_port()).application_name(&name);
    (name, client.through(&Instance::new(options, &oidc(&app.issuer), Clock::system())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_instances_share_the_poolers_few_connections() {
    let app = TestApp::start().await;
    let carriers = [app.carrier().await, app.carrier().await];
    let pool = i64::try_from(app.database.pool_size().await).unwrap();
    let mut requests = JoinSet::new();
    for n in 0..500 {
        let client = carriers[n % 2].owner.through(&app.another_instance());
        requests.spawn(async move {
            let name = format!("Customer {n}");
            let made = client.post_patiently(CUSTOMERS, &name, named(&name)).await.expect(201);
            assert_eq!(made["name"], name);
            let path = format!("{CUSTOMERS}/{}", id(&made));
            let mut read = client.get(&path).await;
            if read.status == 503 {
                read = client.get(&path).await;
            }
            assert_eq!(read.expect(200), made);
        });
    }
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'carhaul_api' AND datname = '{}' \
         AND application_name NOT LIKE '%-%'",
        app.database.name()
    );
    let mut most = 0;
    while let Some(done) = requests.join_next().await {
        done.unwrap();
        if requests.len() % 10 == 0 {
            most = most.max(app.count(&sql).await);
        }
    }
    assert!((1..=pool).contains(&most), "{most} server connections with a pool of {pool}");
    for carrier in &carriers {
        assert_eq!(customers_of(&app, carrier).await, 250);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_twins_with_one_key_have_one_effect() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let mut twins = JoinSet::new();
    for _ in 0..20 {
        let client = carrier.owner.through(&app.another_instance());
        twins.spawn(async move { client.post_once(CUSTOMERS, "twin", a_customer()).await });
    }
    let mut created = Vec::new();
    while let Some(reply) = twins.join_next().await {
        let reply = reply.unwrap();
        match reply.status.as_u16() {
            409 => assert_eq!(reply.refused(409, "conflict")["code"], "busy"),
            _ => created.push((reply.etag().to_owned(), reply.headers["location"].clone(), reply.expect(201))),
        }
    }
    assert!(!created.is_empty() && created.iter().all(|answer| *answer == created[0]), "{created:#?}");
    assert_eq!(customers_of(&app, &carrier).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_orders_at_once_at_limit_minus_one_exactly_one_is_taken() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let customer = orders::create_customer(&carrier.owner).await;
    carrier.owner.post("/v1/orders", orders::an_order(&customer)).await.expect(201);
    let sql = format!("UPDATE counters SET used = 29 WHERE tenant_id = '{}' AND name = 'orders'", carrier.id);
    app.superuser().await.execute(AssertSqlSafe(sql)).await.unwrap();
    let mut creates = JoinSet::new();
    for n in 0..100 {
        let client = carrier.owner.through(&app.another_instance());
        let order = orders::an_order(&customer);
        creates.spawn(async move { client.post_patiently("/v1/orders", &format!("create {n}"), order).await });
    }
    let mut numbers = Vec::new();
    while let Some(reply) = creates.join_next().await {
        let reply = reply.unwrap();
        if reply.status == 201 {
            numbers.push(reply.json["number"].as_i64());
        } else {
            let problem = reply.refused(402, "over_limit");
            assert_eq!(
                (&problem["limit"], &problem["used"], &problem["max"]),
                (&json!("orders"), &json!(30), &json!(30))
            );
            assert!(problem["resets_at"].is_string());
        }
    }
    assert_eq!(numbers, [Some(2)], "one order, and no number lost to those that were refused");
    let orders = app.count(&format!("SELECT count(*) FROM orders WHERE tenant_id = '{}'", carrier.id)).await;
    assert_eq!(orders, 2);
}

/// Numbers count up by one for each carrier, however many orders come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_created_at_once_get_numbers_in_a_row() {
    let app = TestApp::start().await;
    let carriers = [app.carrier().await, app.carrier().await];
    let mut creates = JoinSet::new();
    for (n, carrier) in carriers.iter().cycle().take(40).enumerate() {
        let client = carrier.owner.through(&app.another_instance());
        let customer = orders::create_customer(&carrier.owner).await;
        creates.spawn(async move {
            let order = client.post("/v1/orders", orders::an_order(&customer)).await.expect(201);
            (n % 2, order["number"].as_i64().unwrap())
        });
    }
    let mut numbers = [Vec::new(), Vec::new()];
    while let Some(created) = creates.join_next().await {
        let (carrier, number) = created.unwrap();
        numbers[carrier].push(number);
    }
    for mut numbers in numbers {
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_write_that_is_cut_anywhere_is_done_once_when_it_is_repeated() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (wire, client) = wired(&app, &carrier.owner).await;
    let mut count = 0;
    for step in 1..=3 {
        for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
            let key = format!("{step} {fault:?}");
            client.get(CUSTOMERS).await.expect(200);
            client.post(CUSTOMERS, named("Warm")).await.expect(201);
            wire.reset();
            wire.fail_trip(step, fault);

            let first = client.post_once(CUSTOMERS, &key, named(&key)).await;
            let connections = wire.seen().connections;
            // Nothing had been done before the first trip was answered, so it is tried again unseen.
            if step == 1 {
                assert_eq!(first.status, 201, "{key}: {}", first.text);
                assert_eq!(connections, 1, "{key}");
            } else {
                assert_eq!(first.headers["retry-after"], "1");
                first.refused(503, "unavailable");
            }
            let read = client.get(CUSTOMERS).await.expect(200);
            let again = client.post_once(CUSTOMERS, &key, named(&key)).await;
            let replayed = again.headers.contains_key("idempotency-replayed");
            let again = again.expect(201);
            count += 2;
            assert_eq!(customers_of(&app, &carrier).await, count, "{key}");
            // A commit that was done and not answered is found again.
            assert_eq!(replayed, ids(&read).contains(&id(&again)), "{key}");
            assert!(replayed || (step, fault) != (3, Fault::CutAfter), "{key}");
            assert!(!replayed || step != 2, "{key}");
        }
    }
}

#[tokio::test]
async fn a_read_that_is_cut_is_tried_again_unseen() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (wire, client) = wired(&app, &owner).await;
    let made = client.post(CUSTOMERS, a_customer()).await.expect(201);
    let path = format!("{CUSTOMERS}/{}", id(&made));
    client.get(&path).await.expect(200);
    for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
        wire.reset();
        wire.fail_trip(1, fault);
        assert_eq!(client.get(&path).await.expect(200), made, "{fault:?}");
        assert_eq!(wire.seen().connections, 1);
    }
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_is_replaced_unseen() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (session, client) = direct(&app, &owner).await;
    let made = client.post(CUSTOMERS, a_customer()).await.expect(201);
    let path = format!("{CUSTOMERS}/{}", id(&made));
    let kill =
        format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '{session}'");
    let mut superuser = app.superuser().await;
    superuser.fetch_one(AssertSqlSafe(kill.clone())).await.unwrap();
    client.get(&path).await.expect(200);
    superuser.fetch_one(AssertSqlSafe(kill)).await.unwrap();
    client.patch(&path, json!({"notes": "after"})).await.expect(200);
    superuser.close().await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_a_503_until_it_can() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (wire, client) = wired(&app, &owner).await;
    client.get(CUSTOMERS).await.expect(200);
    wire.refuse();
    for _ in 0..2 {
        let refused = client.get(CUSTOMERS).await;
        assert_eq!(refused.headers["retry-after"], "1");
        refused.refused(503, "unavailable");
        client.post(CUSTOMERS, a_customer()).await.refused(503, "unavailable");
    }
    wire.accept();
    client.post(CUSTOMERS, a_customer()).await.expect(201);
}

#[tokio::test]
async fn a_database_that_says_nothing_is_given_up_in_time() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (reading, reader) = wired(&app, &carrier.owner).await;
    let (writing, writer) = wired(&app, &carrier.owner).await;
    let (connecting, newcomer) = wired(&app, &carrier.owner).await;
    reader.get(CUSTOMERS).await.expect(200);
    writer.post(CUSTOMERS, a_customer()).await.expect(201);
    writing.reset();
    // In the middle of its transaction.
    writing.fail_trip(2, Fault::Stall);
    reading.stall();
    connecting.stall();
    let begun = Instant::now();
    let (read, written, connected) =
        tokio::join!(reader.get(CUSTOMERS), writer.post(CUSTOMERS, a_customer()), newcomer.get(CUSTOMERS));
    for reply in [read, written, connected] {
        reply.refused(503, "unavailable");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    for wire in [&reading, &writing, &connecting] {
        wire.resume();
    }
    for client in [reader, writer, newcomer] {
        client.post(CUSTOMERS, a_customer()).await.expect(201);
    }
    assert_eq!(customers_of(&app, &carrier).await, 4);
}

/// The carrier's count of calls is one row: who cannot have it has met no conflict, and is told when to come again.
#[tokio::test]
async fn a_read_that_waits_too_long_for_its_carriers_count_is_told_to_come_again() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let mut blocker = app.superuser().await;
    let lock = format!("BEGIN; SELECT 1 FROM api_usage WHERE tenant_id = '{}' FOR UPDATE", carrier.id);
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut blocker).await.unwrap();
    let waiting = carrier.owner.get(CUSTOMERS).await;
    assert_eq!(waiting.headers["retry-after"], "1");
    waiting.refused(503, "unavailable");
    rival.get(CUSTOMERS).await.expect(200);
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    carrier.owner.get(CUSTOMERS).await.expect(200);
}

/// Whatever a request ends with, its transaction has ended before the answer leaves: a frozen instance would hold its locks.
#[tokio::test]
async fn no_answer_leaves_a_transaction_open() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (session, client) = direct(&app, &carrier.owner).await;
    let path = format!("{CUSTOMERS}/{}", id(&client.post(CUSTOMERS, a_customer()).await.expect(201)));
    client.post_once(CUSTOMERS, "k", a_customer()).await.expect(201);
    let state =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{session}' AND state <> 'idle'");
    let driver = Client { instance: client.instance.clone(), ..app.member(&carrier, "driver").await };
    let stranger = Client { instance: client.instance.clone(), ..app.client("nobody").of(carrier.id) };
    let stale = [("if-match", "\"7\"")];
    let missing = format!("{CUSTOMERS}/{}", Uuid::now_v7());
    let replies: Vec<(u16, Reply)> = vec![
        (412, client.send(Method::PATCH, &path, &stale, Some(json!({"notes": "x"}))).await),
        (404, client.patch(&missing, json!({"notes": "x"})).await),
        (404, client.delete(&missing).await),
        (201, client.post_once(CUSTOMERS, "k", a_customer()).await),
        (422, client.post_once(CUSTOMERS, "k", named("Other")).await),
        (403, driver.patch(&path, json!({"notes": "x"})).await),
        (403, stranger.patch(&path, json!({"notes": "x"})).await),
    ];
    // Each was asked after its predecessor had been answered; the last look is at the present.
    for (status, reply) in replies {
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    assert_eq!(app.count(&state).await, 0);
    for refused in [client.send(Method::DELETE, &path, &stale, None).await, driver.delete(&path).await] {
        assert!(refused.status.is_client_error());
        assert_eq!(app.count(&state).await, 0, "{}", refused.text);
    }
}
