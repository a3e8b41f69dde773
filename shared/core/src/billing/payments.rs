//! What an operation needs that sends a carrier to a page of Stripe's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::return_urls::ReturnUrls;
use super::stripe::client::{Stripe, StripeError};
use crate::base::error::{ConflictCode, Error, Result};
use crate::platform::config::StripeConfig;
use crate::platform::secrets::Secrets;

/// For all that one operation asks of Stripe, so that its answer comes before the gateway gives up (30 s).
const PATIENCE: Duration = Duration::from_secs(20);

/// Cloning is cheap.
#[derive(Clone)]
pub struct Payments {
    access: Arc<Access>,
    patience: Duration,
    pub return_urls: ReturnUrls,
}

/// How we reach Stripe.
pub enum Access {
    /// With the key in this secret, which is read at the first use: no cold start pays for it.
    Configured {
        config: StripeConfig,
        known: Mutex<Option<Arc<Stripe>>>,
    },
    Ready(Arc<Stripe>),
    /// This environment takes no money.
    None,
}

impl From<Option<StripeConfig>> for Access {
    fn from(config: Option<StripeConfig>) -> Self {
        config.map_or(Self::None, |config| Self::Configured { config, known: Mutex::default() })
    }
}

impl From<Stripe> for Access {
    fn from(stripe: Stripe) -> Self {
        Self::Ready(Arc::new(stripe))
    }
}

impl Payments {
    pub fn new(access: impl Into<Access>, return_urls: ReturnUrls) -> Self {
        Self { access: Arc::new(access.into()), patience: PATIENCE, return_urls }
    }

    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// # Errors
    /// [`Error::Unavailable`] without a key: one that is put there later is found by the next call.
    pub(super) async fn stripe(&self) -> Result<Arc<Stripe>> {
        let stripe = match &*self.access {
            Access::Ready(stripe) => Some(stripe.clone()),
            Access::None => None,
            Access::Configured { config, known } => {
                let mut known = known.lock().await;
                if known.is_none() {
                    *known = Stripe::configured(config, &Secrets::new()).await?.map(Arc::new);
                }
                known.clone()
            }
        };
        stripe.ok_or_else(|| StripeError::NotConfigured.into())
    }

    /// Does something with Stripe, with no transaction open.
    ///
    /// # Errors
    /// What Stripe's refusals mean to the caller; [`Error::Unavailable`].
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, StripeError>>) -> Result<T> {
        let too_late = |_| StripeError::Unavailable { reason: "all in all too slow".to_owned(), retry_after: None };
        match timeout(self.patience, work).await.map_err(too_late).flatten() {
            Ok(done) => Ok(done),
            Err(error) => {
                if matches!(error, StripeError::Refused { status: 401, .. }) {
                    self.forget_key().await;
                }
                Err(explain(error))
            }
        }
    }

    /// It may have been rolled.
    async fn forget_key(&self) {
        if let Access::Configured { known, .. } = &*self.access {
            *known.lock().await = None;
        }
    }
}

/// What Stripe says of our key, our prices or our settings is for the log: the caller can do nothing about it.
fn explain(error: StripeError) -> Error {
    let StripeError::Refused { status, code, param, .. } = &error else {
        return match error {
            StripeError::Key(secret) => secret.into(),
            error => error.into(),
        };
    };
    tracing::error!(%error, "Stripe refused");
    match (status, code.as_deref(), param.as_deref()) {
        (401 | 403, ..) => {
            Error::Unavailable { detail: "payments are not set up rightly here", retry_after_seconds: 60 }
        }
        (_, Some("resource_missing"), Some("customer")) => Error::conflict(
            ConflictCode::CustomerMissing,
            "the payment service does not know your carrier any more; once it has told us, within minutes, you can begin anew",
        ),
        (_, Some("url_invalid"), Some(field @ ("success_url" | "cancel_url" | "return_url"))) => {
            Error::invalid(format!("/{field}"), "is no URL that the payment service takes")
        }
        _ => Error::conflict(
            ConflictCode::RefusedByPaymentService,
            "the payment service has refused this; nothing was bought and nothing was charged",
        ),
    }
}
