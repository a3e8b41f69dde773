//! The stand-in of Stripe, through the client that the functions use, and raw where that never errs.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

use std::collections::HashSet;
use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::ids::TenantId;
use carhaul_core::billing::stripe::client::{
    API_VERSION, NewCheckoutSession, NewCustomer, NewPortalSession, Patience, Stripe, StripeError,
};
use carhaul_core::billing::stripe::event::Event;
use carhaul_core::billing::stripe::objects;
use carhaul_core::platform::secrets::Secret;
use carhaul_testkit::{StripeFault, StripeServer};
use chrono::TimeDelta;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

async fn server() -> StripeServer {
    let server = StripeServer::start().await;
    server.add_price("price_starter", 4_900, "month");
    server.add_price("price_pro", 14_999, "month");
    server.add_price("price_pro_year", 149_001, "year");
    server
}

fn client(server: &StripeServer) -> Stripe {
    let patience = Patience {
        overall: Duration::from_millis(900),
        attempt: Duration::from_millis(250),
        pause: Duration::from_millis(10),
    };
    Stripe::new(server.url(), Secret::new(server.key())).with_patience(patience)
}

fn raw(server: &StripeServer, method: &str, path: &str) -> RequestBuilder {
    let method = method.parse().unwrap();
    let request = Client::new().request(method, format!("{}{path}", server.url()));
    request.bearer_auth(server.key()).header("stripe-version", API_VERSION)
}

/// The status, and Stripe's error.
async fn refused(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, body["error"].clone())
}

fn kinds(server: &StripeServer) -> Vec<String> {
    server.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn cents(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_else(|| panic!("{field} of {object}"))
}

#[tokio::test]
async fn a_checkout_makes_a_paid_subscription_and_its_events() {
    let (server, tenant_id) = (server().await, TenantId::new());
    let stripe = client(&server);
    let new = NewCustomer { tenant_id, name: "Carrier", email: Some("owner@carrier.example") };
    let customer = stripe.create_customer(&new, "customer").await.unwrap();
    let new = NewCheckoutSession {
        tenant_id,
        customer_id: &customer.id,
        price_id: "price_starter",
        success_url: "https://app.example/paid?session={CHECKOUT_SESSION_ID}",
        cancel_url: "https://app.example/plans",
    };
    let session = stripe.create_checkout_session(&new, "checkout").await.unwrap();
    assert_eq!(session.url, format!("{}/checkout/{}", server.url(), session.id));
    let id = server.complete_checkout(&session.id);

    let subscription = stripe.subscription(&id).await.unwrap().unwrap();
    let read: objects::Subscription = objects::read(&subscription).unwrap();
    assert_eq!((read.id, read.customer), (id.clone(), customer.id.clone()));
    assert_eq!(
        (&subscription["status"], &read.items.data[0].price.id),
        (&json!("active"), &"price_starter".to_owned())
    );
    let invoice = stripe.invoice(subscription["latest_invoice"].as_str().unwrap()).await.unwrap().unwrap();
    let read: objects::Invoice = objects::read(&invoice).unwrap();
    assert_eq!((read.subscription(), read.amount_paid, read.amount_remaining), (Some(id.as_str()), 4_900, 0));

    assert_eq!(
        kinds(&server),
        [
            "customer.created",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.subscription.updated",
            "checkout.session.completed"
        ]
    );
    let completed = server.events().pop().unwrap();
    let completed = Event::parse(completed.to_string().as_bytes()).unwrap();
    assert_eq!((completed.object_id(), completed.customer_id()), (Some(id.as_str()), Some(customer.id.as_str())));
    let portal = NewPortalSession { customer_id: &customer.id, return_url: "https://app.example/plans" };
    let portal = stripe.create_portal_session(&portal, "portal").await.unwrap();
    assert!(portal.url.starts_with(server.url()) && portal.id.starts_with("bps_"), "{portal:?}");
}

#[tokio::test]
async fn events_tell_the_whole_life_of_a_subscription() {
    let server = server().await;
    let customer = server.create_customer();
    let id = server.subscribe(&customer, "price_starter");
    server.change_price(&id, "price_pro");
    server.fail_payment(&id);
    server.fail_payment(&id);
    server.pay(&id);
    server.cancel_at_period_end(&id);
    server.resume(&id);
    server.cancel_at_period_end(&id);
    server.delete_customer(&customer);

    let mut last: Option<Value> = None;
    let mut statuses = Vec::new();
    for event in server.events().iter().filter(|event| event["data"]["object"]["id"] == id.as_str()) {
        let object = &event["data"]["object"];
        objects::read::<objects::Subscription>(object).unwrap();
        if let (Some(mut before), Some(previous)) = (last.take(), event["data"]["previous_attributes"].as_object()) {
            // The state before is this one with what it was before.
            for (name, value) in previous {
                if !value.is_object() {
                    assert_eq!(&before[name], value, "{name}");
                }
                before[name] = object[name].clone();
            }
            assert_eq!(&before, object);
        }
        statuses.push(object["status"].as_str().unwrap().to_owned());
        last = Some(object.clone());
    }
    statuses.dedup();
    assert_eq!(statuses, ["incomplete", "active", "past_due", "active", "canceled"]);
    assert_eq!(client(&server).subscription(&id).await.unwrap(), last, "what is read is what the last event says");
    assert_eq!(kinds(&server).pop().as_deref(), Some("customer.deleted"));
    let ids: HashSet<_> = server.events().iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), server.events().len());
}

