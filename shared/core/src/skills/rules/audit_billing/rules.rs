//! A rule each.

use std::collections::HashSet;

use rust_decimal::Decimal;

use super::data::{Code, Issue, OrderFacts, Severity, Vehicle};
use crate::base::vin::Vin;
use crate::orders::{BillingStatus, OrderStatus};

type Rule = fn(&OrderFacts, &mut Vec<Issue>);

pub const ALL: &[Rule] =
    &[states, vehicles_delivered, proof, price, vehicle_prices, fee, payment, collected, vins, windows, customer];

fn found(
    issues: &mut Vec<Issue>,
    severity: Severity,
    code: Code,
    field: impl Into<String>,
    message: impl Into<String>,
) {
    issues.push(Issue { code, severity, message: message.into(), field: field.into() });
}

/// The vehicles that were not cancelled, with their places.
fn active(order: &OrderFacts) -> impl Iterator<Item = (usize, &Vehicle)> {
    order.vehicles.iter().enumerate().filter(|(_, vehicle)| vehicle.status != OrderStatus::Cancelled)
}

fn states(order: &OrderFacts, issues: &mut Vec<Issue>) {
    if order.status != OrderStatus::Delivered {
        let message = format!("the order is {}, not delivered", order.status.as_str());
        found(issues, Severity::Error, Code::NotDelivered, "/status", message);
    }
    if order.on_hold {
        found(issues, Severity::Error, Code::OnHold, "/on_hold", "the order is on hold");
    }
    if order.billing_status != BillingStatus::Unbilled {
        let message = format!("the order is already {}", order.billing_status.as_str());
        found(issues, Severity::Error, Code::AlreadyInvoiced, "/billing_status", message);
    }
}

fn vehicles_delivered(order: &OrderFacts, issues: &mut Vec<Issue>) {
    if active(order).next().is_none() {
        found(issues, Severity::Error, Code::NoVehicles, "/vehicles", "no vehicle is left on the order");
    }
    for (index, vehicle) in active(order).filter(|(_, vehicle)| vehicle.status != OrderStatus::Delivered) {
        let message = format!("vehicle {} is {}", index + 1, vehicle.status.as_str());
        found(issues, Severity::Error, Code::VehicleNotDelivered, format!("/vehicles/{index}/status"), message);
    }
}

fn proof(order: &OrderFacts, issues: &mut Vec<Issue>) {
    if !order.has_pod {
        found(issues, Severity::Error, Code::PodMissing, "/has_pod", "no proof of delivery is on file");
    }
}

fn price(order: &OrderFacts, issues: &mut Vec<Issue>) {
    match order.price {
        None => found(issues, Severity::Error, Code::PriceMissing, "/price", "the order has no price"),
        Some(price) if price.decimal().is_zero() => {
            found(issues, Severity::Error, Code::PriceIsZero, "/price", "the price is zero");
        }
        Some(_) => {}
    }
}

/// Prices of vehicles are there for all or for none, and add up to the order's.
fn vehicle_prices(order: &OrderFacts, issues: &mut Vec<Issue>) {
    let priced = active(order).filter(|(_, vehicle)| vehicle.price.is_some()).count();
    if priced == 0 {
        return;
    }
    let mut complete = true;
    for (index, _) in active(order).filter(|(_, vehicle)| vehicle.price.is_none()) {
        complete = false;
        let message = format!("vehicle {} has no price, others have", index + 1);
        found(issues, Severity::Warning, Code::VehiclePriceMissing, format!("/vehicles/{index}/price"), message);
    }
    let sum: Decimal = active(order).filter_map(|(_, vehicle)| vehicle.price).map(|price| price.decimal()).sum();
    if let Some(price) = order.price.map(|price| price.decimal())
        && (complete && sum != price || sum > price)
    {
        let message = format!("the vehicles' prices come to {sum}, the order's price is {price}");
        found(issues, Severity::Error, Code::VehiclePricesDoNotAddUp, "/price", message);
    }
}

fn fee(order: &OrderFacts, issues: &mut Vec<Issue>) {
    if let (Some(fee), Some(price)) = (order.broker_fee, order.price)
        && fee > price
    {
        let message = format!("the fee of {} is more than the price of {}", fee.decimal(), price.decimal());
        found(issues, Severity::Error, Code::FeeAbovePrice, "/broker_fee", message);
    }
}

