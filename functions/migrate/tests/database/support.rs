//! Databases and roles of a test's own, on the test kit's server.

use carhaul_core::platform::secrets::Credentials;
use carhaul_testkit::Database;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use uuid::Uuid;

pub const ROLES: [&str; 5] =
    ["carhaul_api", "carhaul_billing", "carhaul_ai", "carhaul_realtime", "carhaul_housekeeping"];

/// What a run of `migrate` is given.
pub struct Setup {
    /// The superuser, in a database that is not there yet; it stays behind on the test server.
    pub database: PgConnectOptions,
    pub owner: Credentials,
    pub roles: Vec<Credentials>,
}

impl Setup {
    /// Logins as the test kit has them, because roles belong to the whole server.
    pub async fn new() -> Self {
        let testkit = Database::get().await;
        Self {
            database: testkit.direct().database(&format!("migrate_{}", Uuid::now_v7().simple())),
            owner: testkit.login("carhaul_owner").clone(),
            roles: ROLES.map(|role| testkit.login(role).clone()).to_vec(),
        }
    }

    pub async fn with(another: &Credentials) -> Self {
        let mut setup = Self::new().await;
        setup.roles.push(another.clone());
        setup
    }

    pub async fn migrate(&self) -> Result<carhaul_migrate::Outcome, carhaul_migrate::MigrateError> {
        carhaul_migrate::migrate(&self.database, &self.owner, &self.roles).await
    }

    /// Leaves the server as it was, for the next run and for tests that count its roles.
    pub async fn clean_up(self) {
        let mut server = superuser().await.connect().await.unwrap();
        let name = self.database.get_database().unwrap();
        execute(&mut server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        for role in self.roles.iter().filter(|role| role.username.starts_with("carhaul_spare_")) {
            execute(&mut server, format!("DROP ROLE IF EXISTS {}", role.username)).await;
        }
    }
}

pub async fn superuser() -> PgConnectOptions {
    Database::get().await.direct().database("postgres")
}

/// A role of this test alone, which nothing else on the server depends on.
pub fn spare_role() -> Credentials {
    let id = Uuid::now_v7().simple().to_string();
    let letters: String = id.bytes().map(|byte| char::from(b'a' + byte % 16)).collect();
    Credentials::new(format!("carhaul_spare_{letters}"), "it's \"quoted\" \\ and пароль")
}

pub async fn log_in(database: &PgConnectOptions, login: &Credentials) -> Result<PgConnection, sqlx::Error> {
    database.clone().username(&login.username).password(login.password.expose()).connect().await
}

pub async fn execute(connection: &mut PgConnection, statement: String) {
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
}
