//! A nudge: there may be something to push for this carrier. It may come twice, late or for nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::platform::db::Db;
use crate::platform::queue::Queue;

/// Whoever has changed something waits for no longer than this; housekeeping finds what was not sent.
const DEADLINE: Duration = Duration::from_secs(1);
/// After so many looks in vain (about a minute) it is left to housekeeping.
const MOST_LOOKS: u8 = 10;

/// The message of the realtime queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    pub tenant_id: TenantId,
    /// How often it was put off already.
    #[serde(default)]
    pub looks: u8,
}

impl Nudge {
    pub fn new(tenant_id: TenantId) -> Self {
        Self { tenant_id, looks: 0 }
    }

    /// Looks again in a second, then less and less often.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the queue cannot be reached.
    pub async fn put_off(self, queue: &Queue) -> Result<()> {
        if self.looks >= MOST_LOOKS {
            return Ok(());
        }
        let looks = self.looks + 1;
        queue.send_in(Duration::from_secs(looks.into()), &Self { looks, ..self }).await
    }
}

/// Nudges for carriers whose changes have been committed. Fails silently: whoever made the change must not suffer.
pub async fn send(queue: &Queue, tenants: BTreeSet<TenantId>) {
    for tenant in tenants {
        // Why the queue was not reached, it has logged itself.
        if !matches!(tokio::time::timeout(DEADLINE, queue.send(&Nudge::new(tenant))).await, Ok(Ok(()))) {
            tracing::warn!(tenant_id = %tenant, "not nudged: housekeeping will push");
        }
    }
}

/// Carriers to whose connections something is due that nobody is about to push.
pub async fn forgotten(db: &Db, limit: i32) -> Result<Vec<TenantId>> {
    let rows = db
        .fetch(|sql| {
            sql.push("SELECT tenant_id FROM app.forgotten_pushes(").push_bind(limit).push(")");
        })
        .await?;
    rows.iter().map(|row| row.try_get("tenant_id")).collect::<Result<_, _>>().map_err(Error::internal)
}
