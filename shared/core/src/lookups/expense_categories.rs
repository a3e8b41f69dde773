//! What a carrier books its expenses under.

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

crate::id!(ExpenseCategoryId);

/// A category of expenses, in the carrier's own words.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct ExpenseCategory {
    pub id: ExpenseCategoryId,
    pub name: String,
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
pub struct NewExpenseCategory {
    #[schema(example = "Fuel")]
    pub name: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpenseCategoryPatch {
    #[serde(default)]
    pub name: Patch<Name>,
    /// True archives, false brings back.
    #[serde(default)]
    pub archived: Patch<bool>,
}

impl Resource for ExpenseCategory {
    const TABLE: &'static str = "expense_categories";
    const NAME: &'static str = "expense category";
    const COLUMNS: &'static str = "t.id, t.name, t.archived_at, t.version, t.created_at, t.updated_at";
    const READ: Action = Action::LookupsRead;
    const WRITE: Action = Action::LookupsWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

impl Lookup for ExpenseCategory {
    type New = NewExpenseCategory;
    type Patch = ExpenseCategoryPatch;
    const PATH: &'static str = "expense-categories";
    const ARCHIVES: bool = true;
    const REFERENCES: &'static [(&'static str, &'static str)] = &[];

    fn version(&self) -> i64 {
        self.version
    }

    fn row(new: NewExpenseCategory) -> Assignments {
        let mut row = Assignments::default();
        row.set("name", new.name);
        row
    }

    fn changes(patch: ExpenseCategoryPatch) -> Assignments {
        let mut changes = Assignments::default();
        changes.patch("name", patch.name).archive(patch.archived);
        changes
    }
}
