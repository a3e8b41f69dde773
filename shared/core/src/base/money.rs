//! Money is decimal everywhere: `numeric` in the database, [`Decimal`] here, a string in JSON. Never a float.

use std::iter::Sum;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A sum of money that is not negative, to the cent. Its currency stands beside it, in the order or the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Amount(Decimal);

impl Amount {
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// What fits `numeric(12, 2)`.
    const MAX: Decimal = Decimal::from_parts(3_567_587_327, 232, 0, false, 2); // 9 999 999 999.99

    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn new(value: Decimal) -> Result<Self, String> {
        if value.normalize().scale() > 2 {
            return Err("must have at most two decimal places".into());
        }
        if value.is_sign_negative() && !value.is_zero() {
            return Err("must not be negative".into());
        }
        if value > Self::MAX {
            return Err(format!("must be at most {}", Self::MAX));
        }
        let mut cents = value;
        cents.rescale(2);
        Ok(Self(cents))
    }

    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// What is left of it; none where that would be less than nothing.
    #[must_use]
    pub fn minus(self, part: Self) -> Option<Self> {
        (part <= self).then(|| Self(self.0 - part.0))
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|a| a.0).sum())
    }
}

impl Serialize for Amount {
    /// To the cent, also what a database or a sum of nothing gives without places.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cents = self.0;
        cents.rescale(2);
        serializer.collect_str(&cents)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(decimal(deserializer, "1250.00")?).map_err(serde::de::Error::custom)
    }
}

/// Reads a decimal from a string only: a JSON number has been through a float in too many clients.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D, example: &str) -> Result<Decimal, D::Error> {
    let raw = String::deserialize(deserializer)?;
    let (whole, places) = raw.split_once('.').unwrap_or((&raw, "0"));
    let are_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let plain = raw.len() <= 16 && are_digits(whole.strip_prefix('-').unwrap_or(whole)) && are_digits(places);
    let value = plain.then(|| Decimal::from_str_exact(&raw).ok()).flatten();
    value
        .ok_or_else(|| serde::de::Error::custom(format!("must be a decimal number in a string, such as \"{example}\"")))
}

impl ComposeSchema for Amount {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-9]{1,10}(\.[0-9]{1,2})?$"))
            .description(Some("Money to the cent, as a decimal string; the currency stands beside it."))
            .examples(["1250.00"])
            .into()
    }
}

impl ToSchema for Amount {}

/// A percentage, or an amount of money per mile or piece: not negative, to four decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Rate(Decimal);

impl Rate {
    /// What fits `numeric(10, 4)`.
    const MAX: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 4); // 999 999.9999

    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn new(value: Decimal) -> Result<Self, String> {
        if value.normalize().scale() > 4 {
            return Err("must have at most four decimal places".into());
        }
        if value.is_sign_negative() && !value.is_zero() {
            return Err("must not be negative".into());
        }
        if value > Self::MAX {
            return Err(format!("must be at most {}", Self::MAX));
        }
        Ok(Self(value.abs()))
    }

    pub fn decimal(self) -> Decimal {
        self.0
    }
}

impl Serialize for Rate {
    /// As people write it: `0.65`, `25`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.normalize())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(decimal(deserializer, "0.65")?).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for Rate {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-9]{1,6}(\.[0-9]{1,4})?$"))
            .description(Some("A decimal string with up to four places."))
            .examples(["0.65"])
            .into()
    }
}

impl ToSchema for Rate {}

/// What something costs us: not negative, to a millionth, since a thousand tokens cost less than a cent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Cost(Decimal);

impl Cost {
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// What fits `numeric(12, 6)`.
    const MAX: Decimal = Decimal::from_parts(3_567_587_327, 232, 0, false, 6); // 999 999.999999

    /// Rounded up to a millionth: a cost that was charged is never lost by rounding.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn new(value: Decimal) -> Result<Self, String> {
        if value.is_sign_negative() && !value.is_zero() {
            return Err("must not be negative".into());
        }
        if value > Self::MAX {
            return Err(format!("must be at most {}", Self::MAX));
        }
        Ok(Self(value.abs().round_dp_with_strategy(6, RoundingStrategy::AwayFromZero)))
    }

    pub fn decimal(self) -> Decimal {
        self.0
    }
}

impl Serialize for Cost {
    /// At least to the cent.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cost = self.0.normalize();
        if cost.scale() < 2 {
            cost.rescale(2);
        }
        serializer.collect_str(&cost)
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = decimal(deserializer, "0.05")?;
        if value.normalize().scale() > 6 {
            return Err(serde::de::Error::custom("must have at most six decimal places"));
        }
        Self::new(value).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for Cost {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-9]{1,6}(\.[0-9]{1,6})?$"))
            .description(Some("US dollars, as a decimal string with up to six places."))
            .examples(["0.0125"])
            .into()
    }
}

impl ToSchema for Cost {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> Result<Amount, String> {
        serde_json::from_value(serde_json::json!(raw)).map_err(|e| e.to_string())
    }

    #[test]
    fn an_amount_is_written_to_the_cent() {
        assert_eq!(serde_json::to_string(&parse("1250").unwrap()).unwrap(), "\"1250.00\"");
        assert_eq!(serde_json::to_string(&parse("0.5").unwrap()).unwrap(), "\"0.50\"");
        for nothing in [Amount::ZERO, [].into_iter().sum(), Amount(Decimal::from(0))] {
            assert_eq!(serde_json::to_string(&nothing).unwrap(), "\"0.00\"");
        }
    }

    #[test]
    fn fractions_of_a_cent_negatives_floats_and_too_large_sums_are_refused() {
        for bad in [
            "0.001",
            "-1",
            "1e3",
            "",
            ".",
            "5.",
            ".5",
            "-",
            "--1",
            "1.2.3",
            "1-",
            "10000000000.00",
            "99999999999",
            "NaN",
            " 1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("9999999999.99").is_ok());
        assert!(serde_json::from_value::<Amount>(serde_json::json!(12.5)).is_err());
    }

    #[test]
    fn a_rate_has_up_to_four_places_and_is_written_without_trailing_zeros() {
        let rate = |raw: &str| serde_json::from_value::<Rate>(serde_json::json!(raw));
        for (raw, written) in [("0.6500", "\"0.65\""), ("25", "\"25\""), ("100.0000", "\"100\""), ("-0", "\"0\"")] {
            assert_eq!(serde_json::to_string(&rate(raw).unwrap()).unwrap(), written);
        }
        assert!(rate("999999.9999").is_ok());
        for bad in ["0.65001", "1000000", "-0.1", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cost_has_up_to_six_places_and_is_rounded_up() {
        let cost = |raw: &str| serde_json::from_value::<Cost>(serde_json::json!(raw));
        for (raw, written) in [("0.0125", "\"0.0125\""), ("3", "\"3.00\""), ("999999.999999", "\"999999.999999\"")] {
            assert_eq!(serde_json::to_string(&cost(raw).unwrap()).unwrap(), written);
        }
        for bad in ["0.0000001", "1000000", "-1", ""] {
            assert!(cost(bad).is_err(), "{bad}");
        }
        assert_eq!(Cost::new(Decimal::new(1, 9)).unwrap().decimal(), Decimal::new(1, 6));
    }

    proptest! {
        #[test]
        fn sums_add_up_to_the_cent(cents in proptest::collection::vec(0_i64..1_000_000_000, 0..100)) {
            let amounts = cents.iter().map(|&c| Amount::new(Decimal::new(c, 2)).unwrap());
            prop_assert_eq!(amounts.sum::<Amount>().decimal(), Decimal::new(cents.iter().sum(), 2));
        }
    }
}
