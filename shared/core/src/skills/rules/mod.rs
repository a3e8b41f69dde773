//! The built-in provider `rules`: the skills that code can do without a model. It needs no key and no network, and the same
//! input always gives the same output. What a skill needs from the database, its caller loads and hands in.

pub mod audit_billing;
pub mod draft_message;
pub mod extract_order;
pub mod match_driver;