#[tokio::test]
async fn a_subscription_that_was_to_end_ends_with_its_period() {
    let server = server().await;
    let id = server.subscribe(&server.create_customer(), "price_starter");
    server.cancel_at_period_end(&id);
    server.pay(&id);
    assert_eq!(client(&server).subscription(&id).await.unwrap().unwrap()["status"], "canceled");
    assert_eq!(kinds(&server).pop().as_deref(), Some("customer.subscription.deleted"));
}

#[tokio::test]
async fn invoices_add_up_to_the_cent() {
    let server = server().await;
    let customer = server.create_customer();
    let id = server.subscribe(&customer, "price_starter");
    for price in ["price_pro", "price_starter", "price_pro", "price_starter", "price_pro_year"] {
        server.change_price(&id, price);
    }
    server.pay(&id);
    server.fail_payment(&id);
    let answer = raw(&server, "GET", &format!("/v1/invoices?customer={customer}&limit=100")).send().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let invoices = answer["data"].as_array().unwrap();
    assert_eq!(invoices.len(), 8);
    let mut balance = 0;
    for invoice in invoices.iter().rev() {
        let lines = invoice["lines"]["data"].as_array().unwrap();
        assert!(!lines.is_empty());
        let sum: i64 = lines.iter().map(|line| cents(line, "amount")).sum();
        assert_eq!((cents(invoice, "subtotal"), cents(invoice, "total")), (sum, sum));
        assert_eq!(cents(invoice, "starting_balance"), balance);
        balance = cents(invoice, "ending_balance");
        // What is to be paid is the total, less what was and is now to the customer's credit.
        let used = balance - cents(invoice, "starting_balance");
        assert_eq!(cents(invoice, "amount_due"), sum - used);
        assert!(cents(invoice, "amount_due") >= 0 && balance <= 0, "{invoice}");
        assert_eq!(cents(invoice, "amount_due"), cents(invoice, "amount_paid") + cents(invoice, "amount_remaining"));
        objects::read::<objects::Invoice>(invoice).unwrap();
    }
    assert!(invoices.iter().any(|invoice| cents(invoice, "ending_balance") < 0), "a credit was tried");
    assert_eq!((&invoices[0]["status"], &invoices[0]["attempt_count"]), (&json!("open"), &json!(1)));

    // What is left of a year is credited, and pays for months to come.
    server.pay(&id);
    server.change_price(&id, "price_starter");
    server.fail_payment(&id);
    assert_eq!(client(&server).subscription(&id).await.unwrap().unwrap()["status"], "active", "nothing was to be paid");
    let coming =
        raw(&server, "POST", "/v1/invoices/create_preview").body(format!("customer={customer}&subscription={id}"));
    let coming = coming.send().await.unwrap();
    let coming: Value = serde_json::from_slice(&coming.bytes().await.unwrap()).unwrap();
    assert_eq!((cents(&coming, "total"), cents(&coming, "amount_due")), (4_900, 0));
    assert_eq!(cents(&coming, "ending_balance"), cents(&coming, "starting_balance") + 4_900);
    server.cancel_at_period_end(&id);
    let none = raw(&server, "POST", "/v1/invoices/create_preview").body(format!("subscription={id}"));
    let (status, error) = refused(none).await;
    assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!("invoice_upcoming_none")));
}

