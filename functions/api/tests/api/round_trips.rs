//! Round trips between the function and the database are the budget: one for a read, three for a write, none hidden, and
//! no more for many rows than for one.

use axum::http::Method;
use carhaul_testkit::{StripeServer, TripCounter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::orders;
use crate::support::{Client, ORIGIN, Reply, TestApp, a_customer, id, ids};

/// A client whose instance reaches the pooler over a wire that counts.
struct Counted {
    wire: TripCounter,
    client: Client,
}

impl Counted {
    async fn new(app: &TestApp, client: &Client) -> Self {
        let wire = TripCounter::start(app.database.pooler()).await;
        let options = app.database.options_at("carhaul_api", &wire.host(), wire.port());
        Self { wire, client: client.through(&app.instance_at(options)) }
    }

    /// The trips of a request, once an equal one has been made: each statement is known then, as on a warm instance.
    async fn trips(&self, status: u16, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> usize {
        let body = Some(body).filter(|body| !body.is_null());
        let reply = self.client.send(method, path, headers, body).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        let seen = self.wire.seen();
        self.wire.reset();
        assert_eq!(seen.connections, 0, "a warm instance keeps its connection");
        for statement in &seen.statements {
            assert!(!pins(statement), "RDS Proxy would keep the connection for this instance alone: {statement}");
        }
        seen.trips
    }

    async fn get(&self, path: &str) -> usize {
        self.trips(200, Method::GET, path, &[], Value::Null).await
    }

    async fn warm(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        let body = Some(body).filter(|body| !body.is_null());
        let reply = self.client.send(method, path, headers, body).await;
        self.wire.reset();
        reply
    }
}

/// Whether a statement leaves something behind in the session.
fn pins(statement: &str) -> bool {
    let statement = statement.to_lowercase();
    let words = ["set", "reset", "prepare", "deallocate", "discard", "listen", "declare", "lock"];
    let parts = statement.split(';').map(str::trim);
    parts.clone().any(|part| words.iter().any(|word| part.split_whitespace().next() == Some(word)))
        || ["set_config(", " temp ", "pg_advisory"].iter().any(|sign| statement.contains(sign))
        || statement.len() > 16 * 1024
}

/// Every resource that is listed, read, created, changed and deleted in the same way: its path, a body, a change.
fn resources() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("/v1/customers", a_customer(), json!({"notes": "pays late"})),
        (
            "/v1/locations",
            json!({"type": "dealer", "name": "Lot 7", "address": "1 Main St", "city": "Lexington", "state": "KY",
                   "zip": "40511", "time_zone": "America/New_York"}),
            json!({"notes": "ring twice"}),
        ),
        ("/v1/trucks", json!({"unit_number": "T1", "capacity": 1}), json!({"notes": "new tyres"})),
        ("/v1/trailers", json!({"unit_number": "R1", "capacity": 8}), json!({"notes": "new tyres"})),
        ("/v1/drivers", json!({"name": "Sam Reyes"}), json!({"phone": "859 555 0134"})),
        (
            "/v1/custom-statuses",
            json!({"label": "Called", "color": "#2b8a3e", "system_status": "new"}),
            json!({"color": "#ffffff"}),
        ),
        ("/v1/tags", json!({"name": "Rush", "color": "#2b8a3e"}), json!({"color": "#ffffff"})),
        ("/v1/expense-categories", json!({"name": "Ferry"}), json!({"name": "Ferries"})),
        ("/v1/cancel-reasons", json!({"label": "Weather"}), json!({"label": "Bad weather"})),
    ]
}

/// A body like the given one that no other row is equal to.
fn another(body: &Value) -> Value {
    let mut body = body.clone();
    for key in ["name", "unit_number", "label"] {
        if body[key].is_string() {
            body[key] = json!(format!("N{}", &Uuid::now_v7().simple().to_string()[20..]));
        }
    }
    body
}

