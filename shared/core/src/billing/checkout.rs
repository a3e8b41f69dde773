//! The page of Stripe's where a carrier subscribes.

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::customer::{self, Situation};
use super::payments::Payments;
use super::stripe::client::{self, Session, Stripe, StripeError};
use super::subscription::SubscriptionStatus;
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::text::Text;
use crate::identity::actor::Actor;
use crate::platform::db::{Db, Entered, Tx};
use crate::platform::idempotency::IdempotencyKey;

/// What to buy, and where the browser goes afterwards.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheckoutSession {
    /// A name of the price list.
    #[schema(example = "STARTER_MONTHLY")]
    pub price: Text<63>,
    /// Where the browser goes once it is paid; Stripe writes its session's id in the place of `{CHECKOUT_SESSION_ID}`. An
    /// `https://` URL on an origin that may call this service.
    #[schema(example = "http://localhost:3000/billing?paid=1")]
    pub success_url: Text<2000>,
    /// Where the browser goes if nothing was bought.
    #[schema(example = "http://localhost:3000/billing")]
    pub cancel_url: Text<2000>,
}

/// A page of Stripe's, for one person and a short time.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostedPage {
    /// Send the browser there.
    #[schema(format = "uri")]
    pub url: String,
}

/// What became of a page that was made.
enum Opened {
    /// It is the only one that the carrier can pay on.
    Alone(Session),
    /// Somebody has paid on another one meanwhile.
    Subscribed,
    /// Another one was made at the same time, or later.
    Overtaken,
}

/// Makes the page, and the carrier a customer of Stripe's if it is none. Whoever pays on it gets the subscription from the
/// events that Stripe sends. The transaction is open for the answer.
///
/// # Errors
/// [`Error::Invalid`] for a URL that is none of ours or a price that is not sold; a conflict for a carrier that has a
/// subscription; what Stripe refuses; [`Error::Unavailable`]; [`Error::AnsweredBefore`].
pub async fn begin(
    db: &Db,
    payments: &Payments,
    actor: &Actor,
    new: &NewCheckoutSession,
    key: Option<&IdempotencyKey>,
) -> Result<(HostedPage, Tx)> {
    let mut violations = Violations::default();
    payments.return_urls.check(&mut violations, "/success_url", new.success_url.as_str());
    payments.return_urls.check(&mut violations, "/cancel_url", new.cancel_url.as_str());
    violations.into_result()?;
    // Again if another call has made the carrier another customer meanwhile.
    for _ in 0..2 {
        let (entered, situation) = Situation::read(db, actor, key, Some(new.price.as_str())).await?;
        let unknown = || Error::invalid("/price", "is not sold; the list of prices has what is");
        let price_id = situation.price_id.as_deref().ok_or_else(unknown)?;
        if situation.is_subscribed {
            return Err(subscribed());
        }
        let stripe = payments.stripe().await?;
        let open = async {
            let customer_id = situation.customer(&stripe, &entered).await?;
            let opened = open(&stripe, &entered, &situation, &customer_id, price_id, new, key).await?;
            Ok((customer_id, opened))
        };
        let (customer_id, session) = match payments.in_time(open).await? {
            (customer_id, Opened::Alone(session)) => (customer_id, session),
            (_, Opened::Subscribed) => return Err(subscribed()),
            (_, Opened::Overtaken) => break,
        };
        if let Some(tx) = customer::begin(db, actor, key, &customer_id).await? {
            return Ok((HostedPage { url: session.url }, tx));
        }
    }
    Err(Error::conflict(
        ConflictCode::Busy,
        "another checkout of your carrier was begun at the same time; begin yours anew",
    ))
}

fn subscribed() -> Error {
    Error::conflict(
        ConflictCode::Subscribed,
        "your carrier has a subscription already: its plan is changed, paid and ended in the billing portal",
    )
}

/// Makes a page and closes all others of the carrier: two that could both be paid on would be two subscriptions. Whatever was
/// paid on before they were closed shows as a subscription afterwards, whether we have heard of it or not.
async fn open(
    stripe: &Stripe,
    entered: &Entered,
    situation: &Situation,
    customer_id: &str,
    price_id: &str,
    new: &NewCheckoutSession,
    key: Option<&IdempotencyKey>,
) -> Result<Opened, StripeError> {
    let new = client::NewCheckoutSession {
        tenant_id: entered.tenant_id,
        customer_id,
        price_id,
        success_url: new.success_url.as_str(),
        cancel_url: new.cancel_url.as_str(),
    };
    let parts = ["checkout", customer_id, price_id, new.success_url, new.cancel_url];
    let session = stripe.create_checkout_session(&new, &situation.page_key(entered, key, &parts)).await?;
    let open = stripe.list_open_checkout_sessions(customer_id).await?.data;
    // Of two that are made at once both callers keep the same one.
    let newest = open.first().and_then(id);
    let others = open.iter().filter_map(id).filter(|id| Some(*id) != newest);
    close(stripe, others).await?;
    let subscriptions = stripe.list_subscriptions_of(customer_id).await?.data;
    if subscriptions.iter().any(is_live) {
        close(stripe, [session.id.as_str()].into_iter().chain(newest)).await?;
        return Ok(Opened::Subscribed);
    }
    Ok(if newest == Some(session.id.as_str()) { Opened::Alone(session) } else { Opened::Overtaken })
}

async fn close(stripe: &Stripe, sessions: impl Iterator<Item = &str>) -> Result<(), StripeError> {
    let close = async |id| stripe.expire_checkout_session(id, &Uuid::now_v7().to_string()).await;
    try_join_all(sessions.map(close)).await?;
    Ok(())
}

fn id(object: &Value) -> Option<&str> {
    object["id"].as_str()
}

/// A status that we do not know may be one of somebody who pays.
fn is_live(subscription: &Value) -> bool {
    !SubscriptionStatus::deserialize(&subscription["status"]).is_ok_and(SubscriptionStatus::is_over)
}
