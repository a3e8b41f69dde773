//! The words for one vehicle: year and make, model, colour, body.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::Told;
use super::makes;
use super::source::{clean, is_listed, is_space, offset, pattern, told, trim};
use crate::base::text::Text;
use crate::base::whole::Whole;

/// A year and a make beside it.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    let makes = &*makes::PATTERN;
    pattern(format!(r"(?i)(?:\b|')(?P<year>(?:19|20)\d{{2}}|\d{{2}})[\s/-]+(?P<make>{makes})\b"))
});

/// A make alone, where it can hardly mean anything else.
static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    let makes = &*makes::PATTERN;
    pattern(format!(r"(?i)(?:^|\b(?:an?|my|one|the)\s)(?P<make>{makes})\b"))
});
pub static VIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[A-HJ-NPR-Za-hj-npr-z0-9]{17}\b"));

/// Year and make, where they stand.
pub struct Head<'a> {
    pub year: Option<(Whole<1886, 2100>, &'a str)>,
    pub make: &'a str,
    pub start: usize,
    pub end: usize,
}

impl<'a> Head<'a> {
    /// All that a text names.
    pub fn all(text: &'a str) -> Vec<Self> {
        HEAD.captures_iter(text).filter_map(|found| Self::read(&found)).collect()
    }

    /// A make without a year. `likely` where the text is surely about a vehicle; else it needs "a" or "my" before it.
    pub fn without_year(text: &'a str, likely: bool) -> Option<Self> {
        let found = ALONE.captures(text)?;
        let make = found.name("make")?;
        let announced = found.get(0)?.start() < make.start();
        let head = Self { year: None, make: make.as_str(), start: make.start(), end: make.end() };
        (likely || announced).then_some(head)
    }

    fn read(found: &regex::Captures<'a>) -> Option<Self> {
        let (written, make) = (found.name("year")?, found.name("make")?);
        let told = year(written.as_str(), 1.0)?;
        Some(Self {
            year: Some((told.value, written.as_str())),
            make: make.as_str(),
            start: written.start(),
            end: make.end(),
        })
    }
}

/// A year in four digits, or in two: 00 to 39 are of this century.
pub fn year(raw: &str, confidence: f64) -> Option<Told<Whole<1886, 2100>>> {
    let number: i32 = raw.parse().ok()?;
    let year = match number {
        0..40 if raw.len() == 2 => 2000 + number,
        40..100 if raw.len() == 2 => 1900 + number,
        _ => number,
    };
    Some(told(serde_json::from_value(year.into()).ok()?, confidence, raw))
}

/// Whether a quote says this year.
pub fn names_year(quote: &str, named: Whole<1886, 2100>) -> bool {
    let words = quote.split(|c: char| !c.is_alphanumeric());
    words.filter_map(|word| year(word, 1.0)).any(|told| told.value == named)
}

/// The first reading stays.
pub fn put<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}

/// A value as it is written, if it is one.
pub fn words<const MAX: usize>(raw: &str, confidence: f64) -> Option<Told<Text<MAX>>> {
    let raw = trim(raw);
    if !raw.contains(char::is_alphanumeric) {
        return None;
    }
    let none = ["n/a", "na", "none", "unknown", "tbd", "?"].contains(&raw.to_lowercase().as_str());
    Some(told(Text::parse(&clean(raw)).ok().filter(|_| !none)?, confidence, raw))
}

/// The model at the beginning of a text, and what comes after it.
pub fn model(text: &str) -> (Option<&str>, &str) {
    const LONGEST: usize = 4;
    let mut end = 0;
    for word in text.split(is_space).filter(|word| !word.is_empty()).take(LONGEST) {
        let core = word.trim_end_matches([',', ';', ':', ')', '.']);
        let core = core.split(['/', ',', '(']).next().unwrap_or_default();
        if ends_model(core) {
            break;
        }
        end = offset(text, word) + core.len();
        if core.len() < word.len() {
            break;
        }
    }
    let model = text[..end].trim_matches(is_space);
    ((!model.is_empty()).then_some(model), &text[end..])
}

fn ends_model(word: &str) -> bool {
    const AFTER: &str = "\
        vin vin# lot stk stock runs run running inop inoperable operable does doesn't no not keys key color with \
        from to at is that which and in for each needs ready has plate drives on going open enclosed non-running \
        picking pick pu & needing";
    let lower = word.to_lowercase();
    !word.starts_with(char::is_alphanumeric)
        || is_listed(AFTER, &lower)
        || makes::is_color(word)
        || makes::vehicle_type(word).is_some()
        || VIN.is_match(word)
}

/// The colour in what follows a model: a part of its own, or a word.
pub fn color(text: &str) -> Option<&str> {
    let text = VIN.find(text).map_or(text, |vin| &text[..vin.start()]);
    let parts = text.split([',', '/', '|', '(', ')', ';', '–', '—']).flat_map(|part| part.split(" - ")).map(trim);
    let part = parts.clone().find(|part| makes::ends_in_color(part));
    part.or_else(|| parts.flat_map(|part| part.split(is_space)).find(|word| makes::is_color(word)))
}

/// The body in what follows a model.
pub fn kind(text: &str) -> Option<&str> {
    let text = VIN.find(text).map_or(text, |vin| &text[..vin.start()]);
    let mut words = text.split(|c| is_space(c) || matches!(c, ',' | '/' | '(' | ')' | ';'));
    // Far from the model, "pickup" is a stop.
    words.by_ref().take(6).find(|word| makes::vehicle_type(word).is_some())
}
