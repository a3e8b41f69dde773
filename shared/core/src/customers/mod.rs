//! Whom the carrier hauls for: brokers, dealers, auctions, private persons.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::Result;
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::strings::{Email, McNumber, Phone, StateCode, UsdotNumber, Zip};
use crate::base::text::{Name, Notes, Text};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, ENOUGH, Rare, Resource, Sql, Tx, push_archived};
use crate::platform::search::{self, Prefix};

crate::id!(CustomerId);

/// What kind of business the customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerType {
    Broker,
    Dealer,
    Auction,
    Private,
}

crate::text_column!(CustomerType);

/// Whom the carrier hauls for.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Customer {
    pub id: CustomerId,
    pub r#type: CustomerType,
    pub name: String,
    #[schema(required)]
    pub contact_name: Option<String>,
    #[schema(required)]
    pub email: Option<String>,
    #[schema(required)]
    pub phone: Option<String>,
    #[schema(required)]
    pub address: Option<String>,
    #[schema(required)]
    pub city: Option<String>,
    #[schema(required)]
    pub state: Option<String>,
    #[schema(required)]
    pub zip: Option<String>,
    #[schema(required)]
    pub usdot: Option<String>,
    #[schema(required)]
    pub mc_number: Option<String>,
    #[schema(required)]
    pub notes: Option<String>,
    /// Since when it is archived: out of the lists, still on its orders.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Resource for Customer {
    const TABLE: &'static str = "customers";
    const NAME: &'static str = "customer";
    const COLUMNS: &'static str = "t.id, t.type, t.name, t.contact_name, t.email, t.phone, t.address, t.city, t.state, t.zip, \
        t.usdot, t.mc_number, t.notes, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::CustomersRead;
    const WRITE: Action = Action::CustomersWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    pub r#type: CustomerType,
    #[schema(example = "Lakeside Auto Brokers")]
    pub name: Name,
    pub contact_name: Option<Name>,
    pub email: Option<Email>,
    pub phone: Option<Phone>,
    pub address: Option<Text<200>>,
    pub city: Option<Name>,
    pub state: Option<StateCode>,
    pub zip: Option<Zip>,
    pub usdot: Option<UsdotNumber>,
    pub mc_number: Option<McNumber>,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerPatch {
    #[serde(default)]
    pub r#type: Patch<CustomerType>,
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub contact_name: Patch<Option<Name>>,
    #[serde(default)]
    pub email: Patch<Option<Email>>,
    #[serde(default)]
    pub phone: Patch<Option<Phone>>,
    #[serde(default)]
    pub address: Patch<Option<Text<200>>>,
    #[serde(default)]
    pub city: Patch<Option<Name>>,
    #[serde(default)]
    pub state: Patch<Option<StateCode>>,
    #[serde(default)]
    pub zip: Patch<Option<Zip>>,
    #[serde(default)]
    pub usdot: Patch<Option<UsdotNumber>>,
    #[serde(default)]
    pub mc_number: Patch<Option<McNumber>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

#[derive(Debug, Default)]
pub struct CustomerFilter {
    pub r#type: Option<CustomerType>,
    /// Prefixes of words of the name, the MC or the USDOT number.
    pub q: Option<String>,
    pub archived: bool,
}

pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &CustomerFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Customer>> {
    let words = search::words(filter.q.as_deref());
    let rare: Vec<Rare<'_>> = words.iter().map(has_word).collect();
    let conditions = |sql: &mut Sql| {
        push_archived(sql, filter.archived);
        if let Some(r#type) = filter.r#type {
            sql.push(" AND t.type = ").push_bind(r#type);
        }
    };
    db.list_rare(actor, cursor, limit, conditions, &rare).await
}

/// A subselect with a LIMIT is never turned into a set of all customers that have the word, as EXISTS is.
fn has_word(word: &Prefix) -> Rare<'_> {
    let terms = "FROM customer_search_terms s WHERE s.tenant_id = e.tenant_id AND ";
    let find = move |sql: &mut Sql| {
        word.push_condition(sql.push("SELECT s.customer_id ").push(terms), "s.term");
        sql.push(" ORDER BY s.term").push(ENOUGH);
    };
    Rare::new(find, move |sql| {
        sql.push("(SELECT true ").push(terms).push("s.customer_id = t.id AND ");
        word.push_condition(sql, "s.term");
        sql.push(" LIMIT 1)");
    })
}

pub async fn get(db: &Db, actor: &Actor, id: CustomerId) -> Result<Customer> {
    Ok(db.get(actor, id.0).await?.1)
}

pub async fn create(tx: &mut Tx, new: NewCustomer) -> Result<Customer> {
    let mut row = Assignments::default();
    row.set("id", CustomerId::new())
        .set("type", new.r#type)
        .set("name", new.name)
        .set("contact_name", new.contact_name)
        .set("email", new.email)
        .set("phone", new.phone)
        .set("address", new.address)
        .set("city", new.city)
        .set("state", new.state)
        .set("zip", new.zip)
        .set("usdot", new.usdot)
        .set("mc_number", new.mc_number)
        .set("notes", new.notes);
    tx.insert(row).await
}

pub async fn update(tx: &mut Tx, id: CustomerId, version: Option<i64>, patch: CustomerPatch) -> Result<Customer> {
    let mut changes = Assignments::default();
    changes
        .patch("type", patch.r#type)
        .patch("name", patch.name)
        .patch("contact_name", patch.contact_name)
        .patch("email", patch.email)
        .patch("phone", patch.phone)
        .patch("address", patch.address)
        .patch("city", patch.city)
        .patch("state", patch.state)
        .patch("zip", patch.zip)
        .patch("usdot", patch.usdot)
        .patch("mc_number", patch.mc_number)
        .patch("notes", patch.notes)
        .archive(patch.archived);
    tx.update(id.0, version, changes).await
}

/// Deletes it, or archives it if it has orders.
pub async fn delete(tx: &mut Tx, id: CustomerId, version: Option<i64>) -> Result<Option<Customer>> {
    tx.delete_or_archive(id.0, version, &[("orders", "customer_id")]).await
}
