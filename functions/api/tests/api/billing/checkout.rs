use std::time::Duration;

use carhaul_testkit::StripeFault;
use serde_json::json;

use super::{CHECKOUT, PORTAL, Shop, a_return, an_order, session};
use crate::support::{ORIGIN, TestApp};

#[tokio::test]
async fn a_carrier_without_anything_becomes_a_customer_once_and_gets_a_page() {
    let shop = Shop::open().await;
    let reply = shop.checkout().await;
    assert_eq!(reply.headers["location"].to_str().unwrap(), reply.json["url"]);
    let first = reply.expect(201);
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
    let second = shop.checkout().await.expect(201);
    assert_ne!(first, second);
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
    // Stripe is told our names, not the caller's.
    let requests = shop.stripe.requests();
    let made = requests.iter().find(|request| request.path == "/v1/customers").expect("it was made");
    assert!(made.parameters.contains(&("metadata[tenant_id]".to_owned(), shop.carrier.id.to_string())));
    let asked = requests.iter().find(|request| request.path == "/v1/checkout/sessions").expect("it was made");
    let success_url = format!("{ORIGIN}/billing?paid={{CHECKOUT_SESSION_ID}}");
    assert!(asked.parameters.contains(&("success_url".to_owned(), success_url)));
}

#[tokio::test]
async fn only_the_last_page_can_be_paid_on() {
    let shop = Shop::open().await;
    let first = shop.checkout().await.expect(201);
    let second = shop.carrier.owner.post(CHECKOUT, an_order("PRO_MONTHLY")).await.expect(201);
    let expired: Vec<_> =
        shop.stripe.events().into_iter().filter(|e| e["type"] == "checkout.session.expired").collect();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0]["data"]["object"]["id"], session(&first));
    shop.pay_on(&second);
    shop.deliver().await;
    assert_eq!(shop.billing().await["plan"], "pro");
}

#[tokio::test]
async fn nobody_buys_twice_also_before_we_have_heard_of_the_first() {
    let shop = Shop::open().await;
    shop.pay_on(&shop.checkout().await.expect(201));
    assert_eq!(shop.checkout().await.refused(409, "conflict")["code"], "subscribed");
    // The page that was made to find out is closed.
    assert_eq!(shop.told("checkout.session.expired"), 1);
    let before = shop.stripe.requests().len();
    shop.deliver().await;
    assert_eq!(shop.checkout().await.refused(409, "conflict")["code"], "subscribed");
    assert_eq!(shop.stripe.requests().len(), before, "what we know ourselves nobody is asked");
    shop.carrier.owner.post(PORTAL, a_return()).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_make_one_customer_and_leave_one_page() {
    let shop = Shop::open().await;
    let twin = shop.carrier.owner.through(&shop.app.another_instance());
    shop.stripe.fault(Some(StripeFault::Slow(Duration::from_millis(50))));
    let (one, two) = tokio::join!(shop.checkout(), twin.post(CHECKOUT, an_order("PRO_MONTHLY")));
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
    let (opened, overtaken): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(|reply| reply.status == 201);
    assert!(!opened.is_empty(), "somebody gets a page");
    for reply in overtaken {
        assert_eq!(reply.refused(409, "conflict")["code"], "busy");
    }
    assert_eq!(shop.told("checkout.session.expired"), 1, "of two pages one can be paid on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_with_one_key_get_one_answer() {
    let shop = Shop::open().await;
    let twin = shop.carrier.owner.through(&shop.app.another_instance());
    let order = || an_order("STARTER_MONTHLY");
    let (one, two) =
        tokio::join!(shop.carrier.owner.post_once(CHECKOUT, "k1", order()), twin.post_once(CHECKOUT, "k1", order()));
    let replayed = [&one, &two].iter().filter(|reply| reply.headers.contains_key("idempotency-replayed")).count();
    assert_eq!((one.expect(201), replayed), (two.expect(201), 1));
    assert_eq!((shop.recorded_customers().await, shop.told("checkout.session.expired")), (1, 0));
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_whatever_has_become_of_it() {
    let shop = Shop::open().await;
    let order = || an_order("STARTER_MONTHLY");
    let first = shop.carrier.owner.post_once(CHECKOUT, "k1", order()).await.expect(201);
    shop.pay_on(&first);
    shop.deliver().await;
    shop.stripe.fault(Some(StripeFault::Refuse));
    let again = shop.carrier.owner.post_once(CHECKOUT, "k1", order()).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201), first);
    let other = shop.carrier.owner.post_once(CHECKOUT, "k1", an_order("PRO_MONTHLY")).await;
    assert_eq!(other.invalid_fields(), ["Idempotency-Key"]);
    // Another carrier's keys are its own.
    let rival = shop.app.carrier_on("free").await.owner;
    rival.post_once(CHECKOUT, "k1", order()).await.refused(503, "unavailable");
    shop.stripe.fault(None);
    assert_ne!(rival.post_once(CHECKOUT, "k1", order()).await.expect(201), first);

    let portal = shop.carrier.owner.post_once(PORTAL, "k2", a_return()).await.expect(201);
    assert_eq!(shop.carrier.owner.post_once(PORTAL, "k2", a_return()).await.expect(201), portal);
}

/// Stripe has made the customer and we die before we write it down: at the first moment when that can be, and at the last.
#[tokio::test]
async fn a_customer_that_we_died_before_recording_is_found_again() {
    for last_made in ["/v1/customers", "/v1/checkout/sessions"] {
        let shop = Shop::open().await;
        shop.stripe.fault(Some(StripeFault::Slow(Duration::from_millis(100))));
        let (client, order) = (shop.carrier.owner.through(&shop.app.another_instance()), an_order("STARTER_MONTHLY"));
        let dying = tokio::spawn(async move { client.post_once(CHECKOUT, "k1", order).await });
        let made = || shop.stripe.requests().iter().any(|it| it.method == "POST" && it.path == last_made);
        while !made() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (0, 1));

        shop.stripe.fault(None);
        let page = shop.carrier.owner.post_once(CHECKOUT, "k1", an_order("STARTER_MONTHLY")).await.expect(201);
        assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
        shop.pay_on(&page);
        shop.deliver().await;
        assert_eq!(shop.billing().await["plan"], "starter");
    }
}

