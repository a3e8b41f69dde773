//! API calls a month and requests a second: exact over all instances, told in headers, never in the way of the road.

use std::time::Duration;

use axum::http::HeaderMap;
use carhaul_core::base::clock::Clock;
use carhaul_testkit::StripeServer;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orders;
use crate::support::{Carrier, ORIGIN, Reply, TestApp, a_customer, id};

const CUSTOMERS: &str = "/v1/customers";

/// A carrier on a plan of its own that allows so many calls a month and a second (`NULL` is unlimited), none of them used.
async fn carrier(app: &TestApp, month: &str, second: &str) -> Carrier {
    let carrier = app.carrier().await;
    let plan = format!("calls_{}", Uuid::now_v7().simple());
    app.run(&format!(
        "INSERT INTO plans (code, name) VALUES ('{plan}', 'Calls'); \
         INSERT INTO plan_limits (plan, name, max, per) SELECT '{plan}', name, max, per FROM plan_limits \
             WHERE plan = 'pro' AND name NOT IN ('api_calls', 'requests'); \
         INSERT INTO plan_limits (plan, name, max, per) VALUES \
             ('{plan}', 'api_calls', {month}, 'month'), ('{plan}', 'requests', {second}, 'second')"
    ))
    .await;
    app.change_plan(&carrier, &plan).await;
    carrier
}

async fn used(app: &TestApp, carrier: &Carrier) -> i64 {
    app.count(&format!("SELECT calls FROM api_usage WHERE tenant_id = '{}'", carrier.id)).await
}

async fn use_up(app: &TestApp, carrier: &Carrier, calls: i64) {
    let month = "date_trunc('month', now() AT TIME ZONE 'America/New_York')";
    app.run(&format!("UPDATE api_usage SET month = {month}, calls = {calls} WHERE tenant_id = '{}'", carrier.id)).await;
}

/// Waits for the start of a second, so that what follows falls into one.
async fn a_second_begins() {
    let millis = u64::from(Clock::system().now().timestamp_subsec_millis());
    tokio::time::sleep(Duration::from_millis(1_010 - millis)).await;
}

