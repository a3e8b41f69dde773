//! The issuer's public keys, cached with a bounded life.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, MutexGuard};

use super::issuer_client::{FetchError, IssuerClient};
use super::signing_key::SigningKey;
use super::token_error::TokenError;
use crate::base::clock::Clock;
use crate::platform::config::SigningAlgorithm;

/// From this age on keys are fetched again when a token is checked; a key that the issuer withdrew is gone by then.
const SOFT_LIFE: TimeDelta = TimeDelta::hours(1);
/// From this age on keys are not used, however long the issuer is down.
const HARD_LIFE: TimeDelta = TimeDelta::hours(24);
/// Unknown key ids cause at most one fetch in this time, and so does an issuer that is down while keys are cached.
const COOL_DOWN: TimeDelta = TimeDelta::seconds(60);
/// The pause after a failed fetch when nothing is cached and every token has to be refused.
const RETRY_PAUSE: TimeDelta = TimeDelta::seconds(2);

/// The longest that a caller waits when there is no key to check its token with.
const FETCH_DEADLINE: Duration = Duration::from_secs(3);
/// The longest that a caller waits for fresher keys when the cached ones would do.
const REFRESH_DEADLINE: Duration = Duration::from_secs(1);

/// Keys are fetched while a caller waits, never in the background: between two requests a Lambda instance is frozen, and
/// a background task with it.
pub(super) struct KeyCache {
    issuer: IssuerClient,
    algorithms: Vec<SigningAlgorithm>,
    clock: Clock,
    cached: RwLock<Option<Arc<KeySet>>>,
    /// Held during a fetch, so that there is never more than one.
    fetching: Mutex<FetchHistory>,
}

struct KeySet {
    keys: Vec<Arc<SigningKey>>,
    fetched_at: DateTime<Utc>,
}

#[derive(Default)]
struct FetchHistory {
    failed_at: Option<DateTime<Utc>>,
    /// The last fetch that was made because of an unknown key id.
    unknown_key_at: Option<DateTime<Utc>>,
}

impl KeyCache {
    pub(super) fn new(issuer: IssuerClient, algorithms: Vec<SigningAlgorithm>, clock: Clock) -> Self {
        Self { issuer, algorithms, clock, cached: RwLock::default(), fetching: Mutex::default() }
    }

    /// The key with this id.
    pub(super) async fn key(&self, id: &str) -> Result<Arc<SigningKey>, TokenError> {
        let keys = self.keys().await?;
        match keys.find(id) {
            Some(key) => Ok(key),
            None => self.key_unknown_so_far(id, &keys).await,
        }
    }

    /// Makes sure that there are keys; a failure has been logged, and the next token tries again.
    pub(super) async fn warm_up(&self) {
        let _ = self.keys().await;
    }

    /// Keys that may be used now. Fetches them when there are none, and when they are old and no fetch has just failed.
    async fn keys(&self) -> Result<Arc<KeySet>, TokenError> {
        let Some(keys) = self.usable() else {
            return self.first_keys().await;
        };
        if keys.fetched_at + SOFT_LIFE > self.clock.now() {
            return Ok(keys);
        }
        // Whoever finds a refresh under way goes on with the keys at hand.
        let Ok(mut history) = self.fetching.try_lock() else {
            return Ok(keys);
        };
        if is_within(history.failed_at, COOL_DOWN, self.clock.now()) {
            return Ok(keys);
        }
        Ok(self.fetch(&mut history, REFRESH_DEADLINE).await.unwrap_or(keys))
    }

    async fn first_keys(&self) -> Result<Arc<KeySet>, TokenError> {
        let mut history = self.fetching.lock().await;
        if let Some(keys) = self.usable() {
            return Ok(keys);
        }
        if is_within(history.failed_at, RETRY_PAUSE, self.clock.now()) {
            return Err(unavailable(RETRY_PAUSE));
        }
        self.fetch(&mut history, FETCH_DEADLINE).await.map_err(|_| unavailable(RETRY_PAUSE))
    }

    /// The issuer may have begun to sign with a new key since `seen` was fetched.
    async fn key_unknown_so_far(&self, id: &str, seen: &Arc<KeySet>) -> Result<Arc<SigningKey>, TokenError> {
        let mut history = self.fetching.lock().await;
        if let Some(newer) = self.usable().filter(|newer| !Arc::ptr_eq(newer, seen))
            && let Some(key) = newer.find(id)
        {
            return Ok(key);
        }
        let now = self.clock.now();
        if is_within(history.unknown_key_at, COOL_DOWN, now) {
            // If that fetch failed, the key may well exist, and the token's bearer must not be told otherwise.
            let failed = history.failed_at >= history.unknown_key_at;
            return Err(if failed { unavailable(COOL_DOWN) } else { TokenError::UnknownKey });
        }
        history.unknown_key_at = Some(now);
        let keys = self.fetch(&mut history, FETCH_DEADLINE).await.map_err(|_| unavailable(COOL_DOWN))?;
        keys.find(id).ok_or(TokenError::UnknownKey)
    }

    fn usable(&self) -> Option<Arc<KeySet>> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner).clone();
        cached.filter(|keys| keys.fetched_at + HARD_LIFE > self.clock.now())
    }

    async fn fetch(
        &self,
        history: &mut MutexGuard<'_, FetchHistory>,
        deadline: Duration,
    ) -> Result<Arc<KeySet>, FetchError> {
        match self.fetch_usable(deadline).await {
            Ok(keys) => {
                history.failed_at = None;
                let fetched = Arc::new(KeySet { keys, fetched_at: self.clock.now() });
                *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fetched));
                Ok(fetched)
            }
            Err(error) => {
                history.failed_at = Some(self.clock.now());
                tracing::warn!(%error, "the token issuer's keys could not be fetched");
                Err(error)
            }
        }
    }

    /// An issuer that shows no usable key is taken for broken: what is cached stays.
    async fn fetch_usable(&self, deadline: Duration) -> Result<Vec<Arc<SigningKey>>, FetchError> {
        let (url, documents) = self.issuer.fetch_keys(deadline).await?;
        let keys = documents.into_iter().filter_map(|document| SigningKey::parse(document, &self.algorithms));
        let keys: Vec<_> = keys.map(Arc::new).collect();
        if keys.is_empty() { Err(FetchError::NoKeys { url }) } else { Ok(keys) }
    }
}

impl KeySet {
    fn find(&self, id: &str) -> Option<Arc<SigningKey>> {
        self.keys.iter().find(|key| key.id == id).map(Arc::clone)
    }
}

fn is_within(event: Option<DateTime<Utc>>, span: TimeDelta, now: DateTime<Utc>) -> bool {
    event.is_some_and(|event| event + span > now)
}

fn unavailable(retry_after: TimeDelta) -> TokenError {
    TokenError::IssuerUnavailable { retry_after: retry_after.to_std().unwrap_or_default() }
}
