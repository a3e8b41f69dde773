//! What can be hauled by whom, with what: the rules that skills, trips and orders ask. And what is told of orders and trips alike
//! when they move.
//!
//! What a driver must have is a [`Blocker`]: it is certain that it cannot be done. A carrier need not record whether a trailer has a
//! winch or a driver holds a TWIC card: where a load needs one and none is on record, that is a [`Caution`] to ask.

mod data;
mod hauler;
pub mod rows;
mod rules;
mod told;
mod warning;

pub use self::data::{
    Assignment, Blocker, BlockerCode, Candidate, Caution, CautionCode, Load, Place, StopFacts, Unit, VehicleFacts,
};
pub use self::hauler::{DriverFacts, Hauler, UnitFacts};
pub use self::rules::{Verdict, judge, refuse};
pub use self::told::{Cancellation, Occurrence, Remark};
pub(crate) use self::told::{happened_at, is_future};
pub use self::warning::{Warning, WarningCode, warnings};
