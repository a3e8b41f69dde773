//! The text as lines. Every quote is a slice of it, so that a quote cannot help occurring in the source.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::{MAX_QUOTE, Told};

/// Compiles a pattern. A space in it stands for any white space: what is pasted from mails is full of non-breaking ones.
///
/// # Panics
/// When it is no pattern. All are constants of this module, and tests compile each.
pub fn pattern(source: impl AsRef<str>) -> Regex {
    Regex::new(&source.as_ref().replace(' ', r"\s")).expect("a constant pattern")
}

/// A line without the marks of a mail that quotes another, and without bullets.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub text: &'a str,
    /// How many times it was quoted: what was written later stands above what was written before.
    pub depth: u8,
}

/// White space, what pasting leaves behind, and the asterisks of emphasis.
pub fn is_space(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '*')
}

pub fn lines(text: &str) -> Vec<Line<'_>> {
    let lines: Vec<_> = text.split('\n').map(line).collect();
    if !double_spaced(&lines) {
        return lines;
    }
    // Mail programs that make a paragraph of each line: an empty one means nothing then, two do.
    let mut kept: Vec<Line<'_>> = Vec::new();
    let mut empty = 0;
    for line in lines {
        empty = if line.text.is_empty() { empty + 1 } else { 0 };
        if empty != 1 {
            kept.push(line);
        }
    }
    kept
}

fn double_spaced(lines: &[Line<'_>]) -> bool {
    let full = lines.iter().filter(|line| !line.text.is_empty()).count();
    let followed = lines.windows(2).filter(|pair| !pair[0].text.is_empty() && pair[1].text.is_empty()).count();
    full > 5 && followed * 10 >= full * 9
}

fn line(raw: &str) -> Line<'_> {
    let mut text = raw.trim_matches(is_space);
    let mut depth = 0_u8;
    while let Some(rest) = text.strip_prefix('>') {
        depth = depth.saturating_add(1);
        text = rest.trim_start_matches(is_space);
    }
    Line { text: without_bullet(text), depth }
}

/// Without "- ", "• " or "1. " before it.
fn without_bullet(text: &str) -> &str {
    let rest = text.trim_start_matches(['-', '•', '·', '–', '—', '=', '_', '#']);
    if rest.len() < text.len() && rest.starts_with(is_space) {
        return rest.trim_start_matches(is_space);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match text[digits..].strip_prefix(['.', ')']) {
        Some(rest) if (1..=2).contains(&digits) && rest.starts_with(is_space) => rest.trim_start_matches(is_space),
        _ => text,
    }
}

/// On one line, with single spaces.
pub fn clean(raw: &str) -> String {
    raw.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Without spaces and separators around it.
pub fn trim(raw: &str) -> &str {
    let around = |c: char| is_space(c) || matches!(c, ',' | ';' | ':' | '-' | '–' | '—' | '|' | '/' | '·' | '•' | '"');
    let text = raw.trim_matches(around);
    // The full stop of "Ltd." and "Dr." is theirs, that of a sentence is not.
    let word = last_word(text);
    let short = word.len() <= 5 && word.starts_with(char::is_uppercase) && word != text;
    if short { text } else { text.trim_end_matches('.') }
}

pub fn told<T>(value: T, confidence: f64, quote: &str) -> Told<T> {
    let quote = quote.trim_matches(is_space);
    let end = quote.char_indices().nth(MAX_QUOTE).map_or(quote.len(), |(end, _)| end);
    Told { value, confidence, quote: quote[..end].trim_end_matches(is_space).to_owned() }
}

/// Whether a word is in a list of words between spaces.
pub fn is_listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

/// The last word of a text, of a long one its end: no rule asks for more, and texts without spaces are read once.
pub fn last_word(text: &str) -> &str {
    const ENOUGH: usize = 24;
    let start = text.char_indices().rev().take(ENOUGH).find(|(_, c)| is_space(*c)).map(|(at, c)| at + c.len_utf8());
    let longest = || text.char_indices().rev().take(ENOUGH).last().map_or(0, |(at, _)| at);
    &text[start.unwrap_or_else(longest)..]
}

/// Where the slice `part` begins in `whole`.
pub fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

/// Whether a slice of a text begins or ends with a digit within a word.
pub fn cuts_word(text: &str, start: usize, end: usize) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    text[start..end].starts_with(digit) && text[..start].ends_with(char::is_alphanumeric)
        || text[start..end].ends_with(digit) && text[end..].starts_with(char::is_alphanumeric)
}

/// Whether a slice of a text begins or ends within a number that has a point, or the commas of thousands. In a table that is
/// set apart by commas a number stands beside a number: there they are of one only behind a dollar sign.
pub fn cuts_amount(text: &str, start: usize, end: usize) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    let (slice, before, after) = (&text[start..end], &text[..start], &text[end..]);
    let cut_before = before.strip_suffix('.').is_some_and(|rest| rest.ends_with(digit))
        || before.strip_suffix(',').is_some_and(|rest| is_group(&text[start..]) && ends_in_groups(rest));
    let cut_after = after.strip_prefix('.').is_some_and(|rest| rest.starts_with(digit))
        || after.strip_prefix(',').is_some_and(|rest| is_group(rest) && ends_in_groups(slice));
    slice.starts_with(digit) && cut_before || slice.ends_with(digit) && cut_after
}

/// Begins with three digits and no more.
fn is_group(text: &str) -> bool {
    let digits = text.bytes().take(4).take_while(u8::is_ascii_digit).count();
    digits == 3 && !text[digits..].starts_with(char::is_alphanumeric)
}

/// Ends with a dollar sign and groups of digits behind it.
fn ends_in_groups(text: &str) -> bool {
    const LONGEST: usize = 16;
    static GROUPS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\$[\s$]*[0-9]{1,3}(?:,[0-9]{3})*$"));
    let start = text.char_indices().rev().nth(LONGEST).map_or(0, |(at, _)| at);
    GROUPS.is_match(&text[start..])
}

/// A place for a value that may be told more than once: the latest mail wins, then the surest reading, then the first.
#[derive(Debug)]
pub struct Slot<T> {
    best: Option<(u8, Told<T>)>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { best: None }
    }
}

impl<T> Slot<T> {
    pub fn offer(&mut self, depth: u8, told: Option<Told<T>>) {
        let Some(told) = told else { return };
        let better = self
            .best
            .as_ref()
            .is_none_or(|(present, best)| depth < *present || depth == *present && told.confidence > best.confidence);
        if better {
            self.best = Some((depth, told));
        }
    }

    pub fn get(&self) -> Option<&Told<T>> {
        self.best.as_ref().map(|(_, told)| told)
    }

    pub fn is_empty(&self) -> bool {
        self.best.is_none()
    }

    pub fn take(self) -> Option<Told<T>> {
        self.best.map(|(_, told)| told)
    }
}
