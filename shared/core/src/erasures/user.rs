//! A user goes: out of every carrier, and out of what these have written down, where nobody stands for them from then on.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{BATCH, Erased, Eraser};
use crate::base::error::Result;
use crate::base::ids::{TenantId, UserId};
use crate::realtime::nudge;

/// Tables that may be large, and are walked by the id. The audit log is the last: it has what the others' changes have left.
const WALKED: [&str; 7] = ["orders", "trips", "documents", "executions", "status_history", "trip_history", "audit_log"];
/// Rows that are looked at in one transaction.
const PAGE: i32 = 10_000;

impl Eraser<'_> {
    /// # Errors
    /// [`Error::Unavailable`](crate::base::error::Error::Unavailable) when the database is: all can be done again.
    pub async fn erase_user(&self, id: UserId) -> Result<Erased> {
        while let Some(tenant) = self.next_carrier(id).await? {
            if self.leave_carrier(id, tenant).await? == Erased::InPart {
                return Ok(Erased::InPart);
            }
            nudge::send(self.nudges, BTreeSet::from([tenant])).await;
        }
        let (is_gone,): (bool,) = self
            .db
            .fetch_one(|sql| {
                sql.push("SELECT app.delete_erased(").push_bind(id).push(")");
            })
            .await?;
        if is_gone {
            tracing::info!("a user was erased");
        }
        Ok(Erased::Completely)
    }

    /// Whoever was forgotten by a carrier is not found there any more.
    async fn next_carrier(&self, id: UserId) -> Result<Option<TenantId>> {
        let carriers: Vec<(TenantId,)> = self
            .db
            .fetch_all(|sql| {
                sql.push("SELECT tenant_id FROM app.carriers_of_erased(").push_bind(id).push(", 1)");
            })
            .await?;
        Ok(carriers.into_iter().next().map(|(tenant,)| tenant))
    }

    async fn leave_carrier(&self, id: UserId, tenant: TenantId) -> Result<Erased> {
        loop {
            let (orders,): (i64,) = self
                .db
                .fetch_one(|sql| {
                    sql.push("SELECT app.remove_erased(").push_bind(id).push(", ").push_bind(tenant);
                    // Each changes all indexes of its order.
                    sql.push(", ").push_bind(BATCH / 10).push(")");
                })
                .await?;
            if orders == 0 {
                break;
            }
            if self.is_late() {
                return Ok(Erased::InPart);
            }
        }
        for table in WALKED {
            let mut after = Uuid::nil();
            loop {
                let (last,): (Option<Uuid>,) = self
                    .db
                    .fetch_one(|sql| {
                        sql.push("SELECT app.forget_in(").push_bind(id).push(", ").push_bind(tenant).push(", ");
                        sql.push_bind(table).push(", ").push_bind(after).push(", ").push_bind(PAGE).push(")");
                    })
                    .await?;
                let Some(last) = last else { break };
                after = last;
                if self.is_late() {
                    return Ok(Erased::InPart);
                }
            }
        }
        self.db
            .fetch_all::<()>(|sql| {
                sql.push("SELECT FROM app.forget_rest(").push_bind(id).push(", ").push_bind(tenant).push(")");
            })
            .await?;
        Ok(Erased::Completely)
    }
}
