//! What the carrier is paid, how and when.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::{Draft, Told, Vehicle};
use super::labels::{Label, Part};
use super::money::{self, Sum};
use super::payment;
use super::reader::{Origin, Piece};
use super::source::{Slot, cuts_amount, pattern, told};
use super::vehicle_words::shares;
use crate::base::money::Amount;
use crate::base::strings::Currency;
use crate::orders::{PaymentMethod, PaymentTerm};

static TOTAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:total|pays?|paying|paid|rate|price|all in|for the load|for all|carrier pay|offer(?:ing)?)\b")
});

/// Sums that are not the order's.
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:storage|per day|a day|late|detention|deduct\w*|penalt\w+|fine|insurance|deposit|owes?|fees?|layover|tonu|dry run|value|worth|charge(?:d|s)?|per mile)\b|/mi(?:le)?\b|/day\b",
    )
});
static EACH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^\s*(?:/|per\b|an?\b|for each\b)?\s*(?:each|ea|unit|car|vehicle|piece|veh)\b"));

/// A sum without a sign, beside a word that makes it one.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?P<a>\d{2,5})\s+(?:cash(?: on delivery)?|cod|c\.o\.d|all in|comche?c?k|certified)\b",
        r"|\b(?:pays?|paying|rate|price|cod|total|offer(?:ing)?)(?:\s(?:is|of|carrier pay))?\s*:?\s+(?P<b>\d{1,3}(?:,\d{3})+(?:\.\d{2})?|\d{2,5}(?:\.\d{2})?)\b"
    ))
});

/// Whether a sentence with one sum in it tells of the whole order.
pub fn is_total(text: &str) -> bool {
    TOTAL.is_match(text) || payment::is_collected(text)
}

#[derive(Default)]
pub struct Reader {
    price: Slot<Amount>,
    fee: Slot<Amount>,
    cod: Slot<Amount>,
    each: Slot<Amount>,
    currency: Slot<Currency>,
    method: Slot<PaymentMethod>,
    term: Slot<PaymentTerm>,
}

