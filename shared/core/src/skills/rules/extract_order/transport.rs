//! On which kind of trailer, if on one.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::Told;
use super::labels::{Label, Part};
use super::reader::Piece;
use super::source::{Slot, pattern, told};
use crate::orders::TransportType;

static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:(?P<open>open)|(?P<enclosed>enclosed|closed)|(?P<driveaway>drive[\s-]?away))\b")
});

/// In a sentence "open" needs what is open beside it.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?P<open>(?:ship\s)?open\s(?:car\s)?(?:trailer|carrier|hauler|transport|equipment|only))|(?P<enclosed>enclosed)|(?P<driveaway>drive-?away))\b",
    )
});

pub fn read(pieces: &[Piece<'_>]) -> Option<Told<TransportType>> {
    let mut slot = Slot::default();
    for piece in pieces {
        match (piece.part, piece.label) {
            (Some(Part::Notes), _) => {}
            (_, Some(Label::Transport)) => slot.offer(piece.depth, find(&FIELD, piece.text, 0.95)),
            (_, None) => slot.offer(piece.depth, find(&SENTENCE, piece.text, 0.8)),
            _ => {}
        }
    }
    slot.take()
}

fn find(pattern: &Regex, text: &str, confidence: f64) -> Option<Told<TransportType>> {
    let found = pattern.captures(text)?;
    let kinds =
        [("open", TransportType::Open), ("enclosed", TransportType::Enclosed), ("driveaway", TransportType::Driveaway)];
    kinds.into_iter().find_map(|(name, kind)| Some(told(kind, confidence, found.name(name)?.as_str())))
}

/// Whether a quote says so, as far as it names a kind.
pub fn may_be(kind: TransportType, quote: &str) -> bool {
    let mut known = FIELD.find_iter(quote).filter_map(|found| find(&FIELD, found.as_str(), 1.0)).peekable();
    known.peek().is_none() || known.any(|told| told.value == kind)
}

/// Whether a part of a line tells of the trailer.
pub fn is_told(text: &str) -> bool {
    SENTENCE.is_match(text)
}
