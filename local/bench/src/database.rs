//! Databases that are loaded once and used by many runs. What they are called follows from what is in them, so a changed
//! migration or load is a new database, and the old one goes.

use std::time::{Duration, Instant};

use carhaul_core::platform::crypto::sha256_hex;
use carhaul_core::platform::secrets::Credentials;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::Outcome;
use crate::report;
use crate::settings::Settings;

const LOAD: &str = include_str!("load.sql");
const LOADED: &str = "loaded";
pub const ISSUER: &str = "https://issuer.bench.example.com";
pub const API: &str = "carhaul_api";
/// May do what the api function may, without row-level security.
pub const BYPASS: &str = "carhaul_bench_bypass";
const OWNER: &str = "carhaul_owner";
const ROLES: [&str; 5] = [API, "carhaul_billing", "carhaul_ai", "carhaul_realtime", "carhaul_housekeeping"];

pub struct Database {
    pub name: String,
    server: PgConnectOptions,
}

impl Database {
    /// The database with so many orders, loaded if it is not there yet.
    pub async fn with_orders(settings: &Settings, orders: u32) -> Outcome<Self> {
        let content = sha256_hex(&[carhaul_migrate::fingerprint().as_bytes(), LOAD.as_bytes()]);
        let server: PgConnectOptions = settings.direct_url.parse()?;
        let server = server.ssl_mode(PgSslMode::Disable);
        let name = format!("bench_{}_{orders}", &content[..12]);
        let database = Self { name, server };
        database.drop_outdated(&content[..12]).await?;
        if database.is_loaded().await? {
            report::progress(&format!("The database with {orders} orders is there from an earlier run"));
        } else {
            database.load(orders).await?;
        }
        database.make_repeatable().await?;
        Ok(database)
    }

    /// A copy under a name of its own, changed by some SQL. Nobody may be connected to this one.
    pub async fn copy(&self, name: &str, change: &'static str) -> Outcome<Self> {
        let copy = Self { name: format!("{}_{name}", self.name), server: self.server.clone() };
        let mut server = self.server().await?;
        server.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", copy.name))).await?;
        server.execute(AssertSqlSafe(format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name))).await?;
        server.close().await?;
        let mut connection = copy.superuser().await?;
        sqlx::raw_sql(change).execute(&mut connection).await?;
        connection.close().await?;
        Ok(copy)
    }

    /// A superuser past the pooler.
    pub async fn superuser(&self) -> Outcome<PgConnection> {
        Ok(self.server.clone().database(&self.name).connect().await?)
    }

    pub async fn direct(&self, role: &str) -> Outcome<PgConnection> {
        let options = self.server.clone().database(&self.name).username(role).password(&password(role));
        Ok(options.connect().await?)
    }

    /// `host:port` of Postgres itself.
    pub fn address(&self) -> String {
        format!("{}:{}", self.server.get_host(), self.server.get_port())
    }

    async fn server(&self) -> Outcome<PgConnection> {
        Ok(self.server.clone().database("postgres").connect().await?)
    }

    async fn drop_outdated(&self, content: &str) -> Outcome<()> {
        let mut server = self.server().await?;
        let outdated = "SELECT datname FROM pg_database WHERE datname LIKE 'bench\\_%' AND datname NOT LIKE $1";
        let outdated: Vec<String> =
            sqlx::query_scalar(outdated).bind(format!("bench\\_{content}\\_%")).fetch_all(&mut server).await?;
        for name in outdated {
            server.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
        }
        Ok(server.close().await?)
    }

    /// The comment is set at the very end of a load.
    async fn is_loaded(&self) -> Outcome<bool> {
        let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
        let mut server = self.server().await?;
        let comment: Option<Option<String>> =
            sqlx::query_scalar(comment).bind(&self.name).fetch_optional(&mut server).await?;
        if comment.is_some() && comment.clone().flatten().as_deref() != Some(LOADED) {
            // An interrupted run left it half loaded.
            server.execute(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name))).await?;
        }
        Ok(comment.flatten().as_deref() == Some(LOADED))
    }

    async fn load(&self, orders: u32) -> Outcome<()> {
        let roles: Vec<Credentials> = ROLES.iter().map(|role| Credentials::new(*role, password(role))).collect();
        let owner = Credentials::new(OWNER, password(OWNER));
        carhaul_migrate::migrate(&self.server.clone().database(&self.name), &owner, &roles).await?;
        let mut connection = self.superuser().await?;
        connection
            .execute(AssertSqlSafe(format!("SET bench.orders = '{orders}'; SET bench.issuer = '{ISSUER}'")))
            .await?;
        for step in LOAD.split("-- == ").skip(1) {
            let (title, sql) = step.split_once('\n').unwrap_or((step, ""));
            let started = Instant::now();
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
            report::progress(&format!("{orders} orders: {title} ({})", seconds(started.elapsed())));
        }
        connection.execute(AssertSqlSafe(format!("COMMENT ON DATABASE {} IS '{LOADED}'", self.name))).await?;
        Ok(connection.close().await?)
    }

    /// Takes out what earlier runs have written beside the orders.
    async fn make_repeatable(&self) -> Outcome<()> {
        let mut connection = self.superuser().await?;
        let sql = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{BYPASS}') THEN \
             CREATE ROLE {BYPASS} LOGIN BYPASSRLS IN ROLE {API}; END IF; END $$; \
             ALTER ROLE {BYPASS} PASSWORD '{}'; ALTER ROLE {API} RESET log_statement; \
             TRUNCATE counters, idempotency_keys, audit_log, tenant_events; \
             ANALYZE counters, idempotency_keys, audit_log, tenant_events, number_sequences, status_history",
            password(BYPASS)
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// The server listens on this machine alone and holds invented data.
pub fn password(role: &str) -> String {
    sha256_hex(&[b"bench", role.as_bytes()])
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}