fn number(headers: &HeaderMap, name: &str) -> i64 {
    headers[name].to_str().ok().and_then(|text| text.parse().ok()).expect("the header is a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_instances_calling_at_once_end_exactly_at_the_months_ceiling() {
    let app = TestApp::start().await;
    let (carrier, other) = (carrier(&app, "100", "NULL").await, carrier(&app, "100", "NULL").await);
    let mut instances = JoinSet::new();
    for n in 0..8 {
        let client = carrier.owner.through(&app.another_instance());
        instances.spawn(async move {
            let mut replies = Vec::new();
            for call in 0..20 {
                replies.push(match (n + call) % 2 {
                    0 => client.get(CUSTOMERS).await,
                    _ => client.post_patiently(CUSTOMERS, &format!("{n} {call}"), a_customer()).await,
                });
            }
            replies
        });
    }
    let replies: Vec<Reply> = instances.join_all().await.into_iter().flatten().collect();
    let (done, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status.is_success());
    assert_eq!((done.len(), refused.len()), (100, 60));
    for reply in refused {
        let problem = reply.refused(402, "over_limit");
        assert_eq!(
            (&problem["limit"], &problem["max"], &problem["used"]),
            (&json!("api_calls"), &json!(100), &json!(100))
        );
        assert!(problem["resets_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() > Clock::system().now());
    }
    assert_eq!(used(&app, &carrier).await, 100);
    other.owner.get(CUSTOMERS).await.expect(200);
    assert_eq!(used(&app, &other).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_second_no_more_are_answered_than_the_plan_says_over_all_instances() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "NULL", "5").await;
    let clients: Vec<_> = (0..8).map(|_| carrier.owner.through(&app.another_instance())).collect();
    for client in &clients {
        client.get("/v1/me").await.expect(200); // connected, and not a call of the carrier
    }
    a_second_begins().await;
    let mut calls = JoinSet::new();
    for client in clients {
        calls.spawn(async move {
            let mut replies = Vec::new();
            for _ in 0..5 {
                let reply = client.get(CUSTOMERS).await;
                replies.push((Clock::system().now().timestamp(), reply));
            }
            replies
        });
    }
    let replies: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    let (first, last) = (replies.iter().map(|r| r.0).min().unwrap(), replies.iter().map(|r| r.0).max().unwrap());
    let done = replies.iter().filter(|(_, reply)| reply.status == 200).count();
    let seconds = usize::try_from(last - first + 1).unwrap();
    assert!((5..=5 * seconds).contains(&done), "{done} answered in {seconds} s");
    assert!(done < replies.len(), "none was refused");
    for (_, reply) in replies {
        if reply.status != 200 {
            assert_eq!((number(&reply.headers, "retry-after"), number(&reply.headers, "ratelimit-remaining")), (1, 0));
            let problem = reply.refused(429, "rate_limited");
            assert_eq!((&problem["limit"], &problem["max"]), (&json!("requests"), &json!(5)));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    carrier.owner.get(CUSTOMERS).await.expect(200);
}

#[tokio::test]
async fn what_is_left_is_told_with_every_answer() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "1000", "50").await;
    let first = carrier.owner.get(CUSTOMERS).await.headers;
    assert_eq!((number(&first, "ratelimit-limit"), number(&first, "ratelimit-reset")), (50, 1));
    assert!((45..50).contains(&number(&first, "ratelimit-remaining")));
    assert_eq!(first["ratelimit-policy"], "50;w=1, 1000;w=2592000");
    use_up(&app, &carrier, 990).await;
    let written = carrier.owner.post(CUSTOMERS, a_customer()).await;
    assert_eq!(
        (number(&written.headers, "ratelimit-limit"), number(&written.headers, "ratelimit-remaining")),
        (1000, 9)
    );
    assert!((1..=31 * 86_400).contains(&number(&written.headers, "ratelimit-reset")));
    // Also with what is refused for another reason.
    let missing = carrier.owner.get(&format!("{CUSTOMERS}/{}", Uuid::now_v7())).await;
    assert_eq!(number(&missing.headers, "ratelimit-remaining"), 8);
    missing.refused(404, "not_found");
}

#[tokio::test]
async fn every_request_counts_once_whatever_it_does() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "NULL", "NULL").await;
    let customer = id(&carrier.owner.post_once(CUSTOMERS, "key", a_customer()).await.expect(201));
    carrier.owner.post_once(CUSTOMERS, "key", a_customer()).await.expect(201); // replayed
    carrier.owner.get(&format!("{CUSTOMERS}/{customer}")).await.expect(200);
    carrier.owner.patch(&format!("{CUSTOMERS}/{customer}"), json!({"name": ""})).await; // refused before the database
    carrier.owner.patch(&format!("{CUSTOMERS}/{customer}"), json!({"name": "Anew"})).await.expect(200);
    carrier.owner.post("/v1/trucks", json!({"unit_number": "1", "capacity": 99})).await;
    let before = used(&app, &carrier).await;
    assert!((4..=6).contains(&before), "{before}");
    carrier.owner.get("/v1/orders?include=counts").await.expect(200);
    assert_eq!(used(&app, &carrier).await, before + 1);
    carrier.owner.delete(&format!("{CUSTOMERS}/{customer}")).await.expect(204);
    assert_eq!(used(&app, &carrier).await, before + 2);
}

#[tokio::test]
async fn a_pickup_and_a_delivery_are_recorded_when_every_quota_is_used_up() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "1000", "NULL").await;
    let customer = orders::create_customer(&carrier.owner).await;
    let order = carrier.owner.post("/v1/orders", orders::an_order(&customer)).await.expect(201);
    let driver = carrier.owner.post("/v1/drivers", json!({"name": "Dana Reyes"})).await.expect(201);
    let path = format!("/v1/orders/{}", id(&order));
    carrier.owner.post(&format!("{path}/assign"), json!({"driver_id": id(&driver)})).await.expect(200);
    use_up(&app, &carrier, 1000).await;
    app.run(&format!(
        "UPDATE plan_limits SET max = 0 WHERE name = 'requests' AND plan = (SELECT plan FROM tenants WHERE id = '{}')",
        carrier.id
    ))
    .await;
    carrier.owner.get(&path).await.refused(429, "rate_limited");
    carrier.owner.post(&format!("{path}/pickup"), json!({})).await.expect(200);
    let delivered = carrier.owner.post(&format!("{path}/deliver"), json!({})).await.expect(200);
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(used(&app, &carrier).await, 1002);
}

