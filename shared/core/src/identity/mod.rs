//! Who calls: tokens of the OpenID Connect issuer and our own API keys.

pub mod actor;
pub mod api_key_secret;
pub mod attempts;
pub mod bearer;
mod claims;
mod issuer_client;
mod jwks;
mod known_tokens;
pub mod permissions;
mod signing_key;
mod token_error;
pub mod tokens;
