//! The secret of an API key: made once, shown once, stored only as a hash.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::platform::crypto::random_token;

/// Tells our keys from JWTs, and from other services' keys where a secret scanner finds one.
pub const PREFIX: &str = "chk_";

/// A random token: 32 bytes in base64url without padding.
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
const LENGTH: usize = PREFIX.len() + SECRET_CHARS + CHECKSUM_CHARS;

/// `chk_`, 256 random bits as 43 base64url characters, and 6 characters of a checksum over what precedes them. The
/// checksum tells a mistyped key from a revoked one without asking the database, and a scanner that it found a real one.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an API key: it is incomplete or mistyped")]
pub struct MalformedApiKey;

impl ApiKeySecret {
    pub fn generate() -> Self {
        let body = format!("{PREFIX}{}", random_token());
        let checksum = checksum(&body);
        Self(body + &checksum)
    }

    /// The key itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the database stores: SHA-256 in lower-case hex. 256 random bits need no salt and no slow hash.
    pub fn hash(&self) -> String {
        digest(&SHA256, self.0.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// By which a person recognises the key in a list.
    pub fn last_four(&self) -> &str {
        &self.0[LENGTH - 4..]
    }
}

impl FromStr for ApiKeySecret {
    type Err = MalformedApiKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.len() != LENGTH || !text.starts_with(PREFIX) || !text.bytes().all(is_base64url) {
            return Err(MalformedApiKey);
        }
        let (body, sum) = text.split_at(LENGTH - CHECKSUM_CHARS);
        if checksum(body) == sum { Ok(Self(text.to_owned())) } else { Err(MalformedApiKey) }
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn checksum(body: &str) -> String {
    let sum = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes()));
    sum[..CHECKSUM_CHARS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_read_again() {
        let key = ApiKeySecret::generate();
        assert_eq!(key.expose().len(), 53);
        assert_eq!(key.expose().parse(), Ok(key.clone()));
        assert!(key.expose().ends_with(key.last_four()));
    }

    #[test]
    fn two_keys_differ() {
        assert_ne!(ApiKeySecret::generate(), ApiKeySecret::generate());
    }

    #[test]
    fn the_hash_is_sha256_in_lower_case_hex() {
        let key = ApiKeySecret(format!("{PREFIX}abc"));
        assert_eq!(key.hash(), "50d8ab0297fc71adcfcefa778cc81df24d302f821ed3064822b467f27db6020a");
    }

    #[test]
    fn a_key_with_any_one_character_changed_is_refused() {
        let key = ApiKeySecret::generate();
        for position in 0..LENGTH {
            let mut typo = key.expose().as_bytes().to_vec();
            typo[position] = if typo[position] == b'A' { b'B' } else { b'A' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<ApiKeySecret>(), Err(MalformedApiKey), "{typo}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = ApiKeySecret::generate();
        let longer = format!("{}A", key.expose());
        let not_ascii = format!("chk_{}", "é".repeat(24));
        for text in ["", "chk_", &key.expose()[..LENGTH - 1], &longer, &not_ascii] {
            assert_eq!(text.parse::<ApiKeySecret>(), Err(MalformedApiKey), "{text}");
        }
    }

    #[test]
    fn debug_output_hides_the_key() {
        assert_eq!(format!("{:?}", ApiKeySecret::generate()), "***");
    }
}
