//! The words for one vehicle: year and make, model, colour, body.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::Told;
use super::source::{clean, is_listed, is_space, offset, pattern, told, trim};
use super::{condition, makes, money};
use crate::base::text::Text;
use crate::base::vin::Vin;
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
/// Beyond these nobody reads: no order holds them.
pub const MOST: usize = 50;

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

/// What a text says of one vehicle.
pub struct Share<'a> {
    pub text: &'a str,
    /// Where it stands in `text`.
    pub head: Option<Head<'a>>,
    pub vin: Option<&'a str>,
}

/// A text as what it says of each vehicle; what stands before the first is of that one. Names and VINs take turns, or are two
/// lists of one length: "a Camry and an Accord, VINs .. and ..".
pub fn shares(text: &str) -> Vec<Share<'_>> {
    let heads: Vec<Head<'_>> = Head::all(text).into_iter().take(MOST).collect();
    let vins: Vec<(usize, &str)> = vins(text).take(MOST).collect();
    let apart = |heads: &[Head<'_>], vins: &[(usize, &str)]| match (heads, vins) {
        ([first, .., last], [(first_vin, _), .., (last_vin, _)]) => last.start < *first_vin || *last_vin < first.start,
        _ => false,
    };
    let mut found: Vec<(usize, Option<Head<'_>>, Option<&str>)> = Vec::new();
    if heads.len() == vins.len() && apart(&heads, &vins) {
        found.extend(heads.into_iter().zip(vins).map(|(head, (_, vin))| (head.start, Some(head), Some(vin))));
    } else {
        let (mut heads, mut vins) = (heads.into_iter().peekable(), vins.into_iter().peekable());
        while heads.peek().is_some() || vins.peek().is_some() {
            let vin = vins.next_if(|(at, _)| heads.peek().is_none_or(|head| *at < head.start));
            let head = if vin.is_none() { heads.next() } else { None };
            let at = vin.map(|(at, _)| at).or(head.as_ref().map(|head| head.start)).unwrap_or_default();
            let vin = vin.map(|(_, vin)| vin);
            match found.last_mut() {
                Some((_, named @ None, _)) if head.is_some() => *named = head,
                Some((_, _, known @ None)) if vin.is_some() => *known = vin,
                _ => found.push((at, head, vin)),
            }
        }
    }
    let mut shares: Vec<Share<'_>> = Vec::with_capacity(found.len());
    let mut end = text.len();
    while let Some((at, head, vin)) = found.pop() {
        let start = if found.is_empty() { 0 } else { at };
        let head = head.map(|head| Head { start: head.start - start, end: head.end - start, ..head });
        shares.push(Share { text: &text[start..end], head, vin });
        end = start;
    }
    shares.reverse();
    shares
}

/// The VINs of a text, and where they stand: a long word has no digit.
pub fn vins(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let found = VIN.find_iter(text).map(|found| (found.start(), found.as_str()));
    found.filter(|(_, vin)| vin.contains(|c: char| c.is_ascii_digit()))
}

/// A field for VINs in whose line more is said: the field without that, and the text that says it.
pub fn beyond_vin(value: &str) -> Option<(&str, &str)> {
    if vins(value).next().is_some() {
        let words = VIN.split(value).flat_map(|between| between.split(|c: char| !c.is_alphanumeric()));
        let mut words = words.filter(|word| !word.is_empty());
        return words.any(|word| !is_listed("and vin vins no", &word.to_lowercase())).then_some(("", value));
    }
    let (field, rest) = value.split_once(is_space)?;
    let of_vehicle = !Head::all(rest).is_empty() || !money::sums(rest).is_empty() || !condition::read(rest).is_empty();
    (of_vehicle && !is_in_groups(value)).then_some((field, rest))
}

/// A VIN with spaces or dashes in it.
pub fn is_in_groups(value: &str) -> bool {
    let mut letters = value.chars().filter(|c| c.is_alphanumeric());
    let together: String = letters.by_ref().take(Vin::LENGTH).collect();
    letters.next().is_none() && Vin::parse(&together).is_ok()
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
