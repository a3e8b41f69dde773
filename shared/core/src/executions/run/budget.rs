//! The month's budget, held for an attempt before a model is asked: executions that run at the same time do not spend it
//! twice. What was held is given back when the attempt ends, and with its lease if the worker dies.

use rust_decimal::Decimal;
use sqlx::Row;

use super::answer::Failed;
use super::claim::Claim;
use crate::base::error::{Error, Result};
use crate::platform::db::Db;

/// Holds what the attempt has cost so far and may still cost.
///
/// # Errors
/// The budget does not have so much left, or others hold it, which passes.
pub async fn reserve(db: &Db, claim: &Claim, amount: Decimal) -> std::result::Result<(), Failed> {
    let used_up = |detail| Failed::for_good("ai_budget_reached", detail);
    match ask(db, claim, amount).await.as_deref() {
        Ok("held") => Ok(()),
        Ok("later") => Err(Failed {
            // A carrier's own limit is nothing that an operator could mend.
            may_pass: claim.attempt < claim.max_attempts,
            ..used_up("what is left of this month's budget is held for executions that are running")
        }),
        Ok("superseded") => Err(Failed::for_good("superseded", "another attempt has begun")),
        Ok(_) => Err(used_up("it may cost more than what is left of this month's budget for model providers")),
        Err(error) => {
            tracing::error!(execution_id = %claim.id, %error, "no budget was reserved");
            Err(Failed::for_now("unavailable", "the database cannot be reached"))
        }
    }
}

async fn ask(db: &Db, claim: &Claim, amount: Decimal) -> Result<String> {
    let rows = db.fetch(|sql| {
        sql.push("SELECT app.reserve_cost(");
        sql.separated(", ").push_bind(claim.id).push_bind(claim.attempt).push_bind(amount);
        sql.push(") AS outcome");
    });
    let rows = rows.await?;
    rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get("outcome")).map_err(Error::internal)
}
