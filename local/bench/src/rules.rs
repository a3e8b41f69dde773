//! The provider `rules`: how well it reads load tenders, field by field, and how fast it reads a long one.

use std::time::Instant;

use carhaul_core::skills::rules::extract_order;
use carhaul_testkit::tenders;
use serde_json::json;

use crate::Outcome;
use crate::report::{self, Report};

/// About as much as an input may have.
const LONG: usize = 195_000;

pub fn measure(report: &mut Report) -> Outcome<()> {
    let corpus = tenders::corpus("");
    let scores = tenders::score(&corpus);
    scores.table().lines().for_each(report::progress);
    let total = scores.total();
    report.at_most(
        format!("rules: values read wrong (1 - precision), {} tenders", corpus.len()),
        1.0 - total.precision(),
        0.05,
        "",
    );
    report.at_most("rules: values missed (1 - recall)", 1.0 - total.recall(), 0.10, "");
    let held_out = tenders::corpus("held_out");
    let unseen = tenders::score(&held_out).total();
    let figures = format!("{:.3}, {:.3}", unseen.precision(), unseen.recall());
    report.figure(format!("rules: precision, recall of {} tenders held out", held_out.len()), figures);
    report.at_most("rules: a tender of 195 kB", of_long(&corpus)?, 50.0, " ms");
    Ok(())
}

/// The best of some runs over all tenders again and again in one text.
fn of_long(corpus: &[tenders::Tender]) -> Outcome<f64> {
    let mut text = String::new();
    for tender in corpus.iter().cycle() {
        if text.len() + tender.input.text.as_str().len() > LONG {
            break;
        }
        text += tender.input.text.as_str();
        text += "\n\n";
    }
    let input = serde_json::from_value(json!({ "text": text, "received_on": "2026-11-20" }))?;
    let runs = (0..5).map(|_| {
        let start = Instant::now();
        std::hint::black_box(extract_order::extract(&input));
        report::milliseconds(start.elapsed())
    });
    Ok(runs.fold(f64::INFINITY, f64::min))
}
