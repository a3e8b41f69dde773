use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{CHECKOUT, PORTAL, Shop, a_return, an_order};
use crate::support::{Carrier, TestApp, ids};

const INVOICES: &str = "/v1/billing/invoices";
const EVENTS: &str = "/v1/billing/events";

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no time"))
}

#[tokio::test]
async fn before_anything_is_bought_there_are_the_free_plan_and_the_price_list() {
    let shop = Shop::open().await;
    let billing = shop.billing().await;
    assert_eq!(billing["plan"], "free");
    for nothing in ["subscription", "restriction", "next_invoice"] {
        assert_eq!(billing[nothing], json!(null), "{nothing}");
    }
    // The same limits as in the usage, which is asked for next and counts a call more.
    let usage = shop.carrier.owner.get("/v1/usage").await.expect(200);
    let all_but_calls = |of: &Value| -> Vec<Value> {
        let limits = of["limits"].as_array().expect("limits").iter();
        limits.filter(|limit| limit["limit"] != "api_calls").cloned().collect()
    };
    assert!(all_but_calls(&billing).len() > 3, "{billing}");
    assert_eq!(all_but_calls(&billing), all_but_calls(&usage));

    let prices = shop.carrier.owner.get("/v1/billing/prices").await.expect(200);
    let of_starter = json!({"name": "STARTER_MONTHLY", "plan": "starter", "amount": "49.00", "currency": "USD", "interval": "month"});
    assert!(prices["data"].as_array().unwrap().contains(&of_starter), "{prices}");
    for path in [INVOICES, EVENTS] {
        assert_eq!(shop.carrier.owner.get(path).await.expect(200), json!({"data": [], "next_cursor": null}));
    }
}

#[tokio::test]
async fn what_was_bought_shows_to_its_owner_and_to_nobody_else() {
    let shop = Shop::open().await;
    shop.buy().await;
    let billing = shop.billing().await;
    let subscription = &billing["subscription"];
    assert_eq!((&billing["plan"], &subscription["status"]), (&json!("starter"), &json!("active")));
    assert_eq!((&subscription["price"]["name"], &subscription["quantity"]), (&json!("STARTER_MONTHLY"), &json!(1)));
    assert_eq!(billing["restriction"], json!(null));
    let expected = json!({"at": subscription["current_period_end_at"], "estimated_amount": "49.00", "currency": "USD"});
    assert_eq!(billing["next_invoice"], expected);
    let trucks = billing["limits"].as_array().unwrap().iter().find(|limit| limit["limit"] == "trucks").unwrap();
    assert_eq!(trucks["max"], 10);

    let invoices = shop.carrier.owner.get(INVOICES).await.expect(200);
    let [invoice] = invoices["data"].as_array().unwrap().as_slice() else { panic!("one invoice: {invoices}") };
    for (name, value) in
        [("status", "paid"), ("total_amount", "49.00"), ("paid_amount", "49.00"), ("remaining_amount", "0.00")]
    {
        assert_eq!(invoice[name], value, "{name}");
    }
    assert!(invoice["url"].as_str().unwrap().starts_with("http") && invoice["pdf_url"].is_string(), "{invoice}");
    let events = shop.carrier.owner.get(EVENTS).await.expect(200);
    let events = events["data"].as_array().unwrap();
    assert!(events.iter().any(|event| event["type"] == "customer.subscription.created"), "{events:?}");
    assert!(events.iter().all(|event| event["stripe_event_id"].is_string()));
    assert!(events.iter().any(|event| event["outcome"] == "applied" && event["plan"] == "starter"), "{events:?}");

    let other = shop.app.carrier_on("free").await;
    for path in [INVOICES, EVENTS] {
        assert_eq!(other.owner.get(path).await.expect(200)["data"], json!([]), "{path}");
    }
    assert_eq!(other.owner.get("/v1/billing").await.expect(200)["subscription"], json!(null));
    other.owner.post(PORTAL, a_return()).await.refused(409, "conflict");
    let intruder = other.owner.clone().of(shop.carrier.id);
    for path in ["/v1/billing", "/v1/billing/prices", INVOICES, EVENTS] {
        intruder.get(path).await.refused(403, "forbidden");
    }
    intruder.post(PORTAL, a_return()).await.refused(403, "forbidden");
}

