//! What the reader sees: progress lines, then one table.

use std::time::Duration;

pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    measured: String,
    target: String,
    met: Option<bool>,
}

/// A line while it runs.
pub fn progress(what: &str) {
    println!("      {what}");
}

pub fn step(what: &str) {
    println!("==    {what}");
}

impl Report {
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A figure that must not be above its target.
    pub fn at_most(&mut self, what: impl Into<String>, measured: f64, target: f64, unit: &str) {
        let digits = if target.fract() == 0.0 && measured.fract() == 0.0 { 0 } else { 2 };
        let met = Some(measured <= target);
        let (measured, target) = (format!("{measured:.digits$}{unit}"), format!("<= {target}{unit}"));
        self.rows.push(Row { what: what.into(), measured, target, met });
    }

    /// A figure without a target.
    pub fn figure(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.rows.push(Row { what: what.into(), measured: measured.into(), target: String::new(), met: None });
    }

    /// Prints the table as Markdown; returns how many targets were missed.
    pub fn print(&self) -> usize {
        let width = |of: fn(&Row) -> &str| self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (what, measured) = (width(|row| &row.what), width(|row| &row.measured).max(8));
        let target = width(|row| &row.target).max(6);
        println!("\n| {:what$} | {:measured$} | {:target$} |      |", "what", "measured", "target");
        println!("|-{}-|-{}-|-{}-|------|", "-".repeat(what), "-".repeat(measured), "-".repeat(target));
        for row in &self.rows {
            let mark = row.met.map_or("", |met| if met { "met" } else { "MISS" });
            println!("| {:what$} | {:measured$} | {:target$} | {mark:4} |", row.what, row.measured, row.target);
        }
        let targets = self.rows.iter().filter_map(|row| row.met);
        let (met, all) = (targets.clone().filter(|met| *met).count(), targets.count());
        println!("\n{met} of {all} targets met");
        all - met
    }
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