#[tokio::test]
async fn a_read_is_one_trip_and_a_write_is_three() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for (path, body, change) in resources() {
        let counted = Counted::new(&app, &owner).await;
        let any = [("if-match", "*")];
        let row = || async { format!("{path}/{}", id(&owner.post(path, another(&body)).await.expect(201))) };
        let (mine, old, older) = (row().await, row().await, row().await);

        counted.warm(Method::GET, path, &[], Value::Null).await.expect(200);
        counted.warm(Method::GET, &mine, &[], Value::Null).await.expect(200);
        counted.warm(Method::POST, path, &[], another(&body)).await.expect(201);
        counted.warm(Method::PATCH, &mine, &any, change.clone()).await.expect(200);
        counted.warm(Method::DELETE, &older, &any, Value::Null).await;

        let key = [("idempotency-key", path)];
        let new = another(&body);
        let trips = [
            ("list", 1, counted.get(path).await),
            ("get", 1, counted.get(&mine).await),
            ("create", 3, counted.trips(201, Method::POST, path, &[], another(&body)).await),
            ("create with a key", 3, counted.trips(201, Method::POST, path, &key, new.clone()).await),
            ("the same again", 2, counted.trips(201, Method::POST, path, &key, new).await),
            ("update", 3, counted.trips(200, Method::PATCH, &mine, &any, change).await),
            ("delete", 3, counted.trips(204, Method::DELETE, &old, &any, Value::Null).await),
        ];
        for (what, budget, trips) in trips {
            assert_eq!(trips, budget, "{what} {path}");
        }
    }
}

/// The path of an order that a dispatcher could do anything with, and the driver who could take it.
async fn new_order(client: &Client) -> (String, String) {
    let customer = orders::create_customer(client).await;
    let driver = orders::create_driver(client, None).await;
    let order = client.post("/v1/orders", orders::an_order(&customer)).await.expect(201);
    (format!("/v1/orders/{}", id(&order)), driver)
}

#[tokio::test]
async fn an_order_is_listed_and_read_in_one_trip_and_moved_in_three() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    let (order, _) = new_order(&owner).await;
    let full_list = "/v1/orders?include=vehicles&include=tags&include=customer&include=driver&include=trip&include=counts&q=lake&status=new&late=false&sort=-pickup_date";
    for path in ["/v1/orders", full_list, &order, &format!("{order}/history"), &format!("{order}/vehicles")] {
        counted.warm(Method::GET, path, &[], Value::Null).await.expect(200);
        assert_eq!(counted.get(path).await, 1, "{path}");
    }

    let customer = orders::create_customer(&owner).await;
    counted.warm(Method::POST, "/v1/orders", &[], orders::an_order(&customer)).await.expect(201);
    let key = [("idempotency-key", "order")];
    let created = counted.trips(201, Method::POST, "/v1/orders", &key, orders::an_order(&customer)).await;
    assert_eq!(created, 3, "create");

    // The way of one order makes the instance warm for the way of the next.
    for measured in [false, true] {
        let (order, driver) = new_order(&owner).await;
        let vehicles = owner.get(&order).await.expect(200)["vehicles"].clone();
        let goes = json!({"vehicle_ids": [vehicles[1]["id"]]});
        let trips = counted.trips(201, Method::POST, &format!("{order}/split"), &[], goes).await;
        assert!(!measured || trips == 3, "split: {trips} trips");
        let of_vehicle = |action: &str| format!("/vehicles/{}/{action}", id(&vehicles[0]));
        let (hold, release) = (of_vehicle("hold"), of_vehicle("release"));
        let any: &[(&str, &str)] = &[("if-match", "*")];
        for (method, path, headers, body) in [
            (Method::POST, hold.as_str(), &[][..], json!({})),
            (Method::POST, release.as_str(), &[], json!({})),
            (Method::PATCH, "", any, json!({"notes": "call ahead", "delivery": {"zip": "75202"}})),
            (Method::POST, "/assign", &[], json!({"driver_id": driver})),
            (Method::POST, "/unassign", &[], json!({})),
            (Method::POST, "/hold", &[], json!({})),
            (Method::POST, "/release", &[], json!({})),
            (Method::POST, "/assign", &[], json!({"driver_id": driver})),
            (Method::POST, "/pickup", &[], json!({})),
            (Method::POST, "/depart", &[], json!({})),
            (Method::POST, "/deliver", &[], json!({})),
            (Method::POST, "/archive", &[], json!({})),
        ] {
            let trips = counted.trips(200, method, &format!("{order}{path}"), headers, body).await;
            assert!(!measured || trips == 3, "{path}: {trips} trips");
        }
    }
}

