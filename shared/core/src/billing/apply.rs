//! What a worker does with an event: brings what we know of Stripe's object, and with it the carrier's plan, to the state that
//! follows from all that is known.
//!
//! Every step can be repeated: what is decided is decided under the lock of the carrier's billing, from all events that
//! are stored by then, and takes effect together with the event's mark in one transaction.

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_literal;
use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::history::{Reading, Source, StoredEvent};
use super::invoice::{self, Invoice};
use super::job::Job;
use super::standing::{PriceList, Standing, Terms, standing};
use super::stripe::client::Stripe;
use super::stripe::objects;
use super::subscription::{self, Known, Subscription};
use crate::base::error::{Error, Result};
use crate::platform::db::{Db, ResultSets, Sql, SystemTx};

/// What came of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody has done it before.
    Done,
    Applied,
    /// What else is known is newer.
    Superseded,
    /// It says nothing that we keep.
    Ignored,
    /// The subscription's price is not in our list: its plan stays as it was.
    UnknownPrice,
    /// It is about a customer that is none of ours.
    UnknownCustomer,
    /// Its object is not as Stripe's documentation says: the job fails.
    Unreadable,
    /// The subscription was not as Stripe says it is, and is now.
    Repaired,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Applied => "applied",
            Self::Superseded => "superseded",
            Self::Ignored => "ignored",
            Self::UnknownPrice => "unknown_price",
            Self::UnknownCustomer => "unknown_customer",
            Self::Unreadable => "unreadable",
            Self::Repaired => "repaired",
        }
    }
}

/// Does a job. With `stripe` the present state of an object is asked there, before any transaction; without, it follows from
/// the events alone.
///
/// # Errors
/// [`Error::Unavailable`] and others that may pass: the job can be done again. [`Error::Internal`] for an object that is not
/// as Stripe's documentation says.
pub async fn process(db: &Db, stripe: Option<&Stripe>, job: &Job) -> Result<Outcome> {
    let outcome = match job {
        Job::Event { id } => process_event(db, stripe, id).await,
        Job::Subscription { id } => match stripe {
            Some(stripe) => repair(db, stripe, id).await,
            None => Ok(Outcome::Ignored),
        },
    };
    // Where nothing was to be done the carrier's billing would stay locked for as long as the instance sleeps.
    db.settle().await;
    outcome
}

#[derive(Debug, FromRow)]
struct Event {
    r#type: String,
    object_id: Option<String>,
    customer_id: Option<String>,
    created_at: DateTime<Utc>,
    data: Value,
    is_processed: bool,
    read_at: DateTime<Utc>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Subscription,
    Invoice,
    Customer,
    Nothing,
}

impl Subject {
    fn of(r#type: &str) -> Self {
        match r#type {
            "customer.deleted" => Self::Customer,
            "checkout.session.completed" => Self::Subscription,
            _ if r#type.starts_with("customer.subscription.") => Self::Subscription,
            // It is a forecast and has no id.
            "invoice.upcoming" => Self::Nothing,
            _ if r#type.starts_with("invoice.") => Self::Invoice,
            _ => Self::Nothing,
        }
    }
}

