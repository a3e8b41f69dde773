//! Reads a load tender: a mail, a dispatch sheet, a table, a message from a phone. The text is taken for what it says about a
//! load and for nothing else: what it asks of its reader is at most a note.
//!
//! Lines become pieces that know their label, their column and the block they stand in ([`reader`]); each reader below picks
//! the pieces that it understands. Nothing is looked up, guessed from today's date or filled in: what the text does not tell
//! is missing. Work grows with the length of the text and no faster; patterns cannot backtrack.

mod condition;
mod contacts;
mod count;
mod customer;
mod dates;
pub mod draft;
pub mod guard;
mod labels;
mod makes;
mod money;
mod parts;
mod payment;
mod places;
mod price;
mod reader;
mod reference;
mod rows;
mod sentences;
mod source;
mod states;
mod stops;
mod transport;
mod vehicle_words;
mod vehicles;
mod vocabulary;

use chrono::NaiveDate;

use self::count::Count;
use self::dates::Calendar;
use self::draft::{Draft, Input, MAX_NOTES, MAX_QUOTE, Output, Told};
use self::labels::{Label, Part};
use self::reader::{Origin, Piece};
use self::source::{clean, offset, told};
use crate::base::text::LongText;

/// JSON Schema of [`Input`].
pub const INPUT_SCHEMA: &str = include_str!("../../builtin/extract_order.input.schema.json");
/// JSON Schema of [`Output`].
pub const OUTPUT_SCHEMA: &str = include_str!("../../builtin/extract_order.output.schema.json");

/// Reads a tender. There is always a draft; what it lacks is named in it.
pub fn extract(input: &Input) -> Output {
    let text = input.text.as_str();
    let pieces = reader::read(text);
    let told = ToldOf::read(input, &pieces);
    let vehicles = vehicles::read(&pieces);
    let (pickup, delivery) = stops::read(text, &pieces, &vehicles.taken, &told.calendar);
    let mut draft = Draft {
        customer: customer::read(&pieces, &vehicles.taken),
        reference: reference::read(&pieces, &vehicles.taken),
        pickup,
        delivery,
        transport_type: transport::read(&pieces),
        notes: notes(text, &pieces),
        ..Draft::default()
    };
    let price = price::read(&pieces, &vehicles.taken);
    draft.vehicles = vehicles.vehicles;
    price.put_on(&mut draft);
    guard::conclude(draft, vehicles.warnings, &told)
}

/// The day from which days are counted.
fn received(input: &Input, pieces: &[Piece<'_>]) -> Option<NaiveDate> {
    input.received_on.map(|day| day.date()).or_else(|| sent_on(pieces))
}

/// What a text tells of its draft as a whole, whoever made it.
struct ToldOf {
    calendar: Calendar,
    count: Count,
}

impl ToldOf {
    fn read(input: &Input, pieces: &[Piece<'_>]) -> Self {
        let calendar = Calendar::new(received(input, pieces), pieces.iter().map(|piece| piece.text));
        Self { calendar, count: Count::read(input.text.as_str(), pieces) }
    }

    fn of(input: &Input) -> Self {
        Self::read(input, &reader::read(input.text.as_str()))
    }
}

/// The day on which a mail says that it was sent, or a sheet that it was written.
fn sent_on(pieces: &[Piece<'_>]) -> Option<NaiveDate> {
    let dated = |piece: &&Piece<'_>| {
        matches!(piece.origin, Origin::Sent | Origin::Sender)
            || piece.part.is_none() && piece.label == Some(Label::Date)
    };
    pieces.iter().filter(dated).find_map(|piece| dates::day(piece.text, None))
}

/// Each run of lines under a heading for notes is one.
fn notes(text: &str, pieces: &[Piece<'_>]) -> Vec<Told<LongText<MAX_QUOTE>>> {
    let runs = pieces
        .chunk_by(|a, b| a.part == b.part && a.paragraph == b.paragraph && a.depth == b.depth && b.label.is_none());
    let notes = runs.filter(|run| run[0].part == Some(Part::Notes)).flat_map(|run| {
        let (first, last) = (run[0].text, run[run.len() - 1].text);
        let whole = text.get(offset(text, first)..offset(text, last) + last.len());
        match whole.filter(|whole| whole.chars().count() <= MAX_QUOTE) {
            Some(whole) => vec![whole],
            None => run.iter().map(|piece| piece.text).collect(),
        }
    });
    let notes = notes.filter(|raw| raw.contains(char::is_alphanumeric));
    let note = |raw: &str| {
        let value = clean(&raw.replace("\n>", "\n"));
        Some(told(LongText::parse(&value.chars().take(MAX_QUOTE).collect::<String>()).ok()?, 0.9, raw))
    };
    notes.filter_map(note).take(MAX_NOTES).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
