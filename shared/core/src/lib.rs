pub mod base;
pub mod customers;
pub mod identity;
pub mod platform;
