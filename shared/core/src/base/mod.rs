//! The ground floor: types that every resource uses and that know no database, no network and no tenant.

pub mod clock;
pub mod day;
pub mod error;
pub mod ids;
pub mod moment;
pub mod money;
pub mod page;
pub mod patch;
pub mod strings;
pub mod text;
pub mod vin;
pub mod whole;
pub mod words;