async fn process_event(db: &Db, stripe: Option<&Stripe>, id: &str) -> Result<Outcome> {
    let rows = db
        .fetch(|sql| {
            sql.push(
                "SELECT type, object_id, customer_id, created_at, payload -> 'data' AS data, is_processed, read_at \
                 FROM app.stripe_event(",
            );
            sql.push_bind(id.to_owned()).push(")");
        })
        .await?;
    let row = rows.first().ok_or_else(|| Error::internal("the event of the message is not stored"))?;
    let event = Event::from_row(row).map_err(Error::internal)?;
    if event.is_processed {
        return Ok(Outcome::Done);
    }
    let subject = Subject::of(&event.r#type);
    let (Some(object_id), Some(customer_id)) = (&event.object_id, &event.customer_id) else {
        return finish_unheard(db, id, Outcome::Ignored).await;
    };
    if let Err(unreadable) = check_readable(subject, &event) {
        finish_unheard(db, id, Outcome::Unreadable).await?;
        return Err(Error::internal(unreadable));
    }
    let reading = match stripe {
        Some(stripe) => {
            let object = match subject {
                Subject::Subscription => stripe.subscription(object_id).await?,
                Subject::Invoice => stripe.invoice(object_id).await?,
                Subject::Customer | Subject::Nothing => None,
            };
            object.map(|object| Reading { object, at: event.read_at })
        }
        None => None,
    };
    let Some(mut books) = Books::open(db, customer_id, Some(id), object_id, subject).await? else {
        return finish_unheard(db, id, Outcome::UnknownCustomer).await;
    };
    if !books.is_claimed {
        return Ok(Outcome::Done);
    }
    let is_last_word = |source: &Source| match source {
        Source::Event(last) => last == id,
        Source::Reading => true,
        Source::Stored => false,
    };
    let outcome = match subject {
        Subject::Subscription => match books.save_subscription(object_id, reading.as_ref()).await? {
            None => Outcome::Ignored,
            Some((state, _)) if !state.status.is_over() && state.has_unknown_price(&books.prices) => {
                Outcome::UnknownPrice
            }
            Some((_, source)) if is_last_word(&source) => Outcome::Applied,
            Some(_) => Outcome::Superseded,
        },
        Subject::Invoice => match books.save_invoice(reading.as_ref()).await? {
            None => Outcome::Ignored,
            Some(source) if is_last_word(&source) => Outcome::Applied,
            Some(_) => Outcome::Superseded,
        },
        Subject::Customer => {
            books.delete_customer(customer_id, event.created_at).await?;
            Outcome::Applied
        }
        Subject::Nothing => Outcome::Ignored,
    };
    let plan = books.save_standing().await?;
    books.tell(Some(id), &event.r#type, object_id, outcome, &plan, event.created_at).await?;
    books.finish(id, outcome).await?;
    books.tx.commit().await?;
    Ok(outcome)
}

/// Brings a subscription to the state that Stripe says it has.
async fn repair(db: &Db, stripe: &Stripe, id: &str) -> Result<Outcome> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT clock_timestamp() AS at");
        })
        .await?;
    let (at,) =
        rows.first().map(<(DateTime<Utc>,)>::from_row).transpose().map_err(Error::internal)?.unwrap_or_default();
    let Some(object) = stripe.subscription(id).await? else { return Ok(Outcome::Ignored) };
    let customer_id = object["customer"].as_str().unwrap_or_default().to_owned();
    let Some(mut books) = Books::open(db, &customer_id, None, id, Subject::Subscription).await? else {
        return Ok(Outcome::UnknownCustomer);
    };
    let before = books.subscriptions.iter().find(|subscription| subscription.stripe_id == id).cloned();
    let Some((after, _)) = books.save_subscription(id, Some(&Reading { object, at })).await? else {
        return Ok(Outcome::Ignored);
    };
    let plan = books.save_standing().await?;
    if before.is_some_and(|before| Subscription { as_of_at: after.as_of_at, ..before } == after) {
        books.tx.commit().await?;
        return Ok(Outcome::Superseded);
    }
    books.tell(None, "subscription.reconciled", id, Outcome::Repaired, &plan, at).await?;
    books.tx.commit().await?;
    Ok(Outcome::Repaired)
}

/// An event whose own object cannot be read fails, so that somebody looks at it: to the others it is as if it were not there.
fn check_readable(subject: Subject, event: &Event) -> Result<(), objects::Unreadable> {
    let object = &event.data["object"];
    match subject {
        Subject::Subscription if objects::is::<objects::Subscription>(object) => {
            objects::read::<objects::Subscription>(object).map(drop)
        }
        Subject::Invoice => objects::read::<objects::Invoice>(object).map(drop),
        _ => Ok(()),
    }
}

/// Marks an event that concerns no carrier, or of which nobody knows whether it does.
async fn finish_unheard(db: &Db, id: &str, outcome: Outcome) -> Result<Outcome> {
    db.fetch(|sql| {
        sql.push("SELECT app.finish_stripe_event(").push_bind(id.to_owned()).push(", ");
        sql.push_bind(outcome.name()).push(")");
    })
    .await?;
    Ok(outcome)
}

/// A carrier's billing, locked, with what is needed to decide.
struct Books {
    tx: SystemTx,
    is_claimed: bool,
    events: Vec<StoredEvent>,
    /// Of each subscription of a customer that is deleted.
    events_of_subscriptions: Vec<(String, StoredEvent)>,
    subscriptions: Vec<Subscription>,
    invoice: Option<Invoice>,
    prices: PriceList,
    customer_deleted_at: Option<DateTime<Utc>>,
    standing: Standing,
}