#[tokio::test]
async fn a_document_is_read_in_one_trip_and_added_and_deleted_in_three() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    let documents = format!("{}/documents", new_order(&owner).await.0);
    let body = json!({"kind": "pod", "file_name": "pod.pdf", "content_type": "application/pdf", "size": 5,
                      "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"});
    for measured in [false, true] {
        let created = counted.client.send(Method::POST, &documents, &[], Some(body.clone())).await.expect(201);
        assert!(!measured || counted.wire.trips() == 3, "create: {} trips", counted.wire.trips());
        counted.wire.reset();
        let document = format!("/v1/documents/{}", id(&created));
        app.run(&format!("UPDATE documents SET status = 'stored', stored_at = now() WHERE id = '{}'", id(&created)))
            .await;
        for path in [&documents, &document, &format!("{document}/download")] {
            let trips = counted.get(path).await;
            assert!(!measured || trips == 1, "{path}: {trips} trips");
        }
        let trips = counted.trips(204, Method::DELETE, &document, &[], Value::Null).await;
        assert!(!measured || trips == 3, "delete: {trips} trips");
    }
}

#[tokio::test]
async fn a_trip_is_listed_and_read_in_one_trip_and_changed_with_its_orders_in_three() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    let (truck, trailer) = (
        id(&owner.post("/v1/trucks", json!({"unit_number": "1", "capacity": 1})).await.expect(201)),
        id(&owner.post("/v1/trailers", json!({"unit_number": "1", "capacity": 8})).await.expect(201)),
    );
    let any: &[(&str, &str)] = &[("if-match", "*")];
    // The way of one trip makes the instance warm for the way of the next.
    for measured in [false, true] {
        let (first, driver) = new_order(&owner).await;
        let (second, other_driver) = new_order(&owner).await;
        let [first, second] = [first, second].map(|path| path.replace("/v1/orders/", ""));
        let new = json!({"driver_id": driver, "truck_id": truck, "trailer_id": trailer, "order_ids": [first]});
        let created = counted.client.send(Method::POST, "/v1/trips", &[], Some(new)).await.expect(201);
        assert!(!measured || counted.wire.trips() == 3, "create: {} trips", counted.wire.trips());
        counted.wire.reset();
        let (trip, stop) = (format!("/v1/trips/{}", id(&created)), id(&created["stops"][0]));
        let (arrive, depart) = (format!("/stops/{stop}/arrive"), format!("/stops/{stop}/depart"));
        let (off, correct) = (format!("/orders/{second}"), format!("/stops/{stop}"));
        let list = "/v1/trips?include=stops&include=orders&include=driver&include=truck&include=trailer&status=planning&sort=start_date";
        for (method, path, headers, body, status) in [
            (Method::POST, "/orders", &[][..], json!({"order_ids": [second]}), 200),
            (Method::PATCH, "", any, json!({"driver_id": other_driver, "notes": "by night"}), 200),
            (Method::DELETE, off.as_str(), any, Value::Null, 204),
            (Method::POST, "/ready", &[], json!({}), 200),
            (Method::POST, "/reopen", &[], json!({}), 200),
            (Method::POST, "/ready", &[], json!({}), 200),
            (Method::POST, arrive.as_str(), &[], json!({}), 200),
            (Method::POST, depart.as_str(), &[], json!({}), 200),
            (Method::PATCH, correct.as_str(), any, json!({"departed_at": null}), 200),
            (Method::POST, "/relay", &[], json!({"driver_id": driver, "reason": "is well again"}), 200),
        ] {
            let trips = counted.trips(status, method, &format!("{trip}{path}"), headers, body).await;
            assert!(!measured || trips == 3, "{path}: {trips} trips");
        }
        for path in [list, "/v1/trips", &trip, &format!("{trip}/history")] {
            let trips = counted.get(path).await;
            assert!(!measured || trips == 1, "{path}: {trips} trips");
        }
    }
}

