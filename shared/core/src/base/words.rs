//! States and kinds: enums whose values are words, the same in JSON and in a text column.

use std::fmt;

use serde::Serialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

/// The word of a value, as its serde name says it.
pub struct Word<'a, T>(pub &'a T);

impl<T: Serialize> fmt::Display for Word<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

/// The value of a word.
///
/// # Errors
/// Names the words that there are.
pub fn parse<T: DeserializeOwned>(word: &str) -> Result<T, Error> {
    let word: StrDeserializer<'_, Error> = word.into_deserializer();
    T::deserialize(word)
}

/// Stores an enum in a column of type text, by its serde names. sqlx's own derive would ask the database for the number of
/// the type `text` once on each new connection.
#[macro_export]
macro_rules! text_column {
    ($name:ident) => {
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(other: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(other)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $name {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                <String as sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                let word = $crate::base::words::Word(self).to_string();
                sqlx::Encode::<sqlx::Postgres>::encode(word, buffer)
            }
        }

        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $name {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                Ok($crate::base::words::parse(<&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?)?)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        PickedUp,
        #[serde(rename = "order.created")]
        Created,
    }

    #[test]
    fn a_value_and_its_word_are_one() {
        for (value, word) in [(State::PickedUp, "picked_up"), (State::Created, "order.created")] {
            assert_eq!(Word(&value).to_string(), word);
            assert_eq!(parse::<State>(word), Ok(value));
        }
        assert!(parse::<State>("PickedUp").unwrap_err().to_string().contains("picked_up"));
    }
}
