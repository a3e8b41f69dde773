//! Places where vehicles are picked up and delivered.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::Result;
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::strings::{Email, Phone, StateCode, TimeZone, Zip};
use crate::base::text::{Name, Notes, Text};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, Resource, Sql, Tx, push_archived};
use crate::platform::search;

crate::id!(LocationId);

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LocationType {
    Auction,
    Dealer,
    Port,
    Residence,
    Terminal,
    Business,
}

crate::text_column!(LocationType);

/// A place where vehicles are picked up and delivered.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Location {
    pub id: LocationId,
    pub r#type: LocationType,
    pub name: String,
    pub address: String,
    pub city: String,
    pub state: String,
    pub zip: String,
    /// In which the windows of its stops are meant, IANA.
    pub time_zone: String,
    #[schema(required)]
    pub contact_name: Option<String>,
    #[schema(required)]
    pub phone: Option<String>,
    #[schema(required)]
    pub email: Option<String>,
    /// When it is open, as people say it.
    #[schema(required)]
    pub hours: Option<String>,
    /// Whether the driver needs a Transportation Worker Identification Credential.
    pub twic_required: bool,
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

impl Resource for Location {
    const TABLE: &'static str = "locations";
    const NAME: &'static str = "location";
    const COLUMNS: &'static str = "t.id, t.type, t.name, t.address, t.city, t.state, t.zip, t.time_zone, t.contact_name, \
        t.phone, t.email, t.hours, t.twic_required, t.notes, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::LocationsRead;
    const WRITE: Action = Action::LocationsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLocation {
    pub r#type: LocationType,
    #[schema(example = "Lakeside Auto Auction")]
    pub name: Name,
    #[schema(example = "1200 Harbor Road")]
    pub address: Text<200>,
    #[schema(example = "Lexington")]
    pub city: Name,
    pub state: StateCode,
    pub zip: Zip,
    pub time_zone: TimeZone,
    pub contact_name: Option<Name>,
    pub phone: Option<Phone>,
    pub email: Option<Email>,
    #[schema(example = "Mon-Fri 8:00-17:00, gate 3")]
    pub hours: Option<Text<200>>,
    /// Whether the driver needs a Transportation Worker Identification Credential.
    #[serde(default)]
    pub twic_required: bool,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocationPatch {
    #[serde(default)]
    pub r#type: Patch<LocationType>,
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub address: Patch<Text<200>>,
    #[serde(default)]
    pub city: Patch<Name>,
    #[serde(default)]
    pub state: Patch<StateCode>,
    #[serde(default)]
    pub zip: Patch<Zip>,
    #[serde(default)]
    pub time_zone: Patch<TimeZone>,
    #[serde(default)]
    pub contact_name: Patch<Option<Name>>,
    #[serde(default)]
    pub phone: Patch<Option<Phone>>,
    #[serde(default)]
    pub email: Patch<Option<Email>>,
    #[serde(default)]
    pub hours: Patch<Option<Text<200>>>,
    /// Whether the driver needs a Transportation Worker Identification Credential.
    #[serde(default)]
    pub twic_required: Patch<bool>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

#[derive(Debug, Default)]
pub struct LocationFilter {
    pub r#type: Option<LocationType>,
    pub state: Option<StateCode>,
    /// The whole name of the city, in any case.
    pub city: Option<Name>,
    /// Prefix of the name, in any case.
    pub q: Option<String>,
    pub archived: bool,
}

pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &LocationFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Location>> {
    let prefix = search::prefix(filter.q.as_deref());
    let begins: Vec<_> = prefix.iter().map(|prefix| prefix.begins("locations", "name_lower")).collect();
    let conditions = |sql: &mut Sql| {
        push_archived(sql, filter.archived);
        if let Some(r#type) = filter.r#type {
            sql.push(" AND t.type = ").push_bind(r#type);
        }
        if let Some(state) = &filter.state {
            sql.push(" AND t.state = ").push_bind(state.clone());
        }
        if let Some(city) = &filter.city {
            sql.push(" AND t.city_lower = ").push_bind(city.as_str().to_lowercase());
        }
    };
    db.list_rare(actor, cursor, limit, conditions, &begins).await
}

pub async fn get(db: &Db, actor: &Actor, id: LocationId) -> Result<Location> {
    Ok(db.get(actor, id.0).await?.1)
}

pub async fn create(tx: &mut Tx, new: NewLocation) -> Result<Location> {
    let mut row = Assignments::default();
    row.set("id", LocationId::new())
        .set("type", new.r#type)
        .set("name", new.name)
        .set("address", new.address)
        .set("city", new.city)
        .set("state", new.state)
        .set("zip", new.zip)
        .set("time_zone", new.time_zone)
        .set("contact_name", new.contact_name)
        .set("phone", new.phone)
        .set("email", new.email)
        .set("hours", new.hours)
        .set("twic_required", new.twic_required)
        .set("notes", new.notes);
    tx.insert(row).await
}

pub async fn update(tx: &mut Tx, id: LocationId, version: Option<i64>, patch: LocationPatch) -> Result<Location> {
    let mut changes = Assignments::default();
    changes
        .patch("type", patch.r#type)
        .patch("name", patch.name)
        .patch("address", patch.address)
        .patch("city", patch.city)
        .patch("state", patch.state)
        .patch("zip", patch.zip)
        .patch("time_zone", patch.time_zone)
        .patch("contact_name", patch.contact_name)
        .patch("phone", patch.phone)
        .patch("email", patch.email)
        .patch("hours", patch.hours)
        .patch("twic_required", patch.twic_required)
        .patch("notes", patch.notes)
        .archive(patch.archived);
    tx.update(id.0, version, changes).await
}

/// Deletes it, or archives it if orders or trips stop there.
pub async fn delete(tx: &mut Tx, id: LocationId, version: Option<i64>) -> Result<Option<Location>> {
    let stops = [("orders", "pickup_location_id"), ("orders", "delivery_location_id"), ("trip_stops", "location_id")];
    tx.delete_or_archive(id.0, version, &stops).await
}
