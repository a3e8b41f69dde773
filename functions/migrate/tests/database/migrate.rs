use carhaul_core::platform::secrets::Credentials;
use carhaul_migrate::MigrateError;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::support::{ROLES, Setup, execute, log_in, spare_role, superuser};

/// The test kit's roles with their password verifiers.
async fn verifiers(server: &mut PgConnection, setup: &Setup) -> Vec<(String, Option<String>)> {
    let query = "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY ($1) ORDER BY 1";
    let names: Vec<&str> = setup.roles.iter().map(|role| role.username.as_str()).collect();
    sqlx::query_as(query).bind(names).fetch_all(server).await.unwrap()
}

#[tokio::test]
async fn a_database_that_is_not_there_is_created_and_migrated_and_the_second_run_changes_nothing() {
    let setup = Setup::new().await;
    let first = setup.migrate().await.unwrap();
    assert_eq!(first.applied.first().map(String::as_str), Some("0001_create_schema"));
    assert_eq!(first.version, i64::try_from(first.applied.len()).unwrap());

    let mut server = setup.database.connect().await.unwrap();
    let before = verifiers(&mut server, &setup).await;
    let second = setup.migrate().await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(second.version, first.version);
    assert_eq!(verifiers(&mut server, &setup).await, before, "a password that works is not set again");
}

#[tokio::test]
async fn of_two_runs_at_once_one_migrates_and_the_other_waits() {
    let setup = Setup::new().await;
    let (one, other) = tokio::join!(setup.migrate(), setup.migrate());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.version, other.version);
    assert_eq!(one.applied.len() + other.applied.len(), usize::try_from(one.version).unwrap());
    setup.clean_up().await;
}

#[tokio::test]
async fn a_run_that_cannot_have_a_table_gives_up_before_everybody_waits_behind_it() {
    let setup = Setup::new().await;
    let first = setup.migrate().await.unwrap();
    let mut somebody = setup.database.connect().await.unwrap();
    execute(&mut somebody, "BEGIN; LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE".to_owned()).await;
    let refused = setup.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    execute(&mut somebody, "ROLLBACK".to_owned()).await;
    assert_eq!(setup.migrate().await.unwrap().version, first.version);
    somebody.close().await.unwrap();
    setup.clean_up().await;
}

/// On RDS the administrator may create roles and databases, and no more.
#[tokio::test]
async fn an_administrator_who_is_no_superuser_is_enough() {
    let (admin, new_role) = (spare_role(), spare_role());
    let mut setup = Setup::with(&new_role).await;
    let mut server = superuser().await.connect().await.unwrap();
    execute(&mut server, format!("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'admin'", admin.username)).await;
    // What Postgres gives to the one who creates a role; here, unlike on RDS, they exist already.
    let existing = ["carhaul_gate", "carhaul_owner"].into_iter().chain(ROLES);
    for role in existing.clone() {
        let options = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
        execute(&mut server, format!("GRANT {role} TO {} {options}", admin.username)).await;
    }

    setup.database = setup.database.username(&admin.username).password("admin");
    assert!(!setup.migrate().await.unwrap().applied.is_empty());
    log_in(&setup.database, &new_role).await.unwrap();
    setup.clean_up().await;
    for role in existing {
        execute(&mut server, format!("REVOKE {role} FROM {} CASCADE", admin.username)).await;
    }
    execute(&mut server, format!("DROP ROLE {}", admin.username)).await;
}

/// Its role has connected by what everybody may, which `migrate` takes away.
#[tokio::test]
async fn the_proxy_can_still_watch_the_database() {
    let setup = Setup::new().await;
    let mut server = superuser().await.connect().await.unwrap();
    // It stays: each database of the server grants it something by now.
    let create =
        "DO $$ BEGIN CREATE ROLE rdsproxyadmin; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$";
    execute(&mut server, create.to_owned()).await;
    setup.migrate().await.unwrap();
    let query = sqlx::query_scalar("SELECT has_database_privilege('rdsproxyadmin', $1, 'CONNECT')");
    let may: bool = query.bind(setup.database.get_database()).fetch_one(&mut server).await.unwrap();
    assert!(may);
    setup.clean_up().await;
}

#[tokio::test]
async fn a_role_has_its_settings_and_a_changed_password_counts_from_the_next_run() {
    let first = spare_role();
    let mut setup = Setup::with(&first).await;
    setup.migrate().await.unwrap();

    let mut session = log_in(&setup.database, &first).await.unwrap();
    for (setting, expected) in
        [("statement_timeout", "9s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "30s")]
    {
        let query = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
        let value: String = query.fetch_one(&mut session).await.unwrap();
        assert_eq!(value, expected, "{setting}");
    }

    let second = Credentials::new(first.username.clone(), "another");
    setup.roles.pop();
    setup.roles.push(second.clone());
    setup.migrate().await.unwrap();
    log_in(&setup.database, &second).await.unwrap();
    assert!(log_in(&setup.database, &first).await.is_err());
    setup.clean_up().await;
}

#[tokio::test]
async fn nobody_who_was_not_given_the_database_gets_in() {
    let setup = Setup::new().await;
    setup.migrate().await.unwrap();
    let name = spare_role().username;
    let mut server = superuser().await.connect().await.unwrap();
    execute(&mut server, format!("CREATE ROLE {} LOGIN PASSWORD 'stranger'", name)).await;
    let error = log_in(&setup.database, &Credentials::new(name.clone(), "stranger")).await.unwrap_err();
    assert!(error.to_string().contains("permission denied for database"), "{error}");
    setup.clean_up().await;
    execute(&mut server, format!("DROP ROLE {name}")).await;
}

#[tokio::test]
async fn a_role_that_could_bypass_row_level_security_is_refused() {
    let privileged = spare_role();
    let mut server = superuser().await.connect().await.unwrap();
    execute(&mut server, format!("CREATE ROLE {} LOGIN BYPASSRLS", privileged.username)).await;
    let setup = Setup::with(&privileged).await;
    let error = setup.migrate().await.unwrap_err();
    assert!(matches!(error, MigrateError::Privileged(name) if name == privileged.username));
    setup.clean_up().await;
}

#[tokio::test]
async fn a_role_name_that_is_not_plain_never_reaches_a_statement() {
    for name in ["postgres", "carhaul_x; DROP ROLE carhaul_api", "carhaul_\"x", "carhaul_X", ""] {
        let error = Setup::with(&Credentials::new(name, "password")).await.migrate().await.unwrap_err();
        assert!(matches!(error, MigrateError::UnknownRole(_)), "{name}: {error}");
    }
}
