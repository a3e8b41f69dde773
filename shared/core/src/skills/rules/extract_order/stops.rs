//! Where and when: the two stops of a tender.

use std::sync::LazyLock;

use chrono::NaiveDate;
use regex::Regex;

use super::contacts::{self, is_company, is_person};
use super::dates::{self, Bound, Calendar};
use super::draft::{LocalTime, Stop, Told};
use super::labels::{Label, Part};
use super::parts::{parts, who};
use super::payment;
use super::places;
use super::reader::{Origin, Piece};
use super::source::{Slot, clean, is_space, offset, pattern, told, trim};
use super::states;
use super::transport;
use crate::base::strings::{Phone, StateCode, Zip};
use crate::base::text::{Name, Text};

#[derive(Default)]
struct Reader<'a> {
    source: &'a str,
    name: Slot<Name>,
    address: Slot<Text<200>>,
    city: Slot<Name>,
    state: Slot<StateCode>,
    zip: Slot<Zip>,
    contact_name: Slot<Name>,
    phone: Slot<Phone>,
    from: Slot<LocalTime>,
    to: Slot<LocalTime>,
    buyer_number: Slot<Text<40>>,
    gate_number: Slot<Text<40>>,
    /// Parts of an address whose city has not come yet.
    pending: Vec<&'a str>,
    paragraph: usize,
}

/// Reads pickup and delivery.
pub fn read(source: &str, pieces: &[Piece<'_>], taken: &[bool], calendar: &Calendar) -> (Stop, Stop) {
    let new = || Reader { source, ..Reader::default() };
    let (mut pickup, mut delivery) = (new(), new());
    for (piece, &taken) in pieces.iter().zip(taken) {
        if taken || matches!(piece.origin, Origin::Sender | Origin::Sent | Origin::Subject) {
            continue;
        }
        match (piece.part, piece.label) {
            (Some(Part::Pickup), _) => pickup.piece(piece, calendar),
            (Some(Part::Delivery), _) => delivery.piece(piece, calendar),
            // "Ready 11/23" in no block.
            (None, Some(Label::From | Label::Earliest)) => pickup.piece(piece, calendar),
            (None, Some(Label::To)) => delivery.piece(piece, calendar),
            (Some(Part::Notes | Part::Carrier), _) => {}
            (_, Some(Label::BuyerNumber | Label::GateNumber)) => pickup.piece(piece, calendar),
            _ => {}
        }
    }
    if pickup.city.is_empty() && delivery.city.is_empty() {
        route(pieces, &mut pickup, &mut delivery);
    }
    (pickup.finish(), delivery.finish())
}

/// "Dallas TX to Houston TX" in a sentence.
fn route<'a>(pieces: &[Piece<'a>], pickup: &mut Reader<'a>, delivery: &mut Reader<'a>) {
    let readable = |piece: &&Piece<'_>| !matches!(piece.part, Some(Part::Notes | Part::Carrier));
    let found = pieces.iter().filter(readable).find_map(|piece| Some((piece.depth, places::route(piece.text)?)));
    let Some((depth, (from, to))) = found else { return };
    for (stop, end) in [(pickup, Some(from)), (delivery, to)] {
        let Some(end) = end else { continue };
        let confidence = if end.state.is_some() { 0.7 } else { 0.5 };
        stop.city.offer(depth, contacts::name(end.city, confidence));
        if let Some((code, quote)) = end.state {
            stop.state.offer(depth, StateCode::parse(code).ok().map(|state| told(state, confidence, quote)));
        }
        if let Some(zip) = end.zip {
            stop.zip.offer(depth, Zip::parse(zip).ok().map(|value| told(value, 0.8, zip)));
        }
    }
}

static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^(?:(?:pick(?:s|ed|ing)?[\s-]?up|p/?u|del|deliver(?:s|ed|y|ing)?|drop(?:s|ped|ping)?[\s-]?off|d/?o|origin|destination|",
        r"collect(?:ed)?|going|coming|located|must be|can be|it is|available|needs? it|ship(?:ped|s)?|from|to|at|is|for|in|the|it|us)",
        r"(?:\s+|$))+"
    ))
});
static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^(?:contact|attn|attention|ask for|c/o|see|call|poc)\b[:\s]*|^(?:mr|mrs|ms|dr)\.?\s")
});

