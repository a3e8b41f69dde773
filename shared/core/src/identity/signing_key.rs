//! One key of an issuer's key set (RFC 7517), bound to the one algorithm that it may be used with.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use super::known_tokens::KnownTokens;
use super::token_error::TokenError;
use crate::platform::config::SigningAlgorithm;

pub(super) struct SigningKey {
    pub(super) id: String,
    algorithm: SigningAlgorithm,
    key: DecodingKey,
    /// Tokens that this key has signed.
    pub(super) known_tokens: KnownTokens,
}

impl SigningKey {
    /// `None` for a key that is not meant for checking signatures, has no id, or needs an algorithm that is not `allowed`.
    pub(super) fn parse(document: serde_json::Value, allowed: &[SigningAlgorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(document).ok()?;
        if !is_for_verifying(&jwk) {
            return None;
        }
        let algorithm = algorithm(&jwk).filter(|algorithm| allowed.contains(algorithm))?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id?, algorithm, key, known_tokens: KnownTokens::default() })
    }

    /// Checks `signature` (base64url) of `message`. The header's algorithm has to be this key's: a public key is never
    /// taken for anything else, such as an HMAC secret.
    pub(super) fn verify(&self, header: SigningAlgorithm, message: &str, signature: &str) -> Result<(), TokenError> {
        if header != self.algorithm {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        match crypto::verify(signature, message.as_bytes(), &self.key, library_name(header)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::BadSignature),
        }
    }
}

fn is_for_verifying(jwk: &Jwk) -> bool {
    let by_use = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let by_operation = jwk.common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
    by_use && by_operation
}

/// The algorithm that the kind of key allows, unless the key itself names another.
fn algorithm(jwk: &Jwk) -> Option<SigningAlgorithm> {
    let by_kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => SigningAlgorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => SigningAlgorithm::Es256,
        _ => return None,
    };
    let named = jwk.common.key_algorithm;
    named.is_none_or(|named| named == KeyAlgorithm::from(library_name(by_kind))).then_some(by_kind)
}

fn library_name(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
    }
}
