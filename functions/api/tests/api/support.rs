//! A service to talk to, carriers of its own, and clients that act as their members.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use carhaul_api::app::{self, App, Realtime};
use carhaul_core::base::clock::Clock;
use carhaul_core::billing::payments::{Access, Payments};
use carhaul_core::billing::return_urls::ReturnUrls;
use carhaul_core::billing::stripe::client::{Patience, Stripe};
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::run::Runner;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::config::{Environment, OidcConfig, ProvidersConfig, SigningAlgorithm};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::envelope::Envelope;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secret;
use carhaul_core::provider_keys::Vault;
use carhaul_core::providers::Providers;
use carhaul_testkit::{AUDIENCE, Aws, BucketServer, Database, Issuer, Kms, ModelServer, StripeServer, TokenBuilder};
use chrono::TimeDelta;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use tower::ServiceExt;
use uuid::Uuid;

pub const ORIGIN: &str = "https://app.example.com";

/// One instance of each function that serves the document, as Lambda would run it: one connection, one request at a time.
#[derive(Clone)]
pub struct Instance {
    router: Router,
    /// What the gateway sends to the function `ai-dispatch`.
    executions: Router,
    verifier: TokenVerifier,
}

/// Who answers an instance beside the issuer and the database.
#[derive(Clone)]
pub struct Peers {
    pub payments: Payments,
    pub vault: Vault,
    /// Of documents.
    pub bucket: Bucket,
    /// Of nudges, which only a carrier with connections has, and of chores.
    pub queue: Queue,
}

impl Peers {
    /// Nobody.
    pub fn none(clock: &Clock) -> Self {
        let nobody = "http://127.0.0.1:9".to_owned();
        let vault = vault([nobody.clone(), nobody.clone(), nobody], true, Envelope::new(Kms::KEY), clock);
        let bucket = Bucket::new("http://127.0.0.1:9/documents");
        Self { payments: payments(Access::None), vault, bucket, queue: nobodys_queue() }
    }
}

impl Instance {
    /// One for which nobody answers but the issuer and the database.
    pub fn new(options: PgConnectOptions, oidc: &OidcConfig, clock: Clock) -> Self {
        Self::with_peers(options, TokenVerifier::new(oidc, clock.clone()), Peers::none(&clock), clock)
    }

