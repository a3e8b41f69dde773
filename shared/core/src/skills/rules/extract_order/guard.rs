//! What is checked of a draft whoever wrote it: this crate's rules, or a model that was shown an untrusted text. Types see
//! to forms and ranges; here is what needs the text beside the draft.

use std::collections::HashSet;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::dates::Calendar;
use super::draft::{Customer, Draft, Input, MAX_NOTES, MAX_QUOTE, Output, Stop, Told, Vehicle, Warning, WarningCode};
use super::source::{cuts_amount, cuts_word, is_space};
use super::{ToldOf, condition, dates, makes, money, payment, states, transport, vehicle_words};
use crate::base::error::{Error, Result, Violations};
use crate::base::money::Amount;
use crate::orders::MAX_VEHICLES;

/// Takes a provider's output for `input`. What follows from the draft is computed anew, not believed.
///
/// # Errors
/// [`Error::Invalid`] with a pointer for each field whose form is wrong, whose quote does not occur in the text, or whose
/// value cannot be read out of its quote.
pub fn admit(input: &Input, output: Value) -> Result<Output> {
    let output: Output = serde_path_to_error::deserialize(output).map_err(|error| {
        let pointer = format!("/{}", error.path().to_string().replace(['.', '['], "/").replace(']', ""));
        Error::invalid(pointer, error.inner().to_string())
    })?;
    let told = ToldOf::of(input);
    check(input, &output.order, &told.calendar)?;
    Ok(conclude(output.order, Vec::new(), &told))
}

fn check(input: &Input, draft: &Draft, calendar: &Calendar) -> Result<()> {
    let mut checker = Checker { source: squeeze(input.text.as_str()), violations: Violations::default() };
    checker.customer(&draft.customer);
    checker.copied("/order/reference", draft.reference.as_ref());
    checker.stop("/order/pickup", &draft.pickup, calendar);
    checker.stop("/order/delivery", &draft.delivery, calendar);
    let transport = draft.transport_type.as_ref();
    checker.fitting("/order/transport_type", transport, |kind, quote| transport::may_be(*kind, quote));
    checker.price(draft);
    checker.amount("/order/broker_fee", draft.broker_fee.as_ref());
    checker.amount("/order/cod_amount", draft.cod_amount.as_ref());
    checker.quoted("/order/currency", draft.currency.as_ref());
    let (method, term) = (draft.payment_method.as_ref(), draft.payment_term.as_ref());
    checker.fitting("/order/payment_method", method, |method, quote| payment::may_be_method(*method, quote));
    checker.fitting("/order/payment_term", term, |term, quote| payment::may_be_term(*term, quote));
    for (index, vehicle) in draft.vehicles.iter().enumerate() {
        checker.vehicle(&format!("/order/vehicles/{index}"), vehicle);
    }
    for (index, note) in draft.notes.iter().enumerate() {
        checker.copied(&format!("/order/notes/{index}"), Some(note));
    }
    let Checker { mut violations, .. } = checker;
    let most = |count: usize, max: usize| (count <= max, format!("must have at most {max} entries, this has {count}"));
    let (few, detail) = most(draft.vehicles.len(), MAX_VEHICLES);
    violations.add_unless(few, "/order/vehicles", detail);
    let (few, detail) = most(draft.notes.len(), MAX_NOTES);
    violations.add_unless(few, "/order/notes", detail);
    violations.into_result()
}

struct Checker {
    source: String,
    violations: Violations,
}

impl Checker {
    fn customer(&mut self, customer: &Customer) {
        self.copied("/order/customer/name", customer.name.as_ref());
        self.copied("/order/customer/contact_name", customer.contact_name.as_ref());
        self.copied("/order/customer/phone", customer.phone.as_ref());
        self.copied("/order/customer/email", customer.email.as_ref());
        self.copied("/order/customer/mc_number", customer.mc_number.as_ref());
        self.copied("/order/customer/usdot", customer.usdot.as_ref());
    }

