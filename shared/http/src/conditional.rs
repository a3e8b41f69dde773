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
    /// Not an ETag of ours, so it matches nothing.
    Never,
}

impl IfMatch {
    /// For changes that must say what they change: None is any version.
    ///
    /// # Errors
    /// [`Error::VersionRequired`], [`Error::Stale`].
    pub fn required(self) -> Result<Option<i64>> {
        if self == Self::Absent { Err(Error::VersionRequired) } else { self.optional() }
    }

    /// For moves, which check the state by themselves.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn optional(self) -> Result<Option<i64>> {
        match self {
            Self::Absent | Self::Any => Ok(None),
            Self::Version(version) => Ok(Some(version)),
            Self::Never => Err(Error::Stale),
        }
    }

    fn parse(value: &str) -> Self {
        let value = value.trim();
        if value == "*" {
            return Self::Any;
        }
        let tag = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        tag.and_then(|tag| tag.parse().ok()).map_or(Self::Never, Self::Version)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get(header::IF_MATCH);
        Ok(value.map_or(Self::Absent, |value| value.to_str().map_or(Self::Never, Self::parse)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strong_tag_of_ours_names_a_version() {
        assert_eq!(IfMatch::parse("\"7\""), IfMatch::Version(7));
        assert_eq!(IfMatch::parse(" * "), IfMatch::Any);
        for other in ["W/\"7\"", "7", "\"a\"", "\"7\", \"8\"", ""] {
            assert_eq!(IfMatch::parse(other), IfMatch::Never, "{other}");
        }
    }
}
