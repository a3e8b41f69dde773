//! What is checked of an audit whoever made it: whether an order is ready is for the rules alone to say.

use serde_json::json;

use super::audit;
use super::data::{OrderFacts, Output, Severity};
use crate::base::error::{Result, Violations};

const LONGEST_MESSAGE: usize = 500;

/// Takes a provider's audit. What the rules have found stands, in their words; what else a provider has found is for a person
/// to look at, and neither makes an order ready nor keeps it from being so.
///
/// # Errors
/// [`crate::base::error::Error::Invalid`] for an issue with a field that the order does not have, or without a message.
pub fn admit(order: &OrderFacts, output: Output) -> Result<Output> {
    let facts = json!(order);
    let mut admitted = audit(order);
    let mut violations = Violations::default();
    for (n, mut issue) in output.issues.into_iter().enumerate() {
        let at = |member: &str| format!("/issues/{n}/{member}");
        violations.add_unless(facts.pointer(&issue.field).is_some(), at("field"), "is no field of the order");
        let length = issue.message.trim().chars().count();
        let has_message = (1..=LONGEST_MESSAGE).contains(&length);
        violations.add_unless(has_message, at("message"), format!("must have 1 to {LONGEST_MESSAGE} characters"));
        if admitted.issues.iter().any(|known| (known.code, &known.field) == (issue.code, &issue.field)) {
            continue;
        }
        if issue.severity == Severity::Error {
            issue.severity = Severity::Warning;
        }
        admitted.issues.push(issue);
    }
    violations.into_result()?;
    Ok(admitted)
}
