//! Whether a vehicle can be driven onto the trailer, and why not.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::{Told, Vehicle};
use super::source::{is_space, pattern, told};
use crate::orders::InoperableFlag;

#[derive(Debug, Clone, Default)]
pub struct Condition {
    pub is_inoperable: Option<Told<bool>>,
    pub flags: Vec<Told<InoperableFlag>>,
}

const NOT: &str = r"(?:does\s?n[o'’]?t|doesnt|does not|won'?’?t|will not|can ?not|can'?’?t|not|non?)";

static FAULTS: LazyLock<[(Regex, InoperableFlag); 5]> = LazyLock::new(|| {
    let pattern = |rest: String| pattern(format!(r"(?i)\b{rest}"));
    [
        (
            pattern(format!(
                r"(?:{NOT}[\s-]?(?:run(?:s|ning)?(?: or drive)?|drive|drivable|start)\b|dead\b|engine (?:is )?out\b)"
            )),
            InoperableFlag::DoesNotRun,
        ),
        (pattern(format!(r"{NOT}[\s-]?roll(?:s|ing)?\b")), InoperableFlag::DoesNotRoll),
        (pattern(format!(r"{NOT}[\s-]?steer(?:s|ing)?\b")), InoperableFlag::DoesNotSteer),
        (pattern(r"(?:no|without|missing) keys?\b".into()), InoperableFlag::NoKeys),
        (pattern(r"flat t[iy]res?\b".into()), InoperableFlag::FlatTire),
    ]
});
static INOPERABLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:inops?|inoperable|non-?op|not operable|forklift only)\b"));
static OPERABLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:runs?(?:,? ?(?:and|&|n|\+)'? ?drives?| ?/ ?drives?| ok(?:ay)?| fine| good| great)?|operable|operational|running(?: condition)?|drives|drivable|driveable)\b",
    )
});

/// What a text says of one.
pub fn read(text: &str) -> Condition {
    let flags: Vec<_> =
        FAULTS.iter().filter_map(|(pattern, flag)| Some(told(*flag, 0.9, pattern.find(text)?.as_str()))).collect();
    let inoperable = INOPERABLE.find(text).map(|found| told(true, 0.95, found.as_str()));
    let follows = flags.first().map(|flag| told(true, flag.confidence, &flag.quote));
    let operable = || OPERABLE.find(text).map(|found| told(false, 0.9, found.as_str()));
    Condition { is_inoperable: inoperable.or(follows).or_else(operable), flags }
}

/// The answer in a field that asks whether it runs; `asked` is what a yes means.
pub fn answer(text: &str, asked_inoperable: bool) -> Condition {
    let word = text.split(|c| is_space(c) || c == ',').next().unwrap_or_default();
    let yes = match word.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" => true,
        "no" | "n" | "false" => false,
        _ => return read(text),
    };
    let is_inoperable = yes == asked_inoperable;
    let does_not_run = (is_inoperable && !asked_inoperable).then(|| told(InoperableFlag::DoesNotRun, 0.85, word));
    Condition { is_inoperable: Some(told(is_inoperable, 0.9, word)), flags: does_not_run.into_iter().collect() }
}

/// The answer in a field that asks for keys.
pub fn keys(text: &str) -> Condition {
    let none = ["no", "n", "none", "missing"].contains(&text.to_ascii_lowercase().as_str());
    let flags: Vec<_> = none.then(|| told(InoperableFlag::NoKeys, 0.9, text)).into_iter().collect();
    Condition { is_inoperable: none.then(|| told(true, 0.9, text)), flags }
}

impl Condition {
    pub fn is_empty(&self) -> bool {
        self.is_inoperable.is_none()
    }

    /// Adds to what is known: a fault outweighs "runs".
    pub fn put_on(self, vehicle: &mut Vehicle) {
        for flag in self.flags {
            if vehicle.inoperable_flags.iter().all(|known| known.value != flag.value) {
                vehicle.inoperable_flags.push(flag);
            }
        }
        let worse = |present: &Told<bool>| !present.value && self.is_inoperable.as_ref().is_some_and(|told| told.value);
        if vehicle.is_inoperable.as_ref().is_none_or(worse) {
            vehicle.is_inoperable = self.is_inoperable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_many_words() {
        use InoperableFlag::*;
        for (text, inoperable, flags) in [
            ("runs n drives", Some(false), vec![]),
            ("operable", Some(false), vec![]),
            ("does not run, no keys", Some(true), vec![DoesNotRun, NoKeys]),
            ("doesn't roll, flat tires", Some(true), vec![DoesNotRoll, FlatTire]),
            ("non-running", Some(true), vec![DoesNotRun]),
            ("INOP", Some(true), vec![]),
            ("white", None, vec![]),
        ] {
            let read = read(text);
            assert_eq!(read.is_inoperable.map(|told| told.value), inoperable, "{text}");
            assert_eq!(read.flags.iter().map(|told| told.value).collect::<Vec<_>>(), flags, "{text}");
        }
    }
}
