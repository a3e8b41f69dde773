//! Ways to ask, and carriers to ask about.

use carhaul_core::base::ids::TenantId;
use carhaul_core::identity::actor::{Actor, Verified};
use carhaul_core::platform::db::Counted;
use carhaul_testkit::Database;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use uuid::Uuid;

/// For questions, and for setting a scene that no function could set.
pub async fn superuser() -> PgConnection {
    Database::get().await.direct().connect().await.unwrap()
}

/// As a function connects.
pub async fn connect(role: &str) -> PgConnection {
    Database::get().await.options(role).connect().await.unwrap()
}

pub async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.into()))).await?;
    Ok(())
}

/// The first column of each row, as text.
pub async fn texts(connection: &mut PgConnection, sql: impl Into<String>) -> Vec<String> {
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.into()))).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

pub async fn number(connection: &mut PgConnection, sql: impl Into<String>) -> i64 {
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.into()))).await.unwrap();
    row.get(0)
}

/// Fails, naming what the query finds. It selects what must not exist, in one column of text.
#[track_caller]
pub fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// A carrier as one of its members sees it.
#[derive(Clone)]
pub struct Carrier {
    pub id: Uuid,
    pub subject: String,
    /// Who it is seen as, if not its owner.
    pub user: Option<Uuid>,
}

pub const ISSUER: &str = "https://issuer.test";

impl Carrier {
    /// Created as the API creates one.
    pub async fn create() -> Self {
        let carrier = Self { id: Uuid::now_v7(), subject: Uuid::now_v7().to_string(), user: None };
        let sql = format!(
            "BEGIN; SELECT app.sign_in('{ISSUER}', '{}', 'owner@example.com', 'Owner', NULL); \
             SELECT app.create_tenant('{}', 'Carrier', NULL, NULL, 'America/New_York', 'USD'); COMMIT",
            carrier.subject, carrier.id
        );
        run(&mut connect("carhaul_api").await, sql).await.unwrap();
        carrier
    }

    pub async fn create_on(plan: &str) -> Self {
        let carrier = Self::create().await;
        let sql = format!("UPDATE tenants SET plan = '{plan}' WHERE id = '{}'", carrier.id);
        run(&mut superuser().await, sql).await.unwrap();
        carrier
    }

    /// On the plan pro, with an API key that may read and write all: the credential that needs no issuer. The subject is its
    /// hash.
    pub async fn with_key() -> Self {
        let carrier = Self::create_on("pro").await;
        let sql = format!(
            "INSERT INTO api_keys (tenant_id, id, name, key_hash, last_four, scopes, created_by, last_used_at) \
             VALUES ('{}', gen_random_uuid(), 'Key', '{}', '1234', \
                     '{{customers:read,customers:write,orders:read,trips:read,locations:read}}', gen_random_uuid(), now())",
            carrier.id, carrier.subject
        );
        run(&mut superuser().await, sql).await.unwrap();
        carrier
    }

    /// The caller that shows the key.
    pub fn actor(&self) -> Actor {
        Actor {
            credential: Verified::ApiKey { hash: self.subject.clone() },
            tenant: Some(TenantId(self.id)),
            request_id: Uuid::now_v7(),
            counted: Counted::default(),
        }
    }

    /// The same carrier as another member sees it.
    pub async fn member(&self, role: &str) -> Self {
        let (user, subject) = (Uuid::now_v7(), Uuid::now_v7().to_string());
        let sql = format!(
            "INSERT INTO users (id, issuer, subject) VALUES ('{user}', '{ISSUER}', '{subject}'); \
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{}', '{user}', '{role}')",
            self.id
        );
        run(&mut superuser().await, sql).await.unwrap();
        Self { id: self.id, subject, user: Some(user) }
    }

    /// The statement that enters the carrier.
    pub fn enter(&self) -> String {
        let Self { id, subject, .. } = self;
        format!("SELECT FROM app.enter('user', '{ISSUER}', '{subject}', '{id}', NULL)")
    }

    /// One row of everything a carrier can have, so that a question about any table has something to find.
    pub async fn furnish(&self) {
        let sql = include_str!("furnish.sql").replace("$tenant", &format!("'{}'", self.id));
        run(&mut superuser().await, sql).await.unwrap();
    }
}
