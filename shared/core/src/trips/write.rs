//! Making a trip, changing what is planned of it, and putting it away. Moves are in [`super::actions`].

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::load::{self, Facts, Loaded, Named};
use super::machine::{Moves, illegal};
use super::save::OrdersMoved;
use super::stops::{NewTripStop, TripStop, TripStopPatch, check_sequence};
use super::trip::{Trip, TripId};
use super::{MAX_STOPS, TripStatus, ability, loads, save};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::patch::Patch;
use crate::base::text::Notes;
use crate::base::whole::Whole;
use crate::drivers::DriverId;
use crate::hauling;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::locations::LocationId;
use crate::orders::{OrderId, OrderStatus};
use crate::platform::db::{Db, Sql, Tx};
use crate::platform::idempotency::IdempotencyKey;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

pub type Miles = Whole<0, 99_999>;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrip {
    pub driver_id: Option<DriverId>,
    pub truck_id: Option<TruckId>,
    pub trailer_id: Option<TrailerId>,
    /// Orders to put on it: they get its driver, truck and trailer. Each brings a pickup and a delivery along, unless `stops`
    /// has them.
    #[serde(default)]
    #[schema(max_items = 24)]
    pub order_ids: Vec<OrderId>,
    /// Where it goes, in this order.
    #[serde(default)]
    #[schema(max_items = 60)]
    pub stops: Vec<NewTripStop>,
    /// Miles with vehicles on the trailer.
    pub loaded_miles: Option<Miles>,
    /// Miles without vehicles on the trailer.
    pub empty_miles: Option<Miles>,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TripPatch {
    /// Its orders get the same; none is possible only in planning.
    #[serde(default)]
    pub driver_id: Patch<Option<DriverId>>,
    /// Its orders get the same; none is possible only in planning.
    #[serde(default)]
    pub truck_id: Patch<Option<TruckId>>,
    /// Its orders get the same.
    #[serde(default)]
    pub trailer_id: Patch<Option<TrailerId>>,
    /// Replaces the stops, in this order. One that was reached stays.
    #[serde(default)]
    pub stops: Patch<Vec<TripStopPatch>>,
    /// Miles with vehicles on the trailer.
    #[serde(default)]
    pub loaded_miles: Patch<Option<Miles>>,
    /// Miles without vehicles on the trailer.
    #[serde(default)]
    pub empty_miles: Patch<Option<Miles>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// True archives a trip that is over, false brings it back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

impl TripPatch {
    /// What is to be looked up for it.
    pub fn named(&self) -> Named {
        let stops = match &self.stops {
            Patch::Keep => &[],
            Patch::Set(stops) => stops.as_slice(),
        };
        let location = |stop: &TripStopPatch| match stop.location_id {
            Patch::Set(location) => location,
            Patch::Keep => None,
        };
        Named {
            driver_id: self.driver_id,
            truck_id: self.truck_id,
            trailer_id: self.trailer_id,
            order_ids: Vec::new(),
            location_ids: stops.iter().take(MAX_STOPS).filter_map(location).collect(),
        }
    }
}

/// Makes a trip with its stops and orders. Returns the transaction that it is made in.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field; those of [`loads::put`] for its orders.
pub async fn create(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    new: NewTrip,
    now: DateTime<Utc>,
) -> Result<(Tx, Trip)> {
    let location_ids: Vec<LocationId> = new.stops.iter().take(MAX_STOPS).filter_map(|stop| stop.location_id).collect();
    let named = Named {
        driver_id: Patch::Set(new.driver_id),
        truck_id: Patch::Set(new.truck_id),
        trailer_id: Patch::Set(new.trailer_id),
        order_ids: new.order_ids.iter().take(super::MAX_ORDERS).copied().collect(),
        location_ids,
    };
    let (mut tx, rows) = load::begin_new(db, actor, Action::TripsWrite, key, &named).await?;
    if !new.order_ids.is_empty() {
        tx.entered.grant.require(Action::OrdersDispatch)?;
    }
    let (orders, facts) = load::orders_and_facts(&rows)?;
    let mut loaded = Loaded { trip: blank(now), orders, facts };
    loaded.trip.driver_id = new.driver_id;
    loaded.trip.truck_id = new.truck_id;
    loaded.trip.trailer_id = new.trailer_id;
    loaded.trip.loaded_miles = new.loaded_miles.map(Whole::get);
    loaded.trip.empty_miles = new.empty_miles.map(Whole::get);
    loaded.trip.notes = new.notes.map(|notes| notes.to_string());

    let mut violations = Violations::default();
    check_named(
        &named,
        &Trip { driver_id: None, truck_id: None, trailer_id: None, ..loaded.trip.clone() },
        &loaded.facts,
        &mut violations,
    );
    violations.into_result()?;
    let present = loads::present(&new.order_ids, &loaded)?;
    let moved = loads::join(&mut loaded, &present)?;
    let mut violations = Violations::default();
    check_count(new.stops.len(), &mut violations);
    let stops: Vec<TripStop> = new
        .stops
        .into_iter()
        .enumerate()
        .filter_map(|(n, stop)| {
            stop.into_stop(&loaded.orders, &loaded.facts.places, &format!("/stops/{n}"), &mut violations)
        })
        .collect();
    put_stops(&mut loaded, stops, violations)?;
    loads::add_stops(&mut loaded);
    hauling::refuse(&ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts), &[])?;
    let mut moves = Moves::default();
    moves.created();
    let trip = save::trip(&mut tx, loaded, &moves, moved, now).await?;
    Ok((tx, trip))
}

/// One in planning that has nothing yet.
fn blank(now: DateTime<Utc>) -> Trip {
    Trip {
        id: TripId::new(),
        number: 0,
        status: TripStatus::Planning,
        driver_id: None,
        truck_id: None,
        trailer_id: None,
        start_date: now.date_naive(),
        end_date: now.date_naive(),
        loaded_miles: None,
        empty_miles: None,
        notes: None,
        cancel_reason_id: None,
        archived_at: None,
        created_by: None,
        version: 1,
        created_at: now,
        updated_at: now,
        stops: Some(Vec::new()),
        orders: None,
        warnings: None,
        driver: None,
        truck: None,
        trailer: None,
    }
}

/// Changes a trip that was loaded for it. Its orders follow its driver, truck and trailer.
///
/// # Errors
/// [`Error::Invalid`] naming each bad field; [`Error::Conflict`] for what cannot change any more, for an order that cannot
/// follow, and for what the driver, truck and trailer cannot haul.
pub async fn update(tx: &mut Tx, mut loaded: Loaded, patch: TripPatch, now: DateTime<Utc>) -> Result<Trip> {
    let named = patch.named();
    let before = loaded.trip.clone();
    let plans_anew = !(named.driver_id.is_keep() && named.truck_id.is_keep() && named.trailer_id.is_keep());
    if (plans_anew || !patch.stops.is_keep()) && !before.status.is_open() {
        return Err(illegal(before.status, "driver, truck, trailer and stops no longer change on a trip"));
    }
    let mut violations = Violations::default();
    check_named(&named, &before, &loaded.facts, &mut violations);
    let blocked_before = ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts);
    let trip = &mut loaded.trip;
    trip.driver_id = patch.driver_id.over(trip.driver_id);
    trip.truck_id = patch.truck_id.over(trip.truck_id);
    trip.trailer_id = patch.trailer_id.over(trip.trailer_id);
    if trip.status != TripStatus::Planning {
        let detail = format!("is needed by a trip that is {}", trip.status.as_str().replace('_', " "));
        violations.add_unless(trip.driver_id.is_some(), "/driver_id", detail.clone());
        violations.add_unless(trip.truck_id.is_some(), "/truck_id", detail);
    }
    for (patch, miles) in [(patch.loaded_miles, &mut trip.loaded_miles), (patch.empty_miles, &mut trip.empty_miles)] {
        if let Patch::Set(value) = patch {
            *miles = value.map(Whole::get);
        }
    }
    if let Patch::Set(notes) = patch.notes {
        trip.notes = notes.map(|notes| notes.to_string());
    }
    if let Patch::Set(archived) = patch.archived {
        if archived && !is_over(trip.status) {
            return Err(illegal(trip.status, "only what is completed or cancelled can be archived, not a trip"));
        }
        trip.archived_at = archived.then(|| trip.archived_at.unwrap_or(now));
    }
    let mut replaced = false;
    if let Patch::Set(stops) = patch.stops {
        replaced = true;
        check_count(stops.len(), &mut violations);
        let stops = patched(&loaded, stops, &mut violations);
        put_stops(&mut loaded, stops, violations)?;
    } else {
        violations.into_result()?;
    }
    let moved = follow_all(tx, &mut loaded)?;
    if plans_anew || replaced {
        let blocked = ability::blockers(&loaded.trip, &loaded.loads(), &loaded.facts);
        // With another driver, truck or trailer nothing is as it was before.
        let same = before.driver_id == loaded.trip.driver_id
            && before.truck_id == loaded.trip.truck_id
            && before.trailer_id == loaded.trip.trailer_id;
        hauling::refuse(&blocked, if same { &blocked_before } else { &[] })?;
    }
    save::trip(tx, loaded, &Moves::default(), moved, now).await
}