    fn stop(&mut self, at: &str, stop: &Stop, calendar: &Calendar) {
        self.copied(&format!("{at}/name"), stop.name.as_ref());
        self.copied(&format!("{at}/address"), stop.address.as_ref());
        self.copied(&format!("{at}/city"), stop.city.as_ref());
        let state = stop.state.as_ref();
        self.read(&format!("{at}/state"), state, |state, quote| states::is_named(quote, state.as_str()));
        self.copied(&format!("{at}/zip"), stop.zip.as_ref());
        self.copied(&format!("{at}/contact_name"), stop.contact_name.as_ref());
        self.copied(&format!("{at}/phone"), stop.phone.as_ref());
        for (field, told) in [("from", &stop.from), ("to", &stop.to)] {
            self.read(&format!("{at}/{field}"), told.as_ref(), |time, quote| dates::names(quote, *time, calendar));
        }
        self.copied(&format!("{at}/buyer_number"), stop.buyer_number.as_ref());
        self.copied(&format!("{at}/gate_number"), stop.gate_number.as_ref());
    }

    fn vehicle(&mut self, at: &str, vehicle: &Vehicle) {
        self.copied(&format!("{at}/vin"), vehicle.vin.as_ref());
        self.read(&format!("{at}/year"), vehicle.year.as_ref(), |year, quote| vehicle_words::names_year(quote, *year));
        // "Chevy" is a Chevrolet.
        self.read(&format!("{at}/make"), vehicle.make.as_ref(), |make, quote| {
            letters(quote).contains(&letters(make.as_str())) || makes::named(quote).any(|named| named == make.as_str())
        });
        self.copied(&format!("{at}/model"), vehicle.model.as_ref());
        let kind = vehicle.r#type.as_ref();
        self.fitting(&format!("{at}/type"), kind, |kind, quote| makes::may_be_type(*kind, quote));
        self.copied(&format!("{at}/color"), vehicle.color.as_ref());
        self.copied(&format!("{at}/lot_number"), vehicle.lot_number.as_ref());
        self.fitting(&format!("{at}/is_inoperable"), vehicle.is_inoperable.as_ref(), |value, quote| {
            condition::read(quote).is_inoperable.is_none_or(|read| read.value == *value)
        });
        for (index, flag) in vehicle.inoperable_flags.iter().enumerate() {
            self.fitting(&format!("{at}/inoperable_flags/{index}"), Some(flag), |flag, quote| {
                let read = condition::read(quote);
                read.is_empty() || read.flags.iter().any(|known| known.value == *flag)
            });
        }
        self.amount(&format!("{at}/price"), vehicle.price.as_ref());
    }

    /// The price of all may be told by that of each.
    fn price(&mut self, draft: &Draft) {
        let each: Option<Vec<Amount>> =
            draft.vehicles.iter().map(|vehicle| vehicle.price.as_ref().map(|told| told.value)).collect();
        let sum = each.filter(|each| !each.is_empty()).map(|each| each.iter().map(|amount| amount.decimal()).sum());
        if sum.is_some() && sum == draft.price.as_ref().map(|told| told.value.decimal()) {
            self.quoted("/order/price", draft.price.as_ref());
        } else {
            self.amount("/order/price", draft.price.as_ref());
        }
    }

    fn amount(&mut self, at: &str, told: Option<&Told<Amount>>) {
        let is_whole = told.is_none_or(|told| self.stands_apart(&told.quote, cuts_amount));
        self.read(at, told, |amount, quote| is_whole && money::names(quote, *amount));
    }

    /// The value is what the quote says. A text from outside may ask for a price of its own, and a model may obey: what it
    /// then says must at least stand there as a price, for a person to see.
    fn read<T>(&mut self, at: &str, told: Option<&Told<T>>, says: impl FnOnce(&T, &str) -> bool) {
        let Some(told) = told else { return };
        if self.quoted(at, Some(told)) {
            self.violations.add_unless(
                says(&told.value, &told.quote) && self.stands_apart(&told.quote, cuts_word),
                format!("{at}/value"),
                "cannot be read out of its quote",
            );
        }
    }

    /// The value is not another than the quote's words say, where they are words that we know.
    fn fitting<T>(&mut self, at: &str, told: Option<&Told<T>>, may_be: impl FnOnce(&T, &str) -> bool) {
        let Some(told) = told else { return };
        if self.quoted(at, Some(told)) {
            let may_be = may_be(&told.value, &told.quote);
            self.violations.add_unless(may_be, format!("{at}/value"), "is not what its quote says");
        }
    }

