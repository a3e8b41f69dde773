//! Addresses: street, city, state or province, postal code.

use std::sync::LazyLock;

use regex::Regex;

use super::source::{is_listed, offset, pattern};
use super::states;

static ZIP: &str = r"\d{5}(?:-\d{4})?|[A-Za-z]\d[A-Za-z][\s-]?\d[A-Za-z]\d";

static ZIP_ALONE: LazyLock<Regex> = LazyLock::new(|| pattern(format!("^(?:{ZIP})$")));

/// A state with its postal code behind it, or behind a comma, or in capitals at the end.
static STATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(format!(
        r"(?i)(?P<before>^|[,\s])\s*\b(?P<state>[a-z]{{2}}|{})\b\.?(?:[,\s]+(?P<zip>{ZIP})\b)?",
        states::PATTERN.as_str()
    ))
});

/// Where a text says city, state and postal code.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// What stands before the state, up to the part that names the city.
    pub before: &'a str,
    pub state: &'static str,
    pub state_quote: &'a str,
    pub zip: Option<&'a str>,
}

/// Finds a state in a line of an address. Two letters are a state only with a postal code behind them, or in capitals after
/// a comma or at the end: "OK", "IN" and "me" are words.
pub fn find(text: &str) -> Option<Found<'_>> {
    let mut from = 0;
    while let Some(found) = STATE.captures_at(text, from) {
        let name = found.name("state")?;
        let zip = found.name("zip");
        let before = text[..name.start()].trim_end();
        let after = text[zip.map_or(name.end(), |zip| zip.end())..].trim_start_matches('.');
        let capitals = name.as_str().chars().all(char::is_uppercase);
        let full = name.as_str().len() > 2;
        let ends = after.trim_start().chars().next().is_none_or(|c| !c.is_alphanumeric());
        let likely = zip.is_some()
            || before.ends_with(',') && (capitals || full)
            || capitals && !full && ends && !before.is_empty();
        // The part behind the comma: "KS", "KS any time after 12/9".
        let opens = capitals && !full && name.start() == 0;
        let likely = likely || opens && (after.is_empty() || after.trim_start().starts_with(char::is_lowercase));
        match states::code(name.as_str()).filter(|_| likely) {
            Some(state) => {
                let state_quote = name.as_str();
                return Some(Found { before, state, state_quote, zip: zip.map(|zip| zip.as_str()) });
            }
            // Two-letter words may overlap: "de ME 04103".
            None => from = name.end(),
        }
    }
    None
}

pub fn is_zip(text: &str) -> bool {
    ZIP_ALONE.is_match(text.trim())
}

const STREETS: &str = "\
    st street rd road ave avenue av blvd boulevard dr drive ln lane ct court pkwy parkway hwy highway way pl place \
    cir circle ter terrace trl trail pike row fwy freeway expy expressway loop sq square rte route run path plaza \
    crossing xing tpke turnpike alley cres crescent bend point ridge cove";
const DIRECTIONS: &str = "n s e w ne nw se sw north south east west o";

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// Begins with a house number and goes on with words.
pub fn is_street(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(number) = words.next() else { return false };
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let house = digits > 0 && number.len() - digits <= 1 && number.chars().all(char::is_alphanumeric);
    let next = words.next().map(bare).unwrap_or_default();
    let counted = "unit units car cars vehicle vehicles x days day inops am pm business";
    house && !next.is_empty() && !is_listed(counted, &next) && next.chars().any(char::is_alphabetic)
}

/// A flat, a suite, a floor: part of the address before it.
pub fn is_unit(text: &str) -> bool {
    let first = bare(text.split_whitespace().next().unwrap_or_default());
    ["apt", "suite", "ste", "unit", "floor", "fl", "bldg", "building", "apartment", "dock", "door"]
        .contains(&first.as_str())
        || text.starts_with('#')
}

/// "YELLOWSTONE KIA 3100 KING AVE W BILLINGS" is a name, a street and a city.
pub fn split(text: &str) -> (&str, &str, &str) {
    let words: Vec<(usize, &str)> = text.split_whitespace().map(|word| (offset(text, word), word)).collect();
    let number =
        words.iter().position(|(at, word)| word.starts_with(|c: char| c.is_ascii_digit()) && is_street(&text[*at..]));
    let Some(number) = number else { return ("", "", text) };
    let is = |index: usize, list: &str| words.get(index).is_some_and(|(_, word)| is_listed(list, &bare(word)));
    let street = (number + 2..words.len()).find(|&index| is(index, STREETS) && !is(index + 1, STREETS));
    let Some(mut last) = street else { return (&text[..words[number].0], &text[words[number].0..], "") };
    if is(last + 1, DIRECTIONS) && last + 2 < words.len() {
        last += 1;
    }
    let end = words[last].0 + words[last].1.len();
    (text[..words[number].0].trim(), text[words[number].0..end].trim(), text[end..].trim())
}

