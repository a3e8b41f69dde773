//! A user goes: out of every carrier, and out of what these have written down, where nobody stands for them from then on.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{BATCH, Erased, Eraser};
use crate::base::error::Result;
use crate::base::ids::{TenantId, UserId};
use crate::realtime::nudge;

/// Tables that may be large, and are walked by the id. The audit log is the last: it has what the others' changes have left.
const WALKED: [&str; 7] = ["orders", "trips", "documents", "executions", "status_history", "trip_history", "audit_log"];
/// Rows that are looked at in one transaction. Of some the whole text is searched, and all may have to be changed.
const PAGE: i32 = 1_000;

impl Eraser<'_> {
    /// # Errors
    /// [`Error::Unavailable`](crate::base::error::Error::Unavailable) when the database is: all can be done again.
    pub async fn erase_user(&self, id: UserId) -> Result<Erased> {
        self.alone(id.0, self.forget_everywhere(id)).await
    }

    async fn forget_everywhere(&self, id: UserId) -> Result<Erased> {
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
        let (begun, mut after) = self.forgotten_in(id, tenant).await?;
        for table in &WALKED[begun..] {
            loop {
                let (last,): (Option<Uuid>,) = self
                    .db
                    .fetch_one(|sql| {
                        sql.push("SELECT app.forget_in(").push_bind(id).push(", ").push_bind(tenant).push(", ");
                        sql.push_bind(*table).push(", ").push_bind(after).push(", ").push_bind(PAGE).push(")");
                    })
                    .await?;
                let Some(last) = last else { break };
                after = last;
                if self.is_late() {
                    return Ok(Erased::InPart);
                }
            }
            after = Uuid::nil();
        }
        self.db
            .fetch_all::<()>(|sql| {
                sql.push("SELECT FROM app.forget_last(").push_bind(id).push(", ").push_bind(tenant).push(")");
            })
            .await?;
        Ok(Erased::Completely)
    }

    /// Where a run before this one has come to: the index of the table, and the last row of it that is done.
    async fn forgotten_in(&self, id: UserId, tenant: TenantId) -> Result<(usize, Uuid)> {
        let forgotten: Vec<(String, Uuid)> = self
            .db
            .fetch_all(|sql| {
                sql.push("SELECT table_name, after_id FROM app.forgotten_in(")
                    .push_bind(id)
                    .push(", ")
                    .push_bind(tenant);
                sql.push(")");
            })
            .await?;
        let Some((table, after)) = forgotten.into_iter().next() else { return Ok((0, Uuid::nil())) };
        // A table that is walked no more says nothing of the others.
        let begun = WALKED.iter().position(|walked| *walked == table);
        Ok(begun.map_or((0, Uuid::nil()), |begun| (begun, after)))
    }
}
