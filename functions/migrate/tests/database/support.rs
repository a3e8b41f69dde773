//! A fresh database on the server of CARHAUL_TEST_DIRECT_URL, which is a superuser's URL past any pooler.

use carhaul_core::platform::secrets::Credentials;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use uuid::Uuid;

#[allow(clippy::disallowed_methods, reason = "a test is told where its database is")]
pub fn superuser() -> PgConnectOptions {
    let url =
        std::env::var("CARHAUL_TEST_DIRECT_URL").expect("CARHAUL_TEST_DIRECT_URL, as `make -s test-db` prints it");
    url.parse().expect("a Postgres URL")
}

/// A database that the first migration creates; it stays behind on the test server.
pub fn fresh_database() -> PgConnectOptions {
    superuser().database(&format!("migrate_{}", Uuid::now_v7().simple()))
}

pub fn owner() -> Credentials {
    Credentials::new("carhaul_owner", "carhaul_owner")
}

pub fn roles() -> Vec<Credentials> {
    let names = [
        "carhaul_api",
        "carhaul_billing",
        "carhaul_ai",
        "carhaul_realtime",
        "carhaul_housekeeping",
    ];
    names.map(|name| Credentials::new(name, name)).to_vec()
}

pub fn with(mut roles: Vec<Credentials>, another: &Credentials) -> Vec<Credentials> {
    roles.push(another.clone());
    roles
}

/// A role of this test alone, which nothing else on the server depends on.
pub fn spare_role() -> Credentials {
    let letters: String = Uuid::now_v7()
        .simple()
        .to_string()
        .chars()
        .map(|c| ((c as u8 % 16) + b'a') as char)
        .collect();
    Credentials::new(format!("carhaul_spare_{letters}"), "it's \"quoted\" \\ and пароль")
}

pub async fn log_in(database: &PgConnectOptions, login: &Credentials) -> Result<PgConnection, sqlx::Error> {
    database
        .clone()
        .username(&login.username)
        .password(login.password.expose())
        .connect()
        .await
}

pub async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::Executor::execute(connection, AssertSqlSafe(statement))
        .await
        .unwrap();
}
