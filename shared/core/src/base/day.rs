//! Calendar days and months, as people in one place count them.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

/// A day of the years 1 to 9999, written `2026-11-21` (RFC 3339 `full-date`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Day(NaiveDate);

impl Day {
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let day = (raw.len() == 10).then(|| raw.parse::<NaiveDate>().ok()).flatten();
        day.filter(|day| (1..=9999).contains(&day.year()))
            .map(Self)
            .ok_or_else(|| "must be a day such as \"2026-11-21\"".into())
    }

    pub fn date(self) -> NaiveDate {
        self.0
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for Day {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .examples(["2026-11-21"])
            .into()
    }
}

impl ToSchema for Day {}

/// A month, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(Day);

impl Month {
    /// # Errors
    /// As [`Day::parse`].
    pub fn parse(raw: &str) -> Result<Self, String> {
        Day::parse(&format!("{raw}-01")).map(Self).map_err(|_| "must be a month such as \"2026-11\"".into())
    }

    pub fn first_day(self) -> Day {
        self.0
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_way_to_be_written() {
        assert_eq!(Day::parse("2026-11-21").map(|d| d.0.ordinal()), Ok(325));
        for bad in ["", "2026-02-30", "21.11.2026", "2026-1-1", "+2026-11-21", "0000-01-01", "12026-11-21"] {
            assert!(Day::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Month::parse("2026-11").map(Month::first_day), Day::parse("2026-11-01"));
        for bad in ["", "2026-13", "2026-1", "11/2026", "2026-11-21", "0000-01"] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }
}
