//! What a person can read of an answer before it is whole: the texts that are members of the JSON object itself, character by
//! character. Everything else of it makes sense only when it is there and checked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::skills::schema;

/// Of all texts of an answer, in bytes: what is longer is read when it is there.
const MOST_BYTES: usize = 32 * 1024;
/// Of a member's name, in characters; no schema's is longer.
const LONGEST_NAME: usize = 200;

/// Reads an answer while it comes.
pub struct Texts<'a> {
    schema: &'a Value,
    place: Place,
    /// Of the last member that began.
    name: String,
    escape: Escape,
    /// What has come since it was taken, by member.
    fresh: BTreeMap<String, String>,
    bytes_left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Name,
    /// Behind a name and its colon.
    Value,
    /// Where the next name or the object's end comes.
    Between,
    /// In a text that is a member.
    Text,
    /// In any other value with so many brackets open, and whether in a text of it.
    Other(usize, bool),
    Behind,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// Behind a backslash.
    Begun,
    /// Behind `\u`: the digits, and the first half of a pair that came before.
    Unicode(String, Option<u16>),
    /// Behind a first half.
    Half(u16),
    /// Behind a first half and a backslash.
    HalfBegun(u16),
}

impl<'a> Texts<'a> {
    /// Of an answer to this schema: only members that it has are read.
    pub fn new(schema: &'a Value) -> Self {
        Self {
            schema,
            place: Place::Before,
            name: String::new(),
            escape: Escape::None,
            fresh: BTreeMap::new(),
            bytes_left: MOST_BYTES,
        }
    }

    /// The next piece of the answer.
    pub fn push(&mut self, piece: &str) {
        for c in piece.chars() {
            self.next(c);
        }
    }

