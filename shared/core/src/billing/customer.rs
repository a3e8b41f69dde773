//! A carrier as Stripe's customer, for the operations that ask Stripe in its name.
//!
//! They have three steps: read how things stand, ask Stripe, write down what came of it. No transaction is open while Stripe is
//! asked, so nothing waits for it; instead every step can be repeated. What Stripe is asked has a key that follows from
//! what is asked and, if the caller sent an `Idempotency-Key`, from that: Stripe gives a repeated request the answer that it
//! gave before, also if we died before we wrote that down. Our own answer is stored when the last step commits, as with any
//! POST; of two callers at once with the same key the second gets the first one's.

use postgres_protocol::escape::escape_literal;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::stripe::client::{NewCustomer, Stripe, StripeError};
use crate::base::error::{Error, Result};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::crypto::sha256_hex;
use crate::platform::db::{Db, Entered, Tx};
use crate::platform::idempotency::IdempotencyKey;

/// How things stand with a carrier.
#[derive(Debug, FromRow)]
pub struct Situation {
    carrier_name: String,
    pub customer_id: Option<String>,
    /// How many customers it has been, those that were deleted at Stripe among them.
    customers: i64,
    /// Whether it has a subscription that is not over.
    pub is_subscribed: bool,
    /// The price that was asked for, if it is sold.
    pub price_id: Option<String>,
    /// Of the database's clock.
    hour: i64,
}

impl Situation {
    /// # Errors
    /// [`Error::AnsweredBefore`] when the key has an answer already; those of [`Db::read`].
    pub async fn read(
        db: &Db,
        actor: &Actor,
        key: Option<&IdempotencyKey>,
        price: Option<&str>,
    ) -> Result<(Entered, Self)> {
        db.read_unanswered(actor, Action::BillingManage, key, "carrier", |sql| {
            sql.push(
                "SELECT t.id, t.name AS carrier_name, \
                 (SELECT c.id FROM stripe_customers c WHERE c.tenant_id = e.tenant_id AND c.deleted_at IS NULL) AS customer_id, \
                 (SELECT count(*) FROM stripe_customers c WHERE c.tenant_id = e.tenant_id) AS customers, \
                 EXISTS (SELECT FROM subscriptions s WHERE s.tenant_id = e.tenant_id \
                         AND s.status NOT IN ('canceled', 'incomplete_expired')) AS is_subscribed, \
                 floor(extract(epoch FROM now()) / 3600)::bigint AS hour, \
                 (SELECT p.stripe_price_id FROM prices p WHERE p.is_current AND p.name = ",
            );
            sql.push_bind(price.map(str::to_owned)).push(") AS price_id FROM tenants t WHERE t.id = e.tenant_id");
        })
        .await
    }

    /// The carrier's customer, made if there is none. Whoever asks at the same time, or again after we died, gets the same
    /// one: the key follows from the carrier alone. What it is made with must not differ from caller to caller, since Stripe
    /// refuses a key that comes with something else; so there is no e-mail address, which Stripe's page asks for.
    pub async fn customer(&self, stripe: &Stripe, entered: &Entered) -> Result<String, StripeError> {
        if let Some(id) = &self.customer_id {
            return Ok(id.clone());
        }
        let new = NewCustomer { tenant_id: entered.tenant_id, name: &self.carrier_name, email: None };
        let key = self.key(entered, &["customer", &self.carrier_name, &self.customers.to_string()]);
        Ok(stripe.create_customer(&new, &key).await?.id)
    }

    /// The key under which a page is made. `parts` is all that it is made with.
    pub fn page_key(&self, entered: &Entered, key: Option<&IdempotencyKey>, parts: &[&str]) -> String {
        match key {
            Some(IdempotencyKey { key, request_hash }) => {
                let actor = entered.actor_id.to_string();
                self.key(entered, &[parts, &[actor.as_str(), key.as_str(), request_hash.as_str()]].concat())
            }
            None => Uuid::now_v7().to_string(),
        }
    }

    /// It is another one each hour: Stripe keeps its failures under a key, too, for a day at least.
    fn key(&self, entered: &Entered, parts: &[&str]) -> String {
        let (tenant, hour) = (entered.tenant_id.to_string(), self.hour.to_string());
        let parts = [&[tenant.as_str(), hour.as_str()], parts].concat();
        sha256_hex(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
    }
}

/// Opens the transaction that stores the answer, and records the carrier's customer if that is new. The first one counts;
/// None if that is another one, or if this one is deleted by now: then all is to be asked again.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin(db: &Db, actor: &Actor, key: Option<&IdempotencyKey>, customer_id: &str) -> Result<Option<Tx>> {
    let record = format!(
        "INSERT INTO stripe_customers (tenant_id, id) VALUES (app.tenant_id(), {}) ON CONFLICT DO NOTHING; \
         SELECT id FROM stripe_customers WHERE tenant_id = app.tenant_id() AND deleted_at IS NULL",
        escape_literal(customer_id)
    );
    let loaded = db.begin_loading(actor, Action::BillingManage, key, Some(&record)).await?;
    let recorded: Option<String> =
        loaded.rows.first().map(|row| row.try_get("id")).transpose().map_err(Error::internal)?;
    Ok((recorded.as_deref() == Some(customer_id)).then_some(loaded.tx))
}