#[tokio::test]
async fn an_execution_is_accepted_and_decided_in_three_trips_and_fifty_are_listed_in_one() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    let wanted = || json!({"skill": "extract_order", "input": {"text": "Load ID: LB-1"}});
    let customer = orders::create_customer(&owner).await;
    let stop = |zone: &str| json!({"city": "Here", "state": "KY", "time_zone": zone, "from": "2030-03-09T09:00:00Z", "to": "2030-03-09T17:00:00Z"});
    let changes = json!({"allow_duplicates": true, "changes": {
        "customer_id": customer, "transport_type": "open",
        "pickup": stop("America/New_York"), "delivery": stop("America/Chicago")
    }});
    counted.warm(Method::GET, "/v1/executions", &[], Value::Null).await.expect(200);
    for measured in [false, true] {
        let trips = counted.trips(202, Method::POST, "/v1/executions", &[], wanted()).await;
        assert!(!measured || trips == 3, "create: {trips} trips");
        for (action, body) in
            [("cancel", json!({})), ("approve", json!({})), ("reject", json!({})), ("apply", changes.clone())]
        {
            let id = id(&owner.post("/v1/executions", wanted()).await.expect(202));
            if action == "cancel" {
                app.run(&format!("UPDATE executions SET status = 'queued', review = NULL, due_at = now() + interval '1 hour' WHERE id = '{id}'")).await;
            } else {
                app.run_execution(&id).await;
            }
            let path = format!("/v1/executions/{id}/{action}");
            let trips = counted.trips(200, Method::POST, &path, &[], body).await;
            assert!(!measured || trips == 3, "{action}: {trips} trips");
        }
    }
    let batch = json!({"executions": vec![wanted(); 50]});
    owner.post("/v1/executions/batch", batch).await.expect(202);
    assert_eq!(ids(&owner.get("/v1/executions").await.expect(200)).len(), 50);
    counted.warm(Method::GET, "/v1/executions", &[], Value::Null).await.expect(200);
    assert_eq!(counted.get("/v1/executions").await, 1);
}

#[tokio::test]
async fn twenty_orders_are_moved_at_once_in_the_trips_of_one() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    counted.warm(Method::GET, "/v1/me", &[], Value::Null).await.expect(200);
    let mut trips = Vec::new();
    for size in [1, 1, 20] {
        let mut moved = Vec::new();
        let mut driver = String::new();
        for _ in 0..size {
            let (order, its_driver) = new_order(&owner).await;
            moved.push(order.replace("/v1/orders/", ""));
            driver = its_driver;
        }
        let body = json!({"order_ids": moved, "action": {"type": "assign", "driver_id": driver}});
        trips.push(counted.trips(200, Method::POST, "/v1/orders/bulk", &[], body).await);
    }
    assert_eq!(trips[1], 3);
    assert!(trips[2] <= trips[1], "{trips:?}");
}