    /// Whether the quote cuts no number: $450 says nothing of $45.
    fn stands_apart(&self, quote: &str, cuts: fn(&str, usize, usize) -> bool) -> bool {
        let quote = squeeze(quote);
        self.source.match_indices(&quote).any(|(at, _)| !cuts(&self.source, at, at + quote.len()))
    }

    /// The quote is in the text, and the confidence is one.
    fn quoted<T>(&mut self, at: &str, told: Option<&Told<T>>) -> bool {
        let Some(told) = told else { return true };
        let quote = squeeze(&told.quote);
        let short = quote.chars().count() <= MAX_QUOTE;
        self.violations.add_unless(short, format!("{at}/quote"), format!("must have at most {MAX_QUOTE} characters"));
        let occurs = !quote.is_empty() && self.source.contains(&quote);
        self.violations.add_unless(occurs, format!("{at}/quote"), "does not occur in the text");
        let likely = (0.0..=1.0).contains(&told.confidence);
        self.violations.add_unless(likely, format!("{at}/confidence"), "must be from 0 to 1");
        occurs
    }

    /// The value is in the quote besides: a name, a number or an address is copied, not composed.
    fn copied<T: Serialize>(&mut self, at: &str, told: Option<&Told<T>>) {
        let Some(told) = told else { return };
        self.quoted(at, Some(told));
        let value = serde_json::to_value(&told.value).unwrap_or_default();
        let copied = letters(&told.quote).contains(&letters(value.as_str().unwrap_or_default()));
        self.violations.add_unless(copied, format!("{at}/value"), "does not occur in its quote");
    }
}

