//! AI skills: what they take and give, and what is checked of it whoever gives it.

pub mod rules;