impl<'a> Reader<'a> {
    fn piece(&mut self, piece: &Piece<'a>, calendar: &Calendar) {
        if piece.paragraph != self.paragraph {
            self.settle(piece.depth, false);
            self.paragraph = piece.paragraph;
        }
        let (text, depth) = (trim(piece.text), piece.depth);
        match piece.label {
            Some(Label::Name) => self.name.offer(depth, contacts::name(text, 0.95)),
            Some(Label::State) => {
                let city = self.pending.pop();
                if let Some(city) = city.filter(|_| self.city.is_empty()) {
                    self.place(depth, city);
                }
                let code = states::code(text).and_then(|code| StateCode::parse(code).ok());
                self.state.offer(depth, code.map(|code| told(code, 0.95, text)));
            }
            Some(Label::Zip) => self.zip.offer(depth, Zip::parse(text).ok().map(|zip| told(zip, 0.95, text))),
            Some(Label::Contact) => {
                self.contact(depth, text);
                self.window(piece, calendar, Bound::Both);
            }
            Some(Label::Phone) => self.phone.offer(depth, phone(text, 0.95)),
            Some(Label::Date) => self.window(piece, calendar, Bound::Both),
            Some(Label::From | Label::Earliest) => self.window(piece, calendar, Bound::From),
            Some(Label::To) => self.window(piece, calendar, Bound::To),
            Some(Label::BuyerNumber) => self.buyer_number.offer(depth, code(text)),
            Some(Label::GateNumber) => self.gate_number.offer(depth, code(text)),
            None | Some(Label::Place | Label::Reference) => {
                self.numbers(depth, text);
                self.block(depth, text, calendar);
                self.window(piece, calendar, Bound::Both);
            }
            Some(_) => {}
        }
        if piece.label == Some(Label::From) {
            // "Available from 10/7 at Ironwood Yard, ..".
            self.block(depth, text, calendar);
        }
    }

    fn window(&mut self, piece: &Piece<'a>, calendar: &Calendar, bound: Bound) {
        let window = dates::window(piece.text, calendar, bound);
        self.from.offer(piece.depth, window.from);
        self.to.offer(piece.depth, window.to);
    }

    /// Numbers that are told in a sentence.
    fn numbers(&mut self, depth: u8, text: &str) {
        static BUYER: LazyLock<Regex> = LazyLock::new(|| {
            pattern(r"(?i)\bbuyer'?s?\s*(?:#|no\.?|number|id|code)+\s*:?\s*(?P<code>[a-z0-9-]*\d[a-z0-9-]*)")
        });
        static GATE: LazyLock<Regex> = LazyLock::new(|| {
            pattern(r"(?i)\bgate\s*(?:pass|code|pin|#|no\.?|number)*\s*:?\s*(?P<code>[a-z0-9-]*\d[a-z0-9-]*)")
        });
        let find = |pattern: &Regex| code(pattern.captures(text)?.name("code")?.as_str());
        self.buyer_number.offer(depth, find(&BUYER));
        self.gate_number.offer(depth, find(&GATE));
    }

    fn contact(&mut self, depth: u8, text: &'a str) {
        let phones = contacts::phones(text);
        let Some(phone) = phones.first() else {
            let name = parts(text).into_iter().next().unwrap_or(text);
            return self.contact_name.offer(depth, contacts::name(name, 0.95));
        };
        self.phone.offer(depth, contacts::phone(phone, 0.95));
        self.contact_name.offer(depth, contacts::name(who(&text[..offset(text, phone)]), 0.95));
    }

    /// An address in one line or in several, with whom to ask for in or behind it.
    fn block(&mut self, depth: u8, text: &'a str, calendar: &Calendar) {
        let has_phone = !contacts::phones(text).is_empty();
        let mut complete = false;
        for part in parts(text) {
            let part = &part[LEAD.find(part).map_or(0, |lead| lead.end())..];
            let other = part.contains('@') || transport::is_told(part) || payment::method(part).is_some();
            if part.is_empty() || other {
                continue;
            }
            if let Some(phone) = contacts::phones(part).first() {
                self.called(depth, part, phone);
            } else if let Some(lead) = CONTACT.find(part) {
                let titled =
                    part[lead.end()..].is_empty() || !lead.as_str().to_lowercase().starts_with(['c', 'a', 's', 'p']);
                self.contact_name.offer(depth, contacts::name(if titled { part } else { &part[lead.end()..] }, 0.85));
            } else if let Some(found) = places::find(part).filter(|found| !complete && self.is_place(part, found)) {
                complete = true;
                self.found(depth, &found, has_phone);
            } else if places::is_zip(part) {
                self.zip.offer(depth, Zip::parse(part).ok().map(|zip| told(zip, 0.9, part)));
            } else if dates::day(part, calendar.received.or(NaiveDate::from_ymd_opt(2000, 1, 1))).is_none() {
                self.pending.push(part);
            }
        }
        if complete {
            // What stands behind an address is no part of the next.
            self.pending.clear();
        }
    }

