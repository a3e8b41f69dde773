//! Orders: what the carrier hauls, for whom, from where to where. The list that dispatchers live in.
//!
//! [`Order`] is the aggregate: it is loaded with its vehicles, moves through its state machine in memory
//! ([`machine`]), and is saved in one statement ([`save`]).

mod ability;
pub mod actions;
pub mod list;
pub mod machine;
mod order;
mod payment;
pub(crate) mod save;
pub mod split;
mod stop;
pub mod vehicles;
mod ways;
mod words;
mod write;

pub use self::order::{DriverSummary, HistoryEntry, Order, OrderId, VehicleCounts, get, history};
pub use self::payment::{PaymentMethod, PaymentTerm};
pub use self::stop::{NewStop, Stop, StopPatch};
pub use self::vehicles::{NewVehicle, Vehicle, VehicleId, VehiclePatch};
pub(crate) use self::words::words;
pub use self::words::{BillingStatus, HistoryEvent, InoperableFlag, OrderStatus, TransportType, VehicleType};
pub use self::write::{NewOrder, OrderPatch, create, create_as, update};

/// What one order, and so one trailer, can carry.
pub const MAX_VEHICLES: usize = 12;
