//! An example of every operation of the API document: one that succeeds in a carrier of one's own. Where a body or a filter
//! names a thing of the carrier, it says `$` and where such things come from: `$customers` is the id of a row of
//! `/v1/customers`. `$word` is a word that no other carrier uses, `$word provider`
//! a provider for which the carrier has no key yet.

use carhaul_testkit::ModelServer;
use serde_json::{Value, json};

use crate::support::ORIGIN;

pub struct Example {
    pub operation: &'static str,
    pub body: Value,
    pub query: &'static str,
    /// Operations on the same order that come first.
    pub after: &'static [&'static str],
    /// False for what cannot succeed without something that only another person has.
    pub succeeds: bool,
}

impl Example {
    fn new(operation: &'static str, body: Value) -> Self {
        Self { operation, body, query: "", after: &[], succeeds: true }
    }

    fn after(mut self, operations: &'static [&'static str]) -> Self {
        self.after = operations;
        self
    }

    fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }
}

/// Query parameters that name a thing of the carrier, as operation, parameter, and where such things come from.
pub const FILTERS: &[(&str, &str, &str)] = &[
    ("list_executions", "batch", "batches"),
    ("list_executions", "skill", "skills"),
    ("list_orders", "customer", "customers"),
    ("list_orders", "custom_status", "custom-statuses"),
    ("list_orders", "dispatcher", "members"),
    ("list_orders", "driver", "drivers"),
    ("list_orders", "tag", "tags"),
    ("list_orders", "trip", "trips"),
    ("list_orders", "truck", "trucks"),
    ("list_trips", "driver", "drivers"),
    ("list_trips", "trailer", "trailers"),
    ("list_trips", "truck", "trucks"),
];

