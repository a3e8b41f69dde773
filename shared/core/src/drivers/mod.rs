//! Who drives: licence, medical card, pay, and the member who signs in as the driver. A member in the role driver sees
//! only their own record; row-level security sees to that.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::day::Day;
use crate::base::error::{Error, Result};
use crate::base::ids::UserId;
use crate::base::money::Rate;
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::strings::{Email, Phone, StateCode};
use crate::base::text::{Name, Notes, Text};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, ENOUGH, Rare, Resource, Sql, Tx, push_archived};
use crate::platform::search;

crate::id!(DriverId);

/// What the pay rate is a rate of: percent of the order's price, or money per mile, order or vehicle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayRule {
    Percent,
    PerMile,
    Flat,
    PerVehicle,
}

crate::text_column!(PayRule);

/// Somebody who drives for the carrier, with or without a login.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Driver {
    pub id: DriverId,
    pub name: String,
    #[schema(required)]
    pub email: Option<String>,
    #[schema(required)]
    pub phone: Option<String>,
    #[schema(required)]
    pub licence_number: Option<String>,
    #[schema(required)]
    pub licence_state: Option<String>,
    /// The last day on which it is valid.
    #[schema(required)]
    pub licence_expires_on: Option<Day>,
    /// The last day on which it is valid.
    #[schema(required)]
    pub medical_card_expires_on: Option<Day>,
    /// The last day on which the TWIC is valid, which ports ask for (Transportation Worker Identification Credential); null is not
    /// recorded.
    #[schema(required)]
    pub twic_expires_on: Option<Day>,
    #[schema(required)]
    pub pay_rule: Option<PayRule>,
    /// Percent, or an amount in the carrier's currency, as `pay_rule` says.
    #[schema(required)]
    pub pay_rate: Option<Rate>,
    /// The member who signs in as this driver.
    #[schema(required)]
    pub user_id: Option<UserId>,
    #[schema(required)]
    pub notes: Option<String>,
    /// Since when the driver is archived: out of the lists, still on their orders.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Resource for Driver {
    const TABLE: &'static str = "drivers";
    const NAME: &'static str = "driver";
    const COLUMNS: &'static str = "t.id, t.name, t.email, t.phone, t.licence_number, t.licence_state, t.licence_expires_on, \
        t.medical_card_expires_on, t.twic_expires_on, t.pay_rule, t.pay_rate, t.user_id, t.notes, t.archived_at, t.version, \
        t.created_at, t.updated_at";
    const DRIVER_COLUMN: Option<&'static str> = Some("id");
    const READ: Action = Action::DriversRead;
    const WRITE: Action = Action::DriversWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDriver {
    #[schema(example = "Sam Rivera")]
    pub name: Name,
    pub email: Option<Email>,
    pub phone: Option<Phone>,
    #[schema(example = "R12345678")]
    pub licence_number: Option<Text<30>>,
    pub licence_state: Option<StateCode>,
    /// The last day on which it is valid.
    pub licence_expires_on: Option<Day>,
    /// The last day on which it is valid.
    pub medical_card_expires_on: Option<Day>,
    /// The last day on which the TWIC is valid.
    pub twic_expires_on: Option<Day>,
    /// Goes together with `pay_rate`.
    pub pay_rule: Option<PayRule>,
    /// Percent (at most 100), or an amount in the carrier's currency, as `pay_rule` says.
    pub pay_rate: Option<Rate>,
    /// The member who signs in as this driver; a member is one driver at most.
    pub user_id: Option<UserId>,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverPatch {
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub email: Patch<Option<Email>>,
    #[serde(default)]
    pub phone: Patch<Option<Phone>>,
    #[serde(default)]
    pub licence_number: Patch<Option<Text<30>>>,
    #[serde(default)]
    pub licence_state: Patch<Option<StateCode>>,
    /// The last day on which it is valid.
    #[serde(default)]
    pub licence_expires_on: Patch<Option<Day>>,
    /// The last day on which it is valid.
    #[serde(default)]
    pub medical_card_expires_on: Patch<Option<Day>>,
    /// The last day on which the TWIC is valid.
    #[serde(default)]
    pub twic_expires_on: Patch<Option<Day>>,
    /// Goes together with `pay_rate`.
    #[serde(default)]
    pub pay_rule: Patch<Option<PayRule>>,
    /// Percent (at most 100), or an amount in the carrier's currency, as `pay_rule` says.
    #[serde(default)]
    pub pay_rate: Patch<Option<Rate>>,
    /// The member who signs in as this driver; a member is one driver at most.
    #[serde(default)]
    pub user_id: Patch<Option<UserId>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

#[derive(Debug, Default)]
pub struct DriverFilter {
    /// Prefix of the name, in any case.
    pub q: Option<String>,
    /// Licence or medical card is no longer valid on this day.
    pub expiring_before: Option<Day>,
    pub archived: bool,
}

pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &DriverFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Driver>> {
    let prefix = search::prefix(filter.q.as_deref());
    let begins = prefix.iter().map(|prefix| prefix.begins("drivers", "name_lower"));
    let expire = filter.expiring_before.map(expire_before);
    let rare: Vec<Rare<'_>> = begins.chain(expire).collect();
    db.list_rare(actor, cursor, limit, |sql| push_archived(sql, filter.archived), &rare).await
}

/// That the licence or the medical card does.
fn expire_before(day: Day) -> Rare<'static> {
    let find = move |sql: &mut Sql| {
        for (n, column) in ["licence_expires_on", "medical_card_expires_on"].iter().enumerate() {
            sql.push(if n == 0 { "(" } else { " UNION ALL (" });
            sql.push("SELECT s.id FROM drivers s WHERE s.tenant_id = e.tenant_id AND s.").push(column);
            sql.push(" < ").push_bind(day).push(" ORDER BY s.").push(column).push(ENOUGH).push(")");
        }
    };
    Rare::new(find, move |sql| {
        sql.push("t.licence_expires_on < ").push_bind(day).push(" OR t.medical_card_expires_on < ").push_bind(day);
    })
}

pub async fn get(db: &Db, actor: &Actor, id: DriverId) -> Result<Driver> {
    Ok(db.get(actor, id.0).await?.1)
}

pub async fn create(tx: &mut Tx, new: NewDriver) -> Result<Driver> {
    let mut row = Assignments::default();
    row.set("id", DriverId::new())
        .set("name", new.name)
        .set("email", new.email)
        .set("phone", new.phone)
        .set("licence_number", new.licence_number)
        .set("licence_state", new.licence_state)
        .set("licence_expires_on", new.licence_expires_on)
        .set("medical_card_expires_on", new.medical_card_expires_on)
        .set("twic_expires_on", new.twic_expires_on)
        .set("pay_rule", new.pay_rule)
        .set("pay_rate", new.pay_rate)
        .set("user_id", new.user_id)
        .set("notes", new.notes);
    tx.insert(row).await.map_err(explain)
}

pub async fn update(tx: &mut Tx, id: DriverId, version: Option<i64>, patch: DriverPatch) -> Result<Driver> {
    let mut changes = Assignments::default();
    changes
        .patch("name", patch.name)
        .patch("email", patch.email)
        .patch("phone", patch.phone)
        .patch("licence_number", patch.licence_number)
        .patch("licence_state", patch.licence_state)
        .patch("licence_expires_on", patch.licence_expires_on)
        .patch("medical_card_expires_on", patch.medical_card_expires_on)
        .patch("twic_expires_on", patch.twic_expires_on)
        .patch("pay_rule", patch.pay_rule)
        .patch("pay_rate", patch.pay_rate)
        .patch("user_id", patch.user_id)
        .patch("notes", patch.notes)
        .archive(patch.archived);
    tx.update(id.0, version, changes).await.map_err(explain)
}

/// Deletes it, or archives it if it has orders or trips.
pub async fn delete(tx: &mut Tx, id: DriverId, version: Option<i64>) -> Result<Option<Driver>> {
    tx.delete_or_archive(id.0, version, &[("orders", "driver_id"), ("trips", "driver_id")]).await
}

/// Rules of the row as it would be, which a patch alone does not show: the database checks them, here is what they mean.
fn explain(error: Error) -> Error {
    let Error::Invalid(fields) = &error else { return error };
    match fields.first().map(|field| field.pointer.as_str()) {
        Some("/pay_rate") => {
            Error::invalid("/pay_rate", "a pay_rate and a pay_rule go together, and at most 100 percent can be paid")
        }
        Some("/user_id") => Error::invalid("/user_id", "must be a member of your carrier"),
        _ => error,
    }
}
