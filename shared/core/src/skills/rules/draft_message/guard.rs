//! What is checked of a message whoever wrote it: this crate's rules, or a model that was shown untrusted texts. A message goes
//! to a customer in the carrier's name, so each number, amount, address and telephone number in it must have been given.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, Timelike};
use regex::Regex;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::data::{Channel, Input, Intent, Output};
use super::sms;
use crate::base::error::{Result, Violations};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("it is constant and tested")
}

static THOUSANDS: LazyLock<Regex> = LazyLock::new(|| regex(r"([0-9]),([0-9]{3})\b"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"\d+"));
/// With a sign or a name of a currency, or to the cent.
static MONEY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:[$€£]|\b(?:usd|cad|eur|gbp|mxn))\s*(\d+(?:\.\d+)?)|\b(\d+(?:\.\d+)?)\s*(?:[$€£]|(?:usd|cad|eur|gbp|mxn|dollars?|bucks|euros?|pesos?)\b)|\b(\d+\.\d\d)\b",
    )
});
static TELEPHONE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\+\d[\d ().-]{5,}\d|\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b|\b\d{3}[.-]\d{4}\b|\b\d{10,}\b"));
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:[a-z][a-z0-9+.-]*://|www\.)\S+|[\w.+-]+@[\w.-]+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b(?:/\S*)?")
});

/// Takes a provider's message. Its length is counted anew, in the alphabet of its channel.
///
/// # Errors
/// [`crate::base::error::Error::Invalid`] for an empty message, for a fact that was not given, and for a text with a number,
/// an amount, a telephone number or an address that was not.
pub fn admit(input: &Input, output: Output) -> Result<Output> {
    let given = Given::new(input);
    let is_sms = input.channel == Channel::Sms;
    let Output { subject, body, facts_used, .. } = output;
    let subject = subject.filter(|_| !is_sms);
    let mut violations = Violations::default();
    violations.add_unless(!body.trim().is_empty(), "/body", "must not be empty");
    let has_subject = is_sms || subject.as_ref().is_some_and(|subject| !subject.trim().is_empty());
    violations.add_unless(has_subject, "/subject", "must not be empty in an e-mail");
    for (at, text) in [("/subject", subject.as_deref().unwrap_or_default()), ("/body", body.as_str())] {
        given.check(at, text, &mut violations);
    }
    for (n, fact) in facts_used.iter().enumerate() {
        let is_given =
            given.facts.pointer(fact).is_some_and(|fact| !fact.is_null() && !fact.is_object() && !fact.is_array());
        violations.add_unless(is_given, format!("/facts_used/{n}"), "is not among the facts that were given");
    }
    violations.into_result()?;
    let body = if is_sms { sms::letters(&body) } else { body };
    let segments = is_sms.then(|| sms::segments(&body));
    Ok(Output { subject, body, segments, facts_used })
}

/// What a message may say.
struct Given {
    facts: Value,
    /// All texts that were given, in lower case.
    texts: Vec<String>,
    /// Without leading zeros.
    numbers: BTreeSet<String>,
    amounts: Vec<Decimal>,
}

impl Given {
    fn new(input: &Input) -> Self {
        let facts = json!(input);
        let mut texts = Vec::new();
        collect(&facts, &mut texts);
        let mut numbers: BTreeSet<String> = BTreeSet::new();
        // Money is spoken of in a reminder alone.
        let due = input.amount_due.filter(|_| input.intent == Intent::PaymentReminder);
        let mut amounts: Vec<Decimal> = due.iter().map(|amount| amount.decimal()).collect();
        if let (None, Some(unspoken)) = (due, input.amount_due) {
            let unspoken = unspoken.decimal().to_string();
            if let Some(place) = texts.iter().position(|text| *text == unspoken) {
                texts.remove(place);
            }
        }
        for text in &texts {
            numbers.extend(NUMBER.find_iter(text).map(|number| plain(number.as_str())));
            amounts.extend(self::amounts(text));
        }
        let times = [input.order.picked_up_at, input.order.delivered_at, input.eta];
        for time in times.into_iter().flatten() {
            numbers.extend([time.hour(), time.hour12().1, time.minute()].map(|number| plain(&number.to_string())));
            numbers.extend(of_day(time.date()));
        }
        numbers.extend(input.due_on.into_iter().flat_map(of_day));
        numbers.insert(input.order.vehicles.len().to_string());
        Self { facts, texts, numbers, amounts }
    }

    fn check(&self, at: &str, text: &str, violations: &mut Violations) {
        let mut told = |what: &str, found: bool| {
            violations.add_unless(!found, at, format!("has {what} that is not among the facts that were given"));
        };
        let folded = text.to_lowercase();
        let has = |part: &str| self.texts.iter().any(|given| given.contains(part));
        let is_unknown_link = |link: &str| !has(link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']));
        told("an address", LINK.find_iter(&folded).any(|link| is_unknown_link(link.as_str())));
        let is_unknown_telephone = |number: &str| {
            let number = digits(number);
            !self.texts.iter().any(|given| digits(given).contains(&number))
        };
        told("a telephone number", TELEPHONE.find_iter(&folded).any(|it| is_unknown_telephone(it.as_str())));
        told("an amount", amounts(&folded).iter().any(|amount| !self.amounts.contains(amount)));
        let folded = ungrouped(&folded);
        told("a number", NUMBER.find_iter(&folded).any(|number| !self.numbers.contains(&plain(number.as_str()))));
    }
}

/// All texts and numbers of a value.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.to_lowercase()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn amounts(text: &str) -> Vec<Decimal> {
    let text = ungrouped(text);
    let found = MONEY
        .captures_iter(&text)
        .filter_map(|found| found.iter().skip(1).flatten().next().map(|it| it.as_str().to_owned()));
    // What is no decimal to us is no amount that was given either.
    found.map(|amount| Decimal::from_str_exact(&amount).unwrap_or(Decimal::MIN)).collect()
}