#[derive(FromRow)]
struct EventOf {
    object_id: String,
    #[sqlx(flatten)]
    event: StoredEvent,
}

impl Books {
    /// None if the customer is none of ours. One trip: each statement sees what was committed before the lock was ours.
    async fn open(
        db: &Db,
        customer_id: &str,
        event_id: Option<&str>,
        object_id: &str,
        subject: Subject,
    ) -> Result<Option<Self>> {
        let (customer, object) = (escape_literal(customer_id), escape_literal(object_id));
        let claim = event_id.map_or("true".to_owned(), |id| format!("app.claim_stripe_event({})", escape_literal(id)));
        let of_customer = if subject == Subject::Customer { "" } else { " AND false" };
        let statements = [
            format!("SELECT app.enter_billing({customer}) IS NOT NULL AS ours"),
            format!("SELECT coalesce({claim}, false) AS claimed"),
            format!("SELECT id, type, created_at, payload -> 'data' AS data FROM app.stripe_events_of({object})"),
            format!(
                "SELECT s.stripe_id AS object_id, e.id, e.type, e.created_at, e.payload -> 'data' AS data \
                 FROM subscriptions s CROSS JOIN LATERAL app.stripe_events_of(s.stripe_id) e \
                 WHERE s.tenant_id = app.tenant_id() AND s.customer_id = {customer}{of_customer}"
            ),
            "SELECT * FROM subscriptions WHERE tenant_id = app.tenant_id() ORDER BY stripe_id".to_owned(),
            format!("SELECT * FROM billing_invoices WHERE tenant_id = app.tenant_id() AND stripe_id = {object}"),
            "SELECT stripe_price_id, plan FROM prices".to_owned(),
            "SELECT code, rank, grace_days FROM plans".to_owned(),
            format!("SELECT deleted_at FROM stripe_customers WHERE tenant_id = app.tenant_id() AND id = {customer}"),
            "SELECT plan, plan_ends_at FROM tenants WHERE id = app.tenant_id()".to_owned(),
        ];
        let (tx, mut sets) = db.begin_system(&statements).await?;
        if sets.next_row::<(bool,)>()? != Some((true,)) {
            return Ok(None);
        }
        let is_claimed = sets.next_row::<(bool,)>()? == Some((true,));
        let events = sets.next_set()?;
        let of_subscriptions = sets.next_set::<EventOf>()?;
        Ok(Some(Self {
            tx,
            is_claimed,
            events,
            events_of_subscriptions: of_subscriptions.into_iter().map(|row| (row.object_id, row.event)).collect(),
            subscriptions: sets.next_set()?,
            invoice: sets.next_row()?,
            prices: price_list(&mut sets)?,
            customer_deleted_at: sets.next_row::<(Option<DateTime<Utc>>,)>()?.and_then(|(at,)| at),
            standing: match sets.next_row::<(String, Option<DateTime<Utc>>)>()? {
                Some((plan, plan_ends_at)) => Standing { plan, plan_ends_at },
                None => return Err(Error::internal("a carrier without a row")),
            },
        }))
    }

    /// Decides which state a subscription has, and stores it. None if nothing is known of it.
    async fn save_subscription(
        &mut self,
        id: &str,
        reading: Option<&Reading>,
    ) -> Result<Option<(Subscription, Source)>> {
        let of_it: Vec<StoredEvent>;
        let events = if self.events_of_subscriptions.is_empty() {
            &self.events
        } else {
            let of = self.events_of_subscriptions.iter().filter(|(object_id, _)| object_id == id);
            of_it = of.map(|(_, event)| event.clone()).collect();
            &of_it
        };
        let position = self.subscriptions.iter().position(|subscription| subscription.stripe_id == id);
        let decided = subscription::decide(Known {
            stored: position.map(|at| &self.subscriptions[at]),
            events,
            reading,
            customer_deleted_at: self.customer_deleted_at,
            prices: &self.prices,
        });
        let Some((state, source)) = decided.map_err(Error::internal)? else { return Ok(None) };
        self.tx.execute(upsert("subscriptions", &state)?).await?;
        match position {
            Some(at) => self.subscriptions[at] = state.clone(),
            None => self.subscriptions.push(state.clone()),
        }
        Ok(Some((state, source)))
    }

