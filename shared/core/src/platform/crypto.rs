//! Hashes. One crypto library in the binary: aws-lc.

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 over the parts, each followed by a zero byte so that no two splits of a text collide, in lower-case hex.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
        context.update(&[0]);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
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
