//! The reference page: plain HTML that reads the API document.

pub const PAGE: &str = include_str!("docs.html");
