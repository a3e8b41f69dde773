//! The database's roles. Nothing here needs a superuser, because on RDS the administrator is none.

use carhaul_core::platform::secrets::Credentials;
use postgres_protocol::password::scram_sha_256;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::error::MigrateError;

/// Owns the functions that cross tenants (see migrations/README.md); nobody logs in as it.
const GATE: &str = "carhaul_gate";

/// RDS Proxy's own, made by RDS when the database is registered with the proxy.
const PROXY: &str = "rdsproxyadmin";

/// Roles belong to the whole server, hence a lock that is the same for each of its databases: two runs that alter one
/// role fail otherwise ("tuple concurrently updated").
const LOCK: i64 = 0x0063_6172_6861_756c;

const UNDEFINED_DATABASE: &str = "3D000";
const WRONG_PASSWORD: &str = "28P01";

/// Makes roles, database and grants what they should be. Returns the connection that holds the lock against other runs.
pub(crate) async fn prepare(
    admin: &PgConnectOptions,
    owner: &Credentials,
    roles: &[Credentials],
) -> Result<PgConnection, MigrateError> {
    // The maintenance database, because the other one may not exist yet and advisory locks are per database.
    let mut server = admin.clone().database("postgres").connect().await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut server).await?;

    create(&mut server, GATE).await?;
    create(&mut server, &owner.username).await?;
    for role in roles {
        create(&mut server, &role.username).await?;
    }
    // SET so that the administrator can make it an owner and the owner can hand functions to the gate; without INHERIT, or
    // the owner would see through the gate's policies all day long.
    run(&mut server, format!("GRANT {} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE", owner.username)).await?;
    run(&mut server, format!("GRANT {GATE} TO {} WITH INHERIT FALSE, SET TRUE", owner.username)).await?;

    prepare_database(admin, &mut server, owner, roles).await?;
    for login in std::iter::once(owner).chain(roles) {
        set_password(&mut server, admin, login).await?;
    }
    Ok(server)
}

/// Gives a role the password, unless it has it already: the same password set again gets a new salt, with which a pooler's
/// remembered keys no longer open new connections for sessions that are there.
pub(crate) async fn set_password(
    server: &mut PgConnection,
    database: &PgConnectOptions,
    login: &Credentials,
) -> Result<(), MigrateError> {
    if can_log_in(database, login).await? {
        return Ok(());
    }
    check_name(&login.username)?;
    // The verifier goes to the server, never the password, so that no statement log can hold it.
    let verifier = scram_sha_256(login.password.expose().as_bytes());
    run(server, format!("ALTER ROLE {} LOGIN PASSWORD '{verifier}'", login.username)).await?;
    tracing::info!(role = login.username, "password set");
    Ok(())
}

pub(crate) async fn can_log_in(database: &PgConnectOptions, login: &Credentials) -> Result<bool, MigrateError> {
    let options = database.clone().username(&login.username).password(login.password.expose());
    match options.connect().await.map_err(MigrateError::from) {
        Ok(connection) => Ok(connection.close().await.map(|()| true)?),
        Err(error) if error.sql_state().as_deref() == Some(WRONG_PASSWORD) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) async fn exists(server: &mut PgConnection, role: &str) -> Result<bool, MigrateError> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)");
    Ok(query.bind(role).fetch_one(server).await?)
}

async fn create(server: &mut PgConnection, role: &str) -> Result<(), MigrateError> {
    check_name(role)?;
    if !exists(server, role).await? {
        let nothing_more = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION";
        run(server, format!("CREATE ROLE {role} NOLOGIN {nothing_more}")).await?;
        tracing::info!(role, "role created");
    }
    // Only a superuser could take these away again, so an existing role is checked instead of altered.
    let privileged = sqlx::query_scalar("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1");
    if privileged.bind(role).fetch_one(&mut *server).await? {
        return Err(MigrateError::Privileged(role.to_owned()));
    }
    Ok(())
}

async fn prepare_database(
    admin: &PgConnectOptions,
    server: &mut PgConnection,
    owner: &Credentials,
    roles: &[Credentials],
) -> Result<(), MigrateError> {
    let mut database = match admin.connect().await.map_err(MigrateError::from) {
        Err(error) if error.sql_state().as_deref() == Some(UNDEFINED_DATABASE) => {
            let name = quoted(admin.get_database().unwrap_or("postgres"));
            run(server, format!("CREATE DATABASE {name}")).await?;
            admin.connect().await?
        }
        connection => connection?,
    };
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut database).await?;
    let (name, owner) = (quoted(&name), &owner.username);
    run(&mut database, format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await?;
    // RDS Proxy watches the database as a role of its own, once it has one.
    if exists(&mut database, PROXY).await? {
        run(&mut database, format!("GRANT CONNECT ON DATABASE {name} TO {PROXY}")).await?;
    }
    run(&mut database, format!("GRANT CONNECT, CREATE ON DATABASE {name} TO {owner}")).await?;
    run(&mut database, format!("ALTER SCHEMA public OWNER TO {owner}")).await?;
    run(&mut database, format!("ALTER ROLE {owner} SET lock_timeout = '5s'")).await?;
    for role in roles {
        limit(&mut database, &name, &role.username).await?;
    }
    database.close().await?;
    Ok(())
}

/// What holds for every session of a function's role. It is set here because a function cannot: a SET pins the proxy's
/// connection, and the proxy does not pass start-up options on.
///
/// - statement_timeout: a function gives up after 10 s (`TRIP_DEADLINE` in the core); what runs longer works for nobody.
/// - lock_timeout: a queue behind one lock is answered instead of taking every connection of the pool.
/// - idle_in_transaction_session_timeout: a function that is killed in the middle leaves its transaction, and its locks,
///   open until the server notices.
async fn limit(database: &mut PgConnection, name: &str, role: &str) -> Result<(), MigrateError> {
    run(database, format!("GRANT CONNECT ON DATABASE {name} TO {role}")).await?;
    run(database, format!("ALTER ROLE {role} SET statement_timeout = '9s'")).await?;
    run(database, format!("ALTER ROLE {role} SET lock_timeout = '5s'")).await?;
    run(database, format!("ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s'")).await
}

/// Role names go into statements as they are; they are ours, and plain.
fn check_name(role: &str) -> Result<(), MigrateError> {
    let plain = role.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if role.starts_with("carhaul_") && plain { Ok(()) } else { Err(MigrateError::UnknownRole(role.to_owned())) }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs a statement that takes no parameters, as the database allows none in those about roles.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), MigrateError> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}
