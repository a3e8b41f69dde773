//! Labels on orders. A deleted tag disappears from its orders.

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
use crate::platform::db::{Assignments, Resource};

crate::id!(TagId);

/// A label that the carrier puts on orders.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Tag {
    pub id: TagId,
    pub name: String,
    pub color: String,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTag {
    #[schema(example = "Expedited")]
    pub name: Name,
    pub color: Color,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagPatch {
    #[serde(default)]
    pub name: Patch<Name>,
    #[serde(default)]
    pub color: Patch<Color>,
}

impl Resource for Tag {
    const TABLE: &'static str = "tags";
    const NAME: &'static str = "tag";
    const COLUMNS: &'static str = "t.id, t.name, t.color, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::LookupsRead;
    const WRITE: Action = Action::LookupsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

impl Lookup for Tag {
    type New = NewTag;
    type Patch = TagPatch;
    const PATH: &'static str = "tags";
    const ARCHIVES: bool = false;
    const REFERENCES: &'static [(&'static str, &'static str)] = &[];

    fn version(&self) -> i64 {
        self.version
    }

    fn row(new: NewTag) -> Assignments {
        let mut row = Assignments::default();
        row.set("name", new.name).set("color", new.color);
        row
    }

    fn changes(patch: TagPatch) -> Assignments {
        let mut changes = Assignments::default();
        changes.patch("name", patch.name).patch("color", patch.color);
        changes
    }
}
