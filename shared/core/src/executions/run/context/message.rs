//! A message about an order: the facts that it may use.

use serde_json::{Value, json};

use super::{About, Context, Found, orders, read, targets};
use crate::base::error::Result;
use crate::executions::run::answer::Failed;
use crate::platform::db::SystemTx;
use crate::skills::rules::draft_message::{Asked, Input, Intent};

/// When a stop happened is when its last vehicle was there, on the stop's own clocks.
const FACTS: &str = "json_build_object('sender', (SELECT n.name FROM tenants n WHERE n.id = t.tenant_id), \
    'recipient', (SELECT coalesce(c.contact_name, c.name) FROM customers c WHERE c.tenant_id = t.tenant_id AND c.id = t.customer_id), \
    'price', t.price::text, 'order', json_build_object('number', t.number, 'reference', t.reference, \
    'pickup', json_build_object('city', t.pickup_city, 'state', t.pickup_state), \
    'delivery', json_build_object('city', t.delivery_city, 'state', t.delivery_state), 'currency', t.currency, \
    'picked_up_at', (SELECT max(v.picked_up_at) AT TIME ZONE t.pickup_time_zone FROM order_vehicles v \
        WHERE v.tenant_id = t.tenant_id AND v.order_id = t.id AND t.status IN ('picked_up', 'in_transit', 'delivered')), \
    'delivered_at', (SELECT max(v.delivered_at) AT TIME ZONE t.delivery_time_zone FROM order_vehicles v \
        WHERE v.tenant_id = t.tenant_id AND v.order_id = t.id AND t.status = 'delivered'), \
    'vehicles', (SELECT coalesce(json_agg(json_build_object('year', v.year, 'make', v.make, 'model', v.model, 'vin', v.vin) \
        ORDER BY v.position), '[]') FROM order_vehicles v WHERE v.tenant_id = t.tenant_id AND v.order_id = t.id \
        AND v.status <> 'cancelled')))";

pub async fn load(tx: &mut SystemTx, input: &Value) -> Result<Found<Context>> {
    let asked: Asked = match read(input) {
        Ok(asked) => asked,
        Err(failed) => return Ok(Err(failed)),
    };
    let rows = match orders(tx, FACTS, &[asked.order_id], "/order_id").await? {
        Ok(rows) => rows,
        Err(failed) => return Ok(Err(failed)),
    };
    let targets = targets(&rows);
    let facts = rows.into_iter().next().map(|row| row.facts.0).unwrap_or_default();
    let is_reminder = asked.intent == Intent::PaymentReminder;
    let data = json!({
        "intent": asked.intent,
        "channel": asked.channel,
        "sender": facts["sender"],
        "recipient": asked.recipient.map_or_else(|| facts["recipient"].clone(), |name| json!(name)),
        "order": facts["order"],
        "eta": asked.eta,
        "reason": asked.reason,
        "amount_due": asked.amount_due.map_or_else(|| facts["price"].clone(), |amount| json!(amount)),
        "due_on": asked.due_on.filter(|_| is_reminder),
    });
    let data: Result<Input, _> = serde_json::from_value(data);
    // Texts of the order may be longer than a message can bear.
    Ok(data
        .map(|data| Context { targets, about: About::Message(Box::new(data)) })
        .map_err(|error| Failed::for_good("unfit", error.to_string())))
}
