//! A key as somebody sends it to us.

use std::fmt;

use serde::{Deserialize, Deserializer};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::platform::secrets::Secret;

/// The shortest keys in use have about thirty characters, the longest some hundreds.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// Prints as `***`, and goes nowhere but to its provider and into an envelope.
pub struct ProviderSecret(Secret);

impl ProviderSecret {
    /// # Errors
    /// A sentence that says what is wrong with it, and nothing of it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let key = raw.trim();
        if !LENGTH.contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("must be {} to {} visible ASCII characters", LENGTH.start(), LENGTH.end()));
        }
        Ok(Self(Secret::new(key)))
    }

    pub fn last_four(&self) -> &str {
        let key = self.0.expose();
        &key[key.len() - 4..]
    }

    pub(super) fn into_secret(self) -> Secret {
        self.0
    }
}

impl fmt::Debug for ProviderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ProviderSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ComposeSchema for ProviderSecret {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(*LENGTH.start()))
            .max_length(Some(*LENGTH.end()))
            .pattern(Some("^[!-~]+$"))
            .write_only(true)
            .into()
    }
}

impl ToSchema for ProviderSecret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_and_does_not_print() {
        let key = ProviderSecret::parse(" sk-ant-api03-0123456789abcd \n").unwrap();
        assert_eq!((key.last_four(), format!("{key:?}").as_str()), ("abcd", "***"));
        for bad in ["", "too-short", "sk with blanks in it", "sk-ключ-0123456789", &"k".repeat(513)] {
            let refusal = ProviderSecret::parse(bad).unwrap_err();
            assert!(bad.is_empty() || !refusal.contains(bad), "{refusal}");
        }
    }
}
