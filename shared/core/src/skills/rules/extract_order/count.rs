//! How many vehicles a text says that there are, to be held against those of its draft.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::labels::Part;
use super::reader::{Origin, Piece};
use super::source::pattern;
use super::vehicle_words::vins;
use crate::base::vin::Vin;

macro_rules! number {
    () => {
        r"\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    };
}

macro_rules! vehicles {
    () => {
        r"units|vehicles|cars|autos|unités|véhicules|voitures|unidades|vehículos|vehiculos|carros|coches"
    };
}

/// "Units: 3", with nothing behind it: "Vehicles: 12 Chevy" is of 2012.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?im)\b(?:",
        vehicles!(),
        r")[^\S\n]*[:=][^\S\n]*(?P<count>",
        number!(),
        r")[^\S\n]*(?:$|[,;()\r])"
    ))
});

/// "3 cars", if not as many as somebody could haul.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:^|(?P<most>\b(?:up to|holds|max|over|than)\s)|[\s(])(?P<count>",
        number!(),
        r")\s(?:(?:inop|inoperable|operable|running|used|new)\s)?(?:",
        vehicles!(),
        r")\b(?P<rate>\s?(?:/|a\b|per\b|every\b|each\b|hauler|carrier|trailer))?"
    ))
});

pub struct Count {
    said: BTreeSet<usize>,
    /// How many VINs there are whose check digit fits.
    vins: usize,
}

impl Count {
    pub fn read(text: &str, pieces: &[Piece<'_>]) -> Self {
        let of_load = pieces.iter().filter(|piece| {
            !matches!(piece.part, Some(Part::Notes | Part::Carrier))
                && !matches!(piece.origin, Origin::Sender | Origin::Sent)
        });
        let fields = FIELD.captures_iter(text).filter_map(|found| number(&found["count"]));
        let words = of_load.clone().flat_map(|piece| WORDS.captures_iter(piece.text));
        let words = words.filter(|found| found.name("most").is_none() && found.name("rate").is_none());
        let vins: BTreeSet<String> = of_load
            .flat_map(|piece| vins(piece.text))
            .filter_map(|(_, vin)| Vin::parse(vin).ok().filter(Vin::check_digit_fits))
            .map(|vin| vin.as_str().to_owned())
            .collect();
        Self { said: fields.chain(words.filter_map(|found| number(&found["count"]))).collect(), vins: vins.len() }
    }

    /// What is to be said of a draft with so many vehicles.
    pub fn differs(&self, drafted: usize) -> Option<String> {
        if self.vins > drafted {
            return Some(format!("the text has {} VINs, the draft has {drafted} vehicles", self.vins));
        }
        let last = self.said.last().filter(|_| !self.said.contains(&drafted))?;
        Some(format!("the text says that there are {last} vehicles, the draft has {drafted}"))
    }
}

fn number(word: &str) -> Option<usize> {
    const WORDS: [&str; 11] =
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let named = WORDS.iter().position(|known| known.eq_ignore_ascii_case(word)).map(|at| at + 2);
    named.or_else(|| word.parse().ok()).filter(|&number| number > 0)
}
