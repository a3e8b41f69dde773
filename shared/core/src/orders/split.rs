//! Splitting an order: vehicles that are to travel with another driver, or on another day, go to an order of their own, with
//! their part of the money. What the customer pays for both stays what it was for one, to the cent.

use serde::Deserialize;
use serde_json::json;
use sqlx::types::Json;
use utoipa::ToSchema;

use super::machine::{self, Moves};
use super::order::{Include, Order, OrderId, VehicleCounts};
use super::save;
use super::vehicles::{Vehicle, VehicleId};
use super::{BillingStatus, HistoryEvent, OrderStatus};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::money::Amount;
use crate::base::text::Text;
use crate::identity::permissions::Action;
use crate::platform::db::{Sql, Tx};

/// What goes to an order of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Vehicles that are not picked up. At least one stays.
    #[schema(min_items = 1, max_items = 12)]
    pub vehicle_ids: Vec<VehicleId>,
    /// How much of the order's price goes along. Needed unless these vehicles have prices of their own, which go along else.
    pub price: Option<Amount>,
    /// How much of the broker fee goes along; none unless told.
    pub broker_fee: Option<Amount>,
    /// How much of what the driver collects goes along; none unless told.
    pub cod_amount: Option<Amount>,
    /// Kept in the history of both.
    pub note: Option<Text<500>>,
}

/// Splits an order that was loaded for it. The new one is for the same customer, from and to the same places, on the same
/// terms, and is assigned to nobody. Returns it.
///
/// # Errors
/// [`Error::Invalid`] naming what is not on the order or does not add up; [`Error::Conflict`] for vehicles that are picked up
/// or cancelled, and for what is billed; the plan's limit of orders a month.
pub async fn split(tx: &mut Tx, mut order: Order, split: Split) -> Result<Order> {
    tx.entered.grant.require(Action::OrdersDispatch)?;
    let mut goes = take_vehicles(&mut order, &split.vehicle_ids)?;
    let mut violations = Violations::default();
    let own_prices = goes.iter().map(|vehicle| vehicle.price).collect::<Option<Vec<_>>>();
    let own_prices = own_prices.and_then(|prices| sum(&prices));
    let price = divide(&mut order.price, split.price, Part::Price { own_prices }, &mut violations);
    let broker_fee = divide(&mut order.broker_fee, split.broker_fee, Part::BrokerFee, &mut violations);
    let cod_amount = divide(&mut order.cod_amount, split.cod_amount, Part::CodAmount, &mut violations);
    violations.into_result()?;

    let id = OrderId::new();
    let note = split.note.map(|note| note.to_string());
    let (mut leaving, mut coming, mut moves) = (Moves::default(), Moves::default(), Moves::default());
    coming.created();
    for (vehicle, position) in goes.iter_mut().zip(1..) {
        leaving.happens(HistoryEvent::Split, Some(vehicle.id), vehicle.status);
        coming.joins(vehicle);
        vehicle.position = position;
    }
    let mut steps = save::steps(order.id, &leaving);
    steps.extend(save::steps(id, &coming));
    // What stays may be further than what goes.
    moves.follow(&mut order);

    let counts = VehicleCounts::of(&goes);
    let row = json!({
        "id": id,
        "price": price,
        "broker_fee": broker_fee,
        "cod_amount": cod_amount,
        "vehicle_count": counts.total,
        "held_count": counts.on_hold,
        "is_inoperable": goes.iter().any(|vehicle| vehicle.is_inoperable),
    });
    let tag_ids = order.tag_ids.clone();
    let (old, number) = (order.id, order.number);
    let mut sql = Sql::new("WITH ");
    save::push_parts(&mut sql, &[(order, moves)]);
    sql.push(", r AS (SELECT * FROM jsonb_populate_record(NULL::orders, ").push_bind(Json(row));
    sql.push(")), n AS (SELECT app.take_number('order') AS number), made AS (").push(INSERT).push_bind(old);
    sql.push(" RETURNING *), g AS (SELECT * FROM jsonb_to_recordset(").push_bind(Json(goes.clone())).push(
        ") AS g (id uuid, status text, position smallint)), moved AS (UPDATE order_vehicles t SET status = g.status, \
         position = g.position, order_id = ",
    );
    sql.push_bind(id)
        .push(" FROM g WHERE t.tenant_id = app.tenant_id() AND t.id = g.id AND t.order_id = ")
        .push_bind(old);
    sql.push("), tagged AS (INSERT INTO order_tags (tenant_id, order_id, tag_id) SELECT app.tenant_id(), ")
        .push_bind(id);
    sql.push(", g.tag_id FROM order_tags g WHERE g.tenant_id = app.tenant_id() AND g.order_id = ").push_bind(old);
    // Each order names the other, whose number is known only here.
    sql.push("), split_history AS (");
    let between = |sql: &mut Sql| {
        sql.push("concat_ws(': ', CASE WHEN h.order_id = ")
            .push_bind(old)
            .push(" THEN 'split off to order ' || n.number ELSE ");
        sql.push_bind(format!("split from order {number}")).push(" END, ").push_bind(note).push("::text)");
    };
    save::push_history_as(&mut sql, steps, between);
    sql.push(" CROSS JOIN n) SELECT ").push(Include::default().columns()).push(" FROM made t");

    let mut new: Order = tx.fetch_one(sql).await?;
    new.vehicles = Some(goes);
    new.tag_ids = tag_ids;
    Ok(new)
}

