//! A line as cells: of a table, or set apart by gaps; and the labels within one.

use std::sync::LazyLock;

use regex::Regex;

use super::labels::{self, Label, Part};
use super::source::{cuts_amount, is_listed, is_space, pattern};

/// A line with more fields is none of a tender.
pub const MOST_FIELDS: usize = 40;

/// Separators of cells: bars, tabs, and gaps that do not stand around a colon.
static GAP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\s*(?:\||\t)\s*|\s{3,}"));

/// The cells of a row of a table.
pub fn split_row(line: &str, separator: char) -> Vec<&str> {
    let row = if separator == '|' { line.trim_matches('|') } else { line };
    let mut cells = Vec::new();
    let mut start = 0;
    for (at, found) in row.match_indices(separator) {
        // "Focus,$1,250,40511"
        if separator != ',' || !cuts_amount(row, start, at) {
            cells.push(row[start..at].trim_matches(is_space));
            start = at + found.len();
        }
    }
    cells.push(row[start..].trim_matches(is_space));
    // The head of a column that names the rows may be empty, and its bar lost with the spaces before it.
    if separator == '|' && line.starts_with('|') && !line.ends_with('|') {
        return std::iter::once("").chain(cells).collect();
    }
    cells
}

/// The cells of a line that need not be a row.
pub fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut start = 0;
    for gap in GAP.find_iter(line) {
        let around_colon = line[..gap.start()].ends_with(':') || line[gap.end()..].starts_with(':');
        if !around_colon {
            cells.push(&line[start..gap.start()]);
            start = gap.end();
        }
    }
    cells.push(&line[start..]);
    cells
}

/// A label, and where it and its sign end.
pub struct Found {
    pub start: usize,
    pub end: usize,
    pub part: Option<Part>,
    pub label: Option<Label>,
}

/// The labels in front of the colons of a cell.
pub fn find_labels(cell: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (colon, _) in cell.match_indices(':').take(4 * MOST_FIELDS) {
        let from = found.last().map_or(0, |last| last.end);
        let Some(before) = cell.get(from..colon) else { continue };
        if let Some((start, part, label)) = label_before(before) {
            found.push(Found { start: from + start, end: colon + 1, part, label });
            if part == Some(Part::Notes) || found.len() == MOST_FIELDS {
                break;
            }
        }
    }
    if found.is_empty()
        && let Some((at, dash)) = [" - ", " – ", " — "].iter().find_map(|dash| Some((cell.find(dash)?, *dash)))
        && let Some((part, label)) = labels::parse(&cell[..at])
    {
        found.push(Found { start: 0, end: at + dash.len(), part, label });
    }
    found
}

/// The longest label that ends where the text ends.
fn label_before(text: &str) -> Option<(usize, Option<Part>, Option<Label>)> {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(48);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    for separator in [",", ";", ". ", "  ", "|"] {
        start = start.max(text[start..].rfind(separator).map_or(start, |at| start + at + separator.len()));
    }
    let begins = |at: &usize| *at == start || text[..*at].ends_with(is_space) || text[..*at].ends_with('(');
    text[start..].char_indices().map(|(at, _)| start + at).filter(begins).find_map(|at| {
        let raw = &text[at..];
        if raw.starts_with(is_space) {
            return None;
        }
        labels::parse(raw.trim_start_matches('(')).map(|(part, label)| (at, part, label))
    })
}

/// Words that need a colon to be a label.
const WEAK: &str = "from to do d/o drop on by due after shipper driver call direct office";

/// A label at the beginning without a colon behind it: "PU date 12/3", "Ready 11/23", "Contact Jorge".
pub fn leading_label(clause: &str) -> Option<Found> {
    let mut ends: Vec<usize> = clause.match_indices(is_space).map(|(at, _)| at).take(4).collect();
    ends.dedup();
    ends.into_iter().rev().find_map(|end| {
        let raw = &clause[..end];
        let (part, label) = labels::parse(raw)?;
        let value = clause[end..].trim_start_matches(is_space);
        let strong = match (part, label) {
            (Some(Part::Pickup | Part::Delivery), label) => label != Some(Label::Name),
            // A person has a capital.
            (None, Some(Label::Contact)) => value.starts_with(char::is_uppercase),
            (None, Some(Label::Phone | Label::Email | Label::From | Label::To | Label::Color)) => true,
            _ => false,
        };
        let strong = strong && !is_listed(WEAK, &raw.to_lowercase());
        strong.then_some(Found { start: 0, end, part, label })
    })
}