/// "dallas tx to houston tx": both ends of a route.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub city: &'a str,
    pub state: Option<(&'static str, &'a str)>,
    pub zip: Option<&'a str>,
}

static ROUTE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(format!(
        r"(?i)\b(?P<a>[a-z][a-z.'-]+(?:\s[a-z][a-z.'-]+){{0,2}}),?\s(?P<s>[a-z]{{2}})\b,?\s?(?P<z>{ZIP})?\s*(?:to|->|=>|→|–|-|>)\s*(?P<b>[a-z][a-z.'-]+(?:\s[a-z][a-z.'-]+){{0,2}}),?\s(?P<t>[a-z]{{2}})\b,?\s?(?P<y>{ZIP})?"
    ))
});

static FROM_TO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b[Ff]rom (?P<a>[A-Z][a-z.'-]+(?: [A-Z][a-z.'-]+){0,2}) to (?P<b>(?:[A-Z][a-z.'-]+(?: [A-Z][a-z.'-]+){0,2})?)",
    )
});

pub fn route(text: &str) -> Option<(End<'_>, Option<End<'_>>)> {
    if let Some(found) = ROUTE.captures(text) {
        let end = |city, code, zip| {
            let code = found.name(code)?.as_str();
            let zip = found.name(zip).map(|zip| zip.as_str());
            Some(End { city: last_city(found.name(city)?.as_str()), state: Some((states::code(code)?, code)), zip })
        };
        if let (Some(from), Some(to)) = (end("a", "s", "z"), end("b", "t", "y")) {
            return Some((from, Some(to)));
        }
    }
    let found = FROM_TO.captures(text)?;
    let end = |name| found.name(name).map(|city| city.as_str()).filter(|city| !city.is_empty());
    let (from, to) = (end("a")?, end("b"));
    Some((End { city: from, state: None, zip: None }, to.map(|city| End { city, state: None, zip: None })))
}

/// The last word of what stands before a state, and those before it that a city's name can begin with: in "drives dallas tx"
/// nothing else tells where the city begins.
fn last_city(text: &str) -> &str {
    const FIRST: &str = "\
        san los las new fort ft st saint el salt kansas oklahoma corpus baton north south west east grand palm \
        santa long little des la lake port cedar colorado sioux virginia green ann high jersey iowa jefferson \
        carson panama daytona myrtle";
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut first = words.len().saturating_sub(1);
    while first > 0
        && (is_listed(FIRST, &bare(words[first - 1])) || bare(words[first]) == "city" && first + 1 == words.len())
    {
        first -= 1;
    }
    words.get(first).map_or(text, |word| &text[offset(text, word)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_where_it_is_one() {
        for (text, before, state, zip) in [
            ("Lexington, KY 40511", "Lexington,", "KY", Some("40511")),
            ("Toronto, Ontario M4G 4C5", "Toronto,", "ON", Some("M4G 4C5")),
            ("Muncie IN 47305", "Muncie", "IN", Some("47305")),
            ("Greenwich, CT", "Greenwich,", "CT", None),
            ("Macon GA", "Macon", "GA", None),
        ] {
            let found = find(text).unwrap();
            assert_eq!((found.before, found.state, found.zip), (before, state, zip), "{text}");
        }
        for text in ["can you do it in time", "call me", "OK, we can do it", "runs or rolls"] {
            assert!(find(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_address_without_commas_is_split_at_the_number_and_the_street() {
        assert_eq!(
            split("YELLOWSTONE KIA 3100 KING AVE W BILLINGS"),
            ("YELLOWSTONE KIA", "3100 KING AVE W", "BILLINGS")
        );
        assert_eq!(split("Orlando"), ("", "", "Orlando"));
    }

    #[test]
    fn a_route_has_two_ends() {
        let (from, to) = route("civic runs n drives dallas tx to salt lake city ut ready").unwrap();
        assert_eq!((from.city, from.state.map(|s| s.0)), ("dallas", Some("TX")));
        assert_eq!(to.map(|to| (to.city, to.state.map(|s| s.0))), Some(("salt lake city", Some("UT"))));
    }
}
