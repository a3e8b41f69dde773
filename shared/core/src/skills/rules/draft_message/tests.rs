use serde_json::{Value, json};

use super::*;
use crate::base::error::Error;

pub fn input(changes: Value) -> Input {
    let mut input = json!({
        "intent": "pickup_confirmation",
        "channel": "email",
        "sender": "Redtail Car Haulers",
        "recipient": "Dana",
        "order": {
            "number": 1042,
            "reference": "LB-48213",
            "pickup": {"city": "Lexington", "state": "KY"},
            "delivery": {"city": "Knoxville", "state": "TN"},
            "vehicles": [{"year": 2019, "make": "Toyota", "model": "Camry", "vin": null}],
            "currency": "USD",
            "picked_up_at": "2026-11-23T14:05:00",
            "delivered_at": "2026-11-25T09:30:00",
        },
        "eta": "2026-11-25T16:00:00",
        "reason": "heavy snow on the route.",
        "amount_due": "450.00",
        "due_on": "2026-12-25",
    });
    for (key, value) in changes.as_object().unwrap() {
        *input.pointer_mut(key).unwrap() = value.clone();
    }
    serde_json::from_value(input).unwrap()
}

pub const INTENTS: [&str; 5] =
    ["pickup_confirmation", "eta_update", "delay", "delivery_confirmation", "payment_reminder"];

#[test]
fn an_email_tells_the_facts_and_names_them() {
    let output = draft(&input(json!({}))).unwrap();
    assert_eq!(output.subject.as_deref(), Some("Picked up: LB-48213, Lexington, KY to Knoxville, TN"));
    assert_eq!(
        output.body,
        "Hello Dana,\n\n\
         Order 1042 (your reference LB-48213) was picked up on Mon Nov 23, 2026 at 2:05 PM. Route: Lexington, KY to Knoxville, TN.\n\n\
         2019 Toyota Camry\n\n\
         Best regards,\nRedtail Car Haulers"
    );
    assert!(output.facts_used.contains(&"/order/picked_up_at".to_owned()));
    assert!(
        !output.facts_used.contains(&"/eta".to_owned())
            && !output.facts_used.contains(&"/order/vehicles/0/vin".to_owned())
    );
}

#[test]
fn each_fact_that_is_named_is_given_and_each_intent_has_its_own_words() {
    let mut bodies = Vec::new();
    for channel in ["email", "sms"] {
        for intent in INTENTS {
            let input = input(json!({"/intent": intent, "/channel": channel}));
            let output = draft(&input).unwrap();
            let given = serde_json::to_value(&input).unwrap();
            for fact in &output.facts_used {
                assert!(given.pointer(fact).is_some_and(|value| !value.is_null()), "{intent}: {fact}");
            }
            assert!(!bodies.contains(&output.body), "{intent}");
            bodies.push(output.body);
        }
    }
}

#[test]
fn a_text_message_has_no_subject_and_fits_into_one() {
    for intent in INTENTS {
        let output = draft(&input(json!({"/intent": intent, "/channel": "sms"}))).unwrap();
        assert_eq!((output.subject, output.segments), (None, Some(1)), "{intent}");
        assert!(sms::length(&output.body) <= 160 && output.body.contains("LB-48213"), "{intent}");
    }
}

#[test]
fn money_is_told_to_the_cent() {
    let output =
        draft(&input(json!({"/intent": "payment_reminder", "/channel": "sms", "/order/reference": null}))).unwrap();
    assert_eq!(output.body, "Redtail Car Haulers: order 1042: 450.00 USD is still open, due Dec 25, 2026.");
}

#[test]
fn a_message_whose_fact_is_missing_is_not_made_up() {
    for (intent, gone, pointers) in [
        ("pickup_confirmation", vec!["/order/picked_up_at"], vec!["/order/picked_up_at"]),
        ("eta_update", vec!["/eta"], vec!["/eta"]),
        ("delay", vec!["/eta", "/reason"], vec!["/reason"]),
        ("delivery_confirmation", vec!["/order/delivered_at"], vec!["/order/delivered_at"]),
        ("payment_reminder", vec!["/amount_due", "/order/currency"], vec!["/amount_due", "/order/currency"]),
    ] {
        let mut changes = json!({"/intent": intent});
        gone.iter().for_each(|pointer| changes[*pointer] = Value::Null);
        let Err(Error::Invalid(fields)) = draft(&input(changes)) else { panic!("{intent}") };
        assert_eq!(fields.iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>(), pointers, "{intent}");
    }
}

#[test]
fn what_is_only_good_to_know_is_left_out_of_a_long_text_message() {
    let long = "Saint ".repeat(15);
    let output = draft(&input(json!({"/channel": "sms", "/order/pickup/city": long}))).unwrap();
    assert_eq!(output.body, "Redtail Car Haulers: LB-48213 picked up Nov 23 2:05 PM.");
    assert!(!output.facts_used.contains(&"/order/pickup/city".to_owned()));
    let sender = "Redtail ".repeat(14) + "Haulers";
    let output =
        draft(&input(json!({"/channel": "sms", "/sender": sender, "/order/reference": "LB-".repeat(19)}))).unwrap();
    assert_eq!(output.segments, Some(2));
}
