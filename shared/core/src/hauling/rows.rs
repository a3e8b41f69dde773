//! How the rows of orders, trucks and trailers are read for the rules.

/// A [`super::Load`] of an order of this alias, with those of its vehicles `v` that a condition holds for.
pub fn load(order: &str, vehicles: &str) -> String {
    let stop = |kind: &str| {
        format!(
            "json_build_object('place', json_build_object('city', {order}.{kind}_city, 'state', {order}.{kind}_state, \
             'zip', {order}.{kind}_zip), 'from', {order}.{kind}_from, 'to', {order}.{kind}_to, \
             'last_day', ({order}.{kind}_to AT TIME ZONE {order}.{kind}_time_zone)::date, \
             'twic_required', coalesce((SELECT l.twic_required FROM locations l WHERE l.tenant_id = {order}.tenant_id \
             AND l.id = {order}.{kind}_location_id), false))"
        )
    };
    format!(
        "json_build_object('id', {order}.id, 'number', {order}.number, 'customer_id', {order}.customer_id, \
         'transport_type', {order}.transport_type, 'pickup', {}, 'delivery', {}, \
         'vehicles', (SELECT coalesce(json_agg(json_build_object('id', v.id, 'weight_lbs', v.weight_lbs, \
         'is_inoperable', v.is_inoperable, 'on_hold', v.on_hold) ORDER BY v.position), '[]') FROM order_vehicles v \
         WHERE v.tenant_id = {order}.tenant_id AND v.order_id = {order}.id AND {vehicles}))",
        stop("pickup"),
        stop("delivery"),
    )
}

/// A [`super::Unit`] of a truck or trailer `k`.
pub const UNIT: &str = "json_build_object('unit_number', k.unit_number, 'capacity', k.capacity, \
    'max_weight_lbs', k.max_weight_lbs, 'enclosed', k.enclosed, 'has_winch', k.has_winch)";

/// An [`super::Assignment`] of an order `o` that a driver has to do, or did last.
pub const ASSIGNMENT: &str = "json_build_object('order_id', o.id, 'number', o.number, 'status', o.status, \
    'pickup_from', o.pickup_from, 'delivery_to', o.delivery_to, \
    'delivery', json_build_object('city', o.delivery_city, 'state', o.delivery_state, 'zip', o.delivery_zip), \
    'vehicles', (SELECT coalesce(json_agg(json_build_object('weight_lbs', v.weight_lbs, 'is_inoperable', v.is_inoperable)), '[]') \
        FROM order_vehicles v WHERE v.tenant_id = o.tenant_id AND v.order_id = o.id AND v.status <> 'cancelled')) AS a";
