//! What a carrier pays, and what it may do for it.

pub mod apply;
pub mod history;
pub mod inbox;
pub mod invoice;
pub mod job;
pub mod standing;
pub mod stripe;
pub mod subscription;