/// The orders that are not over get what the trip now has.
fn follow_all(tx: &Tx, loaded: &mut Loaded) -> Result<OrdersMoved> {
    let Loaded { trip, orders, .. } = loaded;
    let differs = |order: &&mut crate::orders::Order| {
        let equipment = (trip.driver_id, trip.driver_id.and(trip.truck_id), trip.driver_id.and(trip.trailer_id));
        order.trip_id == Some(trip.id)
            && !matches!(order.status, OrderStatus::Delivered | OrderStatus::Cancelled)
            && (order.driver_id, order.truck_id, order.trailer_id) != equipment
    };
    let mut moved = OrdersMoved::new();
    for order in orders.iter_mut().filter(differs) {
        moved.push((order.id, loads::follow(trip, order)?));
    }
    if !moved.is_empty() {
        tx.entered.grant.require(Action::OrdersDispatch)?;
    }
    Ok(moved)
}

/// What is named must be there, and what is named anew must not be archived.
pub(super) fn check_named(named: &Named, before: &Trip, facts: &Facts, violations: &mut Violations) {
    fn is_new<T: PartialEq>(named: Patch<Option<T>>, before: Option<T>) -> Option<bool> {
        match named {
            Patch::Set(Some(id)) => Some(before != Some(id)),
            _ => None,
        }
    }
    facts.hauler.check(
        is_new(named.driver_id, before.driver_id),
        is_new(named.truck_id, before.truck_id),
        is_new(named.trailer_id, before.trailer_id),
        violations,
    );
}