/// "1,250" as "1250".
fn ungrouped(text: &str) -> String {
    let once = THOUSANDS.replace_all(text, "$1$2");
    THOUSANDS.replace_all(&once, "$1$2").into_owned()
}

fn of_day(day: NaiveDate) -> [String; 3] {
    [day.year().to_string(), day.month().to_string(), day.day().to_string()]
}

fn plain(number: &str) -> String {
    let number = number.trim_start_matches('0');
    if number.is_empty() { "0".to_owned() } else { number.to_owned() }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::super::draft;
    use super::super::tests::{INTENTS, input};
    use super::*;
    use crate::base::error::Error;

    fn refused(changes: Value, subject: Option<&str>, body: &str, facts_used: &[&str]) -> Vec<String> {
        let facts_used = facts_used.iter().map(|fact| (*fact).to_owned()).collect();
        let output =
            Output { subject: subject.map(str::to_owned), body: body.to_owned(), segments: Some(7), facts_used };
        match admit(&input(changes), output) {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(fields)) => fields.iter().map(|it| format!("{} {}", it.pointer, it.detail)).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn whatever_the_rules_write_is_admitted_as_it_is() {
        for channel in ["email", "sms"] {
            for intent in INTENTS {
                for amount in ["450.00", "12450.00"] {
                    let input = input(json!({"/intent": intent, "/channel": channel, "/amount_due": amount,
                                             "/sender": "Redtail 24.com", "/order/vehicles/0/vin": "1G4AH59H45G118341"}));
                    let output = draft(&input).unwrap();
                    assert_eq!(admit(&input, output.clone()).unwrap(), output);
                }
            }
        }
    }

    #[test]
    fn a_message_says_in_other_words_what_was_given() {
        let reminder = json!({"/intent": "payment_reminder", "/amount_due": "1450.00"});
        for (changes, body) in [
            (json!({}), "Your 2019 Camry (order 1042) left Lexington on 11/23 at 14:05. 1 vehicle."),
            (reminder.clone(), "$1,450 is due on 25 December 2026; that is 1,450.00 USD for LB-48213."),
            (reminder, "1450 dollars are open."),
            (
                json!({"/reason": "a tire; call 555-010-7788, see status.example.com/x or a $50 voucher"}),
                "Call (555) 010-7788, or see https://... no: status.example.com/x. The $50 voucher is yours.",
            ),
        ] {
            let body = body.replace("https://... no: ", "");
            assert_eq!(refused(changes, Some("News"), &body, &["/order/number"]), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn what_was_not_given_is_refused() {
        let reminder = || json!({"/intent": "payment_reminder"});
        for (changes, body, what) in [
            (json!({}), "Order 1043 was picked up.", "a number"),
            (json!({}), "It arrives in 3 hours.", "a number"),
            (json!({}), "Order １０４３.", "a number"),
            (json!({}), "The price is $450.00.", "an amount"),
            (json!({}), "You owe 450.", "a number"),
            (json!({}), "Only $1042!", "an amount"),
            (reminder(), "$45.00 is open.", "an amount"),
            (reminder(), "450,000 USD are open.", "an amount"),
            (reminder(), "USD 2026 are open.", "an amount"),
            (json!({"/order/number": 5550199, "/reason": "555 0199"}), "Call 555-555-0199.", "a telephone number"),
            (json!({"/reason": "555 and 19"}), "Call 555-0019.", "a telephone number"),
            (json!({}), "Pay at https://pay.example.com/x now.", "an address"),
            (json!({}), "See pay-here.io for more.", "an address"),
            (json!({}), "Write to kim@example.com.", "an address"),
            (json!({}), "See www.example", "an address"),
        ] {
            let told = refused(changes, Some("News"), body, &[]);
            let expected = format!("/body has {what} that is not among the facts that were given");
            assert!(told.contains(&expected), "{body}: {told:?}");
        }
        assert_eq!(refused(json!({}), Some("Only $8"), "Hello", &[]).len(), 2);
    }

    #[test]
    fn facts_are_pointers_to_single_values_that_are_there() {
        let bad = ["", "/order", "/order/vehicles", "/order/vehicles/0/vin", "/secret", "order/number"];
        assert_eq!(refused(json!({}), Some("News"), "Hello", &bad).len(), bad.len());
        assert_eq!(refused(json!({}), Some("News"), "Hello", &["/order/number", "/eta"]), Vec::<String>::new());
    }

    #[test]
    fn an_email_has_a_subject_and_a_text_message_is_counted_in_its_alphabet() {
        assert_eq!(refused(json!({}), None, "Hello", &[]), ["/subject must not be empty in an e-mail"]);
        assert_eq!(refused(json!({}), Some("News"), " \n", &[]), ["/body must not be empty"]);
        let output =
            Output {
                subject: Some("No".into()), body: "Łódź – ".repeat(30), segments: None, facts_used: Vec::new()
            };
        let admitted = admit(&input(json!({"/channel": "sms"})), output).unwrap();
        assert_eq!((admitted.subject, admitted.segments), (None, Some(2)));
        assert!(admitted.body.starts_with("Lodz - "));
    }
}
