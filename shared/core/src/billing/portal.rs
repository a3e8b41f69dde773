//! The page of Stripe's where a carrier changes, pays and ends its subscription.

use serde::Deserialize;
use utoipa::ToSchema;

use super::checkout::HostedPage;
use super::customer::{self, Situation};
use super::payments::Payments;
use super::stripe::client;
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::text::Text;
use crate::identity::actor::Actor;
use crate::platform::db::{Db, Tx};
use crate::platform::idempotency::IdempotencyKey;

/// Where the browser goes after the portal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPortalSession {
    /// Where the browser goes afterwards: an `https://` URL on an origin that may call this service.
    #[schema(example = "http://localhost:3000/billing")]
    pub return_url: Text<2000>,
}

/// Makes the page. The transaction is open for the answer.
///
/// # Errors
/// [`Error::Invalid`] for a URL that is none of ours; a conflict for a carrier that has never bought anything; what Stripe
/// refuses; [`Error::Unavailable`]; [`Error::AnsweredBefore`].
pub async fn begin(
    db: &Db,
    payments: &Payments,
    actor: &Actor,
    new: &NewPortalSession,
    key: Option<&IdempotencyKey>,
) -> Result<(HostedPage, Tx)> {
    let return_url = new.return_url.as_str();
    let mut violations = Violations::default();
    payments.return_urls.check(&mut violations, "/return_url", return_url);
    violations.into_result()?;
    let (entered, situation) = Situation::read(db, actor, key, None).await?;
    let Some(customer_id) = situation.customer_id.as_deref() else {
        return Err(no_customer());
    };
    let stripe = payments.stripe().await?;
    let new = client::NewPortalSession { customer_id, return_url };
    let key_at_stripe = situation.page_key(&entered, key, &["portal", customer_id, return_url]);
    let session = payments.in_time(stripe.create_portal_session(&new, &key_at_stripe)).await?;
    // None if the customer was deleted meanwhile.
    let tx = customer::begin(db, actor, key, customer_id).await?.ok_or_else(no_customer)?;
    Ok((HostedPage { url: session.url }, tx))
}

fn no_customer() -> Error {
    Error::conflict(
        ConflictCode::NoCustomer,
        "your carrier has bought nothing yet: subscribe first, with a checkout session",
    )
}