    pub fn with_peers(options: PgConnectOptions, verifier: TokenVerifier, peers: Peers, clock: Clock) -> Self {
        let Peers { payments, vault, bucket, queue } = peers;
        let nudges = carhaul_ai_dispatch::app::Nudges(queue.clone());
        let realtime = Realtime { url: "wss://realtime.example.com/live".into(), queue };
        let dispatch = carhaul_ai_dispatch::app::App {
            db: Db::with_options(options.clone()),
            verifier: verifier.clone(),
            queue: Queue::with_client("http://127.0.0.1:9/000000000000/ai", Aws::nobody()),
            nudges,
            clock: clock.clone(),
            environment: "local",
        };
        let db = Db::with_options(options);
        let chores = realtime.queue.clone();
        let app = App { db, verifier: verifier.clone(), payments, vault, bucket, clock, realtime, chores };
        let executions = carhaul_ai_dispatch::app::service(dispatch);
        Self { router: app::service(app), executions, verifier }
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let is_execution = request.uri().path().starts_with("/v1/executions");
        let router = if is_execution { &self.executions } else { &self.router };
        let response = router.clone().oneshot(request).await.expect("the router answers everything");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body is whole");
        let text = String::from_utf8(bytes.to_vec()).expect("a body is UTF-8");
        Reply {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

/// A service with an issuer of its own, so that tests do not disturb each other.
pub struct TestApp {
    pub issuer: Issuer,
    pub models: ModelServer,
    pub kms: Kms,
    pub files: BucketServer,
    pub instance: Instance,
    pub database: &'static Database,
    peers: Peers,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(payments(Access::None)).await
    }

    /// One that sells what [`TestApp::sell`] has, with this stand-in of Stripe.
    pub async fn selling(stripe: &StripeServer) -> Self {
        let patience = Patience {
            overall: Duration::from_millis(2_000),
            attempt: Duration::from_millis(600),
            pause: Duration::from_millis(20),
        };
        let client = Stripe::new(stripe.url(), Secret::new(stripe.key())).with_patience(patience);
        let payments = payments(client.into()).with_patience(Duration::from_millis(1_500));
        let app = Self::with(payments).await;
        for (id, cents) in app.sell().await {
            stripe.add_price(&id, cents, "month");
        }
        app
    }

    async fn with(payments: Payments) -> Self {
        // What a 500 hides from clients is worth seeing in a failed test.
        carhaul_core::platform::telemetry::init("error");
        let database = Database::get().await;
        let (issuer, models, kms) = (Issuer::start().await, ModelServer::start().await, Kms::start().await);
        let clock = Clock::system();
        let verifier = TokenVerifier::new(&oidc(&issuer), clock.clone());
        let files = BucketServer::start().await;
        let (vault, bucket) = (vault_of(&models, &kms, true), files.bucket().await);
        let peers = Peers { payments, vault, bucket, queue: nobodys_queue() };
        let instance = Instance::with_peers(database.options("carhaul_api"), verifier, peers.clone(), clock);
        Self { issuer, models, kms, files, instance, database, peers }
    }

    /// Puts STARTER_MONTHLY and PRO_MONTHLY on the price list. Returns Stripe's ids, and cents.
    pub async fn sell(&self) -> Vec<(String, i64)> {
        self.run(
            "INSERT INTO prices (stripe_price_id, name, plan, interval, currency, amount) VALUES \
             ('price_starter', 'STARTER_MONTHLY', 'starter', 'month', 'USD', 49), \
             ('price_pro', 'PRO_MONTHLY', 'pro', 'month', 'USD', 149) ON CONFLICT DO NOTHING",
        )
        .await;
        // Another test may have put them there under other ids.
        let sold = "SELECT stripe_price_id, (amount * 100)::bigint FROM prices \
                    WHERE is_current AND name IN ('STARTER_MONTHLY', 'PRO_MONTHLY')";
        let rows = self.superuser().await.fetch_all(sold).await.expect("there are prices");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Another instance of the same function, with a connection of its own.
    /// It has read the issuer's keys already, so that hundreds of them do not ask for them at once.
    pub fn another_instance(&self) -> Instance {
        self.instance_at(self.database.options("carhaul_api"))
    }

    /// Another one that reaches the database in this way.
    pub fn instance_at(&self, options: PgConnectOptions) -> Instance {
        Instance::with_peers(options, self.instance.verifier.clone(), self.peers.clone(), Clock::system())
    }

    /// One that sends its nudges to this queue.
    pub fn instance_with(&self, queue: Queue) -> Instance {
        let (verifier, peers) = (self.instance.verifier.clone(), Peers { queue, ..self.peers.clone() });
        Instance::with_peers(self.database.options("carhaul_api"), verifier, peers, Clock::system())
    }

    /// One that has read nothing yet.
    pub fn cold_instance(&self) -> Instance {
        Instance::new(self.database.options("carhaul_api"), &oidc(&self.issuer), Clock::system())
    }

    /// A new carrier on the plan pro, and a client that acts as its owner.
    pub async fn carrier(&self) -> Carrier {
        self.carrier_on("pro").await
    }

    pub async fn carrier_on(&self, plan: &str) -> Carrier {
        let (subject, id) = (Uuid::now_v7().to_string(), Uuid::now_v7());
        let mut api = self.database.options("carhaul_api").connect().await.expect("the pooler is up");
        let sql = format!(
            "BEGIN; SELECT app.sign_in('{}', '{subject}', 'owner@example.com', 'Owner', NULL); \
             SELECT app.create_tenant('{id}', 'Carrier', NULL, NULL, 'America/New_York', 'USD'); COMMIT",
            self.issuer.url()
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut api).await.expect("a carrier can be created");
        let carrier = Carrier { id, owner: self.client(&subject).of(id) };
        self.change_plan(&carrier, plan).await;
        carrier
    }

    pub async fn change_plan(&self, carrier: &Carrier, plan: &str) {
        let sql = format!("UPDATE tenants SET plan = '{plan}' WHERE id = '{}'", carrier.id);
        self.superuser().await.execute(AssertSqlSafe(sql)).await.expect("the plan exists");
    }

    /// An order of the carrier with this value in this column.
    pub async fn order_with(&self, carrier: &Carrier, column: &str, value: &str) {
        let sql = format!(
            "WITH customer AS (INSERT INTO customers (tenant_id, id, type, name) \
                               VALUES ('{tenant}', app.uuid_v7(), 'dealer', 'Dealer') RETURNING tenant_id, id) \
             INSERT INTO orders (tenant_id, id, customer_id, number, transport_type, currency, vehicle_count, {column}, \
                 pickup_city, pickup_state, pickup_time_zone, pickup_from, pickup_to, \
                 delivery_city, delivery_state, delivery_time_zone, delivery_from, delivery_to) \
             SELECT tenant_id, app.uuid_v7(), id, (SELECT count(*) + 1 FROM orders WHERE tenant_id = '{tenant}'), 'open', \
                 'USD', 0, '{value}', 'Lexington', 'KY', 'America/New_York', now(), now(), \
                 'Dover', 'DE', 'America/New_York', now(), now() FROM customer",
            tenant = carrier.id
        );
        self.superuser().await.execute(AssertSqlSafe(sql)).await.expect("an order can be written");
    }

    /// A client that acts as another member of the carrier, in this role.
    pub async fn member(&self, carrier: &Carrier, role: &str) -> Client {
        let (subject, user) = (Uuid::now_v7().to_string(), Uuid::now_v7());
        let sql = format!(
            "INSERT INTO users (id, issuer, subject, name) VALUES ('{user}', '{}', '{subject}', '{role}'); \
             INSERT INTO memberships (tenant_id, user_id, role, name) VALUES ('{}', '{user}', '{role}', '{role}')",
            self.issuer.url(),
            carrier.id
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.superuser().await).await.expect("a member can be added");
        let mut client = self.client(&subject).of(carrier.id);
        client.user_id = Some(user);
        client
    }

    /// Somebody with a good token who belongs nowhere.
    pub fn client(&self, subject: &str) -> Client {
        self.client_with(&self.issuer.token().subject(subject))
    }

    pub fn client_with(&self, token: &TokenBuilder) -> Client {
        Client {
            instance: self.instance.clone(),
            authorization: Some(format!("Bearer {}", token.clone().sign())),
            tenant: None,
            user_id: None,
            address: address(),
        }
    }

    /// For setting the scene and for looking behind it, never for what is tested.
    pub async fn superuser(&self) -> PgConnection {
        self.database.direct().connect().await.expect("the database is up")
    }

    /// Lets the worker run an execution, with the rules that need no model.
    pub async fn run_execution(&self, id: &str) {
        let clock = Clock::system();
        let db = Db::with_options(self.database.options("carhaul_ai"));
        let nudges = Queue::new("http://127.0.0.1:9/realtime");
        let vault = vault_of(&self.models, &self.kms, true);
        let runner = Runner { db, vault, nudges, clock: clock.clone(), slots: 50 };
        let permit = ExecutionId(id.parse().expect("an id is a UUID"));
        let waits = format!("SELECT count(*) FROM executions WHERE id = '{id}' AND status IN ('queued', 'running')");
        for _ in 0..500 {
            if self.count(&waits).await == 0 {
                return;
            }
            // It may be the turn of another test's carrier.
            runner.run(permit, clock.now() + TimeDelta::seconds(60)).await.expect("the database is up");
        }
        panic!("the execution {id} was never run");
    }

    pub async fn run(&self, sql: &str) {
        self.superuser().await.execute(AssertSqlSafe(sql.to_owned())).await.expect("the statement is SQL");
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let row = self.superuser().await.fetch_one(AssertSqlSafe(sql.to_owned())).await.expect("the question is SQL");
        row.get(0)
    }
}

fn nobodys_queue() -> Queue {
    Queue::with_client("http://127.0.0.1:1/queue", Aws::nobody())
}

fn payments(access: Access) -> Payments {
    Payments::new(access, ReturnUrls::new(&[ORIGIN.to_owned()], Environment::Production))
}

/// The providers and KMS of a test. In `local`, tenants may have addresses of this machine.
pub fn vault_of(models: &ModelServer, kms: &Kms, local: bool) -> Vault {
    let bases = [models.url().to_owned(), models.url().to_owned(), models.openai_url()];
    vault(bases, local, Envelope::with_client(Kms::KEY, kms.client()), &Clock::system())
}

fn vault(bases: [String; 3], local: bool, envelope: Envelope, clock: &Clock) -> Vault {
    let [anthropic_api_base, gemini_api_base, openai_api_base] = bases;
    let config =
        ProvidersConfig { anthropic_api_base, gemini_api_base, openai_api_base, allow_private_base_urls: local };
    Vault::new(Providers::new(config, clock.clone()), envelope, clock.clone())
}

pub fn oidc(issuer: &Issuer) -> OidcConfig {
    OidcConfig {
        issuer: issuer.url().to_owned(),
        discovery_url: None,
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![SigningAlgorithm::Rs256],
    }
}

pub struct Carrier {
    pub id: Uuid,
    pub owner: Client,
}

/// Sends requests as one caller.
#[derive(Clone)]
pub struct Client {
    pub instance: Instance,
    pub authorization: Option<String>,
    pub tenant: Option<Uuid>,
    pub user_id: Option<Uuid>,
    /// Where its requests come from, as the gateway says it.
    pub address: IpAddr,
}

/// An address of its own for each client, since failed credentials are counted by address.
fn address() -> IpAddr {
    Ipv6Addr::from(Uuid::now_v7().as_u128()).into()
}

impl Client {
    pub fn of(mut self, tenant: Uuid) -> Self {
        self.tenant = Some(tenant);
        self
    }

    pub fn through(&self, instance: &Instance) -> Self {
        Self { instance: instance.clone(), ..self.clone() }
    }

    pub fn with_key(&self, key: &str) -> Self {
        Self { authorization: Some(format!("Bearer {key}")), tenant: None, ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[("idempotency-key", key)], Some(body)).await
    }

    /// As a client does whom a crowd has kept waiting: on a 503 the same request again, under the same key.
    pub async fn post_patiently(&self, path: &str, key: &str, body: Value) -> Reply {
        for _ in 0..5 {
            let reply = self.post_once(path, key, body.clone()).await;
            if reply.status != StatusCode::SERVICE_UNAVAILABLE {
                return reply;
            }
        }
        self.post_once(path, key, body).await
    }

    /// A PATCH of whatever version is there.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, &[("if-match", "*")], Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[("if-match", "*")], None).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send_text(method, path, headers, body).await
    }

    /// With a body of this type, which need not be JSON.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        request =
            self.authorization.iter().fold(request, |request, value| request.header(header::AUTHORIZATION, value));
        request = self.tenant.iter().fold(request, |request, id| request.header("tenant-id", id.to_string()));
        request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let body = match body {
            None => Body::empty(),
            Some((content_type, body)) => {
                request = request.header(header::CONTENT_TYPE, content_type);
                Body::from(body)
            }
        };
        let mut context = ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some(self.address.to_string());
        request = request.extension(RequestContext::ApiGatewayV2(context));
        self.instance.send(request.body(body).expect("a test writes good requests")).await
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Reply {
    /// The body, if the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// A problem of this status and kind.
    #[track_caller]
    pub fn refused(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text);
        let problem = self.expect(status);
        assert_eq!(problem["type"], format!("urn:carhaul:problem:{kind}"), "{problem}");
        assert!(problem["request_id"].is_string(), "{problem}");
        problem
    }

    /// The pointers of the fields that were refused.
    #[track_caller]
    pub fn invalid_fields(self) -> Vec<String> {
        let problem = self.refused(422, "invalid");
        let errors = problem["errors"].as_array().expect("an invalid input names its fields");
        errors.iter().map(|e| e["pointer"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn etag(&self) -> &str {
        self.headers[header::ETAG].to_str().expect("an ETag is ASCII")
    }
}

pub fn id(value: &Value) -> String {
    value["id"].as_str().expect("a row has an id").to_owned()
}

pub fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("a page has data").iter().map(id).collect()
}

pub fn a_customer() -> Value {
    json!({"type": "broker", "name": "Lakeside Auto Brokers", "email": "dispatch@example.com"})
}

/// Where a test lets its thread's log be written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread writes").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("one thread writes").clone()).expect("a log is UTF-8")
    }

    /// What was written since the last time.
    pub fn take(&self) -> String {
        let written = std::mem::take(&mut *self.0.lock().expect("one thread writes"));
        String::from_utf8(written).expect("a log is UTF-8")
    }
}