/// `taken` are the pieces that tell of a vehicle: a sum there is the vehicle's.
pub fn read(pieces: &[Piece<'_>], taken: &[bool]) -> Reader {
    let mut reader = Reader::default();
    for (piece, &taken) in pieces.iter().zip(taken) {
        let elsewhere = matches!(piece.part, Some(Part::Notes | Part::Carrier))
            || matches!(piece.origin, Origin::Sender | Origin::Sent | Origin::Subject);
        if !elsewhere {
            reader.piece(piece, taken);
        }
    }
    reader
}

impl Reader {
    fn piece(&mut self, piece: &Piece<'_>, taken: bool) {
        let (text, depth) = (piece.text, piece.depth);
        match piece.label {
            Some(Label::Price) if !taken => {
                if let Some(sum) = money::first(text) {
                    let slot = if EACH.is_match(&text[sum.end..]) { &mut self.each } else { &mut self.price };
                    slot.offer(depth, Some(sum.told(0.95, text)));
                    self.currency.offer(depth, sum.currency());
                }
                self.payment(piece, false, 1.0);
            }
            Some(Label::Fee) => self.fee.offer(depth, money::first(text).map(|sum| sum.told(0.95, text))),
            Some(Label::Cod) => self.collected(piece),
            Some(Label::Payment) => {
                self.payment(piece, true, 1.0);
                for sum in money::sums(text) {
                    self.price.offer(depth, (!sum.amount.decimal().is_zero()).then(|| sum.told(0.7, text)));
                }
            }
            Some(Label::Currency) => {
                let code = text.trim().to_ascii_uppercase();
                self.currency.offer(depth, Currency::parse(&code).ok().map(|currency| told(currency, 0.95, text)));
            }
            None => self.sentence(piece, taken),
            Some(_) => {}
        }
    }

    fn collected(&mut self, piece: &Piece<'_>) {
        let Some(sum) = money::first(piece.text) else { return self.payment(piece, true, 0.9) };
        self.cod.offer(piece.depth, Some(sum.told(0.95, piece.text)));
        if !sum.amount.decimal().is_zero() {
            self.payment(piece, true, 0.9);
            self.method.offer(piece.depth, Some(told(PaymentMethod::Cash, 0.6, piece.text)));
            self.term.offer(piece.depth, Some(told(PaymentTerm::OnDelivery, 0.7, piece.text)));
        }
    }

    fn payment(&mut self, piece: &Piece<'_>, sure: bool, weight: f64) {
        let weigh = |confidence: f64| (confidence * weight * 100.0).round() / 100.0;
        let method = payment::method(piece.text).map(|told| Told { confidence: weigh(told.confidence), ..told });
        let term = payment::term(piece.text, sure).map(|told| Told { confidence: weigh(told.confidence), ..told });
        self.method.offer(piece.depth, method);
        self.term.offer(piece.depth, term);
    }

    fn sentence(&mut self, piece: &Piece<'_>, taken: bool) {
        let text = piece.text;
        let sums = money::sums(text);
        let of_several = taken && sums.len() == 1 && shares(text).len() > 1;
        let of_order = !taken || of_several || is_total(text) || payment::method(text).is_some();
        // Nobody hauls for nothing: only a field can say so.
        for sum in sums.iter().filter(|sum| of_order && !sum.amount.decimal().is_zero()) {
            self.sum(piece, sum);
        }
        if sums.is_empty() {
            self.bare(piece);
        }
        self.payment(piece, piece.part == Some(Part::Payment), if taken { 0.8 } else { 0.9 });
    }

    fn sum(&mut self, piece: &Piece<'_>, sum: &Sum<'_>) {
        let (text, depth) = (piece.text, piece.depth);
        let (before, after) = (around(&text[..sum.start], 30, true), around(&text[sum.end..], 30, false));
        self.currency.offer(depth, sum.currency());
        if EACH.is_match(after) {
            return self.each.offer(depth, Some(sum.told(0.9, text)));
        }
        let near = around(after, 12, false);
        if payment::is_collected(near) || payment::is_collected(around(before, 12, true)) {
            return self.cod.offer(depth, Some(sum.told(0.9, text)));
        }
        if OTHER.is_match(before) || OTHER.is_match(near) {
            return;
        }
        let confidence = if TOTAL.is_match(before) || TOTAL.is_match(after) { 0.9 } else { 0.7 };
        self.price.offer(depth, Some(sum.told(confidence, text)));
    }

    fn bare(&mut self, piece: &Piece<'_>) {
        let Some(found) = BARE.captures(piece.text) else { return };
        let Some(digits) = found.name("a").or(found.name("b")) else { return };
        if cuts_amount(piece.text, digits.start(), digits.end()) {
            return;
        }
        let Some(sum) = money::first(digits.as_str()) else { return };
        let slot = if payment::is_collected(&found[0]) { &mut self.cod } else { &mut self.price };
        slot.offer(piece.depth, Some(sum.told(0.8, &found[0])));
    }

    /// Puts what was read on the draft, and what follows: a price for each vehicle is one for all.
    pub fn put_on(self, draft: &mut Draft) {
        if let Some(each) = self.each.get() {
            for vehicle in draft.vehicles.iter_mut().filter(|vehicle| vehicle.price.is_none()) {
                vehicle.price = Some(each.clone());
            }
        }
        draft.price = self.price.take();
        draft.broker_fee = self.fee.take();
        draft.cod_amount = self.cod.take();
        draft.currency = self.currency.take();
        draft.payment_method = self.method.take();
        draft.payment_term = self.term.take();
        if draft.price.is_none() {
            // The driver collects all that is told of.
            let collected = draft.cod_amount.as_ref().filter(|cod| !cod.value.decimal().is_zero());
            draft.price = all_told(&mut draft.vehicles).or_else(|| collected.cloned());
        }
    }
}

/// The prices of all vehicles together; that of a single one is the order's.
fn all_told(vehicles: &mut [Vehicle]) -> Option<Told<Amount>> {
    if let [only] = vehicles {
        return only.price.take();
    }
    let prices: Option<Vec<_>> = vehicles.iter().map(|vehicle| vehicle.price.as_ref()).collect();
    let prices = prices.filter(|prices| !prices.is_empty())?;
    let sum = Amount::new(prices.iter().map(|told| told.value.decimal()).sum()).ok()?;
    Some(told(sum, 0.7, &prices[0].quote))
}

/// Up to `length` bytes at the end, or at the beginning.
fn around(text: &str, length: usize, at_end: bool) -> &str {
    let mut cut = if at_end { text.len().saturating_sub(length) } else { length.min(text.len()) };
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    if at_end { &text[cut..] } else { &text[..cut] }
}
