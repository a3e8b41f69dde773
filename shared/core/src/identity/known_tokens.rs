//! Tokens whose signature was found right: an instance sees the same few again and again, and checking one anew costs more
//! than all else that it does for a small request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::claims::Claims;
use crate::platform::crypto::sha256;

/// At a kilobyte each at worst, far from what a function holds; an instance that has more callers checks some twice.
const GENERATION: usize = 512;

/// The SHA-256 of a token, so that no token is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(Vec<u8>);

impl Fingerprint {
    pub(super) fn of(token: &str) -> Self {
        Self(sha256(&[token.as_bytes()]))
    }
}

/// Belongs to one key and goes with it: a key that is fetched again has checked nothing yet. Nothing that was refused gets
/// in, and whether the claims hold at this moment is for whoever recalls them to check.
#[derive(Default)]
pub(super) struct KnownTokens(Mutex<Generations>);

/// When the young are many they become the old, and those who were old and not asked for since are forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Fingerprint, Arc<Claims>>,
    old: HashMap<Fingerprint, Arc<Claims>>,
}

impl KnownTokens {
    pub(super) fn recall(&self, token: &Fingerprint) -> Option<Arc<Claims>> {
        let mut generations = self.lock();
        if let Some(claims) = generations.young.get(token) {
            return Some(Arc::clone(claims));
        }
        let (token, claims) = generations.old.remove_entry(token)?;
        generations.add(token, Arc::clone(&claims));
        Some(claims)
    }

    pub(super) fn remember(&self, token: Fingerprint, claims: Arc<Claims>) {
        self.lock().add(token, claims);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().expect("nobody panics while they hold this lock")
    }
}

impl Generations {
    fn add(&mut self, token: Fingerprint, claims: Arc<Claims>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, claims);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Arc<Claims> {
        let claims = serde_json::json!({"iss": "issuer", "aud": "audience", "sub": "subject", "exp": 1_800_000_000});
        Arc::new(Claims::read(claims.as_object().unwrap(), "issuer", &["audience".to_owned()]).unwrap())
    }

    fn fingerprint(token: usize) -> Fingerprint {
        Fingerprint::of(&token.to_string())
    }

    #[test]
    fn as_many_as_it_may_hold_are_held_and_no_more() {
        let known = KnownTokens::default();
        for token in 0..10 * GENERATION {
            known.remember(fingerprint(token), claims());
            let generations = known.lock();
            assert!(generations.young.len() <= GENERATION && generations.old.len() <= GENERATION);
        }
        let held = (0..10 * GENERATION).filter(|token| known.lock().holds(&fingerprint(*token)));
        assert_eq!(held.count(), 2 * GENERATION);
    }

    #[test]
    fn who_is_asked_for_stays_and_who_is_not_is_forgotten() {
        let known = KnownTokens::default();
        known.remember(fingerprint(0), claims());
        known.remember(fingerprint(1), claims());
        for token in 2..10 * GENERATION {
            known.remember(fingerprint(token), claims());
            assert!(known.recall(&fingerprint(0)).is_some(), "after {token}");
        }
        assert!(known.recall(&fingerprint(1)).is_none());
    }

    impl Generations {
        fn holds(&self, token: &Fingerprint) -> bool {
            self.young.contains_key(token) || self.old.contains_key(token)
        }
    }
}
