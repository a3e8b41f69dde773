//! The stops of a trip, an ordered whole: where it goes, when it is expected, when it came and left. Addresses are copies, of
//! the order's stop or of a location.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TripStopKind;
use super::load::Place;
use crate::base::error::Violations;
use crate::base::moment::Moment;
use crate::base::patch::Patch;
use crate::base::strings::{Phone, StateCode, TimeZone, Zip};
use crate::base::text::{Name, Notes, Text};
use crate::locations::LocationId;
use crate::orders::{Order, OrderId, Stop};

crate::id!(TripStopId);

/// A place where the driver of a trip stops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TripStop {
    pub id: TripStopId,
    /// The place on the trip, from 1.
    pub position: i16,
    pub kind: TripStopKind,
    /// What is picked up or delivered here.
    #[schema(required)]
    pub order_id: Option<OrderId>,
    #[schema(required)]
    pub location_id: Option<LocationId>,
    #[schema(required)]
    pub name: Option<String>,
    #[schema(required)]
    pub address: Option<String>,
    pub city: String,
    pub state: String,
    #[schema(required)]
    pub zip: Option<String>,
    #[schema(required)]
    pub contact_name: Option<String>,
    #[schema(required)]
    pub phone: Option<String>,
    /// Of the place; `date` is the day there.
    #[schema(example = "America/Chicago")]
    pub time_zone: String,
    /// The window opens, if there is one.
    #[schema(required)]
    pub from: Option<DateTime<Utc>>,
    /// The window closes.
    #[schema(required)]
    pub to: Option<DateTime<Utc>>,
    /// When the driver is expected.
    #[schema(required)]
    pub eta_at: Option<DateTime<Utc>>,
    /// When the driver came.
    #[schema(required)]
    pub arrived_at: Option<DateTime<Utc>>,
    /// When the driver left.
    #[schema(required)]
    pub departed_at: Option<DateTime<Utc>>,
    /// The local day: of the arrival, else when it is expected, else when the window opens.
    #[schema(required)]
    pub date: Option<NaiveDate>,
    #[schema(required)]
    pub notes: Option<String>,
}

/// The stops of a trip `t` as JSON, in their order.
pub const OF_TRIP: &str = "(SELECT coalesce(json_agg(s ORDER BY s.position), '[]') FROM (\
    SELECT s.id, s.position, s.kind, s.order_id, s.location_id, s.name, s.address, s.city, s.state, s.zip, s.contact_name, \
    s.phone, s.time_zone, s.\"from\", s.\"to\", s.eta_at, s.arrived_at, s.departed_at, s.date, s.notes \
    FROM trip_stops s WHERE s.tenant_id = t.tenant_id AND s.trip_id = t.id) s)";

/// A new stop. What is left out is copied: from the pickup or delivery of its order, or from its location.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTripStop {
    pub kind: Option<TripStopKind>,
    /// Of an order on the trip.
    pub order_id: Option<OrderId>,
    pub location_id: Option<LocationId>,
    pub name: Option<Name>,
    pub address: Option<Text<200>>,
    /// Needed without an order or a location.
    pub city: Option<Name>,
    /// Needed without an order or a location.
    pub state: Option<StateCode>,
    pub zip: Option<Zip>,
    pub contact_name: Option<Name>,
    pub phone: Option<Phone>,
    /// Needed without an order or a location.
    pub time_zone: Option<TimeZone>,
    /// The window opens; goes together with `to`.
    pub from: Option<Moment>,
    /// The window closes, not before it opens.
    pub to: Option<Moment>,
    /// When the driver is expected.
    pub eta_at: Option<Moment>,
    pub notes: Option<Notes>,
}

/// A stop of the list that replaces the trip's: one of them, with what changes of it, or a new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TripStopPatch {
    /// A stop of the trip, which is kept with what was recorded there. Without it, a new one.
    pub id: Option<TripStopId>,
    /// Needed for a new one.
    #[serde(default)]
    pub kind: Patch<TripStopKind>,
    /// Of an order on the trip.
    #[serde(default)]
    pub order_id: Patch<Option<OrderId>>,
    /// Brings its address along.
    #[serde(default)]
    pub location_id: Patch<Option<LocationId>>,
    #[serde(default)]
    pub name: Patch<Option<Name>>,
    #[serde(default)]
    pub address: Patch<Option<Text<200>>>,
    #[serde(default)]
    pub city: Patch<Name>,
    #[serde(default)]
    pub state: Patch<StateCode>,
    #[serde(default)]
    pub zip: Patch<Option<Zip>>,
    #[serde(default)]
    pub contact_name: Patch<Option<Name>>,
    #[serde(default)]
    pub phone: Patch<Option<Phone>>,
    #[serde(default)]
    pub time_zone: Patch<TimeZone>,
    /// The window opens; goes together with `to`.
    #[serde(default)]
    pub from: Patch<Option<Moment>>,
    /// The window closes, not before it opens.
    #[serde(default)]
    pub to: Patch<Option<Moment>>,
    /// When the driver is expected.
    #[serde(default)]
    pub eta_at: Patch<Option<Moment>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
}

