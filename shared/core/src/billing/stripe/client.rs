//! What we ask of Stripe: the present state of an object, what has happened lately, and the pages where a carrier pays.
//! Why this is no library: `shared/core/src/billing/README.md`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use super::transport::{API_VERSION, Patience, StripeError};
use super::transport::{Method, Request, Transport};
use crate::base::ids::TenantId;
use crate::platform::config::StripeConfig;
use crate::platform::secrets::{Secret, Secrets, SecretsError, Stored};

/// The most that Stripe gives at once.
const PAGE: &str = "100";

/// Our key, as its secret holds it: `{"api_key": "sk_.."}`. Without one this environment takes no money.
#[derive(Debug, Clone, Deserialize)]
pub struct StripeKey {
    api_key: Option<Secret>,
}

impl Stored for StripeKey {
    const FORM: &str = "an object with api_key";
}

/// Stripe's API. Each call has ten seconds at most, with up to three attempts.
pub struct Stripe {
    transport: Transport,
    key: Secret,
}

/// A part of a list, newest first.
#[derive(Debug, Deserialize)]
pub struct List {
    pub data: Vec<Value>,
    pub has_more: bool,
}

impl List {
    /// Where the next part starts after; none if this was the last.
    pub fn next(&self) -> Option<&str> {
        self.has_more.then(|| self.data.last()?["id"].as_str()).flatten()
    }
}

#[derive(Debug, Deserialize)]
pub struct Customer {
    pub id: String,
}

/// A page of Stripe's, for one person and a short time.
#[derive(Debug, Deserialize)]
pub struct Session {
    pub id: String,
    pub url: String,
}

#[derive(Debug)]
pub struct NewCustomer<'a> {
    pub tenant_id: TenantId,
    pub name: &'a str,
    pub email: Option<&'a str>,
}

#[derive(Debug)]
pub struct NewCheckoutSession<'a> {
    pub tenant_id: TenantId,
    pub customer_id: &'a str,
    pub price_id: &'a str,
    /// Where the browser goes when it has been paid, or not.
    pub success_url: &'a str,
    pub cancel_url: &'a str,
}

#[derive(Debug)]
pub struct NewPortalSession<'a> {
    pub customer_id: &'a str,
    /// Where the browser goes afterwards.
    pub return_url: &'a str,
}

impl Stripe {
    /// `base` is `https://api.stripe.com`, or where a stand-in is.
    pub fn new(base: impl Into<String>, key: Secret) -> Self {
        Self { transport: Transport::new(base), key }
    }

