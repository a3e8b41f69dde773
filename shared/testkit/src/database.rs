//! A migrated database, reached as a function reaches it: through the pooler, as a role of its own.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use carhaul_core::platform::secrets::Credentials;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use tokio::sync::OnceCell;

use crate::keys::encode;

const OWNER: &str = "carhaul_owner";
const ROLES: [&str; 5] = ["carhaul_api", "carhaul_billing", "carhaul_ai", "carhaul_realtime", "carhaul_housekeeping"];
const READY: &str = "migrated";

/// All tests share one database, in which each makes tenants of its own. It is created by the code of the function
/// `migrate`, once for each content of `migrations/`, however many test processes start at the same time.
pub struct Database {
    admin: PgConnectOptions,
    name: String,
    pooler: String,
    logins: BTreeMap<&'static str, Credentials>,
}

static DATABASE: OnceCell<Database> = OnceCell::const_new();

impl Database {
    /// # Panics
    /// When `CARHAUL_TEST_DIRECT_URL` (a superuser, past the pooler) or `CARHAUL_TEST_POOLER` (`host:port`) is missing, or
    /// leads nowhere.
    pub async fn get() -> &'static Self {
        DATABASE.get_or_init(Self::prepare).await
    }

    /// How `role` connects through the pooler.
    pub fn options(&self, role: &str) -> PgConnectOptions {
        let (host, port) = self.pooler.rsplit_once(':').expect("CARHAUL_TEST_POOLER reads host:port");
        self.options_at(role, host, port.parse().expect("CARHAUL_TEST_POOLER reads host:port"))
    }

    /// How `role` connects to another place, such as a [`crate::TripCounter`] in front of the pooler.
    pub fn options_at(&self, role: &str, host: &str, port: u16) -> PgConnectOptions {
        let login = self.login(role);
        PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .database(&self.name)
            .username(&login.username)
            .password(login.password.expose())
            .ssl_mode(PgSslMode::Disable)
    }

    /// A superuser past the pooler: for questions to the catalogs and for what no function may do.
    pub fn direct(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// `host:port` of the pooler.
    pub fn pooler(&self) -> &str {
        &self.pooler
    }

    /// How many connections to the server the pooler opens for each role.
    ///
    /// # Panics
    /// When `CARHAUL_TEST_POOLER_ADMIN` is missing or leads nowhere.
    pub async fn pool_size(&self) -> usize {
        let console: PgConnectOptions =
            variable("CARHAUL_TEST_POOLER_ADMIN").parse().expect("CARHAUL_TEST_POOLER_ADMIN is a postgres:// URL");
        let mut console = console.ssl_mode(PgSslMode::Disable).connect().await.expect("the pooler is up");
        let settings = console.fetch_all(sqlx::raw_sql("SHOW CONFIG")).await.expect("PgBouncer has a console");
        let size = settings.iter().find(|row| row.get::<&str, _>("key") == "default_pool_size");
        size.map(|row| row.get::<&str, _>("value")).and_then(|size| size.parse().ok()).expect("every pool has a size")
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The login of `carhaul_owner` or of a function's role.
    pub fn login(&self, role: &str) -> &Credentials {
        self.logins.get(role).unwrap_or_else(|| panic!("{role} is no role of ours"))
    }

    async fn prepare() -> Self {
        let url = variable("CARHAUL_TEST_DIRECT_URL");
        let admin: PgConnectOptions = url.parse().expect("CARHAUL_TEST_DIRECT_URL is a postgres:// URL");
        let login = |role| (role, Credentials::new(role, password(role, &url)));
        let database = Self {
            admin: admin.ssl_mode(PgSslMode::Disable),
            name: format!("carhaul_test_{}", &carhaul_migrate::fingerprint()[..12]),
            pooler: variable("CARHAUL_TEST_POOLER"),
            logins: std::iter::once(OWNER).chain(ROLES).map(login).collect(),
        };
        database.migrate_once().await.expect("the test database can be migrated");
        database
    }

    /// The comment is set at the very end: a database that an interrupted run left half done is finished by the next.
    /// Two runs at the same time are kept apart by the lock of `migrate`.
    async fn migrate_once(&self) -> Result<(), Box<dyn std::error::Error>> {
        let mut server = self.admin.clone().database("postgres").connect().await?;
        let state = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
        let state: Option<Option<String>> =
            sqlx::query_scalar(state).bind(&self.name).fetch_optional(&mut server).await?;
        if state.flatten().as_deref() != Some(READY) {
            let roles: Vec<Credentials> = ROLES.iter().map(|role| self.login(role).clone()).collect();
            carhaul_migrate::migrate(&self.direct(), self.login(OWNER), &roles).await?;
            self.direct().connect().await?.execute(NO_RATES).await?;
            server.execute(AssertSqlSafe(format!("COMMENT ON DATABASE {} IS '{READY}'", self.name))).await?;
        }
        Ok(server.close().await?)
    }
}

/// Tests ask faster than carriers do. Those of the rates themselves make a plan of their own.
const NO_RATES: &str = "UPDATE plan_limits SET max = NULL WHERE per = 'second'";

/// The same for every process that uses one server, and known to nobody who does not know the server's own password.
fn password(role: &str, url: &str) -> String {
    encode(digest(&SHA256, format!("{role} {url}").as_bytes()))
}

#[allow(clippy::disallowed_methods, reason = "tests are told here where their database is; nothing deployed reads it")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `eval \"$(make -s test-db)\"` first"))
}
