//! Carriers, their members, and what they hear.

use carhaul_core::base::ids::TenantId;
use carhaul_core::base::page;
use carhaul_core::identity::actor::{Actor, Verified};
use carhaul_core::identity::permissions::Action;
use carhaul_core::identity::tokens::VerifiedToken;
use carhaul_core::platform::db::{Counted, Db};
use carhaul_core::platform::idempotency::StoredAnswer;
use carhaul_core::realtime::ticket;
use carhaul_realtime::{Event, Realtime};
use carhaul_testkit::{ConnectionServer, Database, QueueServer};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use uuid::Uuid;

pub const ROLE: &str = "carhaul_realtime";
const ISSUER: &str = "https://issuer.test";

pub async fn superuser() -> PgConnection {
    Database::get().await.direct().connect().await.expect("the database is up")
}

pub async fn run(sql: impl Into<String>) {
    superuser().await.execute(AssertSqlSafe(sql.into())).await.expect("the statement is SQL");
}

pub async fn count(sql: impl Into<String>) -> i64 {
    superuser().await.fetch_one(AssertSqlSafe(sql.into())).await.expect("the question is SQL").get(0)
}

/// The function with the world around it.
pub struct World {
    pub sockets: ConnectionServer,
    pub queue: QueueServer,
    pub function: Realtime,
}

impl World {
    pub async fn new() -> Self {
        Self::reaching(Database::get().await.options(ROLE)).await
    }

    pub async fn reaching(options: PgConnectOptions) -> Self {
        carhaul_core::platform::telemetry::init("error");
        let (sockets, queue) = (ConnectionServer::start().await, QueueServer::start().await);
        let function =
            Realtime { db: Db::with_options(options), sockets: sockets.sockets().await, queue: queue.queue().await };
        Self { sockets, queue, function }
    }

    /// Another instance of the function, in the same world.
    pub async fn another_instance(&self) -> Realtime {
        Realtime {
            db: Db::with_options(Database::get().await.options(ROLE)),
            sockets: self.sockets.sockets().await,
            queue: self.queue.queue().await,
        }
    }

    /// Opens a socket with a ticket; the status of the handshake.
    pub async fn handshake(&self, ticket: &str, id: &str) -> i64 {
        status(&self.function.handle(connect_event(Some(ticket), id)).await)
    }

    /// A socket of this person, or program.
    pub async fn connect(&self, person: &Person) -> String {
        let id = format!("c{}=", Uuid::now_v7().simple());
        let ticket = person.ticket().await;
        assert_eq!(self.handshake(&ticket, &id).await, 200);
        id
    }

    /// A socket that hears these topics after a cursor, or from now on.
    pub async fn listen(&self, person: &Person, topics: &[&str], after: Option<&str>) -> String {
        let id = self.connect(person).await;
        self.say(&id, json!({"type": "subscribe", "topics": topics, "after": after.unwrap_or("now")})).await;
        assert_eq!(self.sockets.received(&id)[0]["type"], "subscribed", "{:?}", self.sockets.received(&id));
        id
    }

    pub async fn say(&self, id: &str, message: Value) {
        self.say_text(id, &message.to_string()).await;
    }

    pub async fn say_text(&self, id: &str, text: &str) {
        assert_eq!(status(&self.function.handle(socket_event("MESSAGE", id, Some(text))).await), 200);
    }

    /// What the queue delivers.
    pub async fn nudge(&self, carrier: &Carrier) {
        nudge(&self.function, carrier).await;
    }

