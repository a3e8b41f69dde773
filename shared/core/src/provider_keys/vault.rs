//! Where keys are tried, closed and opened again.

use std::time::Duration;

use tokio::time::Instant;

use super::{Prepared, ProviderKeyId, ProviderSecret, SealedKey};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::base::words::Word;
use crate::platform::envelope::{Envelope, EnvelopeError, Sealed};
use crate::providers::base_url::BaseUrl;
use crate::providers::{ErrorCode, Provider, ProviderError, ProviderName, Providers};

/// Somebody waits for the answer.
const TEST_DEADLINE: Duration = Duration::from_secs(8);

/// The providers, and the key in KMS; cloning is cheap.
#[derive(Clone)]
pub struct Vault {
    providers: Providers,
    envelope: Envelope,
    clock: Clock,
}

/// Why a kept key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl Vault {
    pub fn new(providers: Providers, envelope: Envelope, clock: Clock) -> Self {
        Self { providers, envelope, clock }
    }

    pub(super) async fn prepare(
        &self,
        tenant: TenantId,
        id: ProviderKeyId,
        provider: ProviderName,
        base_url: Option<BaseUrl>,
        key: ProviderSecret,
    ) -> Result<Prepared> {
        self.providers.check(provider, base_url.as_ref())?;
        let (last_four, key) = (key.last_four().to_owned(), key.into_secret());
        let deadline = Instant::now() + TEST_DEADLINE;
        let tested = match self.providers.provider(provider, base_url.as_ref(), key.clone()).await {
            Ok(provider) => provider.test(deadline).await,
            Err(error) => Err(error),
        };
        tested.map_err(|error| refusal(&error, provider, base_url.is_some()))?;
        let tested_at = self.clock.now();
        let address = base_url.as_ref().map(BaseUrl::as_str);
        let sealed = self.envelope.seal(tenant, &bound(id, provider, address), &key).await?;
        Ok(Prepared { id, provider, base_url, last_four, sealed, tested_at })
    }

    /// The provider with a carrier's own key. Only the AI worker may: no other function is let to by KMS.
    ///
    /// # Errors
    /// [`OpenError`]; [`EnvelopeError::Closed`] in it for a row that is not as it was written for this carrier.
    pub async fn open(&self, tenant: TenantId, key: &SealedKey) -> Result<Provider, OpenError> {
        let SealedKey { ciphertext, data_key, nonce, .. } = key.clone();
        let sealed = Sealed { ciphertext, data_key, nonce };
        let bound = bound(key.id, key.provider, key.base_url.as_deref());
        let secret = self.envelope.open(tenant, &bound, &sealed).await?;
        let base_url = key.base_url.as_deref().map(BaseUrl::parse).transpose().map_err(|_| EnvelopeError::Closed)?;
        Ok(self.providers.provider(key.provider, base_url.as_ref(), secret).await?)
    }
}

/// What a ciphertext belongs to. The address is among it: whoever could change the row must not learn the key by having it
/// sent elsewhere.
fn bound(id: ProviderKeyId, provider: ProviderName, base_url: Option<&str>) -> [String; 4] {
    let (known, base_url) = base_url.map_or(("default", ""), |url| ("own", url));
    [id.to_string(), Word(&provider).to_string(), known.to_owned(), base_url.to_owned()]
}

/// What a failed try tells the caller. Nothing of what the other side said, which would make us its reader.
fn refusal(error: &ProviderError, provider: ProviderName, is_own_address: bool) -> Error {
    let code = error.code();
    tracing::warn!(provider = %Word(&provider), %error, "a provider key was not accepted");
    match code {
        ErrorCode::InvalidKey | ErrorCode::NotPermitted => Error::invalid("/key", "the provider refuses this key"),
        ErrorCode::OutOfCredit => Error::invalid("/key", "its account at the provider is out of credit"),
        ErrorCode::ForbiddenAddress => Error::invalid("/base_url", "must lead to a public address"),
        // The tenant's own server is the tenant's to mend; a provider that everybody uses is not.
        _ if is_own_address => Error::invalid("/base_url", own_address(code)),
        _ => {
            let seconds = error.retry_after().map_or(5, |after| after.as_secs().clamp(1, 3600) as u32);
            Error::Unavailable {
                detail: "the provider cannot be asked about the key now; nothing was saved",
                retry_after_seconds: seconds,
            }
        }
    }
}

fn own_address(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unavailable => "cannot be reached",
        ErrorCode::Timeout => "does not answer in time",
        ErrorCode::RateLimited | ErrorCode::Overloaded => "answers that it cannot be asked now",
        _ => "does not answer to GET /models as an OpenAI-compatible API does",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use carhaul_testkit::{Kms, ModelFault, ModelServer};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::platform::config::ProvidersConfig;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn no_log_and_no_error_has_the_key_whatever_becomes_of_it() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let _until_the_end = tracing::subscriber::set_default(subscriber);
        let (models, kms) = (ModelServer::start().await, Kms::start().await);
        let config = ProvidersConfig {
            anthropic_api_base: models.url().to_owned(),
            gemini_api_base: models.url().to_owned(),
            openai_api_base: models.openai_url(),
            allow_private_base_urls: true,
        };
        let clock = Clock::system();
        let envelope = Envelope::with_client(Kms::KEY, kms.client());
        let vault = Vault::new(Providers::new(config, clock.clone()), envelope, clock);
        let prepare = async |provider| {
            let key = ProviderSecret::parse(ModelServer::KEY).unwrap();
            vault.prepare(TenantId(Uuid::now_v7()), ProviderKeyId::new(), provider, None, key).await
        };
        for provider in [ProviderName::Anthropic, ProviderName::Gemini, ProviderName::OpenaiCompatible] {
            let kept = prepare(provider).await.unwrap();
            assert!(!format!("{kept:?}").contains(ModelServer::KEY));
            let told = json!({"error": {"message": format!("you sent {}", ModelServer::KEY)}});
            for fault in [ModelFault::Refuse(401, told.clone()), ModelFault::Refuse(500, told.clone())] {
                models.fail_next(fault);
                let error = prepare(provider).await.unwrap_err();
                assert!(!format!("{error} {error:?}").contains(ModelServer::KEY), "{error:?}");
            }
        }
        kms.go_down(true);
        assert!(prepare(ProviderName::Gemini).await.is_err());
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("you sent ***") && log.contains("no data key"), "{log}");
        assert!(!log.contains(ModelServer::KEY), "{log}");
    }
}
