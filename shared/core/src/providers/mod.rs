//! Model providers over HTTP: Anthropic's Messages, Google's Gemini, and chat completions as OpenAI and many others serve
//! them. A [`Provider`] is one of them with a key; how each speaks is in a file of its own, how all are spoken to in
//! `transport`.

mod anthropic;
pub mod base_url;
mod dialect;
pub mod error;
mod gemini;
mod openai;
pub mod price;
mod public_addresses;
mod sse;
mod transport;

use std::sync::Arc;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use utoipa::ToSchema;

use self::base_url::BaseUrl;
use self::dialect::Dialect;
pub use self::error::{ErrorCode, ProviderError};
use self::public_addresses::PublicAddresses;
use self::transport::{Patience, Transport};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::platform::config::ProvidersConfig;
use crate::platform::http;
use crate::platform::secrets::Secret;

/// A model provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderName {
    Anthropic,
    Gemini,
    /// OpenAI, or whoever else serves its chat completions.
    OpenaiCompatible,
}

crate::text_column!(ProviderName);

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    pub model: String,
    pub system: String,
    pub user: String,
    /// A JSON Schema for the answer; without one it is text. Providers promise less than the schema says, so who asks
    /// checks the answer.
    pub output_schema: Option<Value>,
    pub max_output_tokens: u32,
    /// Left to the model unless given: some refuse any.
    pub temperature: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub content: Content,
    pub usage: Usage,
    /// As the provider names the one that answered.
    pub model: String,
    pub stop: Stop,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// An answer to a request with a schema that is JSON, whether or not as the schema says.
    Json(Value),
    Text(String),
}

/// Tokens as the provider bills them, those of its thinking among the output; zero where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    End,
    /// The answer is cut off: at `max_output_tokens`, or where the model can take no more.
    MaxTokens,
}

/// Where the text of an answer goes while it comes: each new piece, in order.
pub type OnText<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A provider with the key that it is asked with.
pub struct Provider {
    dialect: &'static dyn Dialect,
    transport: Transport,
}

impl Provider {
    /// Asks once. Nothing is asked again here: who calls knows how often it may be.
    ///
    /// # Errors
    /// [`ProviderError`]; none shows the key.
    pub async fn complete(
        &self,
        request: &CompletionRequest,
        deadline: Instant,
        on_text: OnText<'_>,
    ) -> Result<Completion, ProviderError> {
        self.transport.complete(self.dialect, request, deadline, on_text).await
    }

    /// Whether the provider takes the key, by a request that costs nothing: for its list of models.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn test(&self, deadline: Instant) -> Result<(), ProviderError> {
        self.transport.test(self.dialect, deadline).await
    }
}

/// Makes providers; cloning is cheap. The clients are made at the first use, as reading the machine's certificates costs a
/// cold start milliseconds.
#[derive(Clone)]
pub struct Providers(Arc<Shared>);

struct Shared {
    config: ProvidersConfig,
    clock: Clock,
    patience: Patience,
    /// For the addresses of our configuration.
    ours: OnceCell<Client>,
    /// For the addresses that tenants give.
    theirs: OnceCell<Client>,
}

impl Providers {
    pub fn new(config: ProvidersConfig, clock: Clock) -> Self {
        Self::with_patience(config, clock, Patience::default())
    }

    fn with_patience(config: ProvidersConfig, clock: Clock, patience: Patience) -> Self {
        Self(Arc::new(Shared { config, clock, patience, ours: OnceCell::new(), theirs: OnceCell::new() }))
    }

    /// Whether a tenant may have this provider asked at this address. Where a name leads is seen when it is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names `base_url`.
    pub fn check(&self, name: ProviderName, base_url: Option<&BaseUrl>) -> Result<()> {
        let reason = match base_url {
            None => return Ok(()),
            Some(_) if name != ProviderName::OpenaiCompatible => "is for openai_compatible alone",
            Some(base_url) if !self.0.config.allow_private_base_urls => match base_url.require_public() {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            },
            Some(_) => return Ok(()),
        };
        Err(Error::invalid("/base_url", reason))
    }

    /// # Errors
    /// [`ProviderError::Permanent`] for an address or a key that cannot be used.
    pub async fn provider(
        &self,
        name: ProviderName,
        base_url: Option<&BaseUrl>,
        key: Secret,
    ) -> Result<Provider, ProviderError> {
        let Shared { config, clock, patience, .. } = &*self.0;
        let (dialect, ours): (&'static dyn Dialect, _) = match name {
            ProviderName::Anthropic => (&anthropic::Anthropic, &config.anthropic_api_base),
            ProviderName::Gemini => (&gemini::Gemini, &config.gemini_api_base),
            ProviderName::OpenaiCompatible if base_url.is_some() => (&openai::COMPATIBLE, &config.openai_api_base),
            ProviderName::OpenaiCompatible => (&openai::OPENAI, &config.openai_api_base),
        };
        // What was allowed when it was saved need not be allowed now.
        self.check(name, base_url).map_err(|_| ErrorCode::ForbiddenAddress.because("its address is not public"))?;
        let client = self.client(base_url.is_some()).await;
        let client = client.map_err(|error| ErrorCode::Unavailable.because(http::chain(&error)))?;
        let base = base_url.map_or(ours.as_str(), BaseUrl::as_str);
        let transport = Transport::new(client, base, key, clock.clone(), *patience)?;
        Ok(Provider { dialect, transport })
    }

    async fn client(&self, is_theirs: bool) -> reqwest::Result<Client> {
        let allow_private = self.0.config.allow_private_base_urls;
        let client = if is_theirs && !allow_private {
            // A proxy would look names up by itself.
            let client = || http::client().https_only(true).no_proxy().dns_resolver(PublicAddresses).build();
            self.0.theirs.get_or_try_init(async || client()).await?
        } else {
            self.0.ours.get_or_try_init(async || http::client().build()).await?
        };
        Ok(client.clone())
    }
}

#[cfg(test)]
#[path = "providers_tests.rs"]
mod tests;
