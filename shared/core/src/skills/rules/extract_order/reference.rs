//! The customer's own number of the load.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::Told;
use super::labels::{Label, Part};
use super::reader::{Origin, Piece};
use super::source::{Slot, clean, pattern, told, trim};
use crate::base::text::Text;

/// A code with a digit in it, if need be with "PO" before it.
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?:po\s)?[a-z0-9][a-z0-9._/-]*"));
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:load|order|ref|reference|dispatch|job|tender|booking|release|shipment|po)\b\s*(?:id|no\.?|number|num)?\s*[:#]*\s*(?P<code>(?:po\s)?[a-z0-9-]*\d[a-z0-9-]*)",
    )
});

/// A code that stands alone or leads a line: "SRR-2207: full load".
static LEADING: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<code>[A-Z]{2,5}[ -]?\d{3,}[A-Z0-9-]*)(?:\s*:|$)"));
static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?P<code>[A-Z]{2,5}-\d{2,}[A-Z0-9-]*)\b"));

pub fn read(pieces: &[Piece<'_>], taken: &[bool]) -> Option<Told<Text<60>>> {
    let mut slot = Slot::default();
    for (piece, &taken) in pieces.iter().zip(taken) {
        let elsewhere = matches!(piece.part, Some(Part::Notes | Part::Carrier))
            || matches!(piece.origin, Origin::Sender | Origin::Sent);
        if elsewhere || taken && piece.label.is_some() {
            continue;
        }
        slot.offer(piece.depth, found(piece, taken));
    }
    slot.take()
}

fn found(piece: &Piece<'_>, taken: bool) -> Option<Told<Text<60>>> {
    let text = piece.text;
    if piece.label == Some(Label::Reference) {
        let value = trim(text).trim_start_matches(['#', ' ']);
        return code(CODE.find(value)?.as_str(), 0.95);
    }
    if piece.label.is_some() {
        return None;
    }
    let group = |pattern: &'static Regex| pattern.captures(text)?.name("code").map(|code| code.as_str());
    let named = group(&NAMED).and_then(|raw| code(raw, if piece.origin == Origin::Subject { 0.7 } else { 0.8 }));
    let free = !taken && piece.part.is_none();
    named
        .or_else(|| code(group(&LEADING).filter(|_| free)?, 0.6))
        .or_else(|| code(group(&ANYWHERE).filter(|_| free)?, 0.5))
}

fn code(raw: &str, confidence: f64) -> Option<Told<Text<60>>> {
    let raw = trim(raw);
    let digits = raw.chars().filter(char::is_ascii_digit).count();
    // Dates and sums are none.
    let date = raw.matches('/').count() > 0 && raw.chars().all(|c| c.is_ascii_digit() || c == '/');
    let ordinal = raw.len() <= 4 && ["st", "nd", "rd", "th"].iter().any(|end| raw.ends_with(end));
    Some(told(Text::parse(&clean(raw)).ok().filter(|_| digits > 0 && !date && !ordinal)?, confidence, raw))
}
