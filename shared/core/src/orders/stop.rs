//! A stop: where and when vehicles are picked up or delivered. Its address is a copy, so that a later edit of the location
//! does not rewrite a bill of lading.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::error::Violations;
use crate::base::moment::{self, Moment};
use crate::base::patch::Patch;
use crate::base::strings::{Phone, StateCode, TimeZone, Zip};
use crate::base::text::{Name, Notes, Text};
use crate::locations::LocationId;

/// Where and when vehicles are picked up or delivered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stop {
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
    /// The window opens.
    #[serde(serialize_with = "moment::serialize")]
    pub from: DateTime<Utc>,
    /// The window closes.
    #[serde(serialize_with = "moment::serialize")]
    pub to: DateTime<Utc>,
    /// The local day on which the window opens.
    #[serde(serialize_with = "moment::serialize_day")]
    pub date: NaiveDate,
    #[schema(required)]
    pub notes: Option<String>,
}

/// A stop of a new order. With a location, the address is copied from it where it is left out here.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStop {
    pub location_id: Option<LocationId>,
    pub name: Option<Name>,
    pub address: Option<Text<200>>,
    /// Needed without a location.
    pub city: Option<Name>,
    /// Needed without a location.
    pub state: Option<StateCode>,
    pub zip: Option<Zip>,
    pub contact_name: Option<Name>,
    pub phone: Option<Phone>,
    /// Needed without a location.
    pub time_zone: Option<TimeZone>,
    /// The window opens.
    pub from: Moment,
    /// The window closes, not before it opens.
    pub to: Moment,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopPatch {
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
    #[serde(default)]
    pub from: Patch<Moment>,
    #[serde(default)]
    pub to: Patch<Moment>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
}

impl NewStop {
    /// `at` is the pointer of this stop.
    pub fn check(&self, at: &str, violations: &mut Violations) {
        if self.location_id.is_none() {
            let needed = [
                ("city", self.city.is_some()),
                ("state", self.state.is_some()),
                ("time_zone", self.time_zone.is_some()),
            ];
            for (field, given) in needed {
                violations.add_unless(given, format!("{at}/{field}"), "is needed without a location_id");
            }
        }
        check_window(self.from.0, self.to.0, at, violations);
    }
}

impl StopPatch {
    /// Checks the window that results, and returns it.
    pub fn check(&self, present: &Stop, at: &str, violations: &mut Violations) -> (DateTime<Utc>, DateTime<Utc>) {
        let (from, to) = (self.from.over(Moment(present.from)), self.to.over(Moment(present.to)));
        check_window(from.0, to.0, at, violations);
        (from.0, to.0)
    }
}

/// What is picked up from then on can be delivered until then.
pub fn check_order(pickup_from: DateTime<Utc>, delivery_to: DateTime<Utc>, violations: &mut Violations) {
    let fits = pickup_from <= delivery_to;
    violations.add_unless(fits, "/pickup/from", "must not be after the window of the delivery closes");
    violations.add_unless(fits, "/delivery/to", "must not be before the window of the pickup opens");
}

fn check_window(from: DateTime<Utc>, to: DateTime<Utc>, at: &str, violations: &mut Violations) {
    violations.add_unless(from <= to, format!("{at}/to"), "must not be before the window opens");
}

/// The columns of a stop have the prefix of its kind; names of columns are literals, so this is a macro.
macro_rules! stop_from_row {
    ($row:expr, $kind:literal) => {
        $crate::orders::Stop {
            location_id: $row.try_get(concat!($kind, "_location_id"))?,
            name: $row.try_get(concat!($kind, "_name"))?,
            address: $row.try_get(concat!($kind, "_address"))?,
            city: $row.try_get(concat!($kind, "_city"))?,
            state: $row.try_get(concat!($kind, "_state"))?,
            zip: $row.try_get(concat!($kind, "_zip"))?,
            contact_name: $row.try_get(concat!($kind, "_contact_name"))?,
            phone: $row.try_get(concat!($kind, "_phone"))?,
            time_zone: $row.try_get(concat!($kind, "_time_zone"))?,
            from: $row.try_get(concat!($kind, "_from"))?,
            to: $row.try_get(concat!($kind, "_to"))?,
            date: $row.try_get(concat!($kind, "_date"))?,
            notes: $row.try_get(concat!($kind, "_notes"))?,
        }
    };
}
pub(super) use stop_from_row;

macro_rules! patch_stop {
    ($changes:expr, $patch:expr, $kind:literal) => {
        $changes
            .patch(concat!($kind, "_location_id"), $patch.location_id)
            .patch(concat!($kind, "_name"), $patch.name)
            .patch(concat!($kind, "_address"), $patch.address)
            .patch(concat!($kind, "_city"), $patch.city)
            .patch(concat!($kind, "_state"), $patch.state)
            .patch(concat!($kind, "_zip"), $patch.zip)
            .patch(concat!($kind, "_contact_name"), $patch.contact_name)
            .patch(concat!($kind, "_phone"), $patch.phone)
            .patch(concat!($kind, "_time_zone"), $patch.time_zone)
            .patch(concat!($kind, "_from"), $patch.from)
            .patch(concat!($kind, "_to"), $patch.to)
            .patch(concat!($kind, "_notes"), $patch.notes)
    };
}
pub(super) use patch_stop;