    /// A telephone number, and who answers it.
    fn called(&mut self, depth: u8, part: &'a str, phone: &str) {
        self.phone.offer(depth, contacts::phone(phone, 0.9));
        let who = who(&part[..offset(part, phone)]);
        if !who.is_empty() {
            if places::find(who).is_none() && who.split_whitespace().count() <= 4 {
                self.contact_name.offer(depth, contacts::name(who, 0.85));
            }
        } else if self.pending.last().is_some_and(|last| is_person(last)) {
            let who = self.pending.pop().unwrap_or_default();
            self.contact_name.offer(depth, contacts::name(who, 0.8));
        }
    }

    /// "12 Main St NE" and "6 MAPLE CT" are streets: a city stands before a state.
    fn is_place(&self, part: &str, found: &places::Found<'_>) -> bool {
        let street = places::is_street(part) && places::split(found.before).2.is_empty();
        let alone = found.before.is_empty() && self.pending.is_empty();
        found.zip.is_some() || !(street || alone)
    }

    fn found(&mut self, depth: u8, found: &places::Found<'a>, has_phone: bool) {
        let before = found.before.trim_end_matches([',', ' ']);
        let city = if before.is_empty() {
            self.pending.pop()
        } else {
            let (name, street, city) = places::split(before);
            self.pending.extend([trim(name), trim(street)].into_iter().filter(|part| !part.is_empty()));
            Some(city)
        };
        if let Some(city) = city {
            self.place(depth, trim(city));
        }
        // "Arne, 5 Lakeshore Trail, .., 218-555-0115".
        let alone = |name: &&Told<Name>| is_person(&name.quote) && !name.quote.contains(' ');
        if has_phone
            && self.contact_name.is_empty()
            && let Some(name) = self.name.get().filter(alone).cloned()
        {
            self.name = Slot::default();
            self.contact_name.offer(depth, Some(Told { confidence: 0.7, ..name }));
        }
        let code = StateCode::parse(found.state).ok();
        self.state.offer(depth, code.map(|code| told(code, 0.9, found.state_quote)));
        self.zip.offer(depth, found.zip.and_then(|zip| Some(told(Zip::parse(&clean(zip)).ok()?, 0.95, zip))));
    }

    /// The city is known: what was pending before it is a name and a street.
    fn place(&mut self, depth: u8, city: &'a str) {
        self.city.offer(depth, contacts::name(city, 0.9));
        self.settle(depth, true);
    }

    /// What is pending becomes name and street; without either a street or a city, only what is surely a company's name.
    fn settle(&mut self, depth: u8, in_city: bool) {
        let pending = std::mem::take(&mut self.pending);
        let street = pending.iter().rposition(|part| places::is_street(part));
        if let Some(street) = street {
            let units = pending[street + 1..].iter().take_while(|part| places::is_unit(part)).count();
            let address = self.span(&pending[street..=street + units]);
            let value = Text::parse(&clean(address)).ok();
            self.address.offer(depth, value.map(|value| told(value, 0.9, address)));
        }
        let names = &pending[..street.unwrap_or(pending.len())];
        let Some((first, rest)) = names.split_first() else { return };
        // "Ocean Terminal, Gate 4".
        let whole = self.span(names);
        let joined = rest.len() == 1 && !is_person(rest[0]) && !whole.contains('\n') && is_company(first);
        let name = if joined { whole } else { first };
        if (in_city || street.is_some() || is_company(name)) && !name.starts_with(char::is_lowercase) {
            self.name.offer(depth, contacts::name(name, 0.85));
        }
    }

    /// From the first of some parts to the last, as the text has it.
    fn span(&self, parts: &[&'a str]) -> &'a str {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return "" };
        let (start, end) = (offset(self.source, first), offset(self.source, last) + last.len());
        self.source.get(start..end).unwrap_or(first)
    }

    fn finish(mut self) -> Stop {
        // A city without a state: "City: Tulsa".
        if self.city.is_empty()
            && let [only] = self.pending.as_slice()
            && is_person(only)
        {
            self.city.offer(0, contacts::name(only, 0.5));
            self.pending.clear();
        }
        self.settle(0, false);
        Stop {
            name: self.name.take(),
            address: self.address.take(),
            city: self.city.take(),
            state: self.state.take(),
            zip: self.zip.take(),
            contact_name: self.contact_name.take(),
            phone: self.phone.take(),
            from: self.from.take(),
            to: self.to.take(),
            buyer_number: self.buyer_number.take(),
            gate_number: self.gate_number.take(),
        }
    }
}

fn phone(text: &str, confidence: f64) -> Option<Told<Phone>> {
    let number = contacts::phones(text).into_iter().next().unwrap_or(text);
    contacts::phone(number, confidence)
}

fn code(text: &str) -> Option<Told<Text<40>>> {
    let word = text.trim_start_matches(['#', ' ']).split(is_space).next().map(trim)?;
    let digits = word.chars().any(|c| c.is_ascii_digit());
    Some(told(Text::parse(word).ok().filter(|_| digits)?, 0.9, word))
}
