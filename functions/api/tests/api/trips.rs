//! Round trips between the function and the database are the budget: one for a read, three for a write, none hidden, and
//! no more for many rows than for one.

use axum::http::Method;
use carhaul_core::base::clock::Clock;
use carhaul_testkit::TripCounter;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, Instance, Reply, TestApp, a_customer, id, ids, oidc};

/// A client whose instance reaches the pooler over a wire that counts.
struct Counted {
    wire: TripCounter,
    client: Client,
}

impl Counted {
    async fn new(app: &TestApp, client: &Client) -> Self {
        let wire = TripCounter::start(app.database.pooler()).await;
        let options = app.database.options_at("carhaul_api", &wire.host(), wire.port());
        let instance = Instance::new(options, &oidc(&app.issuer), Clock::system());
        Self { wire, client: client.through(&instance) }
    }

    /// The trips of a request, once an equal one has been made: each statement is known then, as on a warm instance.
    async fn trips(&self, status: u16, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> usize {
        let body = Some(body).filter(|body| !body.is_null());
        let reply = self.client.send(method, path, headers, body).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        let seen = self.wire.seen();
        self.wire.reset();
        assert_eq!(seen.connections, 0, "a warm instance keeps its connection");
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

/// Every resource that is listed, read, created, changed and deleted in the same way: its path, a body, a change.
fn resources() -> Vec<(&'static str, Value, Value)> {
    vec![("/v1/customers", a_customer(), json!({"notes": "pays late"}))]
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

        let key = [("idempotency-key", "once")];
        let deleted = if path == "/v1/orders" { 405 } else { 204 };
        let new = another(&body);
        let trips = [
            ("list", 1, counted.get(path).await),
            ("get", 1, counted.get(&mine).await),
            ("create", 3, counted.trips(201, Method::POST, path, &[], another(&body)).await),
            ("create with a key", 3, counted.trips(201, Method::POST, path, &key, new.clone()).await),
            ("the same again", 2, counted.trips(201, Method::POST, path, &key, new).await),
            ("update", 3, counted.trips(200, Method::PATCH, &mine, &any, change).await),
            ("delete", 3, counted.trips(deleted, Method::DELETE, &old, &any, Value::Null).await),
        ];
        for (what, budget, trips) in trips.into_iter().filter(|(what, ..)| *what != "delete" || deleted == 204) {
            assert_eq!(trips, budget, "{what} {path}");
        }
    }
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
        assert_eq!(ids(&owner.get(path).await.expect(200)).len(), 50);
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
