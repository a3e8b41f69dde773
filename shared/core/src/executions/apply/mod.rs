//! Applying a proposal: by the person who applies it, through the operations that this person could call, with their
//! permissions as they are now. The database marks the execution first and takes that back with whatever refuses the rest,
//! so that it is applied once, however often and however concurrently it is asked for.

mod assign;
mod order;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

use self::order::Found;
use super::review::{require, seen};
use super::{Execution, ExecutionId, Review};
use crate::base::error::{Error, FieldError, Result};
use crate::drivers::DriverId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::orders::OrderId;
use crate::platform::db::{Db, Resource, Tx};
use crate::platform::idempotency::IdempotencyKey;
use crate::skills::Kind;
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// How a proposal is applied.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// For a drafted order: members of the new order that shall be other than drafted, or that the draft lacks, as a merge
    /// patch of what `POST /v1/orders` takes.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"transport_type": "open"}))]
    pub changes: Map<String, Value>,
    /// For a drafted order: makes it although an order that is under way looks like it.
    #[serde(default)]
    pub allow_duplicates: bool,
    /// For a drafted order: makes it although the check digit of a VIN does not fit, its price is zero, or the vehicles'
    /// prices do not come to it, and `changes` do not mend that.
    #[serde(default)]
    pub allow_warnings: bool,
    /// For a match: another of the drivers that it names than the first.
    pub driver_id: Option<DriverId>,
    /// For a match: another truck than the driver drove last.
    pub truck_id: Option<TruckId>,
    /// For a match: another trailer than the driver drove last.
    pub trailer_id: Option<TrailerId>,
}

/// An execution that is being applied.
pub struct Applying {
    execution: Execution,
    /// None: somebody has applied it before.
    now: Option<Found>,
    order_id: OrderId,
}

/// Opens a transaction in which the execution is applied, if it can be, and all that it names is locked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; those of [`Db::begin`].
pub async fn begin_apply(
    db: &Db,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    id: ExecutionId,
    version: Option<i64>,
) -> Result<(Tx, Applying)> {
    let order_id = OrderId::new();
    let this = format!("t.tenant_id = app.tenant_id() AND t.id = '{id}'");
    // Rows are locked before anything of them is read.
    let load = format!(
        "SELECT 1 FROM executions t WHERE {this} FOR UPDATE; \
         SELECT 1 FROM orders o WHERE o.tenant_id = app.tenant_id() AND o.id IN (SELECT unnest(t.target_ids) FROM executions t \
         WHERE {this}) ORDER BY o.id FOR UPDATE; \
         UPDATE executions t SET review = 'applied', reviewed_by = app.actor_id(), reviewed_at = now(), \
         applied_order_ids = CASE WHEN t.kind = 'extract_order' THEN ARRAY['{order_id}'::uuid] ELSE t.target_ids END \
         WHERE {this} AND t.review IN ('pending', 'approved'){version}; \
         SELECT {columns}, coalesce(t.review = 'applied' AND t.reviewed_at = now(), false) AS applied_now, {found} \
         FROM executions t WHERE {this}",
        version = version.map_or(String::new(), |version| format!(" AND t.version = {version}")),
        columns = Execution::COLUMNS,
        found = order::FOUND.as_str(),
    );
    let loaded = db.begin_loading(actor, Action::ExecutionsReview, key, Some(&load)).await?;
    let row = loaded.rows.first().ok_or(Error::NotFound(Execution::NAME))?;
    let read = |row: &PgRow| -> Result<_, sqlx::Error> {
        let applied_now: bool = sqlx::Row::try_get(row, "applied_now")?;
        let found = if applied_now { Some(Found::from_row(row)?) } else { None };
        Ok((Execution::from_row(row)?, found))
    };
    let (execution, now) = read(row).map_err(Error::internal)?;
    if now.is_none() && execution.review != Some(Review::Applied) {
        let execution = seen(Some(execution), version)?;
        require(&execution, Review::Applied)?;
        return Err(Error::internal("a proposal that can be applied was not"));
    }
    Ok((loaded.tx, Applying { execution, now, order_id }))
}

/// Does what was proposed. Once it was applied, nothing more happens.
///
/// # Errors
/// What the operation itself refuses, with the pointer of what the caller said; [`Error::Forbidden`] for who may not do
/// that; a conflict when what it is about has changed, or a draft looks like an order that is under way.
pub async fn apply(tx: &mut Tx, applying: Applying, how: Application, now: DateTime<Utc>) -> Result<Execution> {
    let Applying { execution, now: found, order_id } = applying;
    let Some(found) = found else { return Ok(execution) };
    match execution.kind {
        Kind::ExtractOrder => {
            tx.entered.grant.require(Action::OrdersWrite)?;
            let new = order::new_order(&execution, &found, how, &tx.entered.currency)?;
            crate::orders::create_as(tx, order_id, new).await.map_err(below_changes)?;
        }
        Kind::MatchDriver => {
            tx.entered.grant.require(Action::OrdersDispatch)?;
            assign::assign(tx, &execution, &found, &how, now).await?;
        }
        Kind::DraftMessage | Kind::AuditBilling | Kind::Custom => require(&execution, Review::Applied)?,
    }
    Ok(execution)
}

/// The caller has said the fields of the order as changes of the draft.
fn below_changes(error: Error) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let below = |field: FieldError| FieldError { pointer: format!("/changes{}", field.pointer), detail: field.detail };
    Error::Invalid(fields.into_iter().map(below).collect())
}