pub fn examples() -> Vec<Example> {
    let nothing = |operation| Example::new(operation, Value::Null);
    let empty = |operation| Example::new(operation, json!({}));
    vec![
        nothing("get_health"),
        nothing("get_docs"),
        nothing("get_api_document"),
        nothing("get_me"),
        // The tenant and who works for it.
        Example::new("create_tenant", json!({"name": "$word", "time_zone": "America/Chicago"})),
        nothing("get_tenant"),
        Example::new("update_tenant", json!({"name": "$word"})),
        nothing("delete_tenant").query("confirm=Carrier"),
        // Its owner is the last one.
        Example { succeeds: false, ..nothing("delete_me") },
        nothing("list_exports"),
        empty("create_export"),
        nothing("get_export"),
        nothing("download_export"),
        nothing("get_usage"),
        nothing("get_billing"),
        nothing("list_billing_prices"),
        nothing("list_billing_invoices"),
        nothing("list_billing_events"),
        Example::new(
            "create_checkout_session",
            json!({"price": "STARTER_MONTHLY", "success_url": ORIGIN, "cancel_url": ORIGIN}),
        ),
        Example::new("create_portal_session", json!({"return_url": ORIGIN})),
        nothing("list_members"),
        nothing("get_member"),
        Example::new("update_member", json!({"name": "$word"})),
        nothing("delete_member"),
        nothing("list_invitations"),
        Example::new("create_invitation", json!({"email": "$word@example.com", "role": "driver"})),
        nothing("get_invitation"),
        nothing("delete_invitation"),
        Example { succeeds: false, ..Example::new("accept_invitation", json!({"token": "$word"})) },
        nothing("list_api_keys"),
        Example::new("create_api_key", json!({"name": "$word", "scopes": ["orders:read", "orders:write"]})),
        nothing("get_api_key"),
        nothing("revoke_api_key"),
        nothing("list_provider_keys"),
        Example::new("create_provider_key", json!({"provider": "$word provider", "key": ModelServer::KEY})),
        nothing("get_provider_key"),
        Example::new("rotate_provider_key", json!({"key": ModelServer::KEY})),
        nothing("delete_provider_key"),
        // The carrier's own words.
        nothing("list_cancel_reasons"),
        Example::new("create_cancel_reason", json!({"label": "$word"})),
        nothing("get_cancel_reason"),
        Example::new("update_cancel_reason", json!({"label": "$word"})),
        nothing("delete_cancel_reason"),
        nothing("list_custom_statuses"),
        Example::new(
            "create_custom_status",
            json!({"label": "$word", "color": "#2b8a3e", "system_status": "assigned"}),
        ),
        nothing("get_custom_status"),
        Example::new("update_custom_status", json!({"label": "$word"})),
        nothing("delete_custom_status"),
        nothing("list_expense_categories"),
        Example::new("create_expense_category", json!({"name": "$word"})),
        nothing("get_expense_category"),
        Example::new("update_expense_category", json!({"name": "$word"})),
        nothing("delete_expense_category"),
        nothing("list_tags"),
        Example::new("create_tag", json!({"name": "$word", "color": "#2b8a3e"})),
        nothing("get_tag"),
        Example::new("update_tag", json!({"name": "$word"})),
        nothing("delete_tag"),
        nothing("get_notification_preferences"),
        Example::new("replace_notification_preferences", json!({"preferences": []})),
        nothing("list_number_sequences"),
        nothing("get_number_sequence"),
        Example::new("update_number_sequence", json!({"next_number": 500})),
        nothing("list_events"),
        empty("create_realtime_ticket"),
        // Customers and the fleet.
        nothing("list_customers"),
        Example::new("create_customer", json!({"type": "broker", "name": "$word"})),
        nothing("get_customer"),
        Example::new("update_customer", json!({"notes": "$word"})),
        nothing("delete_customer"),
        nothing("list_locations"),
        Example::new(
            "create_location",
            json!({"type": "auction", "name": "$word", "address": "1 Auction Way", "city": "Lexington", "state": "KY",
                "zip": "40511", "time_zone": "America/New_York"}),
        ),
        nothing("get_location"),
        Example::new("update_location", json!({"notes": "$word"})),
        nothing("delete_location"),
        nothing("list_trucks"),
        Example::new("create_truck", json!({"unit_number": "$word", "capacity": 3})),
        nothing("get_truck"),
        Example::new("update_truck", json!({"notes": "$word"})),
        nothing("delete_truck"),
        nothing("list_trailers"),
        Example::new("create_trailer", json!({"unit_number": "$word", "capacity": 6})),
        nothing("get_trailer"),
        Example::new("update_trailer", json!({"notes": "$word"})),
        nothing("delete_trailer"),
        nothing("list_drivers"),
        Example::new("create_driver", json!({"name": "$word", "user_id": "$newcomers"})),
        nothing("get_driver"),
        Example::new("update_driver", json!({"notes": "$word", "user_id": "$newcomers"})),
        nothing("delete_driver"),
        // Skills and what they are run on.
        nothing("list_skills"),
        Example::new("create_skill", json!({"name": "$word", "based_on": "extract_order"})),
        nothing("get_skill"),
        Example::new("update_skill", json!({"description": "$word"})),
        nothing("delete_skill"),
        nothing("list_skill_versions"),
        nothing("get_skill_version"),
        Example::new("test_skill", json!({"input": {"text": "$word"}})),
        nothing("list_executions"),
        Example::new("create_execution", json!({"skill": "$skills", "input": {"text": "Load ID: $word"}})),
        Example::new(
            "create_execution_batch",
            json!({"executions": [{"skill": "$skills", "input": {"text": "$word"}}]}),
        ),
        nothing("get_execution"),
        empty("cancel_execution"),
        empty("approve_execution"),
        empty("reject_execution"),
        Example::new(
            "apply_execution",
            json!({"changes": {
                "customer_id": "$customers", "transport_type": "open",
                "pickup": {"location_id": "$locations", "from": "2030-03-09T09:00:00Z", "to": "2030-03-09T17:00:00Z"},
                "delivery": {"location_id": "$locations", "from": "2030-03-12T09:00:00Z", "to": "2030-03-12T17:00:00Z"}
            }}),
        ),
        // Of a match.
        Example::new(
            "apply_execution",
            json!({"driver_id": "$drivers", "truck_id": "$trucks", "trailer_id": "$trailers"}),
        ),
        // Orders.
        nothing("list_orders")
            .query("include=vehicles&include=tags&include=customer&include=driver&include=trip&include=counts"),
        Example::new(
            "create_order",
            json!({
                "customer_id": "$customers", "transport_type": "open", "reference": "$word",
                "dispatcher_id": "$members", "tag_ids": ["$tags"],
                "pickup": {"location_id": "$locations", "from": "2030-03-09T09:00:00Z", "to": "2030-03-09T17:00:00Z"},
                "delivery": {"location_id": "$locations", "from": "2030-03-12T09:00:00Z", "to": "2030-03-12T17:00:00Z"},
                "vehicles": [{"lot_number": "$word"}, {"lot_number": "$word"}]
            }),
        ),
        nothing("get_order"),
        Example::new(
            "update_order",
            json!({
                "customer_id": "$customers", "notes": "$word", "dispatcher_id": "$members", "tag_ids": ["$tags"],
                "custom_status_id": "$custom-statuses",
                "pickup": {"location_id": "$locations"}, "delivery": {"location_id": "$locations"}
            }),
        ),
        nothing("list_order_history"),
        Example::new(
            "assign_order",
            json!({"driver_id": "$drivers", "truck_id": "$trucks", "trailer_id": "$trailers"}),
        )
        .after(&["take_order_off_trip"]),
        empty("unassign_order").after(&["take_order_off_trip", "assign_order"]),
        empty("pick_up_order"),
        empty("depart_order").after(&["pick_up_order"]),
        empty("deliver_order").after(&["pick_up_order"]),
        Example::new("cancel_order", json!({"reason_id": "$cancel-reasons"})),
        empty("hold_order"),
        empty("release_order").after(&["hold_order"]),
        empty("archive_order").after(&["cancel_order"]),
        empty("unarchive_order").after(&["cancel_order", "archive_order"]),
        Example::new(
            "bulk_orders",
            json!({"order_ids": ["$orders"], "action": {"type": "assign", "driver_id": "$drivers",
                "truck_id": "$trucks", "trailer_id": "$trailers"}}),
        )
        .after(&["take_order_off_trip"]),
        Example::new(
            "bulk_orders",
            json!({"order_ids": ["$orders"], "action": {"type": "cancel", "reason_id": "$cancel-reasons"}}),
        ),
        nothing("list_order_vehicles"),
        Example::new("create_order_vehicle", json!({"lot_number": "$word"})),
        nothing("get_order_vehicle"),
        Example::new("update_order_vehicle", json!({"lot_number": "$word"})),
        nothing("delete_order_vehicle"),
        empty("pick_up_order_vehicle"),
        empty("deliver_order_vehicle").after(&["pick_up_order"]),
        empty("depart_order_vehicle").after(&["pick_up_order"]),
        empty("hold_order_vehicle"),
        empty("release_order_vehicle").after(&["hold_order_vehicle"]),
        Example::new("split_order", json!({"vehicle_ids": ["$vehicles"], "note": "$word"})),
        Example::new("cancel_order_vehicle", json!({"reason_id": "$cancel-reasons"})),
        // Documents.
        nothing("list_order_documents"),
        Example::new(
            "create_order_document",
            json!({"kind": "photo", "file_name": "$word", "content_type": "image/jpeg", "size": 48213,
                "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "vehicle_id": "$vehicles"}),
        ),
        nothing("get_document"),
        nothing("download_document"),
        nothing("delete_document"),
        // Trips.
        nothing("list_trips").query("include=stops&include=orders&include=driver&include=truck&include=trailer"),
        Example::new(
            "create_trip",
            json!({
                "driver_id": "$drivers", "truck_id": "$trucks", "trailer_id": "$trailers", "order_ids": ["$orders"],
                "stops": [{"kind": "pickup", "order_id": "$orders", "location_id": "$locations"}], "notes": "$word"
            }),
        )
        .after(&["take_order_off_trip"]),
        nothing("get_trip"),
        Example::new(
            "update_trip",
            json!({
                "driver_id": "$drivers", "truck_id": "$trucks", "trailer_id": "$trailers", "notes": "$word",
                "stops": [{"id": "$stops", "order_id": "$orders", "location_id": "$locations"}]
            }),
        ),
        nothing("delete_trip").after(&["take_order_off_trip"]),
        nothing("list_trip_history"),
        Example::new("put_orders_on_trip", json!({"order_ids": ["$orders"]})).after(&["take_order_off_trip"]),
        nothing("take_order_off_trip"),
        empty("ready_trip"),
        empty("reopen_trip").after(&["ready_trip"]),
        empty("start_trip").after(&["ready_trip"]),
        empty("deliver_trip").after(&["ready_trip", "start_trip", "pick_up_order", "deliver_order"]),
        empty("complete_trip").after(&["ready_trip", "start_trip", "pick_up_order", "deliver_order", "deliver_trip"]),
        Example::new("cancel_trip", json!({"reason_id": "$cancel-reasons"})),
        empty("arrive_at_trip_stop").after(&["ready_trip"]),
        Example::new("correct_trip_stop", json!({"arrived_at": "2026-01-05T08:00:00Z", "note": "$word"}))
            .after(&["ready_trip", "arrive_at_trip_stop"]),
        Example::new(
            "relay_trip",
            json!({"driver_id": "$drivers", "truck_id": "$trucks", "trailer_id": "$trailers", "reason": "$word"}),
        ),
        empty("depart_from_trip_stop").after(&["ready_trip", "arrive_at_trip_stop"]),
    ]
}
