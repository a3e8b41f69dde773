//! Load tenders with the order that each tells of, and how well a draft of it fits: for tests, and for `make bench`.
//!
//! Each field is counted by itself. A value that is told and read alike is right; one that is read and not told is wrong; one
//! that is told and not read is missed; one that is read differently is both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use carhaul_core::skills::rules::extract_order::{self, draft::Input, draft::Output};
use serde_json::{Value, json};

/// Where the corpus is.
const TENDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/tenders");

/// One tender and what it tells.
pub struct Tender {
    pub name: String,
    pub input: Input,
    /// The order, without what is not told.
    pub expected: Value,
}

/// How often a field was read right.
#[derive(Debug, Default, Clone, Copy)]
pub struct Score {
    pub right: usize,
    pub wrong: usize,
    pub missed: usize,
}

impl Score {
    /// Of what was read, how much is right.
    pub fn precision(&self) -> f64 {
        ratio(self.right, self.right + self.wrong)
    }

    /// Of what is told, how much was read.
    pub fn recall(&self) -> f64 {
        ratio(self.right, self.right + self.missed)
    }

    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a corpus are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// The scores of a corpus, by field.
#[derive(Debug, Default)]
pub struct Scores {
    pub fields: BTreeMap<String, Score>,
    /// Each difference: tender, field, what was told, what was read.
    pub differences: Vec<String>,
}

impl Scores {
    pub fn total(&self) -> Score {
        self.fields.values().fold(Score::default(), |mut total, score| {
            total.add(*score);
            total
        })
    }

    /// A table, a line for each field.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:28} {:>5} {:>5} {:>6} {:>9} {:>6}\n",
            "field", "right", "wrong", "missed", "precision", "recall"
        );
        let total = self.total();
        for (field, score) in self.fields.iter().map(|(field, score)| (field.as_str(), score)).chain([("all", &total)])
        {
            let Score { right, wrong, missed } = score;
            let (precision, recall) = (score.precision(), score.recall());
            table += &format!("{field:28} {right:5} {wrong:5} {missed:6} {precision:9.3} {recall:6.3}\n");
        }
        table
    }
}

/// The tenders that the rules were written with, or, in the folder `held_out`, those that were written afterwards.
///
/// # Panics
/// When the corpus cannot be read.
pub fn corpus(folder: &str) -> Vec<Tender> {
    let folder = Path::new(TENDERS).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut texts: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    texts.sort();
    texts.iter().map(|path| tender(path)).collect()
}

fn tender(path: &Path) -> Tender {
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let told: Value = serde_json::from_str(&read(&path.with_extension("json"))).expect("the expected order is JSON");
    let input = json!({ "text": read(path), "received_on": told["received_on"] });
    Tender {
        name: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        input: serde_json::from_value(input).expect("a tender is an input"),
        expected: told["order"].clone(),
    }
}

/// How well the rules read these.
pub fn score(tenders: &[Tender]) -> Scores {
    let mut scores = Scores::default();
    for tender in tenders {
        compare(tender, &extract_order::extract(&tender.input), &mut scores);
    }
    scores
}

fn compare(tender: &Tender, output: &Output, scores: &mut Scores) {
    let read = values(&serde_json::to_value(&output.order).expect("a draft is JSON"));
    let (mut told, mut found) = (Vec::new(), Vec::new());
    flatten("", &align(&tender.expected, &read), &mut told);
    flatten("", &read, &mut found);
    let told: BTreeSet<(String, String)> = told.into_iter().collect();
    let mut left: BTreeSet<(String, String)> = found.into_iter().collect();
    for (path, value) in &told {
        let same = left.iter().find(|(at, read)| at == path && alike(path, value, read)).cloned();
        let score = scores.fields.entry(field(path)).or_default();
        match same {
            Some(same) => {
                score.right += 1;
                left.remove(&same);
            }
            None => {
                score.missed += 1;
                scores.differences.push(format!("{}: {path} missed {value:?}", tender.name));
            }
        }
    }
    for (path, value) in left {
        scores.fields.entry(field(&path)).or_default().wrong += 1;
        scores.differences.push(format!("{}: {path} wrong {value:?}", tender.name));
    }
}

/// The draft's values without their quotes and confidences.
fn values(draft: &Value) -> Value {
    match draft {
        Value::Object(told) if told.contains_key("quote") => told["value"].clone(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), values(value))).collect(),
        Value::Array(items) => items.iter().map(values).collect(),
        other => other.clone(),
    }
}

/// The expected order with its vehicles in the order of those that were read, where the VIN tells which is which.
fn align(expected: &Value, read: &Value) -> Value {
    let mut expected = expected.clone();
    let list = |order: &Value| order["vehicles"].as_array().cloned().unwrap_or_default();
    let (mut told, read) = (list(&expected), list(read));
    for (place, vehicle) in read.iter().enumerate().take(told.len()) {
        let same = told.iter().position(|told| told["vin"].is_string() && told["vin"] == vehicle["vin"]);
        if let Some(same) = same {
            told.swap(place, same);
        }
    }
    expected["vehicles"] = told.into();
    expected
}

fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{path}/{key}"), value, leaves))
        }
        Value::Array(items) if path == "/vehicles" => {
            items.iter().enumerate().for_each(|(index, value)| flatten(&format!("{path}/{index}"), value, leaves));
        }
        Value::Array(items) => items.iter().for_each(|value| flatten(path, value, leaves)),
        Value::String(text) => leaves.push((path.into(), text.clone())),
        other => leaves.push((path.into(), other.to_string())),
    }
}

/// `/vehicles/3/vin` is the field `vehicles.vin`.
fn field(path: &str) -> String {
    let names = path.split('/').filter(|part| !part.is_empty() && !part.chars().all(|c| c.is_ascii_digit()));
    names.collect::<Vec<_>>().join(".")
}

/// The same in any case and with any spaces; a telephone number by its digits.
fn alike(path: &str, told: &str, read: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let digits = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(&digits).to_owned()
    };
    if path.ends_with("/phone") { digits(told) == digits(read) } else { words(told) == words(read) }
}
