//! From lines to pieces: each a slice of the text with what its label, its column or the block around it says it is.

use std::sync::LazyLock;

use regex::Regex;

use super::contacts;
use super::labels::{self, Label, Part};
use super::rows::{MOST_FIELDS, cells, find_labels, leading_label, split_row};
use super::sentences::{clauses, cue};
use super::source::{Line, is_space, lines, pattern, trim};
use super::vehicle_words::beyond_vin;

/// Where a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The text of a line.
    Text,
    /// A column of a table with several rows: what it says of a vehicle is of that row's.
    Column,
    /// Whom a mail is from, and when it was sent.
    Sender,
    Sent,
    Subject,
}

#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    pub part: Option<Part>,
    pub label: Option<Label>,
    pub text: &'a str,
    pub depth: u8,
    pub line: usize,
    pub paragraph: usize,
    pub origin: Origin,
}

static AUTHORITY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bmc ?#? ?\d{5,8}\b"));
static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^(from|to|cc|bcc|sent|date|subject|reply-to):\s*(.*)$"));
static WROTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^on\b(.*)\bwrote:$"));

pub fn read(text: &str) -> Vec<Piece<'_>> {
    let lines = lines(text);
    let mut reader =
        Reader { is_message: lines.iter().filter(|line| !line.text.is_empty()).count() == 1, ..Reader::default() };
    for (number, line) in lines.into_iter().enumerate() {
        reader.line(number, line);
    }
    reader.pieces
}

#[derive(Default)]
struct Reader<'a> {
    pieces: Vec<Piece<'a>>,
    part: Option<Part>,
    /// The block that `part` opened has said something.
    filled: bool,
    paragraph: usize,
    columns: Columns,
    in_header: bool,
    depth: u8,
    /// All in one line, from a phone.
    is_message: bool,
}

#[derive(Default)]
enum Columns {
    #[default]
    None,
    /// A vehicle, or an order, in each row.
    Fields(char, Vec<Option<(Option<Part>, Option<Label>)>>),
    /// A stop in each column, a field in each row.
    Parts(Vec<Option<Part>>),
}

impl<'a> Reader<'a> {
    fn line(&mut self, number: usize, line: Line<'a>) {
        if line.text.chars().all(|c| is_space(c) || matches!(c, '-' | '=' | '_' | '|' | '+' | ':' | '.' | '~')) {
            // A rule between rows is no end of the table.
            if line.text.is_empty() || !line.text.contains('|') {
                self.blank();
            }
            return;
        }
        if line.depth != self.depth {
            self.blank();
            self.depth = line.depth;
        }
        if self.header(number, line) || self.row(number, line) {
            return;
        }
        self.columns = Columns::None;
        for cell in cells(line.text) {
            self.cell(number, line.depth, cell);
        }
    }

    fn blank(&mut self) {
        self.paragraph += 1;
        self.in_header = false;
        self.columns = Columns::None;
        if self.filled {
            self.part = None;
            self.filled = false;
        }
    }

    /// The head of a forwarded mail, and the line in which a reply names whom it quotes.
    fn header(&mut self, number: usize, line: Line<'a>) -> bool {
        let push = |reader: &mut Self, origin, text| {
            let (depth, paragraph) = (line.depth, reader.paragraph);
            reader.pieces.push(Piece { part: None, label: None, text, depth, line: number, paragraph, origin });
        };
        if let Some(found) = WROTE.captures(line.text) {
            push(self, Origin::Sender, found.get(1).map_or("", |rest| rest.as_str()));
            self.part = None;
            return true;
        }
        let Some(found) = HEADER.captures(line.text) else { return false };
        let value = found.get(2).map_or("", |value| value.as_str());
        let key = found[1].to_ascii_lowercase();
        let address = value.contains('@');
        match key.as_str() {
            "from" if address => push(self, Origin::Sender, value),
            "sent" => push(self, Origin::Sent, value),
            "date" if self.in_header => push(self, Origin::Sent, value),
            "subject" => push(self, Origin::Subject, value),
            "cc" | "bcc" | "reply-to" => {}
            "to" if address || self.in_header => {}
            _ => return false,
        }
        self.in_header = true;
        true
    }

    /// A row of a table, or its head.
    fn row(&mut self, number: usize, line: Line<'a>) -> bool {
        for separator in ['|', '\t', ';', ','] {
            let cells = split_row(line.text, separator);
            if !(3..=MOST_FIELDS).contains(&cells.len()) {
                continue;
            }
            let heads: Vec<_> = cells.iter().map(|cell| labels::parse(cell)).collect();
            let field = |head: &Option<_>| matches!(head, Some((_, Some(_)) | (Some(Part::Vehicles), None)));
            let fields = heads.iter().filter(|head| field(head)).count();
            let parts =
                heads.iter().filter(|head| matches!(head, Some((Some(Part::Pickup | Part::Delivery), None)))).count();
            if fields >= 3 && fields * 4 >= cells.len() * 3 {
                self.columns = Columns::Fields(separator, heads);
                return true;
            }
            if parts >= 2 {
                self.columns = Columns::Parts(heads.iter().map(|head| head.and_then(|(part, _)| part)).collect());
                return true;
            }
        }
        match std::mem::take(&mut self.columns) {
            Columns::Fields(separator, heads) => {
                let cells = split_row(line.text, separator);
                if cells.len().abs_diff(heads.len()) <= 1 {
                    for (cell, head) in cells.into_iter().zip(&heads) {
                        let Some((part, label)) = *head else { continue };
                        self.push(number, line.depth, part, label, cell, Origin::Column);
                    }
                    self.columns = Columns::Fields(separator, heads);
                    return true;
                }
            }
            Columns::Parts(parts) => {
                let cells = split_row(line.text, '|');
                if let Some((head, values)) = cells.split_first().filter(|_| cells.len() == parts.len()) {
                    let label = labels::parse(head).and_then(|(_, label)| label);
                    for (cell, part) in values.iter().zip(&parts[1..]) {
                        self.push(number, line.depth, *part, label, cell, Origin::Text);
                    }
                    self.columns = Columns::Parts(parts);
                    return true;
                }
            }
            Columns::None => {}
        }
        self.pair(number, line)
    }

