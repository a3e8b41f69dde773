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
use super::source::{clean, is_space, offset, pattern, told, trim};
use super::vehicle_words::{Head, MOST, Share, color, is_in_groups, kind, model, put, shares, vins, words, year};
use crate::base::text::Text;
use crate::base::vin::Vin;
use crate::orders::MAX_VEHICLES;

static NAMED_VIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bvin\s*#?\s*(?P<vin>[a-z0-9]{9,20})\b"));
static LOT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:lot|stk|stock)\b\s*(?:#|no\.?|number)?\s*(?P<lot>[a-z0-9][a-z0-9-]*)"));

/// Words for what holds for every vehicle of a list.
static OF_ALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:all|both|each|every)\b"));

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
            Some(Label::Vin) if vins(text).next().is_some() => return self.sentence(piece),
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
        if is_in_groups(text) {
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
        if let Some(known) = self.with_vin(&vin) {
            self.current = known;
            return;
        }
        let confidence = if vin.check_digit_fits() { 0.99 } else { 0.7 };
        let vehicle = self.next_unless(piece, |vehicle| vehicle.vin.is_none());
        vehicle.vin = Some(told(vin, confidence, raw));
    }

    fn with_vin(&self, vin: &Vin) -> Option<usize> {
        self.vehicles.iter().position(|vehicle| vehicle.vin.as_ref().is_some_and(|told| told.value == *vin))
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
        } else {
            self.all(condition);
        }
    }

    /// A line or sentence without labels, or VINs.
    fn sentence(&mut self, piece: &Piece<'_>) -> bool {
        let text = piece.text;
        let mut shares = shares(text);
        if self.vehicles.is_empty() && shares.iter().all(|share| share.head.is_none()) {
            let likely = piece.part == Some(Part::Vehicles) || !shares.is_empty();
            let head = Head::without_year(text, likely);
            match shares.first_mut() {
                Some(first) => first.head = head.filter(|head| head.end <= first.text.len()),
                None => shares.extend(head.map(|head| Share { text, head: Some(head), vin: None })),
            }
        }
        if shares.is_empty() {
            return self.more(piece, text);
        }
        let several = shares.len() > 1;
        // VINs below the names of as many vehicles.
        let unknown: Vec<usize> = (0..self.vehicles.len()).filter(|&at| self.vehicles[at].vin.is_none()).collect();
        let in_turn = several && unknown.len() == shares.len() && shares.iter().all(|share| share.head.is_none());
        // One sum beside several vehicles is none of a single one.
        let priced = !several || money::sums(text).len() > 1;
        for (index, share) in shares.iter().enumerate() {
            if in_turn {
                self.current = unknown[index];
            }
            self.share(piece, share, priced);
            let condition = condition::read(share.text);
            if several && OF_ALL.is_match(share.text) {
                self.all(condition);
            } else if !condition.is_empty() {
                condition.put_on(self.present(piece));
            }
        }
        true
    }

    fn share(&mut self, piece: &Piece<'_>, share: &Share<'_>, priced: bool) {
        // "VIN .. Honda Accord", where no vehicle waits for a VIN.
        let waits = self.vehicles.get(self.current).is_some_and(|vehicle| vehicle.vin.is_none());
        let behind = || {
            let vin = share.vin.filter(|_| !waits)?;
            let at = offset(share.text, vin) + vin.len();
            let at = share.text.len() - share.text[at..].trim_start_matches(|c| is_space(c) || c == ',').len();
            let head = Head::without_year(&share.text[at..], true).filter(|head| head.start == 0)?;
            Some(Head { start: at, end: at + head.end, ..head })
        };
        match &share.head {
            Some(head) => self.head(piece, head, share),
            None => behind().into_iter().for_each(|head| self.head(piece, &head, share)),
        }
        match share.vin {
            Some(vin) => self.vin(piece, vin),
            None => self.named_vin(share.text),
        }
        self.attributes(piece, share.text, priced);
    }

    fn head(&mut self, piece: &Piece<'_>, head: &Head<'_>, share: &Share<'_>) {
        let text = share.text;
        let (model, after) = model(&text[head.end..]);
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
                && vehicle.vin.as_ref().map(|told| told.quote.as_str()) == share.vin
        });
        let same = share.vin.and_then(|vin| self.with_vin(&Vin::parse(vin).ok()?));
        match same.or(known) {
            Some(known) => self.current = known,
            None => {
                self.next_unless(piece, |vehicle| {
                    let nameless = vehicle.make.is_none() && vehicle.year.is_none();
                    nameless && (vehicle.vin.is_none() || share.vin.is_none())
                });
            }
        }
        let vehicle = &mut self.vehicles[self.current];
        let sure = if head.year.is_some() { 0.95 } else { 0.5 };
        let year = head.year.map(|(value, quote)| told(value, if quote.len() == 4 { 0.95 } else { 0.8 }, quote));
        put(&mut vehicle.year, year);
        put(&mut vehicle.make, make.and_then(|name| Some(told(Text::parse(name).ok()?, sure, head.make))));
        put(&mut vehicle.model, model.and_then(|model| words(model, 0.9)));
        // "Black 2022 Kia".
        let before = text[..head.start].split(is_space).rfind(|word| !word.is_empty());
        if let Some(color) = color(after).or(before.filter(|word| makes::is_color(word))) {
            put(&mut vehicle.color, words(color, 0.9));
        }
        if let Some(word) = kind(after) {
            put(&mut vehicle.r#type, makes::vehicle_type(word).map(|kind| told(kind, 0.85, word)));
        }
    }

    /// What goes on about a vehicle that was named before.
    fn more(&mut self, piece: &Piece<'_>, text: &str) -> bool {
        let condition = condition::read(text);
        if NAMED_VIN.is_match(text) {
            self.named_vin(text);
            self.attributes(piece, text, true);
            if !condition.is_empty() {
                condition.put_on(self.present(piece));
            }
            return true;
        }
        let beside = self.at.get(self.current).is_some_and(|(_, paragraph)| *paragraph == piece.paragraph);
        let of_stop = matches!(piece.part, Some(Part::Pickup | Part::Delivery | Part::Customer | Part::Payment));
        if (beside || piece.part == Some(Part::Vehicles)) && !of_stop && !self.vehicles.is_empty() {
            if condition.is_empty() {
                return false;
            }
            if self.vehicles.len() > 1 && OF_ALL.is_match(text) {
                self.all(condition);
            } else {
                self.condition(piece, condition);
            }
            return true;
        }
        false
    }

    fn all(&mut self, condition: Condition) {
        if self.of_all.is_empty() {
            self.of_all = condition;
        }
    }

    /// Something that is called a VIN and is none.
    fn named_vin(&mut self, text: &str) {
        if let Some(found) = NAMED_VIN.captures(text).and_then(|found| found.name("vin")) {
            self.malformed(found.as_str());
        }
    }

    fn attributes(&mut self, piece: &Piece<'_>, text: &str, priced: bool) {
        let vehicle = self.present(piece);
        let lot = LOT.captures(text).and_then(|found| found.name("lot"));
        if let Some(lot) = lot.filter(|lot| lot.as_str().chars().any(|c| c.is_ascii_digit())) {
            put(&mut vehicle.lot_number, words(lot.as_str(), 0.9));
        }
        // A sum beside words about payment is the order's.
        let sums = money::sums(text);
        if let [sum] = sums.as_slice()
            && priced
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