#[tokio::test]
async fn whatever_else_is_read_is_one_trip() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    for path in [
        "/v1/me",
        "/v1/tenant",
        "/v1/usage",
        "/v1/members",
        "/v1/invitations",
        "/v1/api-keys",
        "/v1/provider-keys",
        "/v1/skills",
        "/v1/skills/extract_order",
        "/v1/skills/extract_order/versions",
        "/v1/executions",
        "/v1/exports",
        "/v1/events",
        "/v1/notification-preferences",
        "/v1/number-sequences",
        "/v1/number-sequences/order",
        "/v1/billing",
        "/v1/billing/prices",
        "/v1/billing/invoices",
        "/v1/billing/events",
        "/health",
    ] {
        counted.warm(Method::GET, path, &[], Value::Null).await.expect(200);
        assert_eq!(counted.get(path).await, 1, "{path}");
    }
    for path in ["/v1/openapi.json", "/docs"] {
        assert_eq!(counted.get(path).await, 0, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_stripes_is_three_trips_also_for_who_becomes_its_customer() {
    let stripe = StripeServer::start().await;
    let app = TestApp::selling(&stripe).await;
    let (checkout, portal) = ("/v1/billing/checkout-sessions", "/v1/billing/portal-sessions");
    let order = || json!({"price": "STARTER_MONTHLY", "success_url": ORIGIN, "cancel_url": ORIGIN});
    let warm = app.carrier().await.owner;
    let counted = Counted::new(&app, &warm).await;
    counted.warm(Method::POST, checkout, &[], order()).await.expect(201);
    counted.warm(Method::POST, portal, &[], json!({"return_url": ORIGIN})).await.expect(201);
    let newcomer = Counted { client: app.carrier().await.owner.through(&counted.client.instance), ..counted };
    let key: &[(&str, &str)] = &[("idempotency-key", "k")];
    for (what, headers) in [("new customer", key), ("replayed", key), ("no key", &[])] {
        let trips = newcomer.trips(201, Method::POST, checkout, headers, order()).await;
        assert_eq!(trips, if what == "replayed" { 1 } else { 3 }, "{what}");
    }
    let trips = newcomer.trips(201, Method::POST, portal, &[], json!({"return_url": ORIGIN})).await;
    assert_eq!(trips, 3, "portal");
}

#[tokio::test]
async fn a_ticket_is_three_trips_and_asking_who_listens_is_none() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let counted = Counted::new(&app, &carrier.owner).await;
    let path = "/v1/realtime/tickets";
    counted.warm(Method::POST, path, &[], json!({})).await.expect(201);
    assert_eq!(counted.trips(201, Method::POST, path, &[], json!({})).await, 3);
}

#[tokio::test]
async fn what_is_refused_costs_no_more_than_what_is_done() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let (path, any, stale) = ("/v1/customers", [("if-match", "*")], [("if-match", "\"7\"")]);
    let mine = format!("{path}/{}", id(&carrier.owner.post(path, a_customer()).await.expect(201)));
    let missing = format!("{path}/{}", Uuid::now_v7());
    let change = json!({"notes": "pays late"});

    let counted = Counted::new(&app, &carrier.owner).await;
    counted.warm(Method::GET, &mine, &[], Value::Null).await;
    counted.warm(Method::PATCH, &mine, &any, change.clone()).await.expect(200);
    counted.warm(Method::PATCH, &mine, &stale, change.clone()).await;
    // Asked which of the two it was, and rolled back: one trip more than the work itself.
    let trips = [
        ("not found", 1, counted.trips(404, Method::GET, &missing, &[], Value::Null).await),
        ("invalid", 0, counted.trips(422, Method::POST, path, &[], json!({"name": ""})).await),
        ("unreadable", 0, counted.trips(422, Method::GET, "/v1/customers?limit=0", &[], Value::Null).await),
        ("stale", 4, counted.trips(412, Method::PATCH, &mine, &stale, change.clone()).await),
        ("nothing to change", 4, counted.trips(404, Method::PATCH, &missing, &any, change.clone()).await),
    ];
    for (what, budget, trips) in trips {
        assert_eq!(trips, budget, "{what}");
    }

    let counted = Counted::new(&app, &app.member(&carrier, "driver").await).await;
    counted.warm(Method::GET, "/health", &[], Value::Null).await.expect(200);
    counted.warm(Method::PATCH, &mine, &any, change.clone()).await.refused(403, "forbidden");
    assert_eq!(counted.trips(403, Method::PATCH, &mine, &any, change).await, 2, "forbidden");
}

#[tokio::test]
async fn fifty_rows_cost_the_trips_of_one() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for (path, body, _) in resources() {
        let counted = Counted::new(&app, &owner).await;
        owner.post(path, another(&body)).await.expect(201);
        counted.warm(Method::GET, path, &[], Value::Null).await.expect(200);
        let of_one = counted.get(path).await;
        for _ in 0..49 {
            owner.post(path, another(&body)).await.expect(201);
        }
        assert!(ids(&owner.get(path).await.expect(200)).len() >= 50);
        assert_eq!(counted.get(path).await, of_one, "{path}");
    }
}

#[tokio::test]
async fn a_cold_instance_has_no_trip_more_than_it_must() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let counted = Counted::new(&app, &owner).await;
    counted.client.get("/v1/customers?type=broker").await.expect(200);
    // The statement is described once for each connection, then run.
    assert_eq!(counted.wire.seen().connections, 1);
    assert_eq!(counted.wire.trips(), 2, "{:#?}", counted.wire.seen().statements);
}
