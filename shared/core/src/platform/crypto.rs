//! Hashes and random tokens. One crypto library in the binary: aws-lc.

use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// SHA-256 over the parts, each followed by a zero byte so that no two splits of a text collide, in lower-case hex.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    sha256(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Like [`sha256_hex`], as its 32 bytes.
pub fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
        context.update(&[0]);
    }
    context.finish().as_ref().to_vec()
}

/// SHA-256 of the bytes alone, as others compute it, in lower-case hex.
pub fn sha256_of(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 256 random bits in base64url: nothing that anybody guesses.
pub fn random_token() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system's random source never fails once it is seeded");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A random number from 0 up to, but not including, 1.
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).expect("the operating system's random source never fails once it is seeded");
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_matters() {
        assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
        assert_eq!(sha256_hex(&[b"ab"]).len(), 64);
    }
}
