//! Trips: which driver hauls which orders with which truck and trailer, stop by stop.
//!
//! [`Trip`] is the aggregate: it is loaded with its stops and orders ([`load`]), moves through its state machine in memory
//! ([`machine`]), and is saved with the orders that move along in one statement ([`save`]). An order on a trip has the
//! trip's driver, truck and trailer.

mod ability;
pub mod actions;
pub mod correction;
pub mod list;
mod load;
pub mod loads;
pub mod machine;
pub mod relay;
mod save;
pub mod stops;
mod trip;
mod words;
mod write;

pub use self::load::{Loaded, Named, begin};
pub use self::stops::{NewTripStop, TripStop, TripStopId, TripStopPatch};
pub use self::trip::{Trip, TripHistoryEntry, TripId, TripOrder, get, history};
pub use self::words::{TripEvent, TripStatus, TripStopKind};
pub use self::write::{NewTrip, TripPatch, create, delete, update};

/// More than anybody hauls before coming home.
pub const MAX_ORDERS: usize = 24;
pub const MAX_STOPS: usize = 60;