#[tokio::test]
async fn who_has_used_up_the_month_still_sees_how_much_and_a_bigger_plan_counts_at_once() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "10", "NULL").await;
    use_up(&app, &carrier, 10).await;
    carrier.owner.get(CUSTOMERS).await.refused(402, "over_limit");
    let usage = carrier.owner.get("/v1/usage").await.expect(200);
    let calls = usage["limits"].as_array().unwrap().iter().find(|limit| limit["limit"] == "api_calls").cloned();
    assert_eq!(calls.map(|calls| calls["max"].clone()), Some(json!(10)));
    app.change_plan(&carrier, "pro").await;
    carrier.owner.get(CUSTOMERS).await.expect(200);
}

#[tokio::test]
async fn who_has_used_up_the_month_still_sees_what_it_pays_and_can_buy_more() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let carrier = carrier(&app, "10", "NULL").await;
    use_up(&app, &carrier, 10).await;
    carrier.owner.get(CUSTOMERS).await.refused(402, "over_limit");
    for path in ["/v1/billing", "/v1/billing/prices", "/v1/billing/invoices", "/v1/billing/events"] {
        carrier.owner.get(path).await.expect(200);
    }
    let order = json!({"price": "PRO_MONTHLY", "success_url": ORIGIN, "cancel_url": ORIGIN});
    carrier.owner.post("/v1/billing/checkout-sessions", order).await.expect(201);
    carrier.owner.post("/v1/billing/portal-sessions", json!({"return_url": ORIGIN})).await.expect(201);
    assert_eq!(used(&app, &carrier).await, 16, "they count all the same");
}

#[tokio::test]
async fn a_new_month_starts_at_the_carriers_midnight() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "10", "NULL").await;
    app.run(&format!(
        "UPDATE api_usage SET month = date_trunc('month', now() AT TIME ZONE 'America/New_York') - interval '1 month', calls = 10 \
         WHERE tenant_id = '{}'",
        carrier.id
    ))
    .await;
    carrier.owner.get(CUSTOMERS).await.expect(200);
    assert_eq!(used(&app, &carrier).await, 1);
}

#[tokio::test]
async fn a_request_that_waits_for_another_keeps_nobody_of_its_carrier_waiting() {
    let app = TestApp::start().await;
    let carrier = carrier(&app, "NULL", "NULL").await;
    let customer = id(&carrier.owner.post(CUSTOMERS, a_customer()).await.expect(201));
    let path = format!("{CUSTOMERS}/{customer}");
    let mut blocker = app.superuser().await;
    let lock = format!("BEGIN; SELECT 1 FROM customers WHERE id = '{customer}' FOR UPDATE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut blocker).await.unwrap();
    let waiting = carrier.owner.through(&app.another_instance());
    let waiting = {
        let path = path.clone();
        tokio::spawn(async move { waiting.patch(&path, json!({"name": "Late"})).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "the lock is felt");
    let read = tokio::time::timeout(Duration::from_secs(1), carrier.owner.get(&path)).await.expect("nobody waits");
    let read: Value = read.expect(200);
    assert_ne!(read["name"], "Late");
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    waiting.await.unwrap().expect(200);
}
