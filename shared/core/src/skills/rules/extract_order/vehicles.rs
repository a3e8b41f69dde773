//! The vehicles of a tender: in lines, in tables, in sentences.

use std::sync::LazyLock;

use regex::Regex;

use super::condition::{self, Condition};
use super::draft::{Told, Vehicle, Warning, WarningCode};
use super::labels::{Label, Part};
use super::makes;
use super::money;
use super::payment;
use super::reader::{Origin, Piece};
use super::source::{clean, is_space, pattern, told, trim};
use super::vehicle_words::{Head, VIN, color, kind, model, put, words, year};
use crate::base::text::Text;
use crate::base::vin::Vin;
use crate::orders::MAX_VEHICLES;

static NAMED_VIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bvin\s*#?\s*(?P<vin>[a-z0-9]{9,20})\b"));
static LOT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:lot|stk|stock)\b\s*(?:#|no\.?|number)?\s*(?P<lot>[a-z0-9][a-z0-9-]*)"));

/// Beyond these nobody reads: no order holds them.
const MOST: usize = 50;

#[derive(Default)]
pub struct Reader {
    pub vehicles: Vec<Vehicle>,
    pub warnings: Vec<Warning>,
    /// The pieces that speak of vehicles and of nothing else.
    pub taken: Vec<bool>,
    /// Where the last vehicle was told of: line, paragraph.
    at: Vec<(usize, usize)>,
    current: usize,
    /// Of all vehicles, told before them or after the list.
    of_all: Condition,
}

pub fn read(pieces: &[Piece<'_>]) -> Reader {
    let mut reader = Reader { taken: vec![false; pieces.len()], ..Reader::default() };
    for (index, piece) in pieces.iter().enumerate() {
        let elsewhere = matches!(piece.part, Some(Part::Notes | Part::Carrier))
            || matches!(piece.origin, Origin::Sender | Origin::Sent | Origin::Subject);
        if !elsewhere && reader.vehicles.len() < MOST {
            reader.taken[index] = reader.piece(piece);
        }
    }
    reader.finish();
    reader
}

impl Reader {
    /// Whether it was about a vehicle.
    fn piece(&mut self, piece: &Piece<'_>) -> bool {
        let text = trim(piece.text);
        match piece.label {
            Some(Label::Vin) => self.vin_field(piece, text),
            Some(Label::Year) if text.len() == 4 => {
                let vehicle = self.next_unless(piece, |vehicle| vehicle.year.is_none());
                vehicle.year = year(text, 0.95);
            }
            Some(Label::Make) => {
                let vehicle = self.next_unless(piece, |vehicle| vehicle.make.is_none());
                let name = makes::make(text).map_or_else(|| clean(text), str::to_owned);
                vehicle.make =
                    words::<60>(text, 0.95).and_then(|told| Some(Told { value: Text::parse(&name).ok()?, ..told }));
            }
            Some(Label::Model) => {
                let vehicle = self.next_unless(piece, |vehicle| vehicle.model.is_none());
                vehicle.model = words(text, 0.95);
            }
            Some(Label::Color) => put(&mut self.present(piece).color, words(text, 0.95)),
            Some(Label::Type) => {
                let Some(kind) = makes::vehicle_type(text) else { return true };
                put(&mut self.present(piece).r#type, Some(told(kind, 0.95, text)));
            }
            Some(Label::Lot) => {
                let lot = text.trim_start_matches(['#', ' ']);
                let vehicle = self.next_unless(piece, |vehicle| vehicle.lot_number.is_none());
                vehicle.lot_number = words(lot, 0.95);
            }
            Some(Label::Condition) => self.condition(piece, condition::answer(text, false)),
            Some(Label::Inoperable) => self.condition(piece, condition::answer(text, true)),
            Some(Label::Keys) => self.condition(piece, condition::keys(text)),
            Some(Label::Price) if piece.origin == Origin::Column => {
                let price = money::first(text).map(|sum| sum.told(0.95, sum.quote));
                put(&mut self.present(piece).price, price);
            }
            None | Some(Label::Year | Label::Name) => return self.sentence(piece),
            Some(_) => return false,
        }
        true
    }

    /// The vehicle that a field goes to: the present one if it has room for it, or a new one.
    fn next_unless(&mut self, piece: &Piece<'_>, has_room: impl Fn(&Vehicle) -> bool) -> &mut Vehicle {
        let fits = self.vehicles.get(self.current).is_some_and(has_room) && !self.is_new_row(piece);
        if !fits {
            self.start(piece);
        }
        self.present(piece)
    }

    fn is_new_row(&self, piece: &Piece<'_>) -> bool {
        piece.origin == Origin::Column && self.at.get(self.current).is_some_and(|(line, _)| *line != piece.line)
    }

    fn start(&mut self, piece: &Piece<'_>) {
        self.vehicles.push(Vehicle::default());
        self.at.push((piece.line, piece.paragraph));
        self.current = self.vehicles.len() - 1;
    }

    fn present(&mut self, piece: &Piece<'_>) -> &mut Vehicle {
        if self.vehicles.is_empty() || self.is_new_row(piece) {
            self.start(piece);
        }
        &mut self.vehicles[self.current]
    }

    fn vin_field(&mut self, piece: &Piece<'_>, text: &str) {
        if let Some(found) = VIN.find(text) {
            return self.vin(piece, found.as_str());
        }
        // Written in groups.
        let together: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
        if together.len() == Vin::LENGTH && Vin::parse(&together).is_ok() {
            return self.vin(piece, text);
        }
        if let Some(word) = text.split(is_space).next().filter(|word| word.chars().any(|c| c.is_ascii_digit())) {
            self.malformed(word);
        }
    }

    fn vin(&mut self, piece: &Piece<'_>, raw: &str) {
        let together: String = raw.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        let Ok(vin) = Vin::parse(&together) else { return };
        // Mails that quote mails name a vehicle again.
        let known = self.vehicles.iter().position(|vehicle| vehicle.vin.as_ref().is_some_and(|told| told.value == vin));
        if let Some(known) = known {
            self.current = known;
            return;
        }
        let confidence = if vin.check_digit_fits() { 0.99 } else { 0.7 };
        let vehicle = self.next_unless(piece, |vehicle| vehicle.vin.is_none());
        vehicle.vin = Some(told(vin, confidence, raw));
    }

    fn malformed(&mut self, raw: &str) {
        let reason = Vin::parse(raw).err().unwrap_or_else(|| "it cannot be read".into());
        let pointer = format!("/vehicles/{}/vin", self.current.min(self.vehicles.len().saturating_sub(1)));
        let raw: String = raw.chars().take(40).collect();
        let detail = format!("\"{raw}\" was left out: {reason}");
        let warning = Warning { code: WarningCode::VinMalformed, pointer, detail };
        if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn condition(&mut self, piece: &Piece<'_>, condition: Condition) {
        let beside = self.at.get(self.current).is_some_and(|(line, paragraph)| {
            *line == piece.line || self.vehicles.len() == 1 || *paragraph == piece.paragraph
        });
        if beside || piece.origin == Origin::Column {
            condition.put_on(self.present(piece));
        } else if self.of_all.is_empty() {
            self.of_all = condition;
        }
    }

    /// A line or sentence without labels. What stands before the first vehicle's year is of that vehicle.
    fn sentence(&mut self, piece: &Piece<'_>) -> bool {
        let text = piece.text;
        let mut heads = Head::all(text);
        if heads.is_empty() && self.vehicles.is_empty() {
            let likely = piece.part == Some(Part::Vehicles) || VIN.is_match(text);
            heads.extend(Head::without_year(text, likely));
        }
        if heads.is_empty() {
            return self.more(piece, text);
        }
        for (index, head) in heads.iter().take(MOST).enumerate() {
            let from = if index == 0 { 0 } else { head.start };
            let to = heads.get(index + 1).map_or(text.len(), |next| next.start);
            self.head(piece, head, &text[from..to], head.end - from);
        }
        true
    }

    fn head(&mut self, piece: &Piece<'_>, head: &Head<'_>, text: &str, end: usize) {
        let rest = &text[end..];
        let (model, after) = model(rest);
        let make = makes::make(head.make);
        let paragraph = piece.paragraph;
        // A vehicle of which an earlier mail told, too.
        let known = self.vehicles.iter().zip(&self.at).position(|(vehicle, at)| {
            at.1 != paragraph
                && vehicle.year.as_ref().map(|told| told.value) == head.year.map(|(value, _)| value)
                && vehicle.make.as_ref().map(|told| told.value.as_str()) == make
                && model.is_some_and(|m| {
                    vehicle.model.as_ref().is_some_and(|told| told.value.as_str().eq_ignore_ascii_case(&clean(m)))
                })
                && VIN.find(text).is_none_or(|vin| vehicle.vin.as_ref().is_none_or(|told| told.quote == vin.as_str()))
                && vehicle.vin.is_some() == VIN.is_match(text)
        });
        match known {
            Some(known) => self.current = known,
            None => {
                let vehicle = self.next_unless(piece, |vehicle| vehicle.make.is_none() && vehicle.year.is_none());
                let sure = if head.year.is_some() { 0.95 } else { 0.5 };
                vehicle.year =
                    head.year.map(|(value, quote)| told(value, if quote.len() == 4 { 0.95 } else { 0.8 }, quote));
                vehicle.make = make.and_then(|name| Some(told(Text::parse(name).ok()?, sure, head.make)));
                vehicle.model = model.and_then(|model| words(model, 0.9));
            }
        }
        let current = self.current;
        // "Black 2022 Kia".
        let before = text[..end - (head.end - head.start)].split(is_space).rfind(|word| !word.is_empty());
        if let Some(color) = color(after).or(before.filter(|word| makes::is_color(word))) {
            put(&mut self.vehicles[current].color, words(color, 0.9));
        }
        if let Some(word) = kind(after) {
            let kind = makes::vehicle_type(word).map(|kind| told(kind, 0.85, word));
            put(&mut self.vehicles[current].r#type, kind);
        }
        self.attributes(piece, text, true);
    }

    /// What goes on about a vehicle that was named before: its VIN on the next line.
    fn more(&mut self, piece: &Piece<'_>, text: &str) -> bool {
        if VIN.is_match(text) || NAMED_VIN.is_match(text) {
            if self.vehicles.get(self.current).is_some_and(|vehicle| vehicle.vin.is_some()) && VIN.is_match(text) {
                self.next_unless(piece, |vehicle| vehicle.vin.is_none());
            }
            self.attributes(piece, text, true);
            return true;
        }
        let beside = self.at.get(self.current).is_some_and(|(_, paragraph)| *paragraph == piece.paragraph);
        let of_stop = matches!(piece.part, Some(Part::Pickup | Part::Delivery | Part::Customer | Part::Payment));
        if (beside || piece.part == Some(Part::Vehicles)) && !of_stop && !self.vehicles.is_empty() {
            let condition = condition::read(text);
            if !condition.is_empty() {
                self.condition(piece, condition);
                return true;
            }
        }
        false
    }

    fn attributes(&mut self, piece: &Piece<'_>, text: &str, beside: bool) {
        match VIN.find_iter(text).find(|vin| vin.as_str().chars().any(|c| c.is_ascii_digit())) {
            Some(found) => self.vin(piece, found.as_str()),
            None => {
                if let Some(found) = NAMED_VIN.captures(text).and_then(|found| found.name("vin")) {
                    self.malformed(found.as_str());
                }
            }
        }
        let condition = condition::read(text);
        let vehicle = self.present(piece);
        if beside && !condition.is_empty() {
            condition.put_on(vehicle);
        }
        let lot = LOT.captures(text).and_then(|found| found.name("lot"));
        if let Some(lot) = lot.filter(|lot| lot.as_str().chars().any(|c| c.is_ascii_digit())) {
            put(&mut vehicle.lot_number, words(lot.as_str(), 0.9));
        }
        // A sum beside words about payment is the order's.
        let sums = money::sums(text);
        if let [sum] = sums.as_slice()
            && payment::method(text).is_none()
            && !super::price::is_total(text)
        {
            put(&mut vehicle.price, Some(sum.told(0.85, sum.quote)));
        }
    }

    fn finish(&mut self) {
        self.vehicles.retain(|vehicle| vehicle.vin.is_some() || vehicle.make.is_some());
        if self.vehicles.len() > MAX_VEHICLES {
            let detail = format!("the text tells of {}, an order holds {MAX_VEHICLES}", self.vehicles.len());
            let code = WarningCode::TooManyVehicles;
            self.warnings.push(Warning { code, pointer: "/vehicles".into(), detail });
            self.vehicles.truncate(MAX_VEHICLES);
        }
        for vehicle in self.vehicles.iter_mut().filter(|vehicle| vehicle.is_inoperable.is_none()) {
            self.of_all.clone().put_on(vehicle);
        }
    }
}
