//! Moments as clients send them, and get them in lists.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
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

/// For `serialize_with`, where there are many: what chrono's own serializer writes, in a tenth of the time, which in a list of
/// orders is worth having.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (nanos, micros) = (time.timestamp_subsec_nanos(), time.timestamp_subsec_micros());
    // Postgres has neither nanoseconds nor, which are a second and more of them, leap seconds.
    if nanos != micros * 1000 || micros >= 1_000_000 || !write_day(&mut text, time.date_naive()) {
        return time.serialize(serializer);
    }
    for (at, number) in [(11, time.hour()), (14, time.minute()), (17, time.second())] {
        write_digits(&mut text[at..at + 2], number);
    }
    write_digits(&mut text[20..26], micros);
    // Without a fraction, in milliseconds or in microseconds.
    let end = match micros {
        0 => 19,
        _ if micros.is_multiple_of(1000) => 23,
        _ => 26,
    };
    text[end] = b'Z';
    serialize_ascii(&text[..=end], serializer)
}

/// The same for a day.
pub fn serialize_day<S: Serializer>(day: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = *b"0000-00-00";
    if !write_day(&mut text, *day) {
        return day.serialize(serializer);
    }
    serialize_ascii(&text, serializer)
}

/// Whether its year has four digits.
fn write_day(text: &mut [u8], day: NaiveDate) -> bool {
    let Ok(year @ 0..10_000) = u32::try_from(day.year()) else { return false };
    write_digits(&mut text[..4], year);
    write_digits(&mut text[5..7], day.month());
    write_digits(&mut text[8..10], day.day());
    true
}

fn write_digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn serialize_ascii<S: Serializer>(text: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(str::from_utf8(text).map_err(serde::ser::Error::custom)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        // The first and the last second of a year of four digits, one more, a leap day, and today.
        for seconds in
            [-62_167_219_200, 253_402_300_799, 253_402_300_800, -70_000_000_000, 1_709_164_799, 1_795_000_000]
        {
            for nanoseconds in [0, 1, 7_000, 120_000_000, 123_456_000, 999_999_000, 999_999_999, 1_500_000_000] {
                let Some(time) = DateTime::from_timestamp(seconds, nanoseconds) else { continue };
                let written = serialize(&time, serde_json::value::Serializer).unwrap();
                assert_eq!(written, serde_json::to_value(time).unwrap());
                let written = serialize_day(&time.date_naive(), serde_json::value::Serializer).unwrap();
                assert_eq!(written, serde_json::to_value(time.date_naive()).unwrap());
            }
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
