//! Telephone numbers, mail addresses and persons.

use std::sync::LazyLock;

use regex::Regex;

use super::draft::Told;
use super::makes;
use super::source::{clean, is_listed, pattern, told, trim};
use crate::base::strings::{Email, Phone};
use crate::base::text::Name;

static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:\+?1[\s.-]{0,2})?(?:\(\d{3}\)|\b\d{3})[\s.-]{0,2}\d{3}[\s.-]\d{4}\b(?:\s?(?:x|ext\.?)\s?\d{1,6}\b)?")
});

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}"));

/// The slices of a text that are telephone numbers.
pub fn phones(text: &str) -> Vec<&str> {
    let alone = |found: &regex::Match<'_>| {
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
        !joined(text[..found.start()].chars().next_back()) && !joined(text[found.end()..].chars().next())
    };
    PHONE.find_iter(text).filter(alone).map(|found| found.as_str()).collect()
}

pub fn emails(text: &str) -> Vec<&str> {
    EMAIL.find_iter(text).map(|found| found.as_str()).collect()
}

pub fn phone(raw: &str, confidence: f64) -> Option<Told<Phone>> {
    let written: String = clean(raw).replace("ext.", "x").replace("ext", "x");
    Some(told(Phone::parse(&written).ok()?, confidence, raw))
}

pub fn email(raw: &str, confidence: f64) -> Option<Told<Email>> {
    Some(told(Email::parse(raw).ok()?, confidence, raw))
}

pub fn name(raw: &str, confidence: f64) -> Option<Told<Name>> {
    let raw = trim(raw);
    if !raw.contains(char::is_alphanumeric) {
        return None;
    }
    Some(told(Name::parse(&clean(raw)).ok()?, confidence, raw))
}

/// Words that a person's name has not, and a company's has.
const COMPANY: &str = "\
    llc inc ltd corp co company logistics transport transportation brokers broker brokerage auto autos automotive \
    motors motor motorcars cars car remarketing services service forwarding exports export imports exchange movers \
    moving sales concierge powersports group shipping freight carriers carrier trans fleet dispatch auction \
    auctions dealer dealership rental rentals trucking haulers hauling relocation vehicle vehicles solutions \
    express lines truck trucks equipment garage collision salvage terminal port yard center centre storage \
    warehouse residence honda toyota ford chevrolet nissan kia hyundai volvo bmw acura chrysler subaru mazda dodge \
    jeep lot house club bank leasing finance insurance lexus audi mercedes-benz cadillac buick gmc office desk gate \
    department dept towing recovery supply enterprises international national systems team collector classics";

/// A title beside a name, which is neither a name nor a company.
const TITLES: &str = "\
    manager dispatcher coordinator specialist representative agent director president owner ceo supervisor \
    executive rep administrator assistant";

pub fn is_title(text: &str) -> bool {
    text.split_whitespace().any(|word| is_listed(TITLES, &word.to_lowercase()))
}

pub fn is_company(text: &str) -> bool {
    words(text).any(|word| is_listed(COMPANY, &word) || makes::make(&word).is_some())
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | '(' | ')' | '/')).map(str::to_lowercase)
}

/// One to four words in capitals, none of them a company's.
pub fn is_person(text: &str) -> bool {
    let text = trim(text);
    let mut count = 0;
    for word in text.split_whitespace() {
        count += 1;
        let letters = word.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\'' | '’' | '-'));
        if !letters || !word.starts_with(char::is_uppercase) {
            return false;
        }
    }
    (1..=4).contains(&count) && !is_company(text) && !is_greeting(text)
}

/// Words of courtesy and of mails that stand alone on a line.
pub fn is_greeting(text: &str) -> bool {
    const WORDS: &str = "\
        hi hello hey thanks thank regards best sincerely cheers good morning afternoon evening dear team thx ty \
        respectfully cordially you warm kind many all gm lmk bonjour please fyi sent urgent yo";
    let mut any = false;
    let all = words(text.trim_end_matches(['!', ','])).filter(|word| !word.is_empty()).all(|word| {
        any = true;
        is_listed(WORDS, word.trim_matches(|c: char| !c.is_alphanumeric()))
    });
    any && all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_only_look_like_telephones_are_none() {
        assert_eq!(
            phones("(859) 555-0134, 401.555.0166 x12, +1 514 555 0160"),
            ["(859) 555-0134", "401.555.0166 x12", "+1 514 555 0160"]
        );
        assert!(phones("11/23/2026 - 11/24/2026, $1,050.00, 1N4AL3AP5JC231999, 20260209-14").is_empty());
    }

    #[test]
    fn persons_are_told_from_companies_and_greetings() {
        assert!(is_person("Dana Whitfield") && is_person("Mr. Aldous") && is_person("Étienne Roy"));
        for other in ["Bluegrass Motors", "Thanks", "Best regards,", "44 Cedar Court", "ready now"] {
            assert!(!is_person(other), "{other}");
        }
    }
}