    /// Decides which state the invoice has, and stores it. Returns what said so.
    async fn save_invoice(&mut self, reading: Option<&Reading>) -> Result<Option<Source>> {
        let decided = invoice::decide(self.invoice.as_ref(), &self.events, reading).map_err(Error::internal)?;
        let Some((state, source)) = decided else { return Ok(None) };
        self.tx.execute(upsert("billing_invoices", &state)?).await?;
        Ok(Some(source))
    }

    /// The customer is no more, and with it all its subscriptions; the next checkout makes another.
    async fn delete_customer(&mut self, id: &str, at: DateTime<Utc>) -> Result<()> {
        self.customer_deleted_at = Some(self.customer_deleted_at.map_or(at, |known| known.min(at)));
        let mut sql = Sql::new("UPDATE stripe_customers SET deleted_at = ");
        sql.push_bind(self.customer_deleted_at);
        sql.push(" WHERE tenant_id = app.tenant_id() AND id = ").push_bind(id.to_owned());
        self.tx.execute(sql).await?;
        let of_customer = self.subscriptions.iter().filter(|subscription| subscription.customer_id == id);
        let ids: Vec<String> = of_customer.map(|subscription| subscription.stripe_id.clone()).collect();
        for subscription in ids {
            self.save_subscription(&subscription, None).await?;
        }
        Ok(())
    }

    /// Stores the plan that follows from all subscriptions, if it is another. Returns its name.
    async fn save_standing(&mut self) -> Result<String> {
        let now = standing(&self.subscriptions, &self.prices);
        if now != self.standing {
            let mut sql = Sql::new("UPDATE tenants SET plan = ");
            sql.push_bind(now.plan.clone()).push(", plan_ends_at = ").push_bind(now.plan_ends_at);
            sql.push(" WHERE id = app.tenant_id()");
            self.tx.execute(sql).await?;
        }
        Ok(now.plan)
    }

    /// Writes it where the carrier's owner reads it; what was unknown and is known now takes the place of what was told.
    async fn tell(
        &mut self,
        event_id: Option<&str>,
        r#type: &str,
        object_id: &str,
        outcome: Outcome,
        plan: &str,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let mut sql = Sql::new(
            "INSERT INTO billing_events (tenant_id, stripe_event_id, type, stripe_object_id, outcome, plan, at) \
             VALUES (app.tenant_id(), ",
        );
        let mut values = sql.separated(", ");
        values
            .push_bind(event_id.map(str::to_owned))
            .push_bind(r#type.to_owned())
            .push_bind(object_id.to_owned())
            .push_bind(outcome.name())
            .push_bind(plan.to_owned())
            .push_bind(at);
        sql.push(
            ") ON CONFLICT (tenant_id, stripe_event_id) DO UPDATE SET outcome = EXCLUDED.outcome, plan = EXCLUDED.plan",
        );
        self.tx.execute(sql).await
    }

    async fn finish(&mut self, event_id: &str, outcome: Outcome) -> Result<()> {
        let mut sql = Sql::new("SELECT app.finish_stripe_event(");
        sql.push_bind(event_id.to_owned()).push(", ").push_bind(outcome.name()).push(")");
        self.tx.execute(sql).await
    }
}

fn price_list(sets: &mut ResultSets) -> Result<PriceList> {
    let plans = sets.next_set::<(String, String)>()?.into_iter().collect();
    let terms = sets
        .next_set::<(String, i16, i16)>()?
        .into_iter()
        .map(|(plan, rank, grace_days)| (plan, Terms::new(rank, grace_days)));
    Ok(PriceList { plans, terms: terms.collect() })
}

/// Writes the row unless it is there as it is. The fields of `row` are columns, `stripe_id` among them.
fn upsert(table: &'static str, row: &impl Serialize) -> Result<Sql> {
    let row = serde_json::to_value(row).map_err(Error::internal)?;
    let columns: Vec<&str> = row.as_object().into_iter().flat_map(|row| row.keys()).map(String::as_str).collect();
    let of = |table: &str| columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ");
    let sets: Vec<String> = columns.iter().map(|column| format!("{column} = EXCLUDED.{column}")).collect();
    let mut sql = Sql::new(format!(
        "INSERT INTO {table} AS t (tenant_id, {}) SELECT app.tenant_id(), {} FROM jsonb_populate_record(NULL::{table}, ",
        columns.join(", "),
        of("r"),
    ));
    sql.push_bind(Json(row.clone())).push(format_args!(
        ") r ON CONFLICT (stripe_id) DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
        sets.join(", "),
        of("t"),
        of("EXCLUDED"),
    ));
    Ok(sql)
}