fn payment(order: &OrderFacts, issues: &mut Vec<Issue>) {
    match (order.payment_method, order.payment_term) {
        (Some(method), Some(term)) if !method.takes(term) => {
            let message = format!("{} is not paid {term}", method.as_str());
            found(issues, Severity::Error, Code::PaymentDoesNotFit, "/payment_term", message);
        }
        (Some(_), Some(_)) => {}
        (None, _) => {
            found(issues, Severity::Warning, Code::PaymentMissing, "/payment_method", "how it is paid is not recorded");
        }
        (_, None) => {
            found(issues, Severity::Warning, Code::PaymentMissing, "/payment_term", "when it is paid is not recorded");
        }
    }
}

/// Money that the driver was to collect.
fn collected(order: &OrderFacts, issues: &mut Vec<Issue>) {
    let expected = order.cod_amount.filter(|cod| !cod.decimal().is_zero());
    if let (Some(cod), Some(price)) = (expected, order.price)
        && cod > price
    {
        let message = format!("{} to collect is more than the price of {}", cod.decimal(), price.decimal());
        found(issues, Severity::Warning, Code::CodAbovePrice, "/cod_amount", message);
    }
    match (expected, order.cod_collected) {
        (Some(cod), None) => {
            let message = format!("{} was to be collected, and nothing is recorded", cod.decimal());
            found(issues, Severity::Error, Code::CodNotRecorded, "/cod_collected", message);
        }
        (expected, Some(collected)) if expected.is_none_or(|cod| cod != collected) => {
            let cod = expected.map_or(Decimal::ZERO, |cod| cod.decimal());
            let message = format!("{} was collected instead of {cod}", collected.decimal());
            found(issues, Severity::Warning, Code::CodDiffers, "/cod_collected", message);
        }
        _ => {}
    }
}

fn vins(order: &OrderFacts, issues: &mut Vec<Issue>) {
    let mut seen = HashSet::new();
    for (index, vehicle) in active(order) {
        let field = format!("/vehicles/{index}/vin");
        let Some(vin) = &vehicle.vin else {
            let message = format!("vehicle {} has no VIN", index + 1);
            found(issues, Severity::Warning, Code::VinMissing, field, message);
            continue;
        };
        let fits = Vin::parse(vin).is_ok_and(|vin| vin.check_digit_fits());
        if !fits {
            let (severity, why) = if vehicle.vin_override {
                (Severity::Info, "and was kept on purpose")
            } else {
                (Severity::Warning, "compare it with the vehicle")
            };
            let message = format!("the check digit of {vin} does not fit, {why}");
            found(issues, severity, Code::VinCheckDigit, field.clone(), message);
        }
        if !seen.insert(vin.to_ascii_uppercase()) {
            found(issues, Severity::Error, Code::VinRepeated, field, format!("{vin} is on the order twice"));
        }
    }
}

/// Late is no reason not to invoice; the customer may see it otherwise.
fn windows(order: &OrderFacts, issues: &mut Vec<Issue>) {
    for (index, vehicle) in active(order) {
        let at = |field: &str| format!("/vehicles/{index}/{field}");
        let number = index + 1;
        if let Some(time) = vehicle.picked_up_at.filter(|time| *time > order.pickup_to) {
            let message = format!("vehicle {number} was picked up {} after the window", late(time - order.pickup_to));
            found(issues, Severity::Info, Code::PickedUpLate, at("picked_up_at"), message);
        }
        if let Some(time) = vehicle.delivered_at.filter(|time| *time > order.delivery_to) {
            let message = format!("vehicle {number} was delivered {} after the window", late(time - order.delivery_to));
            found(issues, Severity::Warning, Code::DeliveredLate, at("delivered_at"), message);
        }
        if let (Some(picked_up), Some(delivered)) = (vehicle.picked_up_at, vehicle.delivered_at)
            && delivered < picked_up
        {
            let message = format!("vehicle {number} was delivered before it was picked up");
            found(issues, Severity::Error, Code::DeliveredBeforePickup, at("delivered_at"), message);
        }
    }
}

fn late(by: chrono::TimeDelta) -> String {
    match (by.num_days(), by.num_hours()) {
        (0, 0) => format!("{} min", by.num_minutes()),
        (0, hours) => format!("{hours} h"),
        (1, _) => "1 day".into(),
        (days, _) => format!("{days} days"),
    }
}

fn customer(order: &OrderFacts, issues: &mut Vec<Issue>) {
    if order.reference.is_none() {
        let message = "brokers ask for their own number on the invoice";
        found(issues, Severity::Info, Code::ReferenceMissing, "/reference", message);
    }
    if order.customer_email.is_none() && order.customer_address.is_none() {
        let message = "the customer has neither an e-mail address nor a postal one to send an invoice to";
        found(issues, Severity::Warning, Code::CustomerAddressMissing, "/customer_email", message);
    }
}
