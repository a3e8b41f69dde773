//! Text as people type it into forms: trimmed, not empty, bounded, and free of control characters.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// One line of 1 to `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Text<const MAX: usize>(String);

/// Several lines of 1 to `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct LongText<const MAX: usize>(String);

/// A name or label.
pub type Name = Text<120>;
/// Free remarks.
pub type Notes = LongText<4000>;

fn parse(raw: &str, max: usize, allowed_control: &[char]) -> Result<String, String> {
    let text = raw.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err("must not be empty".into());
    }
    if length > max {
        return Err(format!("must have at most {max} characters, this has {length}"));
    }
    if text.chars().any(|c| c.is_control() && !allowed_control.contains(&c)) {
        return Err("must not contain control characters".into());
    }
    Ok(text.to_owned())
}

macro_rules! text_type {
    ($type:ident, $allowed:expr, pattern: $pattern:literal) => {
        impl<const MAX: usize> $type<MAX> {
            /// # Errors
            /// A sentence that says what is wrong with it.
            pub fn parse(raw: &str) -> Result<Self, String> {
                parse(raw, MAX, $allowed).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<const MAX: usize> fmt::Display for $type<MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de, const MAX: usize> Deserialize<'de> for $type<MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl<const MAX: usize> ComposeSchema for $type<MAX> {
            fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(MAX))
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl<const MAX: usize> ToSchema for $type<MAX> {
            fn name() -> std::borrow::Cow<'static, str> {
                format!("{}{MAX}", stringify!($type)).into()
            }
        }
    };
}

// Anything with a visible character in it and without control characters.
text_type!(Text, &[], pattern: r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$");
text_type!(
    LongText,
    &['\n', '\r', '\t'],
    pattern: r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_bounded_in_characters() {
        assert_eq!(Text::<3>::parse("  äöü ").map(|t| t.0), Ok("äöü".into()));
        assert!(Text::<3>::parse("four").is_err());
        assert!(Text::<3>::parse(" \t ").is_err());
    }

    #[test]
    fn control_characters_are_refused_and_line_breaks_are_for_long_text() {
        assert!(Text::<9>::parse("a\0b").is_err());
        assert!(Text::<9>::parse("a\nb").is_err());
        assert!(LongText::<9>::parse("a\nb").is_ok());
        assert!(LongText::<9>::parse("a\0b").is_err());
    }
}