    /// Nudges until it is so: what a transaction leaves shows once all older ones are over, and other tests have some, too.
    pub async fn nudge_until(&self, carrier: &Carrier, done: impl Fn() -> bool) {
        for _ in 0..400 {
            self.nudge(carrier).await;
            if done() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("what was waited for did not come");
    }

    /// The events that a client has got, in the order in which it got them.
    pub fn events(&self, id: &str) -> Vec<Value> {
        let messages = self.sockets.received(id);
        let batches = messages.iter().filter(|message| message["type"] == "events");
        batches.flat_map(|message| message["data"].as_array().expect("a batch has data").clone()).collect()
    }

    pub fn subjects(&self, id: &str) -> Vec<Uuid> {
        self.events(id)
            .iter()
            .map(|event| event["subject_id"].as_str().expect("it has one").parse().expect("a UUID"))
            .collect()
    }

    /// The last cursor that a client has got.
    pub fn cursor(&self, id: &str) -> String {
        let messages = self.sockets.received(id);
        let cursor = messages.iter().rev().find_map(|m| m["next_cursor"].as_str().or(m["cursor"].as_str()));
        cursor.expect("every subscription has a cursor").to_owned()
    }

    /// The problems that a client was told of.
    pub fn problems(&self, id: &str) -> Vec<Value> {
        let messages = self.sockets.received(id);
        messages.iter().filter(|m| m["type"] == "error").map(|m| m["problem"].clone()).collect()
    }
}

pub async fn nudge(function: &Realtime, carrier: &Carrier) {
    let answer = function.handle(queue_event(carrier)).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

pub fn queue_event(carrier: &Carrier) -> Event {
    let body = json!({"tenant_id": carrier.id}).to_string();
    event(json!({"Records": [{"messageId": "1", "body": body, "eventSource": "aws:sqs"}]}))
}

pub fn connect_event(ticket: Option<&str>, id: &str) -> Event {
    let query = ticket.map(|ticket| json!({"ticket": ticket}));
    event(json!({
        "headers": {"Host": "realtime.example.com"}, "queryStringParameters": query, "isBase64Encoded": false,
        "requestContext": {"eventType": "CONNECT", "routeKey": "$connect", "connectionId": id, "requestId": "r",
                           "stage": "live", "apiId": "a", "domainName": "realtime.example.com"}
    }))
}

pub fn socket_event(kind: &str, id: &str, body: Option<&str>) -> Event {
    event(json!({
        "body": body, "isBase64Encoded": false,
        "requestContext": {"eventType": kind, "routeKey": "$default", "connectionId": id, "requestId": "r", "messageId": "m"}
    }))
}

fn event(json: Value) -> Event {
    serde_json::from_value(json).expect("the function reads what Lambda sends")
}

pub fn status(answer: &Value) -> i64 {
    assert!(answer.get("body").is_none(), "a body would be sent to the client: {answer}");
    answer["statusCode"].as_i64().expect("a route answers a status")
}

pub struct Carrier {
    pub id: Uuid,
}

/// Somebody who may connect.
#[derive(Clone)]
pub struct Person {
    pub tenant: Uuid,
    pub id: Uuid,
    credential: Verified,
}

impl Carrier {
    pub async fn create() -> Self {
        let id = Uuid::now_v7();
        run(format!("INSERT INTO tenants (id, name, time_zone, plan) VALUES ('{id}', 'Carrier', 'UTC', 'pro')")).await;
        Self { id }
    }

    pub async fn member(&self, role: &str) -> Person {
        let (id, subject) = (Uuid::now_v7(), Uuid::now_v7().to_string());
        run(format!(
            "INSERT INTO users (id, issuer, subject) VALUES ('{id}', '{ISSUER}', '{subject}'); \
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{}', '{id}', '{role}')",
            self.id
        ))
        .await;
        let expires_at = carhaul_core::base::clock::Clock::system().now();
        let token = VerifiedToken {
            issuer: ISSUER.into(),
            subject,
            email: None,
            email_verified: false,
            name: None,
            expires_at,
        };
        Person { tenant: self.id, id, credential: Verified::User(token) }
    }

    /// A driver with a record of their own, and its id.
    pub async fn driver(&self) -> (Person, Uuid) {
        let (person, driver) = (self.member("driver").await, Uuid::now_v7());
        run(format!(
            "INSERT INTO drivers (tenant_id, id, name, user_id) VALUES ('{}', '{driver}', 'Sam', '{}')",
            self.id, person.id
        ))
        .await;
        (person, driver)
    }

    pub async fn program(&self, scopes: &str) -> Person {
        let (id, hash) = (Uuid::now_v7(), Uuid::now_v7().to_string());
        run(format!(
            "INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by) \
             VALUES ('{}', '{id}', 'Key', '{hash}', '1234', '{{{scopes}}}', '{id}')",
            self.id
        ))
        .await;
        Person { tenant: self.id, id, credential: Verified::ApiKey { hash } }
    }

    /// Something about an order happens, which concerns a driver or none. Returns the order's id.
    pub async fn order_event(&self, driver: Option<Uuid>) -> Uuid {
        let order = Uuid::now_v7();
        run(self.event_sql("orders", order, driver)).await;
        order
    }

    pub fn event_sql(&self, topic: &str, subject: Uuid, driver: Option<Uuid>) -> String {
        let driver = driver.map_or("NULL".to_owned(), |driver| format!("'{driver}'"));
        format!(
            "INSERT INTO tenant_events (tenant_id, topic, type, subject_id, driver_id, data) \
             VALUES ('{}', '{topic}', '{topic}.created', '{subject}', {driver}, '{{}}')",
            self.id
        )
    }

    /// A transaction that has made an event and goes on.
    pub async fn open_transaction(&self, subject: Uuid) -> PgConnection {
        let mut connection = superuser().await;
        let sql = format!("BEGIN; {}", self.event_sql("orders", subject, None));
        connection.execute(AssertSqlSafe(sql)).await.expect("the statement is SQL");
        connection
    }

    pub async fn connections(&self) -> i64 {
        count(format!("SELECT count(*) FROM realtime_connections WHERE tenant_id = '{}'", self.id)).await
    }
}

impl Person {
    /// As the API issues it.
    pub async fn ticket(&self) -> String {
        let db = Db::with_options(Database::get().await.options("carhaul_api"));
        let actor = Actor {
            credential: self.credential.clone(),
            tenant: Some(TenantId(self.tenant)),
            request_id: Uuid::now_v7(),
            counted: Counted::default(),
        };
        let mut tx = db.begin(&actor, Action::EventsRead, None).await.expect("they may hear events");
        let issued = ticket::create(&mut tx, "ws://test").await.expect("a ticket is issued");
        tx.commit(&StoredAnswer { status: 201, headers: json!({}), body: String::new() }).await.expect("it commits");
        issued.ticket.expect("the first answer shows it")
    }
}

/// Before everything.
pub fn start() -> String {
    page::encode(&(0, 0))
}

/// Whether cursors only go up.
#[track_caller]
pub fn assert_in_order(events: &[Value]) {
    let places: Vec<(i64, i64)> = events
        .iter()
        .map(|event| page::decode(event["cursor"].as_str()).expect("a cursor of ours").expect("a cursor"))
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "not in order, or twice: {places:?}");
}
