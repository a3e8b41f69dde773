//! Why a bearer token was not accepted.

use std::time::Duration;

use crate::base::error::Error;

/// Every variant but [`TokenError::IssuerUnavailable`] means that the token is no good (401 `invalid_token`); the text is
/// meant for the caller and names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    #[error("the token is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the token is signed with an algorithm that is not accepted here")]
    AlgorithmNotAllowed,
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    BadSignature,
    #[error("the token comes from another issuer")]
    WrongIssuer,
    #[error("the token is meant for another audience")]
    WrongAudience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token lacks the claim `{0}`")]
    MissingClaim(&'static str),
    #[error("the token's claim `{0}` is not valid")]
    InvalidClaim(&'static str),
    /// The issuer's keys are neither cached nor to be had (503). `retry_after`: when the next attempt can be made.
    #[error("the token's issuer cannot be reached")]
    IssuerUnavailable { retry_after: Duration },
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::IssuerUnavailable { retry_after } => Self::Unavailable {
                detail: "the token's issuer cannot be reached",
                retry_after_seconds: u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX),
            },
            bad_token => Self::Unauthenticated(bad_token.to_string().into()),
        }
    }
}
