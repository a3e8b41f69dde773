//! The signing secrets as they are now: read again when they are old, or when a signature is of none of them, so that a roll
//! needs no restart; but seldom, so that a storm of forgeries is no storm of questions to Secrets Manager.

use std::sync::Arc;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::Error;
use carhaul_core::billing::stripe::signature::{BadSignature, SigningSecrets};
use carhaul_core::platform::secrets::{Secrets, SecretsError};
use carhaul_http::problem::Failure;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::refuse;

/// A secret that was rolled away is good for no longer than this.
const LIFE: TimeDelta = TimeDelta::minutes(5);
/// Forgeries have them read no more often than this.
const COOL_DOWN: TimeDelta = TimeDelta::seconds(30);

#[derive(Clone)]
pub struct Signing {
    source: Arc<Source>,
    clock: Clock,
}

enum Source {
    Fixed(SigningSecrets),
    Secret { id: String, secrets: Box<Secrets>, known: Mutex<Option<Known>> },
}

struct Known {
    secrets: SigningSecrets,
    read_at: DateTime<Utc>,
}

impl Signing {
    /// The secrets in Secrets Manager under this name or ARN, read at the first use.
    pub fn in_secret(id: &str, clock: Clock) -> Self {
        let source = Source::Secret { id: id.to_owned(), secrets: Box::new(Secrets::new()), known: Mutex::default() };
        Self { source: Arc::new(source), clock }
    }

    /// Secrets that do not change.
    pub fn fixed(secrets: SigningSecrets, clock: Clock) -> Self {
        Self { source: Arc::new(Source::Fixed(secrets)), clock }
    }

    /// # Errors
    /// A refusal of what Stripe has not signed with a secret of ours; unavailable if the secrets cannot be read.
    pub async fn verify(&self, header: &str, body: &[u8]) -> Result<(), Failure> {
        let now = self.clock.now();
        let (id, secrets, known) = match &*self.source {
            Source::Fixed(secrets) => return secrets.verify(header, body, now).map_err(refuse),
            Source::Secret { id, secrets, known } => (id, secrets, known),
        };
        let mut known = known.lock().await;
        if known.as_ref().is_none_or(|known| now - known.read_at > LIFE) {
            *known = Some(read(secrets, id, now).await.map_err(Error::from)?);
        }
        let verify = |known: &Option<Known>| match known {
            Some(known) => known.secrets.verify(header, body, now),
            None => Err(BadSignature::NoSecret),
        };
        match verify(&known) {
            Err(BadSignature::Mismatch | BadSignature::NoSecret)
                if known.as_ref().is_some_and(|known| now - known.read_at > COOL_DOWN) =>
            {
                *known = Some(read(secrets, id, now).await.map_err(Error::from)?);
                verify(&known).map_err(refuse)
            }
            verified => verified.map_err(refuse),
        }
    }
}

async fn read(secrets: &Secrets, id: &str, now: DateTime<Utc>) -> Result<Known, SecretsError> {
    Ok(Known { secrets: secrets.refresh(id).await?, read_at: now })
}