#[tokio::test]
async fn lists_are_given_in_parts_newest_first() {
    let server = server().await;
    let stripe = client(&server);
    let ids: Vec<String> = (0..205).map(|_| server.subscribe(&server.create_customer(), "price_starter")).collect();
    server.cancel(&ids[7]);
    let (mut seen, mut after, mut parts) = (Vec::new(), None, 0);
    loop {
        let part = stripe.list_subscriptions(after.as_deref()).await.unwrap();
        seen.extend(part.data.iter().map(|object| object["id"].as_str().unwrap().to_owned()));
        parts += 1;
        after = part.next().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    seen.reverse();
    assert_eq!((seen, parts), (ids.clone(), 3));

    let types = &["customer.subscription.created", "customer.subscription.deleted", "invoice.paid"];
    let since = Clock::system().now() - TimeDelta::minutes(5);
    let events = stripe.list_events(since, None, types).await.unwrap();
    assert!(events.has_more && events.data.len() == 100);
    assert_eq!(events.data[0]["type"], "customer.subscription.deleted");
    assert!(events.data.iter().all(|event| types.iter().any(|kind| event["type"] == *kind)));
    let only = stripe.list_events(since, None, &["customer.subscription.deleted"]).await.unwrap();
    assert_eq!((only.data.len(), only.has_more), (1, false));
    let future = Clock::system().now() + TimeDelta::minutes(5);
    assert!(stripe.list_events(future, None, types).await.unwrap().data.is_empty());

    let listed = raw(&server, "GET", "/v1/subscriptions?limit=100&status=canceled").send().await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.bytes().await.unwrap()).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let too_many = (0..21).map(|n| format!("types[]=kind_{n}")).collect::<Vec<_>>().join("&");
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("starting_after=sub_none", "starting_after"),
        ("colour=red", "colour"),
        ("customer=", "customer"),
    ] {
        let (status, error) = refused(raw(&server, "GET", &format!("/v1/subscriptions?{query}"))).await;
        assert_eq!((status, &error["param"]), (StatusCode::BAD_REQUEST, &json!(param)), "{query}");
    }
    let (status, error) = refused(raw(&server, "GET", &format!("/v1/events?{too_many}"))).await;
    assert_eq!((status, &error["param"]), (StatusCode::BAD_REQUEST, &json!("types")));
}

