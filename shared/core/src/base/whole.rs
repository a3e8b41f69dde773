//! Whole numbers within bounds: years, slots, pounds.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Whole<const MIN: i32, const MAX: i32>(i32);

/// The year that a vehicle is sold as.
pub type ModelYear = Whole<1900, 2100>;
/// Weight in pounds.
pub type Pounds = Whole<1, 200_000>;

impl<const MIN: i32, const MAX: i32> Whole<MIN, MAX> {
    pub fn get(self) -> i32 {
        self.0
    }
}

impl<'de, const MIN: i32, const MAX: i32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i32(Reader)
    }
}

/// Knows an absent number from a wrong one.
struct Reader<const MIN: i32, const MAX: i32>;

impl<const MIN: i32, const MAX: i32> Visitor<'_> for Reader<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        let number = i32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Whole).ok_or_else(|| E::custom(format!("must be a whole number from {MIN} to {MAX}")))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.visit_i64(i64::MAX)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<const MIN: i32, const MAX: i32> ComposeSchema for Whole<MIN, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}

impl<const MIN: i32, const MAX: i32> ToSchema for Whole<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_out_of_bounds_or_with_a_fraction_is_refused() {
        for good in [json!(1), json!(12)] {
            assert!(serde_json::from_value::<Whole<1, 12>>(good).is_ok());
        }
        let refusal = |bad| serde_json::from_value::<Whole<1, 12>>(bad).unwrap_err().to_string();
        for bad in [json!(0), json!(13), json!(1.5), json!(9_999_999_999_i64)] {
            assert_eq!(refusal(bad), "must be a whole number from 1 to 12");
        }
        assert_eq!(refusal(json!("1")), "invalid type: string \"1\", expected a whole number from 1 to 12");
    }
}
