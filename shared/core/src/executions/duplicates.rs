//! Orders that a draft may be a copy of: those that are under way with the same reference or one of its vehicles. What only
//! the database knows, and no model is asked.

use postgres_protocol::escape::escape_literal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;

use crate::base::error::Result;
use crate::orders::OrderId;
use crate::platform::db::{Sql, SystemTx};
use crate::skills::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub struct Duplicate {
    pub order_id: OrderId,
    pub number: i64,
    /// What the two have in common.
    pub reason: String,
}

/// A SELECT of at most ten, in the carrier that was entered. `reference` and `vins` are SQL, a text and an array of texts.
pub fn select(reference: &str, vins: &str) -> String {
    // Words of references are indexed, references are not.
    format!(
        "SELECT o.id AS order_id, o.number, CASE WHEN o.reference = w.reference THEN 'the same reference' \
         ELSE 'the same VIN' END AS reason FROM (SELECT {reference} AS reference, {vins} AS vins) w CROSS JOIN LATERAL ( \
         SELECT s.order_id FROM app.search_words(w.reference) AS word JOIN order_search_terms s \
         ON s.tenant_id = app.tenant_id() AND s.term = word \
         UNION SELECT v.order_id FROM order_vehicles v WHERE v.tenant_id = app.tenant_id() AND v.vin = ANY (w.vins)) near \
         JOIN orders o ON o.tenant_id = app.tenant_id() AND o.id = near.order_id \
         WHERE o.status NOT IN ('delivered', 'cancelled') AND o.archived_at IS NULL \
         AND (o.reference = w.reference OR EXISTS (SELECT 1 FROM order_vehicles v WHERE v.tenant_id = o.tenant_id \
         AND v.order_id = o.id AND v.vin = ANY (w.vins))) ORDER BY o.id DESC LIMIT 10"
    )
}

/// Fills them into the output of a skill that drafts orders.
pub async fn complete(tx: &mut SystemTx, kind: Kind, output: &mut Value) -> Result<()> {
    if kind != Kind::ExtractOrder {
        return Ok(());
    }
    let reference = output.pointer("/order/reference/value").and_then(Value::as_str);
    let reference = reference.map_or("NULL".to_owned(), escape_literal);
    let vehicles = output.pointer("/order/vehicles").and_then(Value::as_array).into_iter().flatten();
    let vins = vehicles.filter_map(|vehicle| vehicle.pointer("/vin/value").and_then(Value::as_str));
    let vins = vins.map(escape_literal).collect::<Vec<_>>().join(", ");
    let found = Sql::new(select(&format!("{reference}::text"), &format!("ARRAY[{vins}]::text[]")));
    let found: Vec<Duplicate> = tx.fetch_all(found).await?;
    output["possible_duplicates"] = serde_json::to_value(found).map_err(crate::base::error::Error::internal)?;
    Ok(())
}
