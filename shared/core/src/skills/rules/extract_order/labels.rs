//! The words in front of a colon, above a column or over a block: "Pickup contact", "Lot #", "City/State/Zip".
//!
//! A label is read as a part of the tender, a field of it, or both; one with any other word in it is no label.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::source::is_listed;
use super::vocabulary::{FILLERS, LABELS, PARTS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Pickup,
    Delivery,
    Vehicles,
    Customer,
    /// Us, as the sheet names us.
    Carrier,
    Payment,
    Notes,
    Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Name,
    Place,
    State,
    Zip,
    Contact,
    Phone,
    Email,
    Date,
    /// The vehicle can be had from then on.
    From,
    /// The window of the stop opens.
    Earliest,
    To,
    Vin,
    Year,
    Make,
    Model,
    Color,
    Type,
    Lot,
    Condition,
    /// Whose "yes" is a no to [`Label::Condition`].
    Inoperable,
    Keys,
    Price,
    Fee,
    Cod,
    Payment,
    Currency,
    Reference,
    McNumber,
    Usdot,
    Transport,
    BuyerNumber,
    GateNumber,
    /// Known, and nothing that an order holds.
    Other,
}

/// The words of a label in the form of the vocabulary; `None` for what is too long to be one.
fn words(raw: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in raw.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '&' {
            word.extend(c.to_lowercase());
            continue;
        }
        let ended = std::mem::take(&mut word);
        match ended.as_str() {
            "" => {}
            "&" => words.push("and".into()),
            "no" | "num" | "nbr" => words.push("number".into()),
            _ => words.push(ended),
        }
        if c == '#' {
            words.push("number".into());
        }
    }
    words.dedup();
    (1..=6).contains(&words.len()).then_some(words)
}

/// What a label says, if it is one.
pub fn parse(raw: &str) -> Option<(Option<Part>, Option<Label>)> {
    if raw.len() > 48 {
        return None;
    }
    let words = words(raw)?;
    let mut rest = words.as_slice();
    let (mut part, mut label) = (None, None);
    while let Some(word) = rest.first() {
        let (as_label, as_part) = (longest(&LABEL_PHRASES, rest), longest(&PART_PHRASES, rest));
        let lengths = (as_label.map_or(0, |found| found.1), as_part.map_or(0, |found| found.1));
        let filler = is_listed(FILLERS, word);
        let numbers = word == "number" && (part.is_some() || label.is_some());
        let idle = lengths.1 <= 1 && (numbers || filler && part.is_some() && lengths.0 <= 1);
        let used = match (as_label, as_part) {
            _ if idle => 1,
            (Some((found, length)), _) if label.is_none() && length >= lengths.1 => {
                label = Some(found);
                length
            }
            (_, Some((found, length))) if part.is_none() => {
                part = Some(found);
                length
            }
            _ if filler && (part.is_some() || label.is_some() || rest.len() > 1) => 1,
            _ => return None,
        };
        rest = &rest[used..];
    }
    fits(part, label).then_some((part, label))
}

/// A pickup has no colour, and a vehicle no zip.
fn fits(part: Option<Part>, label: Option<Label>) -> bool {
    use Label::*;
    let of_vehicles =
        |label| matches!(label, Vin | Year | Make | Model | Color | Type | Lot | Condition | Inoperable | Keys);
    match (part, label) {
        (None, None) => false,
        (Some(Part::Pickup | Part::Delivery), Some(label)) => !of_vehicles(label),
        (Some(Part::Vehicles), Some(label)) => of_vehicles(label) || matches!(label, Name | Price | Place | Other),
        (Some(Part::Notes), Some(_)) => false,
        _ => true,
    }
}

/// Phrases with what they mean, by their first word.
type Phrases<T> = HashMap<&'static str, Vec<(T, &'static str)>>;

static PART_PHRASES: LazyLock<Phrases<Part>> = LazyLock::new(|| by_first_word(PARTS));
static LABEL_PHRASES: LazyLock<Phrases<Label>> = LazyLock::new(|| by_first_word(LABELS));

fn by_first_word<T: Copy>(table: &[(T, &'static str)]) -> Phrases<T> {
    let mut phrases: Phrases<T> = HashMap::new();
    for (meaning, list) in table {
        for phrase in list.split(", ") {
            let first = phrase.split(' ').next().unwrap_or(phrase);
            phrases.entry(first).or_default().push((*meaning, phrase));
        }
    }
    phrases
}

fn longest<T: Copy>(phrases: &Phrases<T>, words: &[String]) -> Option<(T, usize)> {
    let phrases = phrases.get(words.first()?.as_str())?.iter();
    phrases.filter_map(|(meaning, phrase)| Some((*meaning, starts_with(words, phrase)?))).max_by_key(|found| found.1)
}

/// How many words the phrase has, if these begin with it.
fn starts_with(words: &[String], phrase: &str) -> Option<usize> {
    let mut count = 0;
    for word in phrase.split(' ') {
        if words.get(count)? != word {
            return None;
        }
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_a_part_a_field_or_both() {
        for (raw, part, label) in [
            ("Pickup", Some(Part::Pickup), None),
            ("PICK-UP INFORMATION", Some(Part::Pickup), None),
            ("P/U date", Some(Part::Pickup), Some(Label::Date)),
            ("pickup_city", Some(Part::Pickup), Some(Label::Place)),
            ("Pick up from", Some(Part::Pickup), None),
            ("Deliver by", Some(Part::Delivery), Some(Label::To)),
            ("Consignee contact", Some(Part::Delivery), Some(Label::Contact)),
            ("City/State/Zip", None, Some(Label::Place)),
            ("Buyer", Some(Part::Customer), None),
            ("Buyer #", None, Some(Label::BuyerNumber)),
            ("MC #", None, Some(Label::McNumber)),
            ("Lot #", None, Some(Label::Lot)),
            ("Carrier", Some(Part::Carrier), None),
            ("Carrier pay", None, Some(Label::Price)),
            ("Order no.", None, Some(Label::Reference)),
            ("Booking/Load No", None, Some(Label::Reference)),
            ("Year/Make/Model", None, Some(Label::Year)),
            ("Special Instructions", Some(Part::Notes), None),
        ] {
            assert_eq!(parse(raw), Some((part, label)), "{raw}");
        }
    }

    #[test]
    fn other_words_make_no_label() {
        for raw in ["", "We need pickup", "Pickup color", "Deliver 7/7 - 7/10", "hello", "Note pickup date"] {
            assert_eq!(parse(raw), None, "{raw:?}");
        }
    }
}
