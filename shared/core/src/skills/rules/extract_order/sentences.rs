//! A line as sentences, and where one turns to a stop.

use std::sync::LazyLock;

use regex::Regex;

use super::labels::Part;
use super::source::{is_listed, is_space, last_word, pattern};

/// Sentences. A full stop after an abbreviation ends none.
pub fn clauses(text: &str) -> Vec<&str> {
    let mut clauses = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(['.', '!', '?']) {
        let before = &text[start..at];
        let word = last_word(before);
        let after = &text[at + 1..];
        let new = after.starts_with(is_space) && after.trim_start_matches(is_space).starts_with(char::is_alphanumeric);
        let abbreviation = word.chars().count() < 4 && !word.ends_with(|c: char| c.is_ascii_digit() || c == ')')
            || ["Blvd", "Pkwy", "Expy"].contains(&word);
        if new && !abbreviation {
            clauses.push(&text[start..=at]);
            start = at + 1;
        }
    }
    clauses.push(&text[start..]);
    clauses
}

static CUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:",
        r"(?P<pickup>pick(?:s|ed|ing)?[\s-]?up|p/u|collect(?:ed)?|going from|coming from|located (?:at|in)|available from|first available)",
        r"|(?P<delivery>delivers?|delivered|delivering|drop(?:s|ping|ped)?[\s-]?off|d/o|needs? it|ship(?:ped|s)? to|going to|deliver)",
        r")\b"
    ))
});

/// Words before a stop that make it a time of payment.
const OF_MONEY: &str = "on at upon before after per of @ no for the";

/// Where a sentence turns to a stop. "On delivery" is when money is due.
pub fn cue(text: &str) -> Option<(usize, Part)> {
    CUE.captures_iter(text).find_map(|found| {
        let word = found.get(0)?;
        let before = text[..word.start()].trim_end();
        let previous = last_word(before).to_lowercase();
        if is_listed(OF_MONEY, &previous) {
            return None;
        }
        // "2021 Silverado, Pickup, white" is a body.
        let body = word.as_str().eq_ignore_ascii_case("pickup") && before.ends_with([',', '(']);
        if body && text[word.end()..].trim_start().chars().next().is_none_or(|c| matches!(c, ',' | ')')) {
            return None;
        }
        let part = if found.name("pickup").is_some() { Part::Pickup } else { Part::Delivery };
        Some((word.start(), part))
    })
}
