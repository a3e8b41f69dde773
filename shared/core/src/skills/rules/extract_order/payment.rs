//! How and when the carrier is paid, in the words of an order.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::draft::Told;
use super::source::{pattern, told};
use crate::orders::{PaymentMethod, PaymentTerm};

static METHOD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:",
        r"(?P<ach>ach|direct deposit|bank transfer|e-?transfer|eft)",
        r"|(?P<comchek>com-?\s?che?c?k|comche[ck]k)",
        r"|(?P<certified>certified (?:funds|checks?|cheques?)|cashier'?’?s? (?:checks?|cheques?)|money orders?)",
        r"|(?P<company>(?:company|business|co\.?) (?:checks?|cheques?))",
        r"|(?P<cash>cash|cod|cop|c\.o\.d\.?)",
        r"|(?P<check>checks?|cheques?)",
        r")(?:\b|$)"
    ))
});

static AT_STOP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:",
        r"(?P<delivery>(?:on|at|upon|@)\s+(?:the\s+)?(?:deliver(?:y|ies)|drop[ -]?off|drop|destination|d/?o\b)|cod\b|c\.o\.d\.?)",
        r"|(?P<pickup>(?:on|at|upon|@)\s+(?:the\s+)?(?:pick[ -]?up|origin|p/?u\b)|cop\b)",
        r")"
    ))
});

static DAYS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\bnet[\s-]*(\d{1,3})\b|\b(\d{1,3})[\s-]*(?:business |banking |working |calendar )?days?\b")
});

/// Words that make a sentence one about payment.
static ABOUT_PAY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:pay|pays|paid|payment|payable|terms?|net|quick\s?pay)\b"));

pub fn method(text: &str) -> Option<Told<PaymentMethod>> {
    let found = METHOD.captures_iter(text).min_by_key(|found| {
        // "COD: company check" is a check.
        found.name("cash").is_some_and(|cash| !cash.as_str().eq_ignore_ascii_case("cash"))
    })?;
    let (method, confidence) = [
        ("ach", PaymentMethod::Ach, 0.95),
        ("comchek", PaymentMethod::Comchek, 0.95),
        ("certified", PaymentMethod::CertifiedFunds, 0.95),
        ("company", PaymentMethod::CompanyCheck, 0.95),
        ("cash", PaymentMethod::Cash, 0.9),
        ("check", PaymentMethod::CompanyCheck, 0.6),
    ]
    .into_iter()
    .find_map(|(name, method, confidence)| found.name(name).map(|_| (method, confidence)))?;
    Some(told(method, confidence, &found[0]))
}

/// Whether a quote says so, as far as its words are known: "ACH" is no cash, and "by the usual means" may be anything.
pub fn may_be_method(method: PaymentMethod, quote: &str) -> bool {
    use PaymentMethod::{Ach, Cash, CertifiedFunds, Comchek, CompanyCheck};
    let known = METHOD.captures_iter(quote).map(|found| -> &[PaymentMethod] {
        match found.name("cash") {
            Some(cash) if cash.as_str().eq_ignore_ascii_case("cash") => &[Cash],
            // Whatever a driver can collect.
            Some(_) => &[Cash, CertifiedFunds, Comchek, CompanyCheck],
            None if found.name("check").is_some() => &[CompanyCheck, CertifiedFunds],
            None if found.name("ach").is_some() => &[Ach],
            None if found.name("comchek").is_some() => &[Comchek],
            None if found.name("certified").is_some() => &[CertifiedFunds],
            None => &[CompanyCheck],
        }
    });
    let known: Vec<_> = known.collect();
    known.is_empty() || known.iter().any(|known| known.contains(&method))
}

/// Whether a quote says so, as far as it names days or a stop.
pub fn may_be_term(term: PaymentTerm, quote: &str) -> bool {
    let days = DAYS.captures_iter(quote).map(|found| days(&found));
    let stops = AT_STOP.captures_iter(quote).map(|found| Some(at_stop(&found)));
    let known: Vec<_> = days.chain(stops).collect();
    known.is_empty() || known.contains(&Some(term))
}

fn days(found: &Captures<'_>) -> Option<PaymentTerm> {
    PaymentTerm::days(found.get(1).or(found.get(2))?.as_str().parse().ok()?)
}

fn at_stop(found: &Captures<'_>) -> PaymentTerm {
    if found.name("delivery").is_some() { PaymentTerm::OnDelivery } else { PaymentTerm::OnPickup }
}

/// `sure` where the text is known to be about payment; elsewhere days may be those of storage.
pub fn term(text: &str, sure: bool) -> Option<Told<PaymentTerm>> {
    let about = sure || METHOD.is_match(text) || ABOUT_PAY.is_match(text);
    if !about {
        return None;
    }
    let in_days = DAYS.captures_iter(text).find_map(|found| Some(told(days(&found)?, 0.9, &found[0])));
    in_days.or_else(|| AT_STOP.captures(text).map(|found| told(at_stop(&found), 0.9, &found[0])))
}

/// Whether the driver collects it, in so many words.
pub fn is_collected(text: &str) -> bool {
    static COLLECTED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)\b(?:cod|c\.o\.d|cash on delivery|collect on delivery)\b"));
    COLLECTED.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_is_told_in_many_words() {
        use PaymentMethod::*;
        use PaymentTerm::*;
        let days = PaymentTerm::days;
        for (text, how, when) in [
            ("ACH, Net 30", Some(Ach), days(30)),
            ("Company Check within 5 business days of receiving a signed BOL", Some(CompanyCheck), days(5)),
            ("QuickPay ACH, 2 business days", Some(Ach), days(2)),
            ("paid by Comcheck on delivery", Some(Comchek), Some(OnDelivery)),
            ("COD", Some(Cash), Some(OnDelivery)),
            ("COD, company check", Some(CompanyCheck), Some(OnDelivery)),
            ("cash at pick up", Some(Cash), Some(OnPickup)),
            ("$3,800 cashier's check at delivery.", Some(CertifiedFunds), Some(OnDelivery)),
            ("net 21", None, days(21)),
            ("ACH 45 days after delivery", Some(Ach), days(45)),
            ("net 0", None, None),
            ("net 400", None, None),
            ("removed within 5 days of sale", None, None),
        ] {
            assert_eq!(method(text).map(|told| told.value), how, "{text}");
            assert_eq!(term(text, false).map(|told| told.value), when, "{text}");
        }
    }
}