const INSERT: &str = "INSERT INTO orders (tenant_id, id, number, reference, transport_type, customer_id, dispatcher_id, \
    on_hold, hold_reason, split_from, \
    pickup_location_id, pickup_name, pickup_address, pickup_city, pickup_state, pickup_zip, pickup_contact_name, \
    pickup_phone, pickup_time_zone, pickup_from, pickup_to, pickup_notes, \
    delivery_location_id, delivery_name, delivery_address, delivery_city, delivery_state, delivery_zip, \
    delivery_contact_name, delivery_phone, delivery_time_zone, delivery_from, delivery_to, delivery_notes, \
    price, broker_fee, cod_amount, currency, payment_method, payment_term, notes, vehicle_count, held_count, is_inoperable, \
    created_by) \
    SELECT app.tenant_id(), r.id, n.number, t.reference, t.transport_type, t.customer_id, t.dispatcher_id, \
    t.on_hold, t.hold_reason, t.id, \
    t.pickup_location_id, t.pickup_name, t.pickup_address, t.pickup_city, t.pickup_state, t.pickup_zip, t.pickup_contact_name, \
    t.pickup_phone, t.pickup_time_zone, t.pickup_from, t.pickup_to, t.pickup_notes, \
    t.delivery_location_id, t.delivery_name, t.delivery_address, t.delivery_city, t.delivery_state, t.delivery_zip, \
    t.delivery_contact_name, t.delivery_phone, t.delivery_time_zone, t.delivery_from, t.delivery_to, t.delivery_notes, \
    r.price, r.broker_fee, r.cod_amount, t.currency, t.payment_method, t.payment_term, t.notes, r.vehicle_count, \
    r.held_count, r.is_inoperable, app.actor_id() \
    FROM r CROSS JOIN n JOIN orders t ON t.tenant_id = app.tenant_id() AND t.id = ";

/// Takes the vehicles off the order in memory, in their places.
fn take_vehicles(order: &mut Order, ids: &[VehicleId]) -> Result<Vec<Vehicle>> {
    let mut violations = Violations::default();
    violations.add_unless(!ids.is_empty(), "/vehicle_ids", "must name at least one vehicle");
    for (n, id) in ids.iter().enumerate() {
        violations.add_unless(order.vehicle(*id).is_ok(), format!("/vehicle_ids/{n}"), "is not on this order");
    }
    let some_stay = order.loaded_vehicles().iter().any(|vehicle| vehicle.is_active() && !ids.contains(&vehicle.id));
    violations.add_unless(some_stay, "/vehicle_ids", "at least one vehicle stays on the order");
    violations.into_result()?;
    if order.billing_status != BillingStatus::Unbilled {
        let detail =
            format!("the order is {}: what is billed is not split", order.billing_status.as_str().replace('_', " "));
        return Err(Error::conflict(ConflictCode::Billed, detail));
    }
    let vehicles = order.loaded_vehicles();
    let fixed = vehicles.iter().filter(|vehicle| ids.contains(&vehicle.id));
    if let Some(fixed) = fixed.into_iter().find(|it| !matches!(it.status, OrderStatus::New | OrderStatus::Assigned)) {
        return Err(machine::illegal(fixed.status, &format!("cannot split off vehicle {}", fixed.position)));
    }
    Ok(order.loaded_vehicles_mut().extract_if(.., |vehicle| ids.contains(&vehicle.id)).collect())
}

