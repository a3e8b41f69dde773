//! Why a model did not answer, in words that are the same for all providers.

use std::time::Duration;

use serde::Serialize;

use super::Usage;
use crate::base::words::Word;

/// Kept with the execution; the words never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// More than the key may ask now.
    RateLimited,
    /// The provider has more to do than it can.
    Overloaded,
    /// It cannot be reached, broke off, or says that it cannot.
    Unavailable,
    /// Nothing came in time.
    Timeout,
    /// What came is not what this API answers.
    Junk,
    /// The key is wrong, revoked or expired.
    InvalidKey,
    /// The key is right and may not do this.
    NotPermitted,
    /// The account behind the key has run out of money.
    OutOfCredit,
    /// No such model, or no such API at this address.
    NotFound,
    BadRequest,
    RequestTooLarge,
    AnswerTooLarge,
    /// The provider or the model declined to answer.
    Refused,
    /// The address leads to a network that is not public.
    ForbiddenAddress,
}

impl ErrorCode {
    pub fn is_retryable(self) -> bool {
        use ErrorCode::{Junk, Overloaded, RateLimited, Timeout, Unavailable};
        matches!(self, RateLimited | Overloaded | Unavailable | Timeout | Junk)
    }

    /// How often it is worth asking again after this; None for as often as there are attempts.
    pub fn most_retries(self) -> Option<u32> {
        match self {
            // A second junk answer is what this address has to say.
            Self::Junk => Some(1),
            code if code.is_retryable() => None,
            _ => Some(0),
        }
    }

    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::InvalidKey,
            402 => Self::OutOfCredit,
            403 => Self::NotPermitted,
            404 | 405 => Self::NotFound,
            408 | 504 => Self::Timeout,
            409 | 425 => Self::Unavailable,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimited,
            529 => Self::Overloaded,
            200..300 => Self::Junk,
            500.. => Self::Unavailable,
            // Redirects, too: nobody's key is taken elsewhere.
            _ => Self::BadRequest,
        }
    }

    pub(super) fn because(self, detail: impl Into<String>) -> ProviderError {
        self.after(detail, None)
    }

    pub(super) fn after(self, detail: impl Into<String>, retry_after: Option<Duration>) -> ProviderError {
        let detail = detail.into();
        if self.is_retryable() {
            ProviderError::Retryable { code: self, detail, retry_after, usage: Usage::default() }
        } else {
            ProviderError::Permanent { code: self, detail, usage: Usage::default() }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The same request may succeed later, not before `retry_after`. `usage` is what is known to have been billed all the same.
    #[error("{}: {detail}", Word(code))]
    Retryable { code: ErrorCode, detail: String, retry_after: Option<Duration>, usage: Usage },
    /// The same request will fail again.
    #[error("{}: {detail}", Word(code))]
    Permanent { code: ErrorCode, detail: String, usage: Usage },
}

impl ProviderError {
    /// With what the provider had said of its bill before it failed.
    pub(super) fn having_used(mut self, used: Usage) -> Self {
        match &mut self {
            Self::Retryable { usage, .. } | Self::Permanent { usage, .. } => *usage = used,
        }
        self
    }

    pub fn usage(&self) -> Usage {
        match self {
            Self::Retryable { usage, .. } | Self::Permanent { usage, .. } => *usage,
        }
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Retryable { code, .. } | Self::Permanent { code, .. } => *code,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Retryable { retry_after, .. } => *retry_after,
            Self::Permanent { .. } => None,
        }
    }
}
