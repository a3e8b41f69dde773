//! Sums of money, and what they are for.

use std::sync::LazyLock;

use regex::Regex;
use rust_decimal::Decimal;

use super::draft::{MAX_QUOTE, Told};
use super::source::{cuts_amount, pattern, told};
use crate::base::money::Amount;
use crate::base::strings::Currency;

/// A sum in a text.
#[derive(Debug, Clone, Copy)]
pub struct Sum<'a> {
    pub amount: Amount,
    pub quote: &'a str,
    pub start: usize,
    pub end: usize,
    pub currency: Option<&'static str>,
}

static SUM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?P<before>\b(?:usd|cad|us|c|ca)\s?)?(?P<sign>\$[\s$]*)?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,7}(?:\.\d{1,2})?)(?P<thousand>k\b)?(?P<after>\s?(?:usd|cad|dollars|bucks)\b)?",
    )
});

/// Sums that say they are money: by a sign or a currency.
pub fn sums(text: &str) -> Vec<Sum<'_>> {
    all(text).into_iter().filter(|(marked, _)| *marked).map(|(_, sum)| sum).collect()
}

/// The first sum of a text that is known to be one: a column of prices needs no sign.
pub fn first(text: &str) -> Option<Sum<'_>> {
    let all = all(text);
    all.iter().find(|(marked, _)| *marked).or(all.first()).map(|(_, sum)| *sum)
}

/// Whether a quote says this sum: beside one that says that it is money, other numbers are none.
pub fn names(quote: &str, amount: Amount) -> bool {
    let all = all(quote);
    let is_marked = all.iter().any(|(marked, _)| *marked);
    all.iter().any(|(marked, sum)| sum.amount == amount && (*marked || !is_marked))
}

fn all(text: &str) -> Vec<(bool, Sum<'_>)> {
    let mut sums = Vec::new();
    for found in SUM.captures_iter(text) {
        let (Some(whole), Some(digits)) = (found.get(0), found.name("digits")) else { continue };
        let (sign, after) = (found.name("sign").is_some(), found.name("after").map(|m| m.as_str().trim()));
        let before = found.name("before").map(|m| m.as_str().trim()).filter(|b| sign || b.len() == 3);
        let start = if before.is_some() { whole.start() } else { found.name("sign").unwrap_or(digits).start() };
        // Part of a longer number, a word, a date or a telephone number.
        let neighbour = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '#'));
        let joined = text[..start].ends_with(['.', '-', '/', ',', ':', '_']) && !sign && before.is_none();
        let next = text[whole.end()..].chars().next();
        let cut = cuts_amount(text, start, whole.end());
        if neighbour(text[..start].chars().next_back()) && !sign || joined || neighbour(next) || cut {
            continue;
        }
        let mut value: Decimal = digits.as_str().replace(',', "").parse().unwrap_or_default();
        if found.name("thousand").is_some() {
            value *= Decimal::from(1000);
        }
        let Ok(amount) = Amount::new(value) else { continue };
        let code = |word: &str| match word.to_ascii_lowercase().as_str() {
            "usd" | "us" => Some("USD"),
            "cad" | "ca" | "c" => Some("CAD"),
            _ => None,
        };
        let currency = before.and_then(code).or(after.and_then(code));
        let quote = &text[start..whole.end()];
        let marked = sign || before.is_some() || after.is_some();
        sums.push((marked, Sum { amount, quote, start, end: whole.end(), currency }));
    }
    sums
}

impl Sum<'_> {
    pub fn told(&self, confidence: f64, quote: &str) -> Told<Amount> {
        // A long quote is cut, and the sum may stand behind the cut.
        told(self.amount, confidence, if quote.len() > MAX_QUOTE { self.quote } else { quote })
    }

    pub fn currency(&self) -> Option<Told<Currency>> {
        Some(told(Currency::parse(self.currency?).ok()?, 0.95, self.quote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_by_sign_or_currency() {
        let read =
            |text| sums(text).iter().map(|sum| (sum.amount.decimal().to_string(), sum.currency)).collect::<Vec<_>>();
        assert_eq!(read("$1,480.50 or $2k"), [("1480.50".into(), None), ("2000.00".into(), None)]);
        assert_eq!(read("$$ 275 cash"), [("275.00".into(), None)]);
        assert_eq!(read("CAD 1,250.50"), [("1250.50".into(), Some("CAD"))]);
        assert_eq!(read("640.00 USD all in, US$ 5"), [("640.00".into(), Some("USD")), ("5.00".into(), Some("USD"))]);
        assert!(read("call 214-555-0122 by 11/23, lot 520").is_empty());
    }

    #[test]
    fn a_bare_number_is_a_sum_where_one_is_expected() {
        assert_eq!(first(" 520 ").map(|sum| sum.amount.decimal().to_string()), Some("520.00".into()));
        assert!(first("n/a").is_none());
    }
}
