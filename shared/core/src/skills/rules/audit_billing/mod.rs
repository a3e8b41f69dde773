//! Is an order ready to be invoiced? A rule for each way in which it is not; nothing is changed by it.

mod data;
pub mod guard;
mod rules;

pub use self::data::{Asked, Code, Issue, OrderFacts, Output, Severity, Vehicle};

/// Audits an order. Issues come in the order of the rules; an order is ready when none of them is an error.
pub fn audit(order: &OrderFacts) -> Output {
    let mut issues = Vec::new();
    for rule in rules::ALL {
        rule(order, &mut issues);
    }
    Output { ready: issues.iter().all(|issue| issue.severity != Severity::Error), issues }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
