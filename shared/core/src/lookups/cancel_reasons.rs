//! Why orders are cancelled, in the carrier's words.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Lookup;
use crate::base::patch::Patch;
use crate::base::text::Name;
use crate::identity::permissions::Action;
use crate::platform::db::{Assignments, Resource};

crate::id!(CancelReasonId);

/// Why the carrier cancels orders, in its own words.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct CancelReason {
    pub id: CancelReasonId,
    pub label: String,
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
pub struct NewCancelReason {
    #[schema(example = "Vehicle not ready")]
    pub label: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelReasonPatch {
    #[serde(default)]
    pub label: Patch<Name>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

impl Resource for CancelReason {
    const TABLE: &'static str = "cancel_reasons";
    const NAME: &'static str = "cancel reason";
    const COLUMNS: &'static str = "t.id, t.label, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::LookupsRead;
    const WRITE: Action = Action::LookupsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

impl Lookup for CancelReason {
    type New = NewCancelReason;
    type Patch = CancelReasonPatch;
    const PATH: &'static str = "cancel-reasons";
    const ARCHIVES: bool = true;
    const REFERENCES: &'static [(&'static str, &'static str)] = &[
        ("orders", "cancel_reason_id"),
        ("status_history", "cancel_reason_id"),
        ("trips", "cancel_reason_id"),
        ("trip_history", "cancel_reason_id"),
    ];

    fn version(&self) -> i64 {
        self.version
    }

    fn row(new: NewCancelReason) -> Assignments {
        let mut row = Assignments::default();
        row.set("label", new.label);
        row
    }

    fn changes(patch: CancelReasonPatch) -> Assignments {
        let mut changes = Assignments::default();
        changes.patch("label", patch.label).archive(patch.archived);
        changes
    }
}