/// Each run of spaces, line breaks, quote marks of mails and invisible characters as one space.
fn squeeze(text: &str) -> String {
    let words = text.split(|c| is_space(c) || c == '>').filter(|word| !word.is_empty());
    words.fold(String::with_capacity(text.len()), |mut all, word| {
        if !all.is_empty() {
            all.push(' ');
        }
        all + word
    })
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Completes a draft with what follows from it.
pub(super) fn conclude(order: Draft, mut warnings: Vec<Warning>, told: &ToldOf) -> Output {
    let mut warn = |code, pointer: &str, detail: String| {
        warnings.push(Warning { code, pointer: pointer.to_owned(), detail });
    };
    warn_of_vins(&order, &mut warn);
    warn_of_money(&order, &mut warn);
    warn_of_windows(&order, &mut warn);
    warn_of_days(&order, &told.calendar, &mut warn);
    if let Some(detail) = told.count.differs(order.vehicles.len()) {
        warn(WarningCode::VehicleCountDiffers, "/vehicles", detail);
    }
    Output { missing: missing(&order), order, warnings, possible_duplicates: Vec::new() }
}

fn warn_of_vins(order: &Draft, warn: &mut impl FnMut(WarningCode, &str, String)) {
    let mut seen = HashSet::new();
    for (index, vehicle) in order.vehicles.iter().enumerate() {
        let Some(vin) = vehicle.vin.as_ref().map(|vin| &vin.value) else { continue };
        let pointer = format!("/vehicles/{index}/vin");
        if !vin.check_digit_fits() {
            let detail = format!("the check digit of {} does not fit: compare it with the vehicle", vin.as_str());
            warn(WarningCode::VinCheckDigit, &pointer, detail);
        }
        if !seen.insert(vin) {
            warn(WarningCode::VinRepeated, &pointer, format!("{} is on the order twice", vin.as_str()));
        }
    }
}

fn warn_of_money(order: &Draft, warn: &mut impl FnMut(WarningCode, &str, String)) {
    let amount = |told: &Option<Told<crate::base::money::Amount>>| told.as_ref().map(|told| told.value.decimal());
    if let Some(method) = &order.payment_method
        && let Some(term) = &order.payment_term
        && !method.value.takes(term.value)
    {
        let detail = format!("{} is not paid {}", method.value.as_str(), term.value);
        warn(WarningCode::PaymentDoesNotFit, "/payment_term", detail);
    }
    let Some(price) = amount(&order.price) else { return };
    if price.is_zero() {
        warn(WarningCode::PriceIsZero, "/price", "nobody hauls for nothing".into());
    }
    if let Some(fee) = amount(&order.broker_fee).filter(|&fee| fee > price) {
        warn(WarningCode::FeeAbovePrice, "/broker_fee", format!("{fee} is more than the price of {price}"));
    }
    if let Some(cod) = amount(&order.cod_amount).filter(|&cod| cod > price) {
        warn(WarningCode::CodAbovePrice, "/cod_amount", format!("{cod} is more than the price of {price}"));
    }
    let prices: Option<Vec<Decimal>> = order.vehicles.iter().map(|vehicle| amount(&vehicle.price)).collect();
    if let Some(sum) = prices.filter(|prices| !prices.is_empty()).map(|prices| prices.iter().sum::<Decimal>())
        && sum != price
    {
        let detail = format!("the vehicles' prices come to {sum}, the order's price is {price}");
        warn(WarningCode::VehiclePricesDoNotAddUp, "/price", detail);
    }
}

fn warn_of_windows(order: &Draft, warn: &mut impl FnMut(WarningCode, &str, String)) {
    for (stop, pointer) in [(&order.pickup, "/pickup/to"), (&order.delivery, "/delivery/to")] {
        if let (Some(from), Some(to)) = (&stop.from, &stop.to)
            && (to.value.date < from.value.date
                || to.value.date == from.value.date
                    && to.value.time.zip(from.value.time).is_some_and(|(to, from)| to < from))
        {
            let detail = format!("{} is before {}", to.value, from.value);
            warn(WarningCode::WindowClosesBeforeItOpens, pointer, detail);
        }
    }
    let last_day = order.delivery.to.as_ref().or(order.delivery.from.as_ref());
    if let (Some(pickup), Some(delivery)) = (&order.pickup.from, last_day)
        && delivery.value.date < pickup.value.date
    {
        let detail = format!("delivery on {} is before pickup on {}", delivery.value.date, pickup.value.date);
        warn(WarningCode::DeliveryBeforePickup, "/delivery/to", detail);
    }
}

fn warn_of_days(order: &Draft, calendar: &Calendar, warn: &mut impl FnMut(WarningCode, &str, String)) {
    for (stop, at) in [(&order.pickup, "/pickup"), (&order.delivery, "/delivery")] {
        let (from, to) = (stop.from.as_ref(), stop.to.as_ref());
        let days = [(from, "from"), (to, "to")].map(|(told, end)| Some((told?, format!("{at}/{end}"))));
        for (told, pointer) in days.iter().flatten() {
            if let Some(other) = dates::other_reading(&told.quote, told.value.date, calendar) {
                let detail = format!("{} may be {other}: the numbers can be read in either order", told.value.date);
                warn(WarningCode::DateAmbiguous, pointer, detail);
            }
        }
        // A vehicle may have been ready for long; what counts is when its window closes.
        if let (Some((last, pointer)), Some(received)) = (days.iter().flatten().last(), calendar.received)
            && last.value.date < received
        {
            let detail = format!("{} is before the tender arrived on {received}", last.value.date);
            warn(WarningCode::DateInPast, pointer, detail);
        }
    }
}

/// What an order cannot be made without, or is not much worth without.
fn missing(order: &Draft) -> Vec<String> {
    let mut missing = Vec::new();
    let mut need = |given: bool, pointer: String| {
        if !given {
            missing.push(pointer);
        }
    };
    need(order.customer.name.is_some(), "/customer/name".into());
    for (stop, at) in [(&order.pickup, "/pickup"), (&order.delivery, "/delivery")] {
        need(stop.city.is_some(), format!("{at}/city"));
        need(stop.state.is_some(), format!("{at}/state"));
        need(stop.from.is_some(), format!("{at}/from"));
        need(stop.to.is_some(), format!("{at}/to"));
    }
    need(order.transport_type.is_some(), "/transport_type".into());
    need(order.price.is_some(), "/price".into());
    need(order.payment_method.is_some(), "/payment_method".into());
    need(order.payment_term.is_some(), "/payment_term".into());
    need(!order.vehicles.is_empty(), "/vehicles".into());
    for (index, vehicle) in order.vehicles.iter().enumerate() {
        need(vehicle.vin.is_some(), format!("/vehicles/{index}/vin"));
        need(vehicle.year.is_some(), format!("/vehicles/{index}/year"));
        need(vehicle.make.is_some(), format!("/vehicles/{index}/make"));
        need(vehicle.model.is_some(), format!("/vehicles/{index}/model"));
    }
    missing
}
