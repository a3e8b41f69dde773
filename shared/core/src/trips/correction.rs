//! What was recorded at a stop, put right: a driver told it late, or at the wrong stop. The history keeps what it was.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actions::require_under_way;
use super::load::Loaded;
use super::machine::Moves;
use super::save::{self, OrdersMoved};
use super::stops::{TripStop, TripStopId};
use super::trip::{Trip, changes};
use super::{TripEvent, TripStopKind};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::moment::Moment;
use crate::base::patch::Patch;
use crate::base::text::Text;
use crate::hauling::is_future;
use crate::platform::db::Tx;

/// When the driver really came and left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopCorrection {
    /// When the driver came; null takes back an arrival that never was.
    #[serde(default)]
    pub arrived_at: Patch<Option<Moment>>,
    /// When the driver left; null takes back a departure that never was.
    #[serde(default)]
    pub departed_at: Patch<Option<Moment>>,
    /// Kept in the history.
    pub note: Option<Text<500>>,
}

/// Puts right what was recorded at a stop of a trip that was loaded for it.
///
/// # Errors
/// [`Error::NotFound`] for a stop that is not on it; [`Error::Conflict`] for one that was not reached, or a trip that is not
/// under way; [`Error::Invalid`] for times that cannot be.
pub async fn correct(
    tx: &mut Tx,
    mut loaded: Loaded,
    id: TripStopId,
    correction: StopCorrection,
    now: DateTime<Utc>,
) -> Result<Trip> {
    let status = loaded.trip.status;
    let stop = loaded.trip.stop_mut(id)?;
    require_under_way(status)?;
    if !stop.is_reached() {
        return Err(Error::Conflict {
            code: ConflictCode::IllegalMove,
            detail: "the stop was not reached yet: there is nothing to correct".to_owned(),
            allowed: Some(vec!["arrive".to_owned()]),
        });
    }
    let before = (stop.arrived_at, stop.departed_at);
    let time = |patch: Patch<Option<Moment>>, present| match patch {
        Patch::Keep => present,
        Patch::Set(moment) => moment.map(|moment| moment.0),
    };
    stop.arrived_at = time(correction.arrived_at, stop.arrived_at);
    stop.departed_at = time(correction.departed_at, stop.departed_at);
    let after = (stop.arrived_at, stop.departed_at);
    check(loaded.trip.loaded_stops(), id, now)?;
    let mut moves = Moves::told(None, correction.note.map(|note| note.to_string()));
    let changed = changes([("arrived_at", told(before.0, after.0)), ("departed_at", told(before.1, after.1))]);
    moves.happens(TripEvent::StopCorrected, Some(id), status, changed);
    save::trip(tx, loaded, &moves, OrdersMoved::new(), now).await
}

fn told(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> [Option<String>; 2] {
    [from, to].map(|at| at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

/// Whether the times of a stop can be. Two stops may well be at one place at the same time; but nothing is delivered before
/// it is picked up.
fn check(stops: &[TripStop], id: TripStopId, now: DateTime<Utc>) -> Result<()> {
    let mut violations = Violations::default();
    let Some(stop) = stops.iter().find(|stop| stop.id == id) else { return Err(Error::NotFound("stop")) };
    for (field, at) in [("/arrived_at", stop.arrived_at), ("/departed_at", stop.departed_at)] {
        violations.add_unless(at.is_none_or(|at| !is_future(at, now)), field, "must not be in the future");
    }
    match (stop.arrived_at, stop.departed_at) {
        (None, Some(_)) => violations.add("/departed_at", "must be null, too, without an arrival"),
        (Some(arrived), Some(left)) => {
            violations.add_unless(arrived <= left, "/departed_at", "must not be before the arrival");
        }
        _ => {}
    }
    let arrived = |kind: TripStopKind| {
        let of_order = stops.iter().filter(move |it| it.kind == kind && it.order_id == stop.order_id);
        of_order.filter_map(|it| it.arrived_at)
    };
    if stop.order_id.is_some()
        && let (Some(first), Some(last)) = (arrived(TripStopKind::Delivery).min(), arrived(TripStopKind::Pickup).min())
    {
        violations.add_unless(last <= first, "/arrived_at", "an order is not delivered before it is picked up");
    }
    violations.into_result()
}
