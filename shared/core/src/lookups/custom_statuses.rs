//! A carrier's refinements of the system's states, such as "waiting for gate pass" while an order is assigned.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Lookup;
use crate::base::patch::Patch;
use crate::base::strings::Color;
use crate::base::text::Name;
use crate::identity::permissions::Action;
use crate::orders::OrderStatus;
use crate::platform::db::{Assignments, Resource};

crate::id!(CustomStatusId);

/// A status of the carrier's own within one of the system's.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct CustomStatus {
    pub id: CustomStatusId,
    pub label: String,
    pub color: String,
    /// The one state of an order that it refines; it stays what it is.
    pub system_status: OrderStatus,
    /// Since when it is archived: not offered any more, still on its orders.
    #[schema(required)]
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomStatus {
    #[schema(example = "Waiting for gate pass")]
    pub label: Name,
    pub color: Color,
    /// The one state of an order that it refines; it stays what it is.
    pub system_status: OrderStatus,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomStatusPatch {
    #[serde(default)]
    pub label: Patch<Name>,
    #[serde(default)]
    pub color: Patch<Color>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

impl Resource for CustomStatus {
    const TABLE: &'static str = "custom_statuses";
    const NAME: &'static str = "custom status";
    const COLUMNS: &'static str =
        "t.id, t.label, t.color, t.system_status, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::LookupsRead;
    const WRITE: Action = Action::LookupsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

impl Lookup for CustomStatus {
    type New = NewCustomStatus;
    type Patch = CustomStatusPatch;
    const PATH: &'static str = "custom-statuses";
    const ARCHIVES: bool = true;
    const REFERENCES: &'static [(&'static str, &'static str)] = &[("orders", "custom_status_id")];

    fn version(&self) -> i64 {
        self.version
    }

    fn row(new: NewCustomStatus) -> Assignments {
        let mut row = Assignments::default();
        row.set("label", new.label).set("color", new.color).set("system_status", new.system_status);
        row
    }

    fn changes(patch: CustomStatusPatch) -> Assignments {
        let mut changes = Assignments::default();
        changes.patch("label", patch.label).patch("color", patch.color).archive(patch.archived);
        changes
    }
}
