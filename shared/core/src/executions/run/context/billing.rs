//! An order as it is to be billed.

use serde_json::Value;

use super::{About, Context, Found, orders, read, targets};
use crate::base::error::{Error, Result};
use crate::platform::db::SystemTx;
use crate::skills::rules::audit_billing::{Asked, OrderFacts};

/// What was collected on delivery is recorded nowhere yet.
const FACTS: &str = "json_build_object('status', t.status, 'billing_status', t.billing_status, 'on_hold', t.on_hold, \
    'price', t.price::text, 'broker_fee', t.broker_fee::text, 'cod_amount', t.cod_amount::text, 'cod_collected', NULL, \
    'payment_method', t.payment_method, 'payment_term', t.payment_term, 'has_pod', t.has_pod, 'reference', t.reference, \
    'customer_email', (SELECT c.email FROM customers c WHERE c.tenant_id = t.tenant_id AND c.id = t.customer_id), \
    'customer_address', (SELECT c.address FROM customers c WHERE c.tenant_id = t.tenant_id AND c.id = t.customer_id), \
    'pickup_to', t.pickup_to, 'delivery_to', t.delivery_to, \
    'vehicles', (SELECT coalesce(json_agg(json_build_object('status', v.status, 'vin', v.vin, 'vin_override', v.vin_override, \
        'price', v.price::text, 'picked_up_at', v.picked_up_at, 'delivered_at', v.delivered_at) ORDER BY v.position), '[]') \
        FROM order_vehicles v WHERE v.tenant_id = t.tenant_id AND v.order_id = t.id))";

pub async fn load(tx: &mut SystemTx, input: &Value) -> Result<Found<Context>> {
    let Asked { order_id } = match read(input) {
        Ok(asked) => asked,
        Err(failed) => return Ok(Err(failed)),
    };
    let rows = match orders(tx, FACTS, &[order_id], "/order_id").await? {
        Ok(rows) => rows,
        Err(failed) => return Ok(Err(failed)),
    };
    let targets = targets(&rows);
    let facts = rows.into_iter().next().map(|row| row.facts.0).unwrap_or_default();
    let order: OrderFacts = serde_json::from_value(facts).map_err(Error::internal)?;
    Ok(Ok(Context { targets, about: About::Billing(Box::new(order)) }))
}