/// A sum of the order that is divided.
enum Part {
    Price { own_prices: Option<Amount> },
    BrokerFee,
    CodAmount,
}

/// Leaves on the order what does not go along, and returns what does.
fn divide(whole: &mut Option<Amount>, told: Option<Amount>, part: Part, violations: &mut Violations) -> Option<Amount> {
    let (field, otherwise) = match part {
        Part::Price { own_prices } => ("/price", own_prices),
        // None of nothing is nothing.
        Part::BrokerFee => ("/broker_fee", Some(Amount::ZERO)),
        Part::CodAmount => ("/cod_amount", Some(Amount::ZERO)),
    };
    let Some(all) = *whole else {
        violations.add_unless(told.is_none(), field, "there is none on the order to divide");
        return None;
    };
    let Some(goes) = told.or(otherwise) else {
        violations.add(field, "is needed: not every vehicle that goes along has a price of its own");
        return None;
    };
    let Some(stays) = all.minus(goes) else {
        let most = format!("{} of {} cannot go along", goes.decimal(), all.decimal());
        violations.add(field, if told.is_some() { most } else { format!("is needed: {most}") });
        return None;
    };
    *whole = Some(stays);
    // What is not there before is not there after: no fee is no fee of zero.
    (told.is_some() || goes != Amount::ZERO || field == "/price").then_some(goes)
}

fn sum(prices: &[Amount]) -> Option<Amount> {
    Amount::new(prices.iter().map(|price| price.decimal()).sum()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn cents(cents: i64) -> Amount {
        Amount::new(Decimal::new(cents, 2)).unwrap()
    }

    proptest! {
        #[test]
        fn what_stays_and_what_goes_come_to_what_there_was(all in 0_i64..1_000_000, told in 0_i64..1_200_000) {
            for part in [Part::Price { own_prices: None }, Part::BrokerFee, Part::CodAmount] {
                let (mut whole, mut violations) = (Some(cents(all)), Violations::default());
                let goes = divide(&mut whole, Some(cents(told)), part, &mut violations);
                prop_assert_eq!(violations.into_result().is_ok(), told <= all);
                prop_assert_eq!(whole.unwrap().decimal() + goes.unwrap_or(Amount::ZERO).decimal(), cents(all).decimal());
            }
        }
    }

    #[test]
    fn no_price_is_guessed() {
        let divided = |own_prices: Option<Amount>, told: Option<Amount>| {
            let (mut whole, mut violations) = (Some(cents(90_000)), Violations::default());
            let goes = divide(&mut whole, told, Part::Price { own_prices }, &mut violations);
            violations.into_result().map(|()| (whole.unwrap(), goes.unwrap())).ok()
        };
        assert_eq!(divided(Some(cents(45_001)), None), Some((cents(44_999), cents(45_001))));
        assert_eq!(divided(Some(cents(45_001)), Some(cents(1))), Some((cents(89_999), cents(1))));
        assert_eq!(divided(None, None), None);
        assert_eq!(divided(Some(cents(90_001)), None), None, "more than the order's price");
        let (mut none, mut violations) = (None, Violations::default());
        assert_eq!(divide(&mut none, None, Part::Price { own_prices: Some(cents(1)) }, &mut violations), None);
        assert!(violations.into_result().is_ok(), "an order without a price is two without one");
    }
}