    /// A row of two cells is a label and its value.
    fn pair(&mut self, number: usize, line: Line<'a>) -> bool {
        let rows = ['|', '\t'].map(|separator| split_row(line.text, separator));
        let Some([head, value]) = rows.iter().find_map(|cells| <&[&str; 2]>::try_from(cells.as_slice()).ok()) else {
            return false;
        };
        let Some((part, label)) = labels::parse(head.trim_end_matches(':')) else { return false };
        self.labelled(number, line.depth, part, label, value);
        true
    }

    fn cell(&mut self, number: usize, depth: u8, cell: &'a str) {
        let found = find_labels(cell);
        let end = found.first().map_or(cell.len(), |found| found.start);
        let lead = cell[..end].trim_matches(is_space);
        if !lead.is_empty() {
            self.unlabelled(number, depth, lead);
        }
        for (index, label) in found.iter().enumerate() {
            let end = found.get(index + 1).map_or(cell.len(), |next| next.start);
            self.labelled(number, depth, label.part, label.label, &cell[label.end..end]);
        }
    }

    fn labelled(&mut self, number: usize, depth: u8, part: Option<Part>, label: Option<Label>, value: &'a str) {
        let value = value.trim_matches(is_space);
        let part = match (part, label) {
            // A place of its own, before any stop was named, is where the vehicle stands.
            (None, Some(Label::Place)) if self.part.is_none() => Some(Part::Pickup),
            (part, _) => part,
        };
        if part.is_some() {
            self.part = part;
            self.filled = !value.is_empty();
        }
        if self.part == Some(Part::Notes) && part.is_none() && label.is_some() {
            self.part = None;
        }
        // A field of the order stands in no stop.
        let part = match label {
            Some(label) if part.is_none() && is_of_order(label) => None,
            _ => self.part,
        };
        if label == Some(Label::Vin)
            && let Some((field, text)) = beyond_vin(value)
        {
            self.push(number, depth, part, label, field, Origin::Text);
            return self.unlabelled(number, depth, text);
        }
        if !value.is_empty() {
            self.push(number, depth, part, label, value, Origin::Text);
        }
    }

    fn unlabelled(&mut self, number: usize, depth: u8, text: &'a str) {
        if self.part == Some(Part::Notes) {
            return self.push(number, depth, Some(Part::Notes), None, text, Origin::Text);
        }
        // A heading.
        if let Some((Some(part), None)) = labels::parse(trim(text)) {
            self.part = Some(part);
            self.filled = false;
            return;
        }
        // "Going from us .. / to them ..".
        if self.part == Some(Part::Pickup) && text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("to ")) {
            self.part = Some(Part::Delivery);
        }
        // Who has an authority of the FMCSA is no stop.
        if AUTHORITY.is_match(text) && self.part != Some(Part::Carrier) {
            self.part = None;
        }
        for (index, clause) in clauses(text).into_iter().enumerate() {
            // A message ends with who sends it.
            if self.is_message && index > 0 && clause.len() < 40 && !contacts::phones(clause).is_empty() {
                self.part = None;
            }
            self.clause(number, depth, clause);
        }
    }

    fn clause(&mut self, number: usize, depth: u8, clause: &'a str) {
        let mut rest = clause;
        if let Some(found) = leading_label(clause) {
            let value = &clause[found.end..];
            if found.part.is_some() {
                self.part = found.part;
            }
            let keeps = found.label.is_some_and(is_of_order) && found.part.is_none();
            if found.label.is_some() {
                let (value, more) = value.split_at(cue(value).map_or(value.len(), |(at, _)| at));
                let part = if keeps { None } else { self.part };
                self.push(number, depth, part, found.label, value.trim_matches(is_space), Origin::Text);
                rest = more;
            } else {
                rest = value;
            }
        }
        while let Some((at, part)) = cue(rest) {
            let (lead, more) = rest.split_at(at);
            self.push(number, depth, self.part, None, lead, Origin::Text);
            self.part = Some(part);
            // On past the word itself, which would be found again.
            let word = more.find(is_space).unwrap_or(more.len());
            let next = cue(&more[word..]).map_or(more.len(), |(next, _)| word + next);
            self.push(number, depth, self.part, None, &more[..next], Origin::Text);
            rest = &more[next..];
            if next == more.len() {
                return;
            }
        }
        self.push(number, depth, self.part, None, rest, Origin::Text);
    }

    fn push(
        &mut self,
        line: usize,
        depth: u8,
        part: Option<Part>,
        label: Option<Label>,
        text: &'a str,
        origin: Origin,
    ) {
        let text = text.trim_matches(is_space);
        if text.is_empty() {
            return;
        }
        self.filled = true;
        let paragraph = self.paragraph;
        self.pieces.push(Piece { part, label, text, depth, line, paragraph, origin });
    }
}

fn is_of_order(label: Label) -> bool {
    matches!(
        label,
        Label::Price
            | Label::Fee
            | Label::Cod
            | Label::Payment
            | Label::Currency
            | Label::Reference
            | Label::Transport
            | Label::From
    )
}