fn text<T: ToString>(text: Option<T>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn time(moment: Option<Moment>) -> Option<DateTime<Utc>> {
    moment.map(|moment| moment.0)
}

fn given<T>(patch: Patch<T>) -> Option<T> {
    match patch {
        Patch::Keep => None,
        Patch::Set(value) => Some(value),
    }
}

impl NewTripStop {
    /// The stop as it goes onto the trip. `at` is its pointer.
    pub(super) fn into_stop(
        self,
        orders: &[Order],
        places: &[Place],
        at: &str,
        violations: &mut Violations,
    ) -> Option<TripStop> {
        let Some(kind) = self.kind else {
            violations.add(format!("{at}/kind"), "is needed for a new stop");
            return None;
        };
        check_place(self.location_id, places, at, violations);
        let order = self.order_id.and_then(|id| orders.iter().find(|order| order.id == id));
        let of_order = order.and_then(|order| match kind {
            TripStopKind::Pickup => Some(&order.pickup),
            TripStopKind::Delivery => Some(&order.delivery),
            TripStopKind::Other => None,
        });
        let mut stop = match (of_order, self.location_id.and_then(|id| places.iter().find(|place| place.id == id))) {
            (_, Some(place)) => TripStop::at_place(kind, place),
            (Some(of_order), None) => TripStop::as_ordered(kind, of_order),
            (None, None) => TripStop::blank(kind),
        };
        if stop.from.is_none()
            && let Some(of_order) = of_order
        {
            (stop.from, stop.to) = (Some(of_order.from), Some(of_order.to));
        }
        stop.order_id = self.order_id;
        stop.location_id = self.location_id.or(stop.location_id);
        stop.name = text(self.name).or(stop.name);
        stop.address = text(self.address).or(stop.address);
        stop.city = text(self.city).unwrap_or(stop.city);
        stop.state = text(self.state).unwrap_or(stop.state);
        stop.zip = text(self.zip).or(stop.zip);
        stop.contact_name = text(self.contact_name).or(stop.contact_name);
        stop.phone = text(self.phone).or(stop.phone);
        stop.time_zone = text(self.time_zone).unwrap_or(stop.time_zone);
        if self.from.is_some() || self.to.is_some() {
            (stop.from, stop.to) = (time(self.from), time(self.to));
        }
        stop.eta_at = time(self.eta_at);
        stop.notes = text(self.notes);
        Some(stop)
    }
}

impl TripStopPatch {
    pub(super) fn into_new(self) -> NewTripStop {
        NewTripStop {
            kind: given(self.kind),
            order_id: given(self.order_id).flatten(),
            location_id: given(self.location_id).flatten(),
            name: given(self.name).flatten(),
            address: given(self.address).flatten(),
            city: given(self.city),
            state: given(self.state),
            zip: given(self.zip).flatten(),
            contact_name: given(self.contact_name).flatten(),
            phone: given(self.phone).flatten(),
            time_zone: given(self.time_zone),
            from: given(self.from).flatten(),
            to: given(self.to).flatten(),
            eta_at: given(self.eta_at).flatten(),
            notes: given(self.notes).flatten(),
        }
    }

    pub(super) fn apply(self, stop: &mut TripStop, places: &[Place], at: &str, violations: &mut Violations) {
        if let Patch::Set(location) = self.location_id {
            check_place(location, places, at, violations);
            if let Some(place) = location.and_then(|id| places.iter().find(|place| place.id == id)) {
                stop.move_to(place);
            }
            stop.location_id = location;
        }
        stop.kind = self.kind.over(stop.kind);
        stop.order_id = self.order_id.over(stop.order_id);
        let optional = |patch: Option<Option<String>>, present: &mut Option<String>| {
            if let Some(value) = patch {
                *present = value;
            }
        };
        optional(given(self.name).map(text), &mut stop.name);
        optional(given(self.address).map(text), &mut stop.address);
        optional(given(self.zip).map(text), &mut stop.zip);
        optional(given(self.contact_name).map(text), &mut stop.contact_name);
        optional(given(self.phone).map(text), &mut stop.phone);
        optional(given(self.notes).map(text), &mut stop.notes);
        for (patch, present) in [
            (text(given(self.city)), &mut stop.city),
            (text(given(self.state)), &mut stop.state),
            (text(given(self.time_zone)), &mut stop.time_zone),
        ] {
            if let Some(value) = patch {
                *present = value;
            }
        }
        for (patch, present) in [(self.from, &mut stop.from), (self.to, &mut stop.to), (self.eta_at, &mut stop.eta_at)]
        {
            if let Patch::Set(value) = patch {
                *present = time(value);
            }
        }
    }
}

impl TripStop {
    fn blank(kind: TripStopKind) -> Self {
        Self {
            id: TripStopId::new(),
            position: 0,
            kind,
            order_id: None,
            location_id: None,
            name: None,
            address: None,
            city: String::new(),
            state: String::new(),
            zip: None,
            contact_name: None,
            phone: None,
            time_zone: String::new(),
            from: None,
            to: None,
            eta_at: None,
            arrived_at: None,
            departed_at: None,
            date: None,
            notes: None,
        }
    }

    fn at_place(kind: TripStopKind, place: &Place) -> Self {
        let mut stop = Self::blank(kind);
        stop.move_to(place);
        stop
    }

    fn as_ordered(kind: TripStopKind, ordered: &Stop) -> Self {
        let Stop { location_id, name, address, city, state, zip, contact_name, phone, time_zone, .. } = ordered.clone();
        let (from, to) = (Some(ordered.from), Some(ordered.to));
        Self {
            location_id,
            name,
            address,
            city,
            state,
            zip,
            contact_name,
            phone,
            time_zone,
            from,
            to,
            ..Self::blank(kind)
        }
    }

    /// The stop at which an order is picked up or delivered, as the order has it.
    pub(super) fn of_order(kind: TripStopKind, order: &Order) -> Self {
        let ordered = if kind == TripStopKind::Pickup { &order.pickup } else { &order.delivery };
        Self { order_id: Some(order.id), ..Self::as_ordered(kind, ordered) }
    }

    fn move_to(&mut self, place: &Place) {
        let Place { id, name, address, city, state, zip, contact_name, phone, time_zone } = place.clone();
        (self.location_id, self.name, self.address) = (Some(id), Some(name), Some(address));
        (self.city, self.state, self.zip, self.time_zone) = (city, state, Some(zip), time_zone);
        (self.contact_name, self.phone) = (contact_name, phone);
    }

    /// Somebody was there.
    pub fn is_reached(&self) -> bool {
        self.arrived_at.is_some()
    }

    /// Draws what follows from the rest: the place on the trip and the local day, as the column `date` does.
    pub(super) fn settle(&mut self, position: usize) {
        self.position = i16::try_from(position).unwrap_or(i16::MAX);
        let zone = self.time_zone.parse::<Tz>().ok();
        let moment = self.arrived_at.or(self.eta_at).or(self.from);
        self.date = zone.zip(moment).map(|(zone, moment)| moment.with_timezone(&zone).date_naive());
    }

    /// `at` is the pointer of this stop, `orders` those on the trip.
    pub(super) fn check(&self, orders: &[Order], at: &str, violations: &mut Violations) {
        let on_trip = self.order_id.is_none_or(|id| orders.iter().any(|order| order.id == id));
        violations.add_unless(on_trip, format!("{at}/order_id"), "must be an order on the trip");
        if self.location_id.is_none() && on_trip {
            for (field, text) in [("city", &self.city), ("state", &self.state), ("time_zone", &self.time_zone)] {
                let detail = "is needed without an order or a location to copy it from";
                violations.add_unless(!text.is_empty(), format!("{at}/{field}"), detail);
            }
        }
        let whole = self.from.is_some() == self.to.is_some();
        violations.add_unless(whole, format!("{at}/to"), "a window has a from and a to, or neither");
        violations.add_unless(
            self.from <= self.to || !whole,
            format!("{at}/to"),
            "must not be before the window opens",
        );
    }
}

fn check_place(location: Option<LocationId>, places: &[Place], at: &str, violations: &mut Violations) {
    let is_there = location.is_none_or(|id| places.iter().any(|place| place.id == id));
    violations.add_unless(is_there, format!("{at}/location_id"), "there is no such thing in your carrier");
}

/// No order is delivered before it is picked up.
pub(super) fn check_sequence(stops: &[TripStop], violations: &mut Violations) {
    for (n, stop) in stops.iter().enumerate().filter(|(_, stop)| stop.kind == TripStopKind::Delivery) {
        let later_pickup =
            stops[n..].iter().any(|later| later.kind == TripStopKind::Pickup && later.order_id == stop.order_id);
        let detail = "an order is delivered after it is picked up";
        violations.add_unless(stop.order_id.is_none() || !later_pickup, format!("/stops/{n}"), detail);
    }
}

/// Puts a stop where its window belongs among those that are still to be reached, not before place `least`. Returns where.
pub(super) fn insert_by_time(stops: &mut Vec<TripStop>, stop: TripStop, least: usize) -> usize {
    let begun = stops.iter().rposition(TripStop::is_reached).map_or(0, |last| last + 1).max(least);
    let time = |stop: &TripStop| stop.eta_at.or(stop.from);
    let later = stops[begun..].iter().position(|other| time(other).is_some_and(|other| Some(other) > time(&stop)));
    let place = later.map_or(stops.len(), |later| begun + later);
    stops.insert(place, stop);
    place
}