#[tokio::test]
async fn who_is_not_allowed_or_asks_for_nothing_that_is_there_is_refused_in_stripes_words() {
    let server = server().await;
    let stranger = Stripe::new(server.url(), Secret::new("sk_test_another"));
    let error = stranger.subscription("sub_1").await.unwrap_err();
    assert!(matches!(error, StripeError::Refused { status: 401, .. }), "{error}");
    assert!(client(&server).subscription("sub_none").await.unwrap().is_none());
    assert!(client(&server).invoice("in_none").await.unwrap().is_none());

    let url = format!("{}/v1/subscriptions", server.url());
    let (status, _) = refused(Client::new().get(&url).header("stripe-version", API_VERSION)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for version in ["", "2024-06-20", "2024-06-20.acacia", "clover", "2025-13-40.clover"] {
        let request = Client::new().get(&url).bearer_auth(server.key()).header("stripe-version", version);
        assert_eq!(refused(request).await.0, StatusCode::BAD_REQUEST, "{version}");
    }
    assert_eq!(refused(raw(&server, "GET", "/v1/unicorns")).await.0, StatusCode::NOT_FOUND);

    let deleted = server.create_customer();
    server.delete_customer(&deleted);
    let good = [
        ("mode", "subscription"),
        ("customer", server.create_customer().leak()),
        ("line_items[0][price]", "price_pro"),
        ("success_url", "https://app.example"),
    ];
    for (name, value) in [
        ("mode", "payment"),
        ("customer", "cus_none"),
        ("customer", deleted.as_str()),
        ("customer", ""),
        ("line_items[0][price]", "price_none"),
        ("line_items[0][quantity]", "none"),
        ("success_url", "app.example"),
        ("trial", "forever"),
    ] {
        let mut form: Vec<_> = good.iter().filter(|(known, _)| *known != name).copied().collect();
        form.push((name, value));
        let form = serde_html_form::to_string(&form).unwrap();
        let (status, error) = refused(raw(&server, "POST", "/v1/checkout/sessions").body(form)).await;
        assert_eq!((status, &error["param"]), (StatusCode::BAD_REQUEST, &json!(name)), "{value}");
    }
}

#[tokio::test]
async fn a_key_repeats_its_answer_and_refuses_another_request() {
    let server = server().await;
    let stripe = client(&server);
    let tenant_id = TenantId::new();
    let new = |name| NewCustomer { tenant_id, name, email: None };
    let first = stripe.create_customer(&new("Carrier"), "key").await.unwrap();
    assert_eq!(stripe.create_customer(&new("Carrier"), "key").await.unwrap().id, first.id);
    assert_ne!(stripe.create_customer(&new("Carrier"), "another").await.unwrap().id, first.id);
    let error = stripe.create_customer(&new("Other"), "key").await.unwrap_err();
    assert!(matches!(error, StripeError::Refused { status: 400, .. }), "{error}");
    let other = raw(&server, "POST", "/v1/customers").header("idempotency-key", "key").body("name=Other");
    assert_eq!(refused(other).await.1["type"], "idempotency_error");
    assert_eq!(server.events().len(), 2);

    // What was refused has not begun: the key is still good.
    let portal = |customer_id| NewPortalSession { customer_id, return_url: "https://app.example" };
    stripe.create_portal_session(&portal("cus_none"), "portal").await.unwrap_err();
    stripe.create_portal_session(&portal(&first.id), "portal").await.unwrap();
}

#[tokio::test]
async fn bad_days_are_felt_by_the_client() {
    let server = server().await;
    let stripe = client(&server);
    let tenant_id = TenantId::new();
    let new = NewCustomer { tenant_id, name: "Carrier", email: None };
    for fault in [
        StripeFault::Refuse,
        StripeFault::Hang,
        StripeFault::Slow(Duration::from_secs(5)),
        StripeFault::Status(500),
        StripeFault::Status(429),
        StripeFault::LoseAnswer,
    ] {
        server.fault(Some(fault));
        let error = stripe.create_customer(&new, &format!("{fault:?}")).await.unwrap_err();
        assert!(matches!(error, StripeError::Unavailable { .. }), "{fault:?}: {error}");
        server.fault(None);
        stripe.create_customer(&new, &format!("{fault:?}")).await.unwrap();
    }
    server.fault(Some(StripeFault::Slow(Duration::from_millis(50))));
    stripe.create_customer(&new, "slow").await.unwrap();
    // The one whose answer was lost was made once, and never again for its key.
    assert_eq!(server.events().len(), 7);
    let lost = server.requests().into_iter().filter(|request| request.idempotency_key.as_deref() == Some("LoseAnswer"));
    assert!(lost.count() > 1, "the client has asked again");
}

#[tokio::test]
async fn a_checkout_page_is_open_until_it_is_paid_expired_or_closed() {
    let server = server().await;
    let stripe = client(&server);
    let customer = server.create_customer();
    let open = async |key: &str| {
        let new = NewCheckoutSession {
            tenant_id: TenantId::new(),
            customer_id: &customer,
            price_id: "price_pro",
            success_url: "https://app.example/paid?session={CHECKOUT_SESSION_ID}",
            cancel_url: "https://app.example/<plans>",
        };
        stripe.create_checkout_session(&new, key).await.unwrap()
    };
    let browser = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let (paid, closed) = (open("one").await, open("two").await);
    let seen = browser.get(&paid.url).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("$149.99") && seen.contains("no money moves") && seen.contains("&lt;plans&gt;"), "{seen}");

    let declined = browser.post(format!("{}/fail", paid.url)).send().await.unwrap();
    assert_eq!(declined.status(), StatusCode::PAYMENT_REQUIRED);
    let expire = format!("/v1/checkout/sessions/{}/expire", closed.id);
    assert_eq!(raw(&server, "POST", &expire).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(refused(raw(&server, "POST", &expire)).await.0, StatusCode::BAD_REQUEST);
    let answer = browser.post(format!("{}/pay", paid.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], format!("https://app.example/paid?session={}", paid.id));
    for page in [&paid, &closed] {
        let again = browser.post(format!("{}/pay", page.url)).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::BAD_REQUEST, "{}", page.id);
    }
    let missing = format!("{}/checkout/cs_none/pay", server.url());
    assert_eq!(browser.post(missing).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(stripe.list_subscriptions(None).await.unwrap().data.len(), 1);
    let still = raw(&server, "GET", &format!("/v1/checkout/sessions?customer={customer}&status=open")).send().await;
    assert_eq!(still.unwrap().text().await.unwrap().matches("cs_test_").count(), 0);
}

#[tokio::test]
async fn the_portal_changes_what_is_its_customers_and_nothing_else() {
    let server = server().await;
    let stripe = client(&server);
    let (customer, other) = (server.create_customer(), server.create_customer());
    let (ours, theirs) = (server.subscribe(&customer, "price_starter"), server.subscribe(&other, "price_starter"));
    let new = NewPortalSession { customer_id: &customer, return_url: "https://app.example" };
    let portal = stripe.create_portal_session(&new, "portal").await.unwrap();
    let browser = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let act = async |action: &str, form: String| {
        let answer = browser.post(format!("{}/{action}", portal.url)).body(form).send().await.unwrap();
        (answer.status(), stripe.subscription(&ours).await.unwrap().unwrap())
    };
    let before = stripe.subscription(&theirs).await.unwrap();
    let (status, now) = act("change-price", format!("subscription={ours}&price=price_pro")).await;
    assert_eq!((status, &now["items"]["data"][0]["price"]["id"]), (StatusCode::SEE_OTHER, &json!("price_pro")));
    assert_eq!(act("fail-payment", format!("subscription={ours}")).await.1["status"], "past_due");
    let seen = browser.get(&portal.url).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("past_due") && seen.contains("$149.99") && seen.contains(&ours), "{seen}");
    assert!(!seen.contains(&theirs), "{seen}");
    assert_eq!(act("pay", format!("subscription={ours}")).await.1["status"], "active");
    assert_eq!(act("cancel-at-period-end", format!("subscription={ours}")).await.1["cancel_at_period_end"], true);
    assert_eq!(act("resume", format!("subscription={ours}")).await.1["cancel_at_period_end"], false);
    for (action, form) in [
        ("cancel", format!("subscription={theirs}")),
        ("cancel", "subscription=sub_none".to_owned()),
        ("explode", format!("subscription={ours}")),
    ] {
        let (status, now) = act(action, form).await;
        assert_eq!((status, &now["status"]), (StatusCode::NOT_FOUND, &json!("active")), "{action}");
    }
    let (status, _) = act("change-price", format!("subscription={ours}&price=price_none")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(act("cancel", format!("subscription={ours}")).await.1["status"], "canceled");
    assert_eq!(act("pay", format!("subscription={ours}")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(stripe.subscription(&theirs).await.unwrap(), before);
}
