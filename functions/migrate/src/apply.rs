//! Roles first, as the administrator, then the migrations, as the owner.

use aws_lc_rs::digest;
use carhaul_core::platform::secrets::Credentials;
use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::error::MigrateError;
use crate::roles;

/// For how long a migration waits for a table that somebody works on. As long as it waits, everybody else waits behind it, so
/// it gives up and is invoked again.
const LOCK_TIMEOUT: &str = "5s";

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// What a run has done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Names of the migrations that this run applied, e.g. `0001_create_schema`; empty when there was nothing to do.
    pub applied: Vec<String>,
    /// The number of the last migration that the database has.
    pub version: i64,
}

/// Creates the database and the roles where they are missing, gives the roles their passwords and applies what is
/// missing of the migrations. Safe to run again, and at the same time as another run, which then waits.
///
/// `admin` leads past any pooler to the database to migrate, as a user who may create roles; it need not be a superuser.
/// `owner` is carhaul_owner, `roles` are the functions' roles.
pub async fn migrate(
    admin: &PgConnectOptions,
    owner: &Credentials,
    roles: &[Credentials],
) -> Result<Outcome, MigrateError> {
    let lock = roles::prepare(admin, owner, roles).await?;
    let outcome = apply(&admin.clone().username(&owner.username).password(owner.password.expose())).await;
    lock.close().await?;
    outcome
}

async fn apply(owner: &PgConnectOptions) -> Result<Outcome, MigrateError> {
    let mut connection = owner.clone().options([("lock_timeout", LOCK_TIMEOUT)]).connect().await?;
    let before = version(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await?;
    let version = version(&mut connection).await?;
    connection.close().await?;
    let applied = MIGRATIONS.iter().filter(|migration| migration.version > before);
    let applied =
        applied.map(|migration| format!("{:04}_{}", migration.version, migration.description.replace(' ', "_")));
    Ok(Outcome { applied: applied.collect(), version })
}

/// The last migration that the database has; 0 for none.
async fn version(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('public._sqlx_migrations')::text").fetch_one(&mut *connection).await?;
    if table.is_none() {
        return Ok(0);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM public._sqlx_migrations").fetch_one(connection).await?;
    Ok(version.unwrap_or(0))
}

/// Tells one content of `migrations/` from another, in lower-case hex; tests keep a database for each.
pub fn fingerprint() -> String {
    let mut all = digest::Context::new(&digest::SHA256);
    for migration in MIGRATIONS.iter() {
        all.update(&migration.checksum);
    }
    all.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
