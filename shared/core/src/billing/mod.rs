//! What a carrier pays, and what it may do for it.

pub mod job;
pub mod stripe;
