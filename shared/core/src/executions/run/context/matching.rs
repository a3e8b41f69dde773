//! Drivers for orders: who there is, what they drive, what else they have to do.

use serde_json::Value;
use sqlx::types::Json;

use super::{About, Context, Found, orders, read, targets};
use crate::base::error::{Error, Result};
use crate::executions::run::answer::Failed;
use crate::hauling::rows::{self, ASSIGNMENT};
use crate::hauling::{Candidate, Load};
use crate::platform::db::{Sql, SystemTx};
use crate::skills::rules::match_driver::{Asked, Input};

/// What one driver can haul together.
const MOST_ORDERS: usize = 12;

pub async fn load(tx: &mut SystemTx, input: &Value) -> Result<Found<Context>> {
    let Asked { mut order_ids } = match read(input) {
        Ok(asked) => asked,
        Err(failed) => return Ok(Err(failed)),
    };
    order_ids.dedup();
    if order_ids.len() > MOST_ORDERS {
        let detail = format!("/order_ids: one driver hauls at most {MOST_ORDERS} orders together");
        return Ok(Err(Failed::for_good("bad_input", detail)));
    }
    let rows = match orders(tx, &rows::load("t", "v.status <> 'cancelled'"), &order_ids, "/order_ids").await? {
        Ok(rows) => rows,
        Err(failed) => return Ok(Err(failed)),
    };
    let targets = targets(&rows);
    let parse = |row: super::Facts| serde_json::from_value(row.facts.0);
    let orders = rows.into_iter().map(parse).collect::<Result<Vec<Load>, _>>().map_err(Error::internal)?;
    let drivers = candidates(tx, &orders).await?;
    Ok(Ok(Context { targets, about: About::Match(Input { orders, drivers }) }))
}

/// Who works for the carrier now, with the truck and trailer of their latest order.
async fn candidates(tx: &mut SystemTx, loads: &[Load]) -> Result<Vec<Candidate>> {
    let ids: Vec<_> = loads.iter().map(|load| load.id).collect();
    let customers: Vec<_> = loads.iter().map(|load| load.customer_id).collect();
    let mut sql = Sql::new("SELECT json_build_object('id', d.id, 'name', d.name, 'archived', false, ");
    sql.push("'licence_expires_on', d.licence_expires_on, 'medical_card_expires_on', d.medical_card_expires_on, ");
    sql.push("'twic_expires_on', d.twic_expires_on, ");
    for (unit, table) in [("truck", "trucks"), ("trailer", "trailers")] {
        sql.push(format_args!(
            "'{unit}', (SELECT {} FROM {table} k WHERE k.tenant_id = d.tenant_id AND k.id = last.{unit}_id \
             AND k.archived_at IS NULL), ",
            rows::UNIT
        ));
    }
    let of_driver = "FROM orders o WHERE o.tenant_id = d.tenant_id AND o.driver_id = d.id";
    sql.push(format_args!(
        "'assignments', (SELECT coalesce(json_agg(x.a), '[]') FROM ((SELECT {ASSIGNMENT} {of_driver} \
         AND o.status IN ('assigned', 'picked_up', 'in_transit') AND o.id <> ALL ("
    ));
    sql.push_bind(ids).push(format_args!(
        ") ORDER BY o.id DESC LIMIT 50) UNION ALL (SELECT {ASSIGNMENT} {of_driver} AND o.status = 'delivered' \
         ORDER BY o.id DESC LIMIT 1)) x), 'delivered_for_customer', (SELECT count(*) FROM (SELECT 1 {of_driver} \
         AND o.status = 'delivered' AND o.customer_id = ANY ("
    ));
    sql.push_bind(customers).push(format_args!(
        ") LIMIT 100) known)) AS facts FROM drivers d LEFT JOIN LATERAL (SELECT o.truck_id, o.trailer_id {of_driver} \
         AND o.truck_id IS NOT NULL ORDER BY o.id DESC LIMIT 1) last ON true \
         WHERE d.tenant_id = app.tenant_id() AND d.archived_at IS NULL ORDER BY d.id LIMIT 200"
    ));
    let rows: Vec<(Json<Value>,)> = tx.fetch_all(sql).await?;
    rows.into_iter().map(|(facts,)| serde_json::from_value(facts.0)).collect::<Result<_, _>>().map_err(Error::internal)
}
