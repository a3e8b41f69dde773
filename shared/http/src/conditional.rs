//! `If-Match` (RFC 9110, 13.1.1): change only the version that the client has seen.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use carhaul_core::base::error::{Error, Result};
use http::header;
use http::request::Parts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    Absent,
    /// `*`: whatever version is there.
    Any,
    Version(i64),
    /// An ETag that is none of ours, or a weak one: it matches nothing.
    Never,
    /// No ETag at all.
    Malformed,
}

impl IfMatch {
    /// For changes that must say what they change: None is any version.
    ///
    /// # Errors
    /// [`Error::VersionRequired`], [`Error::Stale`], [`Error::Invalid`] for what is no ETag.
    pub fn required(self) -> Result<Option<i64>> {
        if self == Self::Absent { Err(Error::VersionRequired) } else { self.optional() }
    }

    /// For moves, which check the state by themselves.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Invalid`] for what is no ETag.
    pub fn optional(self) -> Result<Option<i64>> {
        match self {
            Self::Absent | Self::Any => Ok(None),
            Self::Version(version) => Ok(Some(version)),
            Self::Never => Err(Error::Stale),
            Self::Malformed => {
                Err(Error::invalid("If-Match", "must be one ETag in its quotation marks, such as \"3\", or *"))
            }
        }
    }

    fn parse(value: &str) -> Self {
        let value = value.trim();
        if value == "*" {
            return Self::Any;
        }
        let strong = value.strip_prefix("W/").unwrap_or(value);
        // Whatever stands between quotation marks, but those themselves, blanks and control characters (8.8.3).
        let is_of_tag = |c: char| c == '!' || c > '"' && c != '\x7F';
        match strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(tag) if tag.chars().all(is_of_tag) => match tag.parse() {
                Ok(version) if strong.len() == value.len() => Self::Version(version),
                _ => Self::Never,
            },
            _ => Self::Malformed,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get(header::IF_MATCH);
        Ok(value.map_or(Self::Absent, |value| value.to_str().map_or(Self::Malformed, Self::parse)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strong_tag_of_ours_names_a_version() {
        assert_eq!(IfMatch::parse("\"7\""), IfMatch::Version(7));
        assert_eq!(IfMatch::parse(" * "), IfMatch::Any);
        for other in ["W/\"7\"", "\"a\"", "\"\"", "W/\"a\""] {
            assert_eq!(IfMatch::parse(other), IfMatch::Never, "{other}");
        }
        for no_tag in ["", "7", "zz", "\"", "\"7", "7\"", "W/7", "w/\"7\"", "\"7\", \"8\"", "\"a b\""] {
            assert_eq!(IfMatch::parse(no_tag), IfMatch::Malformed, "{no_tag}");
        }
    }
}
