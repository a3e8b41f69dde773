//! How and when an order is paid. Method and term must fit together.

use std::fmt;
use std::str::FromStr;

use super::words::words;
use crate::base::error::Violations;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

words! {
    PaymentMethod {
        Cash = "cash",
        CertifiedFunds = "certified_funds",
        Comchek = "comchek",
        CompanyCheck = "company_check",
        Ach = "ach",
    }
}

/// When: at a stop, or so many days after delivery. In words `on_pickup`, `on_delivery`, `days_30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentTerm {
    OnPickup,
    OnDelivery,
    Days(PaymentDays),
}

crate::text_column!(PaymentTerm);

/// Days after delivery, 1 to 365.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentDays(u16);

impl PaymentTerm {
    /// More is no term of payment.
    pub const MAX_DAYS: u16 = 365;

    /// So many days after delivery; none for what is no term.
    pub fn days(days: u16) -> Option<Self> {
        (1..=Self::MAX_DAYS).contains(&days).then_some(Self::Days(PaymentDays(days)))
    }
}

impl fmt::Display for PaymentTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPickup => f.write_str("on_pickup"),
            Self::OnDelivery => f.write_str("on_delivery"),
            Self::Days(PaymentDays(days)) => write!(f, "days_{days}"),
        }
    }
}

impl FromStr for PaymentTerm {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let days = |word: &str| {
            let days = word.strip_prefix("days_").filter(|days| !days.starts_with(['0', '+']));
            days.and_then(|days| days.parse().ok()).and_then(Self::days)
        };
        match word {
            "on_pickup" => Ok(Self::OnPickup),
            "on_delivery" => Ok(Self::OnDelivery),
            other => days(other).ok_or("must be on_pickup, on_delivery, or days_ and a number from 1 to 365: days_30"),
        }
    }
}

impl Serialize for PaymentTerm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentTerm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for PaymentTerm {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(on_pickup|on_delivery|days_([1-9]|[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-5]))$"))
            .description(Some(
                "When the customer pays: at a stop, or so many days after delivery, 1 to 365. What a payment method allows is \
                 less: `cash` and `certified_funds` 2 and 5 days, `comchek` and `company_check` also 10, 15, 30 and 60, `ach` any.",
            ))
            .examples(["days_30"])
            .into()
    }
}

impl ToSchema for PaymentTerm {}

impl PaymentMethod {
    /// The days after delivery that it can be combined with; none: any.
    fn days(self) -> Option<&'static [u16]> {
        match self {
            Self::Cash | Self::CertifiedFunds => Some(&[2, 5]),
            Self::Comchek | Self::CompanyCheck => Some(&[2, 5, 10, 15, 30, 60]),
            Self::Ach => None,
        }
    }

    /// Whether the term can be combined with it.
    pub fn takes(self, term: PaymentTerm) -> bool {
        match term {
            PaymentTerm::OnPickup | PaymentTerm::OnDelivery => true,
            PaymentTerm::Days(PaymentDays(days)) => self.days().is_none_or(|allowed| allowed.contains(&days)),
        }
    }

    /// The terms that it takes, in their words.
    fn terms(self) -> String {
        let days = self.days().map_or(format!("days_1 to days_{}", PaymentTerm::MAX_DAYS), |days| {
            days.iter().map(|days| format!("days_{days}")).collect::<Vec<_>>().join(", ")
        });
        format!("on_pickup, on_delivery, {days}")
    }
}

/// Checks that both are there or neither, and that they fit.
pub fn check(method: Option<PaymentMethod>, term: Option<PaymentTerm>, violations: &mut Violations) {
    match (method, term) {
        (None, None) => {}
        (None, Some(_)) => violations.add("/payment_method", "is needed with a payment term"),
        (Some(_), None) => violations.add("/payment_term", "is needed with a payment method"),
        (Some(method), Some(term)) if !method.takes(term) => {
            violations.add("/payment_term", format!("{} can be paid {}", method.as_str(), method.terms()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;

    fn refusal(method: PaymentMethod, term: PaymentTerm) -> Option<(String, String)> {
        let mut violations = Violations::default();
        check(Some(method), Some(term), &mut violations);
        match violations.into_result() {
            Ok(()) => None,
            Err(Error::Invalid(fields)) => Some((fields[0].pointer.clone(), fields[0].detail.clone())),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn every_method_takes_both_stops_and_its_own_days() {
        use PaymentMethod::*;
        let short: &[u16] = &[2, 5];
        let long: &[u16] = &[2, 5, 10, 15, 30, 60];
        for (method, days) in [
            (Cash, Some(short)),
            (CertifiedFunds, Some(short)),
            (Comchek, Some(long)),
            (CompanyCheck, Some(long)),
            (Ach, None),
        ] {
            for term in [PaymentTerm::OnPickup, PaymentTerm::OnDelivery] {
                assert_eq!(refusal(method, term), None);
            }
            for n in 1..=PaymentTerm::MAX_DAYS {
                let fits = refusal(method, PaymentTerm::days(n).unwrap()).is_none();
                assert_eq!(fits, days.is_none_or(|days| days.contains(&n)), "{method:?} in {n} days");
            }
        }
        let (pointer, detail) = refusal(Cash, PaymentTerm::days(30).unwrap()).unwrap();
        assert_eq!(
            (pointer.as_str(), detail.as_str()),
            ("/payment_term", "cash can be paid on_pickup, on_delivery, days_2, days_5")
        );
    }

    #[test]
    fn a_term_is_said_in_one_way_only() {
        for word in ["on_pickup", "on_delivery", "days_1", "days_21", "days_365"] {
            assert_eq!(word.parse::<PaymentTerm>().unwrap().to_string(), word);
        }
        for word in [
            "",
            "days_",
            "days_0",
            "days_007",
            "days_+7",
            "days_-7",
            "days_366",
            "days_99999",
            "days_7 ",
            "Days_7",
            "net_30",
            "30",
        ] {
            assert!(word.parse::<PaymentTerm>().is_err(), "{word}");
        }
    }

    #[test]
    fn one_without_the_other_names_the_missing_one() {
        let mut violations = Violations::default();
        check(Some(PaymentMethod::Ach), None, &mut violations);
        assert!(format!("{:?}", violations.into_result()).contains("/payment_term"));
    }
}
