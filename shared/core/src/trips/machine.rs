//! The state machine of a trip. Pure: it moves a [`Trip`] in memory and says what moved; an illegal move is a conflict that
//! lists the legal ones.

use chrono::{DateTime, Utc};

use super::TripEvent;
use super::TripStatus::{self, Cancelled, Completed, Delivered, InProgress, Planning, Ready};
use super::stops::TripStopId;
use super::trip::{Change, Trip};
use crate::base::error::{ConflictCode, Error, Result};
use crate::lookups::cancel_reasons::CancelReasonId;

impl TripStatus {
    /// The states that can come next.
    pub fn next(self) -> &'static [Self] {
        match self {
            Planning => &[Ready, Cancelled],
            Ready => &[InProgress, Planning, Cancelled],
            InProgress => &[Delivered],
            Delivered => &[Completed],
            Completed | Cancelled => &[],
        }
    }

    /// Orders, stops, driver, truck and trailer can still change.
    pub fn is_open(self) -> bool {
        matches!(self, Planning | Ready | InProgress)
    }
}

/// A refused move, with the legal ones.
pub fn illegal(from: TripStatus, what: &str) -> Error {
    Error::Conflict {
        code: ConflictCode::IllegalMove,
        detail: format!("{what} that is {}", from.as_str().replace('_', " ")),
        allowed: Some(from.next().iter().map(|next| next.as_str().to_owned()).collect()),
    }
}

/// A step of a trip, for its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// None: it was a move.
    pub event: Option<TripEvent>,
    pub stop_id: Option<TripStopId>,
    pub from: Option<TripStatus>,
    pub to: TripStatus,
    pub changes: Vec<Change>,
}

impl Step {
    fn new(from: Option<TripStatus>, to: TripStatus) -> Self {
        Self { event: None, stop_id: None, from, to, changes: Vec::new() }
    }
}

/// What happened to a trip since it was loaded.
#[derive(Debug, Default)]
pub struct Moves {
    pub steps: Vec<Step>,
    /// When it happened, as told by the caller; now unless told.
    pub at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub cancel_reason_id: Option<CancelReasonId>,
}

impl Moves {
    pub fn told(at: Option<DateTime<Utc>>, reason: Option<String>) -> Self {
        Self { at, reason, ..Self::default() }
    }

    /// The trip comes into being.
    pub fn created(&mut self) {
        self.steps.push(Step::new(None, Planning));
    }

    /// Something else than a move; nothing if it changes nothing.
    pub fn happens(&mut self, event: TripEvent, stop_id: Option<TripStopId>, status: TripStatus, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.steps.push(Step { event: Some(event), stop_id, changes, ..Step::new(Some(status), status) });
        }
    }

    /// # Errors
    /// [`Error::Conflict`] with the legal moves.
    pub fn go(&mut self, trip: &mut Trip, to: TripStatus, what: &str) -> Result<()> {
        if !trip.status.next().contains(&to) {
            return Err(illegal(trip.status, what));
        }
        self.steps.push(Step::new(Some(trip.status), to));
        trip.status = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trip_goes_forward_one_state_at_a_time_and_is_cancelled_only_before_it_starts() {
        let way = [Planning, Ready, InProgress, Delivered, Completed];
        for (n, from) in way.into_iter().enumerate() {
            assert_eq!(from.next().first().copied(), way.get(n + 1).copied(), "{from:?}");
            assert_eq!(from.next().contains(&Cancelled), n < 2, "{from:?}");
        }
        assert!(Ready.next().contains(&Planning));
        assert!(Cancelled.next().is_empty());
    }

    #[test]
    fn what_is_refused_names_what_can_be_done_instead() {
        let Error::Conflict { code, detail, allowed } = illegal(InProgress, "cannot cancel a trip") else {
            panic!("a refused move is a conflict");
        };
        assert_eq!((code, detail.as_str()), (ConflictCode::IllegalMove, "cannot cancel a trip that is in progress"));
        assert_eq!(allowed.unwrap(), ["delivered"]);
    }
}
