//! The carrier's trailers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::Result;
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::strings::StateCode;
use crate::base::text::{Name, Notes};
use crate::base::vin::Vin;
use crate::base::whole::{ModelYear, Pounds, Whole};
use crate::equipment::{self, EquipmentFilter, Plate, UnitNumber, check_patched_vin, check_vin};
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Db, Resource, Tx};

crate::id!(TrailerId);

/// Vehicle slots on the trailer.
pub type TrailerCapacity = Whole<1, 12>;

/// A trailer of the carrier's.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Trailer {
    pub id: TrailerId,
    pub unit_number: String,
    #[schema(required)]
    pub vin: Option<String>,
    #[schema(required)]
    pub make: Option<String>,
    #[schema(required)]
    pub model: Option<String>,
    #[schema(required)]
    pub year: Option<i16>,
    #[schema(required)]
    pub plate: Option<String>,
    #[schema(required)]
    pub plate_state: Option<String>,
    /// Vehicle slots on the trailer.
    pub capacity: i16,
    /// Of the vehicles it may carry, in pounds.
    #[schema(required)]
    pub max_weight_lbs: Option<i32>,
    pub enclosed: bool,
    /// Whether it can load what does not drive; null is not recorded.
    #[schema(required)]
    pub has_winch: Option<bool>,
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

impl Resource for Trailer {
    const TABLE: &'static str = "trailers";
    const NAME: &'static str = "trailer";
    const COLUMNS: &'static str = "t.id, t.unit_number, t.vin, t.make, t.model, t.year, t.plate, t.plate_state, t.capacity, \
        t.max_weight_lbs, t.enclosed, t.has_winch, t.notes, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::EquipmentRead;
    const WRITE: Action = Action::EquipmentWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrailer {
    /// Unique among the trailers that are not archived.
    #[schema(example = "TR-22")]
    pub unit_number: UnitNumber,
    pub vin: Option<Vin>,
    /// True takes a VIN whose check digit does not fit: from before 1981, or foreign.
    #[serde(default)]
    pub vin_override: bool,
    pub make: Option<Name>,
    pub model: Option<Name>,
    pub year: Option<ModelYear>,
    pub plate: Option<Plate>,
    pub plate_state: Option<StateCode>,
    /// Vehicle slots on the trailer.
    #[schema(example = 8)]
    pub capacity: TrailerCapacity,
    /// Of the vehicles it may carry, in pounds.
    pub max_weight_lbs: Option<Pounds>,
    #[serde(default)]
    pub enclosed: bool,
    /// Whether it can load what does not drive.
    pub has_winch: Option<bool>,
    pub notes: Option<Notes>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrailerPatch {
    #[serde(default)]
    pub unit_number: Patch<UnitNumber>,
    #[serde(default)]
    pub vin: Patch<Option<Vin>>,
    /// True takes a VIN whose check digit does not fit: from before 1981, or foreign.
    #[serde(default)]
    pub vin_override: bool,
    #[serde(default)]
    pub make: Patch<Option<Name>>,
    #[serde(default)]
    pub model: Patch<Option<Name>>,
    #[serde(default)]
    pub year: Patch<Option<ModelYear>>,
    #[serde(default)]
    pub plate: Patch<Option<Plate>>,
    #[serde(default)]
    pub plate_state: Patch<Option<StateCode>>,
    /// Vehicle slots on the trailer.
    #[serde(default)]
    pub capacity: Patch<TrailerCapacity>,
    /// Of the vehicles it may carry, in pounds.
    #[serde(default)]
    pub max_weight_lbs: Patch<Option<Pounds>>,
    #[serde(default)]
    pub enclosed: Patch<bool>,
    /// Whether it can load what does not drive.
    #[serde(default)]
    pub has_winch: Patch<Option<bool>>,
    #[serde(default)]
    pub notes: Patch<Option<Notes>>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

pub async fn list(
    db: &Db,
    actor: &Actor,
    filter: &EquipmentFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Trailer>> {
    equipment::list(db, actor, filter, cursor, limit).await
}

pub async fn get(db: &Db, actor: &Actor, id: TrailerId) -> Result<Trailer> {
    Ok(db.get(actor, id.0).await?.1)
}

pub async fn create(tx: &mut Tx, new: NewTrailer) -> Result<Trailer> {
    check_vin(new.vin.as_ref(), new.vin_override)?;
    let mut row = Assignments::default();
    row.set("id", TrailerId::new())
        .set("unit_number", new.unit_number)
        .set("vin", new.vin)
        .set("make", new.make)
        .set("model", new.model)
        .set("year", new.year)
        .set("plate", new.plate)
        .set("plate_state", new.plate_state)
        .set("capacity", new.capacity)
        .set("max_weight_lbs", new.max_weight_lbs)
        .set("enclosed", new.enclosed)
        .set("has_winch", new.has_winch)
        .set("notes", new.notes);
    tx.insert(row).await
}

pub async fn update(tx: &mut Tx, id: TrailerId, version: Option<i64>, patch: TrailerPatch) -> Result<Trailer> {
    check_patched_vin(&patch.vin, patch.vin_override)?;
    let mut changes = Assignments::default();
    changes
        .patch("unit_number", patch.unit_number)
        .patch("vin", patch.vin)
        .patch("make", patch.make)
        .patch("model", patch.model)
        .patch("year", patch.year)
        .patch("plate", patch.plate)
        .patch("plate_state", patch.plate_state)
        .patch("capacity", patch.capacity)
        .patch("max_weight_lbs", patch.max_weight_lbs)
        .patch("enclosed", patch.enclosed)
        .patch("has_winch", patch.has_winch)
        .patch("notes", patch.notes)
        .archive(patch.archived);
    tx.update(id.0, version, changes).await
}

/// Deletes it, or archives it if it has orders or trips.
pub async fn delete(tx: &mut Tx, id: TrailerId, version: Option<i64>) -> Result<Option<Trailer>> {
    tx.delete_or_archive(id.0, version, &[("orders", "trailer_id"), ("trips", "trailer_id")]).await
}
