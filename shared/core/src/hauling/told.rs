//! What is told when an order, a vehicle on it or a trip moves: when it happened, and why.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::base::moment::Moment;
use crate::base::text::Text;
use crate::lookups::cancel_reasons::CancelReasonId;

/// When something happened on the road.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Occurrence {
    /// Now unless told; not in the future.
    pub at: Option<Moment>,
    /// Kept in the history.
    pub note: Option<Text<500>>,
}

/// Why an order or a vehicle on it is cancelled.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// One of the carrier's cancel reasons.
    pub reason_id: CancelReasonId,
    /// Kept in the history.
    pub note: Option<Text<500>>,
}

/// Why, for the history.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    pub note: Option<Text<500>>,
}

/// Clocks of telephones run a little fast.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

pub(crate) fn is_future(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at > now + CLOCK_SKEW
}

/// # Errors
/// [`Error::Invalid`] for the future.
pub(crate) fn happened_at(at: Option<Moment>, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    match at {
        Some(Moment(at)) if is_future(at, now) => Err(Error::invalid("/at", "must not be in the future")),
        at => Ok(at.map_or(now, |at| at.0)),
    }
}