fn check_count(stops: usize, violations: &mut Violations) {
    violations.add_unless(stops <= MAX_STOPS, "/stops", format!("a trip has at most {MAX_STOPS} stops"));
}

/// The stops of the list, in its order: those of the trip as they are changed, and new ones.
fn patched(loaded: &Loaded, stops: Vec<TripStopPatch>, violations: &mut Violations) -> Vec<TripStop> {
    let mut result: Vec<TripStop> = Vec::new();
    let places = &loaded.facts.places;
    for (n, patch) in stops.into_iter().enumerate() {
        let at = format!("/stops/{n}");
        let Some(id) = patch.id else {
            result.extend(patch.into_new().into_stop(&loaded.orders, places, &at, violations));
            continue;
        };
        let present = loaded.trip.loaded_stops().iter().find(|stop| stop.id == id);
        let Some(present) = present.filter(|_| !result.iter().any(|stop| stop.id == id)) else {
            violations.add(format!("{at}/id"), "is not a stop of this trip, or is there twice");
            continue;
        };
        let mut stop = present.clone();
        patch.apply(&mut stop, places, &at, violations);
        result.push(stop);
    }
    let lost =
        loaded.trip.loaded_stops().iter().any(|stop| stop.is_reached() && !result.iter().any(|it| it.id == stop.id));
    violations.add_unless(!lost, "/stops", "a stop that was reached stays: name it by its id");
    result
}

/// Puts the stops on the trip if nothing is wrong with them.
fn put_stops(loaded: &mut Loaded, stops: Vec<TripStop>, mut violations: Violations) -> Result<()> {
    let on_trip: Vec<_> = loaded.on_trip().cloned().collect();
    for (n, stop) in stops.iter().enumerate() {
        // A stop at an order that has left the trip is a thing of the past.
        if !stop.is_reached() {
            stop.check(&on_trip, &format!("/stops/{n}"), &mut violations);
        }
    }
    check_sequence(&stops, &mut violations);
    violations.into_result()?;
    loaded.trip.stops = Some(stops);
    Ok(())
}

fn is_over(status: TripStatus) -> bool {
    matches!(status, TripStatus::Completed | TripStatus::Cancelled)
}

/// Deletes a plan that came to nothing, archives a trip that is over. Returns the trip if it was archived.
///
/// # Errors
/// [`Error::Conflict`] for one with orders or under way.
pub async fn delete(tx: &mut Tx, loaded: Loaded, now: DateTime<Utc>) -> Result<Option<Trip>> {
    let patch = TripPatch {
        driver_id: Patch::Keep,
        truck_id: Patch::Keep,
        trailer_id: Patch::Keep,
        stops: Patch::Keep,
        loaded_miles: Patch::Keep,
        empty_miles: Patch::Keep,
        notes: Patch::Keep,
        archived: Patch::Set(true),
    };
    match loaded.trip.status {
        TripStatus::Completed | TripStatus::Cancelled => update(tx, loaded, patch, now).await.map(Some),
        TripStatus::Planning if loaded.on_trip().next().is_none() => {
            let mut sql = Sql::new("DELETE FROM trips t WHERE t.tenant_id = app.tenant_id() AND t.id = ");
            sql.push_bind(loaded.trip.id).push(" RETURNING t.number");
            tx.fetch_one::<(i64,)>(sql).await.map(|_| None)
        }
        TripStatus::Planning => {
            Err(Error::conflict(ConflictCode::InUse, "there are orders on it: take them off, or cancel the trip"))
        }
        status => Err(illegal(status, "cannot delete a trip")),
    }
}