#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_is_followed_by_another() {
    let shop = Shop::open().await;
    shop.buy().await;
    let customer = shop.stripe.events()[0]["data"]["object"]["id"].as_str().unwrap().to_owned();
    shop.stripe.delete_customer(&customer);
    // Before we have heard of it.
    assert_eq!(shop.carrier.owner.post(PORTAL, a_return()).await.refused(409, "conflict")["code"], "customer_missing");
    shop.deliver().await;
    assert_eq!(shop.billing().await["plan"], "free");
    assert_eq!(shop.carrier.owner.post(PORTAL, a_return()).await.refused(409, "conflict")["code"], "no_customer");
    shop.buy().await;
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (2, 2));
    assert_eq!(shop.billing().await["plan"], "starter");
}

/// As if the carrier had changed its name between two calls that do not know of each other.
#[tokio::test]
async fn of_two_customers_the_first_that_was_recorded_counts() {
    let shop = Shop::open().await;
    shop.stripe.fault(Some(StripeFault::Slow(Duration::from_millis(100))));
    let (client, order) = (shop.carrier.owner.through(&shop.app.another_instance()), an_order("STARTER_MONTHLY"));
    let late = tokio::spawn(async move { client.post(CHECKOUT, order).await });
    while !shop.stripe.requests().iter().any(|it| it.path == "/v1/customers") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let winner = shop.stripe.create_customer();
    shop.app
        .run(&format!("INSERT INTO stripe_customers (tenant_id, id) VALUES ('{}', '{winner}')", shop.carrier.id))
        .await;
    let page = late.await.unwrap().expect(201);
    assert_eq!(shop.recorded_customers().await, 1);
    shop.pay_on(&page);
    shop.deliver().await;
    assert_eq!(shop.billing().await["plan"], "starter", "what is paid is paid by the customer that we know");
}

#[tokio::test]
async fn bad_input_names_its_field_and_asks_nobody() {
    let shop = Shop::open().await;
    for (field, value, pointer) in [
        ("price", json!("GOLD_WEEKLY"), "/price"),
        ("price", json!("starter_monthly"), "/price"),
        ("price", json!(""), "/price"),
        ("price", json!(null), "/price"),
        ("success_url", json!("https://evil.example/"), "/success_url"),
        ("success_url", json!("http://app.example.com/"), "/success_url"),
        ("success_url", json!(format!("{ORIGIN}@evil.example/")), "/success_url"),
        ("cancel_url", json!("/billing"), "/cancel_url"),
        ("cancel_url", json!("javascript:alert(1)"), "/cancel_url"),
        ("cancel_url", json!(format!("{ORIGIN}/{}", "x".repeat(2000))), "/cancel_url"),
        ("quantity", json!(2), "/quantity"),
    ] {
        let mut order = an_order("STARTER_MONTHLY");
        order[field] = value;
        assert_eq!(shop.carrier.owner.post(CHECKOUT, order.clone()).await.invalid_fields(), [pointer], "{order}");
    }
    let both = json!({"price": "STARTER_MONTHLY", "success_url": "http://a", "cancel_url": "b"});
    assert_eq!(shop.carrier.owner.post(CHECKOUT, both).await.invalid_fields(), ["/success_url", "/cancel_url"]);
    for url in ["https://evil.example/", "https://app.example.com.evil.example", "//app.example.com", "x"] {
        let reply = shop.carrier.owner.post(PORTAL, json!({"return_url": url})).await;
        assert_eq!(reply.invalid_fields(), ["/return_url"], "{url}");
    }
    assert_eq!(shop.stripe.requests(), []);
}

#[tokio::test]
async fn the_portal_is_for_who_has_bought_something() {
    let shop = Shop::open().await;
    assert_eq!(shop.carrier.owner.post(PORTAL, a_return()).await.refused(409, "conflict")["code"], "no_customer");
    shop.buy().await;
    let reply = shop.carrier.owner.post(PORTAL, a_return()).await;
    assert_eq!(reply.headers["location"].to_str().unwrap(), reply.json["url"]);
    let page = reply.expect(201);
    assert!(page["url"].as_str().unwrap().starts_with(shop.stripe.url()), "{page}");
}

#[tokio::test]
async fn where_no_key_is_configured_nothing_is_sold_and_all_else_can_be_seen() {
    let app = TestApp::start().await;
    app.sell().await;
    let carrier = app.carrier_on("free").await;
    let problem = carrier.owner.post(CHECKOUT, an_order("STARTER_MONTHLY")).await.refused(503, "unavailable");
    assert_eq!(problem["detail"], "payments are not set up here");
    carrier.owner.get("/v1/billing").await.expect(200);
    carrier.owner.get("/v1/billing/prices").await.expect(200);
}
