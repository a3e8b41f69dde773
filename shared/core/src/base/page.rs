//! Keyset pagination: a page starts after the last row of the one before, found by index however far in.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use super::error::{Error, Result};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Pass it as `cursor` to get the next page; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of `list` from one row more than the limit: the extra row only tells that there is a next page.
    pub fn from_rows<K: Serialize>(list: &str, mut rows: Vec<T>, limit: Limit, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > limit.rows();
        rows.truncate(limit.rows());
        let next_cursor = if more { rows.last().map(|row| encode(&(list, key(row)))) } else { None };
        Self { data: rows, next_cursor }
    }
}

/// Rows in a page: 50 unless told, at most 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    const MAX: u16 = 200;

    pub fn rows(self) -> usize {
        usize::from(self.0)
    }

    /// What to ask the database for: one more than the page has. Written into the statement and not bound, so that a cached
    /// plan knows how few rows are wanted.
    pub fn fetch(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer) {
            Ok(limit @ 1..=Self::MAX) => Ok(Self(limit)),
            _ => Err(serde::de::Error::custom("must be a whole number from 1 to 200")),
        }
    }
}

impl ComposeSchema for Limit {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(Self::MAX))
            .default(Some(50.into()))
            .description(Some("Rows in a page."))
            .into()
    }
}

impl ToSchema for Limit {}

/// Writes a position as an opaque cursor.
pub fn encode<K: Serialize>(key: &K) -> String {
    BASE64.encode(serde_json::to_vec(key).unwrap_or_default())
}

/// Reads a cursor back.
///
/// # Errors
/// [`Error::Invalid`] on `cursor` when it is not one of this list.
pub fn decode<K: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<K>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = BASE64.decode(cursor).ok();
    let key = bytes.and_then(|b| serde_json::from_slice(&b).ok());
    key.map(Some).ok_or_else(not_of_this_list)
}

/// The key of the row that a page of `list` starts after.
///
/// # Errors
/// [`Error::Invalid`] on `cursor` when it is not one of this list: the same key may well be one of another.
pub fn after<K: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<K>> {
    match decode::<(String, K)>(cursor)? {
        Some((of, _)) if of != list => Err(not_of_this_list()),
        read => Ok(read.map(|(_, key)| key)),
    }
}

pub fn not_of_this_list() -> Error {
    Error::invalid("cursor", "is not a cursor of this list with this sort")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extra_row_makes_a_cursor_and_is_not_shown() {
        let limit = Limit(2);
        let page = Page::from_rows("trucks", vec![1, 2, 3], limit, |row| *row);
        assert_eq!((page.data, after("trucks", page.next_cursor.as_deref()).unwrap()), (vec![1, 2], Some(2)));
        assert!(after::<i32>("trailers", page.next_cursor.as_deref()).is_err());
        assert_eq!(Page::from_rows("trucks", vec![1, 2], limit, |row| *row).next_cursor, None);
    }

    #[test]
    fn junk_is_no_cursor() {
        for junk in ["", "!", "e30", "bnVsbA"] {
            assert!(decode::<i32>(Some(junk)).is_err(), "{junk}");
        }
    }
}
