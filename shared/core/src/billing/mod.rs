//! What a carrier pays, and what it may do for it.

pub mod apply;
pub mod checkout;
mod customer;
pub mod events;
pub mod history;
pub mod inbox;
pub mod invoice;
pub mod invoices;
pub mod job;
pub mod overview;
pub mod payments;
pub mod portal;
pub mod prices;
pub mod reconcile;
pub mod restriction;
pub mod return_urls;
pub mod standing;
pub mod stripe;
pub mod subscription;
