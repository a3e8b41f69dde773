//! Moments as clients send them, and get them in lists.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A moment of RFC 3339, in the years 1900 to 2199: what lies outside is a slip of the keyboard, and partly more than the
/// database can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Moment(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()) {
            Ok(time) if (1900..2200).contains(&time.year()) => Ok(Self(time)),
            _ => Err(serde::de::Error::custom(
                "must be a time of RFC 3339 from 1900 to 2199, such as \"2026-11-21T14:00:00-05:00\"",
            )),
        }
    }
}

impl ComposeSchema for Moment {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-21T14:00:00-05:00"])
            .into()
    }
}

impl ToSchema for Moment {}

/// For `serialize_with`, where there are many: what chrono's own serializer writes, but as one text and not digit by digit,
/// each of which JSON would look at for characters to escape.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        for nanoseconds in [0, 1, 120_000_000, 123_456_000, 999_999_999] {
            let time = DateTime::from_timestamp(1_795_000_000, nanoseconds).unwrap();
            let written = serialize(&time, serde_json::value::Serializer).unwrap();
            assert_eq!(written, serde_json::to_value(time).unwrap());
        }
    }

    #[test]
    fn any_offset_is_taken_and_unlikely_years_are_not() {
        let parse = |text: &str| serde_json::from_value::<Moment>(serde_json::json!(text));
        assert_eq!(parse("2026-11-21T14:00:00-05:00").unwrap(), parse("2026-11-21T19:00:00Z").unwrap());
        for bad in ["2026-11-21", "2026-11-21T14:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "tomorrow", ""]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
