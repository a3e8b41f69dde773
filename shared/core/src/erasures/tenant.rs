//! A carrier goes: first its objects, then what Stripe knows of it, then its rows, and at last, when no upload of before can end
//! any more, objects that have come since.

use super::{BATCH, Erased, Eraser};
use crate::base::error::Result;
use crate::base::ids::TenantId;
use crate::documents::UPLOAD_LIFE;

impl Eraser<'_> {
    /// # Errors
    /// [`Error::Unavailable`](crate::base::error::Error::Unavailable) when the database, the bucket or Stripe are: all can be done
    /// again.
    pub async fn erase_tenant(&self, id: TenantId) -> Result<Erased> {
        self.alone(id.0, self.erase_all_of(id)).await
    }

    async fn erase_all_of(&self, id: TenantId) -> Result<Erased> {
        if !self.bucket.delete_below(&format!("{id}/"), || self.is_late()).await? {
            return Ok(Erased::InPart);
        }
        self.leave_stripe(id).await?;
        loop {
            let tables: Vec<(String, i64)> = self
                .db
                .fetch_all(|sql| {
                    sql.push("SELECT table_name, erased FROM app.erase_rows(").push_bind(id);
                    sql.push(", ").push_bind(BATCH).push(", make_interval(secs => ");
                    sql.push_bind(UPLOAD_LIFE.as_secs_f64()).push("))");
                })
                .await?;
            if tables.is_empty() {
                break;
            }
            if tables.iter().any(|(table, _)| table == "tenants") {
                tracing::info!(tenant_id = %id, "a carrier was erased");
            }
            if self.is_late() {
                return Ok(Erased::InPart);
            }
        }
        self.db
            .fetch_all::<()>(|sql| {
                sql.push("SELECT FROM app.record_last_look(").push_bind(id).push(")");
            })
            .await?;
        Ok(Erased::Completely)
    }

    /// Its customers are deleted there as well, which ends whatever was subscribed behind our back.
    async fn leave_stripe(&self, id: TenantId) -> Result<()> {
        let Some(stripe) = self.stripe else { return Ok(()) };
        let customers: Vec<(String,)> = self
            .db
            .fetch_all(|sql| {
                sql.push("SELECT id FROM app.customers_to_erase(").push_bind(id).push(")");
            })
            .await?;
        for (customer,) in customers {
            stripe.delete_customer(&customer).await?;
        }
        Ok(())
    }
}