#[tokio::test]
async fn who_owes_sees_since_when_until_when_and_what_then() {
    let shop = Shop::open().await;
    let subscription = shop.buy().await;
    shop.stripe.fail_payment(&subscription);
    shop.deliver().await;

    let billing = shop.billing().await;
    let (terms, restriction) = (&billing["subscription"], &billing["restriction"]);
    assert_eq!((&billing["plan"], &terms["status"]), (&json!("starter"), &json!("past_due")));
    assert_eq!(
        (&restriction["reason"], &restriction["since_at"]),
        (&json!("payment_overdue"), &terms["past_due_since_at"])
    );
    assert_eq!(restriction["effective_at"], terms["grace_ends_at"]);
    assert_eq!(time(&terms["grace_ends_at"]) - time(&terms["past_due_since_at"]), TimeDelta::days(7));
    assert!(restriction["detail"].as_str().unwrap().contains("The plan starter goes on until"), "{restriction}");
    assert_eq!(billing["next_invoice"], json!(null));
    let invoices = shop.carrier.owner.get(INVOICES).await.expect(200);
    let open = &invoices["data"][0];
    assert_eq!(
        (&open["status"], &open["remaining_amount"], &open["attempts"]),
        (&json!("open"), &json!("49.00"), &json!(1))
    );
    assert!(time(&open["next_attempt_at"]) > time(&open["issued_at"]));

    shop.app.run(&format!("UPDATE tenants SET plan_ends_at = now() WHERE id = '{}'", shop.carrier.id)).await;
    let billing = shop.billing().await;
    assert_eq!((&billing["plan"], &billing["subscription"]["plan"]), (&json!("free"), &json!("starter")));
    assert!(billing["restriction"]["detail"].as_str().unwrap().contains("the plan starter ended on"), "{billing}");
    shop.carrier.owner.post(PORTAL, a_return()).await.expect(201);
    assert_eq!(shop.checkout().await.refused(409, "conflict")["code"], "subscribed");

    shop.stripe.pay(&subscription);
    shop.deliver().await;
    let billing = shop.billing().await;
    assert_eq!((&billing["plan"], &billing["restriction"]), (&json!("starter"), &json!(null)));
    assert_eq!(billing["subscription"]["grace_ends_at"], json!(null));
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_told_and_nothing_more_will_be_billed() {
    let shop = Shop::open().await;
    let subscription = shop.buy().await;
    shop.stripe.cancel_at_period_end(&subscription);
    shop.deliver().await;
    let billing = shop.billing().await;
    assert_eq!((&billing["plan"], &billing["restriction"]), (&json!("starter"), &json!(null)));
    assert_eq!(billing["subscription"]["cancel_at_period_end"], true);
    assert_eq!(billing["subscription"]["cancel_at"], billing["subscription"]["current_period_end_at"]);
    assert_eq!(billing["next_invoice"], json!(null));

    shop.stripe.cancel(&subscription);
    shop.deliver().await;
    let billing = shop.billing().await;
    assert_eq!((&billing["plan"], &billing["subscription"]["status"]), (&json!("free"), &json!("canceled")));
    let restriction = &billing["restriction"];
    assert_eq!(
        (&restriction["reason"], &restriction["since_at"]),
        (&json!("subscription_ended"), &billing["subscription"]["ended_at"])
    );
    // And a new one counts, not the old.
    shop.buy().await;
    let billing = shop.billing().await;
    assert_eq!((&billing["plan"], &billing["subscription"]["status"]), (&json!("starter"), &json!("active")));
}

#[tokio::test]
async fn billing_is_for_owners_and_admins_and_for_no_key() {
    let shop = Shop::open().await;
    shop.buy().await;
    let reads = ["/v1/billing", "/v1/billing/prices", INVOICES, EVENTS];
    let admin = shop.app.member(&shop.carrier, "admin").await;
    for path in reads {
        admin.get(path).await.expect(200);
    }
    admin.post(PORTAL, a_return()).await.expect(201);
    let new_key = json!({"name": "Key", "scopes": ["usage:read"]});
    let key = shop.carrier.owner.post("/v1/api-keys", new_key).await.expect(201);
    let mut others = vec![shop.carrier.owner.with_key(key["key"].as_str().unwrap())];
    for role in ["dispatcher", "accountant", "driver"] {
        others.push(shop.app.member(&shop.carrier, role).await);
    }
    for other in others {
        for path in reads {
            other.get(path).await.refused(403, "forbidden");
        }
        other.post(CHECKOUT, an_order("STARTER_MONTHLY")).await.refused(403, "forbidden");
        other.post(PORTAL, a_return()).await.refused(403, "forbidden");
    }
    for scope in ["billing:read", "billing:manage"] {
        let new_key = json!({"name": "Key", "scopes": [scope]});
        shop.carrier.owner.post("/v1/api-keys", new_key).await.refused(422, "invalid");
    }
}

/// An invoice of the carrier, issued so many days ago.
async fn invoice(app: &TestApp, carrier: &Carrier, name: &str, days: u8, currency: &str, total: &str) {
    app.run(&format!(
        "WITH customer AS (INSERT INTO stripe_customers (tenant_id, id) VALUES ('{tenant}', 'cus_{tenant}') ON CONFLICT DO NOTHING) \
         INSERT INTO billing_invoices (tenant_id, stripe_id, customer_id, number, status, currency, subtotal_amount, tax_amount, \
             total_amount, paid_amount, remaining_amount, issued_at, as_of_at) \
         VALUES ('{tenant}', 'in_{name}{tenant}', 'cus_{tenant}', '{name}', 'open', '{currency}', {total}, 0, {total}, 0, {total}, \
             date_trunc('day', now()) - interval '{days} days', now())",
        tenant = carrier.id
    ))
    .await;
}

#[tokio::test]
async fn invoices_come_newest_first_whatever_the_order_in_which_we_heard_of_them() {
    let app = TestApp::start().await;
    let (carrier, other) = (app.carrier().await, app.carrier().await);
    for (name, days) in [("c", 3), ("a", 1), ("d", 3), ("b", 2)] {
        invoice(&app, &carrier, name, days, "USD", "49").await;
    }
    invoice(&app, &other, "x", 0, "USD", "49").await;
    let (mut seen, mut path) = (Vec::new(), format!("{INVOICES}?limit=1"));
    loop {
        let page = carrier.owner.get(&path).await.expect(200);
        assert_eq!(ids(&page).len(), 1);
        seen.push(page["data"][0]["number"].as_str().unwrap().to_owned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{INVOICES}?limit=1&cursor={cursor}");
    }
    // Of the same moment the one that came last.
    assert_eq!(seen, ["a", "b", "d", "c"]);
    assert_eq!(carrier.owner.get(&format!("{INVOICES}?cursor=x")).await.invalid_fields(), ["cursor"]);
    assert_eq!(carrier.owner.get(&format!("{EVENTS}?limit=0")).await.invalid_fields(), ["limit"]);
    assert_eq!(carrier.owner.get(&format!("{EVENTS}?colour=red")).await.invalid_fields(), ["colour"]);
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    for (currency, total, written) in
        [("USD", "49", "49.00"), ("JPY", "4900", "4900"), ("KWD", "5.124", "5.124"), ("USD", "-0.01", "-0.01")]
    {
        let name = format!("{currency}{total}");
        invoice(&app, &carrier, &name, 0, currency, total).await;
        let newest = carrier.owner.get(&format!("{INVOICES}?limit=1")).await.expect(200)["data"][0].clone();
        assert_eq!((&newest["number"], &newest["total_amount"]), (&json!(name), &json!(written)));
    }
}
