//! The credential that a caller shows: `Authorization: Bearer <token or API key>` (RFC 6750).

use std::fmt;

use super::api_key_secret::{self, ApiKeySecret, MalformedApiKey};

/// Not yet checked: whoever holds one of these has only shown that it has the form of a credential.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Jwt(String),
    ApiKey(ApiKeySecret),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    #[error("the Authorization header must read `Bearer` and a token or an API key")]
    NotBearer,
    #[error(transparent)]
    ApiKey(#[from] MalformedApiKey),
}

impl Credential {
    /// Reads the value of an Authorization header.
    pub fn parse(header: &str) -> Result<Self, BearerError> {
        let (scheme, token) = header.trim().split_once(' ').ok_or(BearerError::NotBearer)?;
        let token = token.trim_start();
        if !scheme.eq_ignore_ascii_case("Bearer") || !is_token68(token) {
            return Err(BearerError::NotBearer);
        }
        if token.starts_with(api_key_secret::PREFIX) {
            return Ok(Self::ApiKey(token.parse()?));
        }
        Ok(Self::Jwt(token.to_owned()))
    }
}

/// What RFC 6750 allows after the scheme.
fn is_token68(token: &str) -> bool {
    let unpadded = token.trim_end_matches('=');
    !unpadded.is_empty() && unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwt(_) => "Jwt(***)",
            Self::ApiKey(_) => "ApiKey(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whatever_the_case_of_the_scheme() {
        for header in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(Credential::parse(header), Ok(Credential::Jwt("a.b.c".to_owned())), "{header}");
        }
    }

    #[test]
    fn an_api_key_is_told_from_a_token() {
        let key = ApiKeySecret::generate();
        assert_eq!(Credential::parse(&format!("Bearer {}", key.expose())), Ok(Credential::ApiKey(key)));
    }

    #[test]
    fn a_mistyped_api_key_is_called_one() {
        assert_eq!(Credential::parse("Bearer chk_abc"), Err(BearerError::ApiKey(MalformedApiKey)));
    }

    #[test]
    fn anything_else_is_refused() {
        for header in
            ["", "Bearer", "Bearer ", "Basic YTpi", "a.b.c", "Bearer a b", "Bearer a,b", "Bearer ===", "Bearer é"]
        {
            assert_eq!(Credential::parse(header), Err(BearerError::NotBearer), "{header}");
        }
    }

    #[test]
    fn debug_output_hides_the_credential() {
        assert_eq!(format!("{:?}", Credential::Jwt("a.b.c".to_owned())), "Jwt(***)");
    }
}
