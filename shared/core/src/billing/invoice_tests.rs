use carhaul_testkit::StripeShape;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const AT: i64 = 1_790_000_000;
/// A currency of each number of decimals, and one of the two that are written with more than they have.
const CURRENCIES: [(&str, u32); 4] = [("usd", 2), ("jpy", 0), ("kwd", 3), ("isk", 2)];

fn read(body: Value) -> Invoice {
    let reading = Reading { object: body, at: DateTime::UNIX_EPOCH };
    decide(None, &[], Some(&reading)).expect("it is an invoice").expect("it says something").0
}

/// Subtotal, tax, how much of it is paid in percent, and which currency and shape.
fn figures() -> impl Strategy<Value = (i64, i64, i64, usize, usize)> {
    // Up to what the columns hold; a credit note makes it negative.
    (-99_999_999_999_i64..=99_999_999_999, 0..=99_999_999_999_i64, 0..=100_i64, 0..CURRENCIES.len(), 0..2_usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn totals_add_up_to_the_smallest_unit_of_their_currency((subtotal, tax, percent, currency, shape) in figures()) {
        let ((currency, decimals), shape) = (CURRENCIES[currency], StripeShape::ALL[shape]);
        let subscription = shape.subscription("sub_1", "cus_1", "price_1", AT);
        let mut body = shape.invoice("in_1", &subscription, currency, subtotal, tax, AT);
        let (total, paid) = (subtotal + tax, (subtotal + tax) / 100 * percent);
        body["amount_paid"] = json!(paid);
        body["amount_remaining"] = json!(total - paid);
        let invoice = read(body);
        prop_assert_eq!(invoice.subtotal_amount + invoice.tax_amount, invoice.total_amount);
        prop_assert_eq!(invoice.paid_amount + invoice.remaining_amount, invoice.total_amount);
        prop_assert_eq!(&invoice.currency, &currency.to_ascii_uppercase());
        for (amount, units) in [
            (invoice.subtotal_amount, subtotal), (invoice.tax_amount, tax), (invoice.total_amount, total),
            (invoice.paid_amount, paid), (invoice.remaining_amount, total - paid),
        ] {
            // Neither rounded nor written with other decimals than the currency's.
            prop_assert_eq!((amount.mantissa(), amount.scale()), (i128::from(units), decimals));
            // As the database gives it back: the column has three decimals.
            let mut stored = amount;
            stored.rescale(3);
            prop_assert_eq!(objects::in_currency(stored, currency).to_string(), amount.to_string());
        }
    }
}
