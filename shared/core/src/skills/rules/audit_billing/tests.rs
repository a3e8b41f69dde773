use serde_json::{Value, json};

use super::*;

fn order(changes: &Value) -> OrderFacts {
    let vehicle = |vin: &str, price: &str| {
        json!({
            "status": "delivered", "vin": vin, "vin_override": false, "price": price,
            "picked_up_at": "2026-11-23T15:00:00Z", "delivered_at": "2026-11-25T15:00:00Z",
        })
    };
    let mut order = json!({
        "status": "delivered", "billing_status": "unbilled", "on_hold": false,
        "price": "450.00", "broker_fee": "50.00", "cod_amount": null, "cod_collected": null,
        "payment_method": "ach", "payment_term": "days_30", "has_pod": true, "reference": "LB-48213",
        "customer_email": "dispatch@example.com", "customer_address": null,
        "pickup_to": "2026-11-23T22:00:00Z", "delivery_to": "2026-11-25T22:00:00Z",
        "vehicles": [vehicle("1G4AH59H45G118341", "200.00"), vehicle("1M8GDM9AXKP042788", "250.00")],
    });
    for (pointer, value) in changes.as_object().unwrap() {
        *order.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(order).unwrap()
}

fn codes(changes: &Value) -> (bool, Vec<(Code, Severity, String)>) {
    let output = audit(&order(changes));
    (output.ready, output.issues.into_iter().map(|issue| (issue.code, issue.severity, issue.field)).collect())
}

#[test]
fn a_clean_order_is_ready() {
    assert_eq!(codes(&json!({})), (true, vec![]));
}

#[test]
fn each_rule_finds_what_it_is_for() {
    use Code::*;
    use Severity::{Error, Info, Warning};
    for (changes, code, severity, field) in [
        (json!({"/status": "in_transit"}), NotDelivered, Error, "/status"),
        (json!({"/on_hold": true}), OnHold, Error, "/on_hold"),
        (json!({"/billing_status": "invoiced"}), AlreadyInvoiced, Error, "/billing_status"),
        (json!({"/vehicles": []}), NoVehicles, Error, "/vehicles"),
        (json!({"/vehicles/1/status": "in_transit"}), VehicleNotDelivered, Error, "/vehicles/1/status"),
        (json!({"/has_pod": false}), PodMissing, Error, "/has_pod"),
        (json!({"/price": null}), PriceMissing, Error, "/price"),
        (json!({"/price": "450.01"}), VehiclePricesDoNotAddUp, Error, "/price"),
        (json!({"/vehicles/0/price": null}), VehiclePriceMissing, Warning, "/vehicles/0/price"),
        (json!({"/broker_fee": "450.01"}), FeeAbovePrice, Error, "/broker_fee"),
        (json!({"/payment_method": null}), PaymentMissing, Warning, "/payment_method"),
        (json!({"/payment_term": null}), PaymentMissing, Warning, "/payment_term"),
        (json!({"/payment_method": "cash"}), PaymentDoesNotFit, Error, "/payment_term"),
        (json!({"/cod_amount": "100"}), CodNotRecorded, Error, "/cod_collected"),
        (json!({"/cod_amount": "100", "/cod_collected": "90"}), CodDiffers, Warning, "/cod_collected"),
        (json!({"/cod_collected": "90"}), CodDiffers, Warning, "/cod_collected"),
        (json!({"/cod_amount": "451", "/cod_collected": "451"}), CodAbovePrice, Warning, "/cod_amount"),
        (json!({"/vehicles/0/vin": null}), VinMissing, Warning, "/vehicles/0/vin"),
        (json!({"/vehicles/0/vin": "1G4AH59H35G118341"}), VinCheckDigit, Warning, "/vehicles/0/vin"),
        (json!({"/vehicles/1/vin": "1G4AH59H45G118341"}), VinRepeated, Error, "/vehicles/1/vin"),
        (json!({"/vehicles/0/picked_up_at": "2026-11-24T01:00:00Z"}), PickedUpLate, Info, "/vehicles/0/picked_up_at"),
        (
            json!({"/vehicles/0/delivered_at": "2026-11-28T01:00:00Z"}),
            DeliveredLate,
            Warning,
            "/vehicles/0/delivered_at",
        ),
        (
            json!({"/vehicles/0/delivered_at": "2026-11-22T01:00:00Z"}),
            DeliveredBeforePickup,
            Error,
            "/vehicles/0/delivered_at",
        ),
        (json!({"/reference": null}), ReferenceMissing, Info, "/reference"),
        (json!({"/customer_email": null}), CustomerAddressMissing, Warning, "/customer_email"),
    ] {
        let (ready, found) = codes(&changes);
        assert_eq!(found, [(code, severity, field.to_owned())], "{changes}");
        assert_eq!(ready, severity != Error, "{changes}");
    }
}

#[test]
fn a_cancelled_vehicle_counts_for_nothing() {
    let changes = json!({"/vehicles/1/status": "cancelled", "/vehicles/1/vin": null, "/price": "200.00"});
    assert_eq!(codes(&changes), (true, vec![]));
}

#[test]
fn a_vin_that_was_kept_on_purpose_is_only_told() {
    let (_, found) = codes(&json!({"/vehicles/0/vin": "1G4AH59H35G118341", "/vehicles/0/vin_override": true}));
    assert_eq!(found, [(Code::VinCheckDigit, Severity::Info, "/vehicles/0/vin".to_owned())]);
}

#[test]
fn a_price_of_zero_is_no_price() {
    let (ready, found) =
        codes(&json!({"/price": "0", "/broker_fee": null, "/vehicles/0/price": null, "/vehicles/1/price": null}));
    assert_eq!((ready, found), (false, vec![(Code::PriceIsZero, Severity::Error, "/price".to_owned())]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (ready, found) = codes(&json!({"/has_pod": false, "/price": null, "/status": "picked_up"}));
    assert!(!ready);
    assert_eq!(
        found.iter().map(|issue| issue.0).collect::<Vec<_>>(),
        [Code::NotDelivered, Code::PodMissing, Code::PriceMissing]
    );
}

#[test]
fn what_a_model_finds_beside_the_rules_is_for_a_person_and_decides_nothing() {
    let issue = |code: &str, severity: &str, field: &str| json!({"code": code, "severity": severity, "message": "so it says", "field": field});
    let said = |issues: Vec<Value>| serde_json::from_value::<Output>(json!({"ready": true, "issues": issues})).unwrap();
    let changes = json!({"/has_pod": false});
    let more = vec![
        issue("pod_missing", "info", "/has_pod"),
        issue("price_missing", "error", "/price"),
        issue("price_missing", "error", "/price"),
    ];
    let admitted = guard::admit(&order(&changes), said(more.clone())).unwrap();
    assert!(!admitted.ready, "the rules say so");
    assert_eq!(admitted.issues[0], audit(&order(&changes)).issues[0]);
    assert_eq!(
        admitted.issues[1..].iter().map(|it| (it.code, it.severity)).collect::<Vec<_>>(),
        [(Code::PriceMissing, Severity::Warning)]
    );
    assert!(guard::admit(&order(&json!({})), said(more)).unwrap().ready);

    let bad = vec![
        issue("vin_missing", "error", "/vehicles/9/vin"),
        json!({"code": "on_hold", "severity": "error", "message": " ", "field": "/on_hold"}),
    ];
    let Err(crate::base::error::Error::Invalid(fields)) = guard::admit(&order(&json!({})), said(bad)) else {
        panic!("it was taken")
    };
    assert_eq!(
        fields.iter().map(|it| it.pointer.as_str()).collect::<Vec<_>>(),
        ["/issues/0/field", "/issues/1/message"]
    );
}
