//! API calls against the plan: `app.count_call` counts each request of a carrier once, in the trip that it makes anyway.

use std::sync::{Arc, OnceLock};

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Entered;
use crate::base::ids::TenantId;
use crate::identity::permissions::Action;

/// The columns of `app.count_call`, under names that no table has.
pub const SELECT: &str = "q.month_used AS called_month, q.second_used AS called_second";

/// Which of the plan's limits on calls can refuse a request; every request is counted.
pub fn quota(action: Action) -> &'static str {
    match action {
        // What happens on the road is recorded whatever the plan says.
        Action::OrdersRecord | Action::DocumentsRecord | Action::TripsRecord => "none",
        // Who has used up the month must be able to see it and to buy more.
        Action::UsageRead | Action::BillingRead | Action::BillingManage => "rate",
        // Nor keeps a plan anybody from going, with what is theirs.
        Action::TenantErase | Action::ExportsManage => "rate",
        _ => "full",
    }
}

/// What a plan allows, and how much of it is used with this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// None is unlimited.
    pub max: Option<i64>,
    pub used: i64,
}

impl Limit {
    pub fn remaining(self) -> Option<i64> {
        self.max.map(|max| (max - self.used).max(0))
    }
}

/// The calls of a carrier as counted with this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    pub month: Limit,
    /// Seconds until the carrier's next month.
    pub month_ends_in: i32,
    pub second: Limit,
}

impl Calls {
    /// Of a row with the columns of [`super::entered::SELECT`] and [`SELECT`].
    pub(super) fn from_row(row: &PgRow) -> Result<Option<Self>, sqlx::Error> {
        let limit = |max: &str, used: i64| Ok::<_, sqlx::Error>(Limit { max: row.try_get(max)?, used });
        let Some(month_used) = row.try_get("called_month")? else { return Ok(None) };
        Ok(Some(Self {
            month: limit("entered_calls_a_month", month_used)?,
            month_ends_in: row.try_get("entered_month_ends_in")?,
            second: limit("entered_calls_a_second", row.try_get("called_second")?)?,
        }))
    }
}

/// What is kept of a request once it has entered its tenant: its count, since it is counted once however often it enters,
/// and who has made it, for the log.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    calls: Arc<OnceLock<Calls>>,
    by: Arc<OnceLock<By>>,
}

/// Whose request it was.
#[derive(Debug, Clone, Copy)]
pub struct By {
    pub tenant_id: TenantId,
    /// The user or the API key, as the audit log names it.
    pub actor_id: Uuid,
}

impl Counted {
    pub fn get(&self) -> Option<&Calls> {
        self.calls.get()
    }

    /// None as long as it has entered no tenant.
    pub fn by(&self) -> Option<By> {
        self.by.get().copied()
    }

    pub(super) fn enter(&self, entered: &Entered) {
        let _entered_before = self.by.set(By { tenant_id: entered.tenant_id, actor_id: entered.actor_id });
    }

    pub(super) fn set(&self, calls: Option<Calls>) {
        if let Some(calls) = calls {
            let _counted_before = self.calls.set(calls);
        }
    }

    /// The argument of `app.count_call` for the next entry.
    pub(super) fn next(&self, action: Action) -> Option<&'static str> {
        self.get().is_none().then(|| quota(action))
    }
}
