use carhaul_testkit::StripeShape;
use serde_json::json;

use super::*;

const AT: i64 = 1_790_000_000;

fn seconds(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn a_subscription_reads_the_same_in_both_shapes() {
    for shape in StripeShape::ALL {
        let body = shape.subscription("sub_1", "cus_1", "price_1", AT);
        let subscription: Subscription = read(&body).unwrap();
        let item = &subscription.items.data[0];
        assert_eq!((subscription.id.as_str(), subscription.customer.as_str()), ("sub_1", "cus_1"));
        assert_eq!((item.price.id.as_str(), item.quantity), ("price_1", Some(1)));
        assert_eq!(subscription.status, SubscriptionStatus::Incomplete);
        assert_eq!(subscription.start_date, seconds(AT));
        let end = seconds(AT + 30 * 24 * 3600);
        assert_eq!(subscription.period(Some(item)), (Some(seconds(AT)), Some(end)), "{shape:?}");
        assert_eq!(subscription.progress(), (Some(end), SubscriptionStatus::Incomplete));
    }
}

#[test]
fn an_invoice_reads_the_same_in_both_shapes() {
    for shape in StripeShape::ALL {
        let subscription = shape.subscription("sub_1", "cus_1", "price_1", AT);
        let invoice: Invoice = read(&shape.invoice("in_1", &subscription, "usd", 4900, 441, AT)).unwrap();
        assert_eq!((invoice.subscription(), invoice.customer.as_str()), (Some("sub_1"), "cus_1"), "{shape:?}");
        assert_eq!((invoice.subtotal, invoice.tax(), invoice.total), (4900, 441, 5341), "{shape:?}");
        assert_eq!(invoice.status_transitions.finalized_at, Some(seconds(AT)));
    }
}

#[test]
fn an_invoice_may_belong_to_no_subscription_and_have_no_tax() {
    for shape in StripeShape::ALL {
        let subscription = shape.subscription("sub_1", "cus_1", "price_1", AT);
        let mut body = shape.invoice("in_1", &subscription, "usd", 4900, 0, AT);
        for name in ["tax", "total_taxes", "parent", "subscription"] {
            body[name] = json!(null);
        }
        let invoice: Invoice = read(&body).unwrap();
        assert_eq!((invoice.subscription(), invoice.tax()), (None, 0));
    }
}

#[test]
fn what_cannot_be_read_is_named_and_not_shown() {
    let body = StripeShape::Endive.subscription("sub_1", "cus_1", "price_1", AT);
    let spoil = |path: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(path).unwrap() = value;
        read::<Subscription>(&body).unwrap_err().to_string()
    };
    for (path, named) in [("/status", "status"), ("/items/data/0/price/id", "items.data[0].price.id")] {
        let error = spoil(path, json!({"secret": "hunter2"}));
        assert_eq!(error, format!("cannot read subscription at {named}"));
    }
    assert!(!spoil("/status", json!("hunter2")).contains("hunter2"));
    assert!(!spoil("/start_date", json!("hunter2")).contains("hunter2"));
}

#[test]
fn amounts_have_the_decimals_of_their_currency() {
    for (units, currency, expected) in [
        (4900, "usd", "49.00"),
        (-441, "EUR", "-4.41"),
        (500, "jpy", "500"),
        (5_124, "kwd", "5.124"),
        (500, "isk", "5.00"),
        (500, "ugx", "5.00"),
        (1, "usd", "0.01"),
    ] {
        assert_eq!(amount(units, currency).to_string(), expected, "{units} {currency}");
    }
}