    /// What has come since this was asked last.
    pub fn take(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.fresh)
    }

    fn next(&mut self, c: char) {
        self.place = match (self.place, c) {
            (Place::Before, '{') | (Place::Between, ',') => Place::Between,
            (Place::Between, '"') => {
                self.name.clear();
                Place::Name
            }
            (Place::Name | Place::Text, _) => return self.next_of_text(c),
            (Place::Between, ':') => Place::Value,
            (Place::Value, '"') => Place::Text,
            (Place::Value, '{' | '[') => Place::Other(1, false),
            (Place::Value, ',') => Place::Between,
            (Place::Value | Place::Between, '}') => Place::Behind,
            (Place::Other(depth, true), _) => return self.next_of_other(depth, c),
            (Place::Other(depth, false), '"') => Place::Other(depth, true),
            (Place::Other(depth, false), '{' | '[') => Place::Other(depth + 1, false),
            (Place::Other(1, false), '}' | ']') => Place::Between,
            (Place::Other(depth, false), '}' | ']') => Place::Other(depth - 1, false),
            (place, _) => place,
        };
    }

    fn next_of_other(&mut self, depth: usize, c: char) {
        match (std::mem::take(&mut self.escape), c) {
            (Escape::None, '\\') => self.escape = Escape::Begun,
            (Escape::None, '"') => self.place = Place::Other(depth, false),
            _ => {}
        }
    }

    fn next_of_text(&mut self, c: char) {
        match std::mem::take(&mut self.escape) {
            Escape::None => match c {
                '"' => self.place = Place::Between,
                '\\' => self.escape = Escape::Begun,
                c => self.add(c),
            },
            Escape::Begun => self.escaped(c),
            Escape::Unicode(digits, half) => self.digit(digits + c.encode_utf8(&mut [0; 4]), half),
            Escape::Half(half) if c == '\\' => self.escape = Escape::HalfBegun(half),
            Escape::HalfBegun(half) if c == 'u' => self.escape = Escape::Unicode(String::new(), Some(half)),
            Escape::Half(_) => {
                self.add(char::REPLACEMENT_CHARACTER);
                self.next_of_text(c);
            }
            Escape::HalfBegun(_) => {
                self.add(char::REPLACEMENT_CHARACTER);
                self.escaped(c);
            }
        }
    }

    fn escaped(&mut self, c: char) {
        match c {
            'u' => self.escape = Escape::Unicode(String::new(), None),
            'n' => self.add('\n'),
            't' => self.add('\t'),
            'r' => self.add('\r'),
            'b' => self.add('\u{8}'),
            'f' => self.add('\u{c}'),
            other => self.add(other),
        }
    }

    fn digit(&mut self, digits: String, half: Option<u16>) {
        if digits.chars().count() < 4 {
            self.escape = Escape::Unicode(digits, half);
            return;
        }
        let unit = u16::from_str_radix(&digits, 16).unwrap_or(0xfffd);
        if half.is_none() && (0xd800..0xdc00).contains(&unit) {
            self.escape = Escape::Half(unit);
            return;
        }
        for c in char::decode_utf16(half.into_iter().chain([unit])) {
            self.add(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }

    fn add(&mut self, c: char) {
        if self.place == Place::Name {
            if self.name.len() < LONGEST_NAME {
                self.name.push(c);
            }
            return;
        }
        // Postgres keeps no U+0000.
        if c == '\0' || !schema::has_field(self.schema, &[&self.name]) {
            return;
        }
        let Some(left) = self.bytes_left.checked_sub(c.len_utf8()) else {
            self.bytes_left = 0;
            return;
        };
        self.bytes_left = left;
        self.fresh.entry(self.name.clone()).or_default().push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"properties": {"subject": {}, "body": {}, "facts": {}, "n": {}, "k\"y": {}}})
    }

    fn read(pieces: &[&str]) -> Vec<Value> {
        let schema = schema();
        let mut texts = Texts::new(&schema);
        let taken = pieces.iter().map(|piece| {
            texts.push(piece);
            json!(texts.take())
        });
        taken.collect()
    }

    #[test]
    fn each_text_is_read_as_it_comes() {
        let pieces = ["Sure: {\"sub", "ject\": \"Load", "ed\", \"n\": 7,", "\"body\":\"Hel", "lo\\", "n\\u00", "e9\"}"];
        let expected = [
            json!({}),
            json!({"subject": "Load"}),
            json!({"subject": "ed"}),
            json!({"body": "Hel"}),
            json!({"body": "lo"}),
            json!({"body": "\n"}),
            json!({"body": "é"}),
        ];
        // The backslash waits for what it stands before.
        let mut read = read(&pieces);
        read.remove(0);
        assert_eq!(read, expected[1..]);
    }

    #[test]
    fn what_is_no_text_of_the_object_itself_or_of_the_schema_is_not_read() {
        let hostile = r#"{"secret": "no", "facts": ["no", {"body": "no\"]"}], "n": null, "body": "yes", "subject": null} {"body": "no"}"#;
        assert_eq!(read(&[hostile]), [json!({"body": "yes"})]);
        assert_eq!(read(&["[\"body\", \"no\"]"]), [json!({})]);
    }

    #[test]
    fn halves_of_pairs_and_what_cannot_be_kept_do_no_harm() {
        assert_eq!(
            read(&[r#"{"body": "\ud83d\ude9a \ud83d \ud83d\n \u0000\uzzzz"}"#]),
            [json!({"body": "🚚 \u{fffd} \u{fffd}\n \u{fffd}"})]
        );
        let long = format!("{{\"body\": \"{}\"}}", "x".repeat(2 * MOST_BYTES));
        assert_eq!(read(&[&long])[0]["body"].as_str().unwrap().len(), MOST_BYTES);
    }

    proptest! {
        #[test]
        fn put_together_the_pieces_are_the_text(
            subject in "\\PC{0,30}", body in "[ -~\\n\"\\\\é🚚]{0,60}", facts in proptest::collection::vec("\\PC{0,9}", 0..4),
            cuts in proptest::collection::vec(0_usize..400, 0..9),
        ) {
            let answer = json!({"facts": facts, "subject": subject, "n": {"a": [1, "}"]}, "body": body}).to_string();
            let schema = schema();
            let mut texts = Texts::new(&schema);
            let (mut whole, mut begin) = (BTreeMap::<String, String>::new(), 0);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| answer.is_char_boundary(*cut)).collect();
            cuts.sort_unstable();
            for end in cuts.into_iter().chain([answer.len()]) {
                texts.push(answer.get(begin..end).unwrap_or_default());
                begin = end.max(begin);
                for (name, text) in texts.take() {
                    whole.entry(name).or_default().push_str(&text);
                }
            }
            prop_assert_eq!(whole.get("subject").cloned().unwrap_or_default(), subject);
            prop_assert_eq!(whole.get("body").cloned().unwrap_or_default(), body);
            prop_assert!(!whole.contains_key("facts") && !whole.contains_key("n"));
        }
    }
}