    /// Reads our key; None if there is none.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn configured(config: &StripeConfig, secrets: &Secrets) -> Result<Option<Self>, SecretsError> {
        let StripeKey { api_key } = secrets.read(&config.secret).await?;
        let key = api_key.filter(|key| !key.expose().is_empty());
        Ok(key.map(|key| Self::new(config.api_base.as_str(), key)))
    }

    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.transport.patience = patience;
        self
    }

    /// A subscription as it is now; `None` if there is none of that id.
    pub async fn subscription(&self, id: &str) -> Result<Option<Value>, StripeError> {
        self.find("subscriptions", id).await
    }

    /// An invoice as it is now; `None` if there is none of that id.
    pub async fn invoice(&self, id: &str) -> Result<Option<Value>, StripeError> {
        self.find("invoices", id).await
    }

    /// What has happened since `created_since`, newest first; Stripe keeps events for 30 days. `starting_after` is the id of
    /// the last event of the part before.
    pub async fn list_events(
        &self,
        created_since: DateTime<Utc>,
        starting_after: Option<&str>,
        types: &[&str],
    ) -> Result<List, StripeError> {
        let since = created_since.timestamp().to_string();
        let mut parameters = vec![("created[gte]", since.as_str()), ("limit", PAGE)];
        parameters.extend(types.iter().map(|r#type| ("types[]", *r#type)));
        parameters.extend(starting_after.map(|id| ("starting_after", id)));
        self.get(&["v1", "events"], &parameters).await
    }

    /// All subscriptions, also those that are over, newest first.
    pub async fn list_subscriptions(&self, starting_after: Option<&str>) -> Result<List, StripeError> {
        let mut parameters = vec![("status", "all"), ("limit", PAGE)];
        parameters.extend(starting_after.map(|id| ("starting_after", id)));
        self.get(&["v1", "subscriptions"], &parameters).await
    }

    /// The customer's subscriptions that are not over, newest first.
    pub async fn list_subscriptions_of(&self, customer_id: &str) -> Result<List, StripeError> {
        self.get(&["v1", "subscriptions"], &[("customer", customer_id), ("limit", PAGE)]).await
    }

    /// The customer's pages that can still be paid on, newest first.
    pub async fn list_open_checkout_sessions(&self, customer_id: &str) -> Result<List, StripeError> {
        let parameters = [("customer", customer_id), ("status", "open"), ("limit", PAGE)];
        self.get(&["v1", "checkout", "sessions"], &parameters).await
    }

    /// Closes a page, so that it cannot be paid on any more. False if it could not be already.
    pub async fn expire_checkout_session(&self, id: &str, idempotency_key: &str) -> Result<bool, StripeError> {
        match self.post::<Value>(&["v1", "checkout", "sessions", id, "expire"], &[], idempotency_key).await {
            Ok(_) => Ok(true),
            Err(StripeError::Refused { status: 400, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The carrier's id goes with it for those who look at Stripe's dashboard; nothing here reads it back.
    pub async fn create_customer(&self, new: &NewCustomer<'_>, idempotency_key: &str) -> Result<Customer, StripeError> {
        let tenant_id = new.tenant_id.to_string();
        let mut parameters = vec![("name", new.name), ("metadata[tenant_id]", tenant_id.as_str())];
        parameters.extend(new.email.map(|email| ("email", email)));
        self.post(&["v1", "customers"], &parameters, idempotency_key).await
    }

    /// Deletes a customer, and ends what it has subscribed. One that is gone is no mistake.
    pub async fn delete_customer(&self, id: &str) -> Result<(), StripeError> {
        match self
            .call::<Value>(Request { path: &["v1", "customers", id], parameters: &[], method: Method::Delete })
            .await
        {
            Err(StripeError::Refused { code: Some(code), .. }) if code == "resource_missing" => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// The page where one subscription is paid for.
    pub async fn create_checkout_session(
        &self,
        new: &NewCheckoutSession<'_>,
        idempotency_key: &str,
    ) -> Result<Session, StripeError> {
        let tenant_id = new.tenant_id.to_string();
        let parameters = [
            ("mode", "subscription"),
            ("customer", new.customer_id),
            ("client_reference_id", &tenant_id),
            ("line_items[0][price]", new.price_id),
            ("line_items[0][quantity]", "1"),
            ("success_url", new.success_url),
            ("cancel_url", new.cancel_url),
        ];
        self.post(&["v1", "checkout", "sessions"], &parameters, idempotency_key).await
    }

    /// The page where a customer changes and cancels what it has subscribed, and sees its invoices.
    pub async fn create_portal_session(
        &self,
        new: &NewPortalSession<'_>,
        idempotency_key: &str,
    ) -> Result<Session, StripeError> {
        let parameters = [("customer", new.customer_id), ("return_url", new.return_url)];
        self.post(&["v1", "billing_portal", "sessions"], &parameters, idempotency_key).await
    }

    async fn find(&self, kind: &str, id: &str) -> Result<Option<Value>, StripeError> {
        let found: Value = match self.get(&["v1", kind, id], &[]).await {
            Err(StripeError::Refused { code: Some(code), .. }) if code == "resource_missing" => return Ok(None),
            found => found?,
        };
        // What is stored is stored under the answer's id.
        if found["id"] != id {
            let reason = format!("its answer to v1/{kind}/{id} is about something else");
            return Err(StripeError::Unavailable { reason, retry_after: None });
        }
        Ok(Some(found))
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], parameters: &[(&str, &str)]) -> Result<T, StripeError> {
        self.call(Request { path, parameters, method: Method::Get }).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        parameters: &[(&str, &str)],
        idempotency_key: &str,
    ) -> Result<T, StripeError> {
        self.call(Request { path, parameters, method: Method::Post(idempotency_key) }).await
    }

    async fn call<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, StripeError> {
        if self.key.expose().is_empty() {
            return Err(StripeError::NotConfigured);
        }
        let answer = self.transport.call(&self.key, &request).await?;
        // Only its form is wrong; what the parser says may quote the answer.
        let unreadable = |_| StripeError::Unavailable {
            reason: format!("its answer to {} is not of the expected form", request.path.join("/")),
            retry_after: None,
        };
        serde_json::from_value(answer).map_err(unreadable)
    }
}
