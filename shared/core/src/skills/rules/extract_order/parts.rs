//! What is written in one line and set apart by commas, dashes and small words.

use std::sync::LazyLock;

use regex::Regex;

use super::source::{last_word, pattern, trim};

/// What separates the parts of an address that is written in one line.
static SEPARATOR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[,;|()\t·•]|\s[-–—/@]+\s|:\s|\.\s|\s(?:at|from|to|for|in|with)\s"));
static BEFORE_PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:contact|attn|attention|call|ask for|text|phone|tel|ph|cell|mobile|at)\b\W*|\b(?:phone|telephone|tel|ph|cell|mobile|number|at|on)\b\W*$",
    )
});

/// The name in what stands before a telephone number.
pub fn who(before: &str) -> &str {
    let mut who = trim(before);
    while let Some(found) = BEFORE_PHONE.find(who).filter(|found| !found.is_empty()) {
        who = if found.start() == 0 { &who[found.end()..] } else { &who[..found.start()] };
    }
    trim(who)
}

static LEGAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^ ?(?:llc|l\.l\.c|inc|incorporated|ltd|limited|corp|co|lp|llp)\b"));

/// The parts of a line, each a slice of it.
pub fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for separator in SEPARATOR.find_iter(text) {
        // "1420 St. Clair", and the brackets of a telephone number.
        let short = separator.as_str().starts_with('.') && {
            let word = last_word(&text[start..separator.start()]);
            word.chars().count() < 4 && word.chars().all(char::is_alphabetic)
        };
        let digits = |at: usize| {
            text[at..].trim_start_matches(['(', ' ']).chars().take(3).filter(char::is_ascii_digit).count() == 3
        };
        let area = match separator.as_str() {
            "(" => digits(separator.start()) && text[separator.end()..].get(3..4) == Some(")"),
            ")" => {
                text[..separator.start()].ends_with(|c: char| c.is_ascii_digit())
                    && text.as_bytes().get(separator.start().wrapping_sub(4)) == Some(&b'(')
            }
            _ => false,
        };
        // "Lone Mesa Freight Brokers, LLC" is one.
        let legal = separator.as_str() == "," && LEGAL.is_match(&text[separator.end()..]);
        if !short && !area && !legal {
            parts.push(&text[start..separator.start()]);
            start = separator.end();
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(trim).filter(|part| !part.is_empty()).collect()
}
