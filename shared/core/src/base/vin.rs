//! Vehicle identification numbers.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A VIN of the right length and alphabet, in upper case. Whether its check digit fits is a separate question, since
/// vehicles from before 1981 and from outside North America need not have one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Vin(String);

impl Vin {
    pub const LENGTH: usize = 17;

    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let vin = raw.trim().to_ascii_uppercase();
        let length = vin.chars().count();
        if length != Self::LENGTH {
            return Err(format!("a VIN has 17 characters, this one has {length}"));
        }
        match vin.chars().find(|&c| transliterate(c).is_none()) {
            Some(bad) => Err(format!("a VIN has digits and letters except I, O and Q, this one has {bad:?}")),
            None => Ok(Self(vin)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether position 9 is the check digit of 49 CFR 565.15.
    pub fn check_digit_fits(&self) -> bool {
        const WEIGHTS: [u32; Vin::LENGTH] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
        let sum: u32 = self.0.chars().zip(WEIGHTS).map(|(c, weight)| transliterate(c).unwrap_or(0) * weight).sum();
        let expected = match sum % 11 {
            10 => 'X',
            digit => char::from_digit(digit, 10).unwrap_or('X'),
        };
        self.0.chars().nth(8) == Some(expected)
    }
}

/// The value of a character in the check-digit sum, 49 CFR 565.15 table III.
fn transliterate(c: char) -> Option<u32> {
    Some(match c {
        '0'..='9' => c.to_digit(10)?,
        'A'..='H' => c as u32 - 'A' as u32 + 1,
        'J'..='N' => c as u32 - 'J' as u32 + 1,
        'P' => 7,
        'R' => 9,
        'S'..='Z' => c as u32 - 'S' as u32 + 2,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Vin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for Vin {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$"))
            .description(Some(
                "Vehicle identification number: 17 digits and letters without I, O and Q; stored in upper case.",
            ))
            .examples(["1G4AH59H45G118341"])
            .into()
    }
}

impl ToSchema for Vin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_regulation_fits_and_any_other_digit_does_not() {
        assert!(Vin::parse("1G4AH59H45G118341").unwrap().check_digit_fits());
        for digit in "012356789X".chars() {
            assert!(!Vin::parse(&format!("1G4AH59H{digit}5G118341")).unwrap().check_digit_fits(), "{digit}");
        }
    }

    #[test]
    fn a_remainder_of_ten_is_written_x() {
        assert!(Vin::parse("1M8GDM9AXKP042788").unwrap().check_digit_fits());
    }

    #[test]
    fn case_and_space_around_are_forgiven_and_wrong_letters_and_lengths_are_not() {
        assert_eq!(Vin::parse(" 1g4ah59h45g118341 ").unwrap().as_str(), "1G4AH59H45G118341");
        for bad in [
            "",
            "1G4AH59H45G11834",
            "1G4AH59H45G1183411",
            "IG4AH59H45G118341",
            "1G4AH59H45G11834O",
            "1G4AH59H45G11834é",
        ] {
            assert!(Vin::parse(bad).is_err(), "{bad}");
        }
    }
}
