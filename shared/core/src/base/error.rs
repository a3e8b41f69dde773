//! What can go wrong, in one enum. `carhaul-http` maps it to problem+json; nothing here knows of status codes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation. Only [`Error::Internal`] carries detail that must not reach the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credential is missing, wrong, expired or revoked.
    #[error("unauthenticated: {0}")]
    Unauthenticated(Cow<'static, str>),
    /// The caller is known and may not do this.
    #[error("forbidden: {0}")]
    Forbidden(Cow<'static, str>),
    /// There is no such thing in the caller's tenant. Another tenant's rows are reported like this, too.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// It was there and is kept no longer.
    #[error("gone: {0}")]
    Gone(&'static str),
    /// The present state does not allow it. `allowed` is what it does allow, where that can be told: nothing is an answer,
    /// too.
    #[error("conflict: {detail}")]
    Conflict { code: ConflictCode, detail: String, allowed: Option<Vec<String>> },
    /// The input breaks a rule; each bad field is named.
    #[error("invalid input: {0:?}")]
    Invalid(Vec<FieldError>),
    /// The caller's version of the row is not the present one.
    #[error("the row has changed")]
    Stale,
    /// The caller must say which version it means to change.
    #[error("a version is required")]
    VersionRequired,
    /// The plan's limit is used up.
    #[error("over limit {}", .0.limit)]
    OverLimit(PlanLimit),
    /// More requests a second than the plan allows.
    #[error("over rate {}", .0.limit)]
    OverRate(PlanLimit),
    /// Too many attempts; come back later.
    #[error("throttled for {retry_after_seconds} s")]
    Throttled { retry_after_seconds: u32 },
    /// A part that we depend on is down; the same call may work later.
    #[error("unavailable: {detail}")]
    Unavailable { detail: &'static str, retry_after_seconds: u32 },
    /// The same request was answered before; this is the answer to give again.
    #[error("answered before")]
    AnsweredBefore(Box<crate::platform::idempotency::StoredAnswer>),
    /// A bug or a fault. The source goes to the log with the request id, never to the caller.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the present state does not allow something. There may be more of them one day: take one that you do not know for a
/// conflict of which `detail` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictCode {
    /// The month's budget for model providers is used up.
    AiBudgetReached,
    AlreadyExists,
    Archived,
    /// What is billed is not split.
    Billed,
    /// The driver of the match cannot any more.
    Blocked,
    BuiltinSkill,
    /// Another request is changing the same thing: send it again.
    Busy,
    /// The driver, truck or trailer cannot haul it.
    CannotHaul,
    /// The payment service does not know the carrier any more.
    CustomerMissing,
    /// The carrier that the request has made before was erased since.
    Erased,
    /// Another export is being written.
    ExportUnfinished,
    /// `allowed` has the legal ones.
    IllegalMove,
    InUse,
    /// The trip lacks what it needs to be ready.
    Incomplete,
    LastOwner,
    /// The carrier has bought nothing yet.
    NoCustomer,
    NoDriver,
    /// The files of the export are not there yet, or no longer.
    NotReady,
    /// The file has not come yet.
    NotStored,
    OnATrip,
    OnHold,
    /// An order takes no more vehicles.
    OrderFull,
    OrdersNotDelivered,
    PossibleDuplicate,
    RefusedByPaymentService,
    /// There is a subscription already.
    Subscribed,
    /// Who still pays is not erased.
    SubscriptionIsLive,
    /// What a proposal is about has changed since.
    TargetChanged,
    TooManyCarriers,
    /// It is picked up already.
    UnderWay,
}

/// One bad field of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field in the body, or the name of a query parameter or header.
    #[schema(example = "/vehicles/0/vin")]
    pub pointer: String,
    #[schema(example = "a VIN has 17 characters, this one has 16")]
    pub detail: String,
}

/// A limit of the plan, how much of it is used, and when it starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLimit {
    pub limit: String,
    pub max: i64,
    pub used: i64,
    pub resets_at: Option<DateTime<Utc>>,
}

impl Error {
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    pub fn conflict(code: ConflictCode, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into(), allowed: None }
    }

    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

/// Collects the broken rules of one input, so that a caller hears of all of them at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldError>);

impl Violations {
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    pub fn add_unless(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.add(pointer, detail);
        }
    }

    /// # Errors
    /// [`Error::Invalid`] when a rule was broken.
    pub fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
