use crate::support::{execute, fresh_database, log_in, owner, roles, spare_role, superuser, with};
use carhaul_core::platform::secrets::Credentials;
use carhaul_migrate::{MigrateError, migrate};
use sqlx::ConnectOptions;

#[tokio::test]
async fn a_database_that_is_not_there_is_created_and_migrated_and_the_second_run_changes_nothing() {
    let database = fresh_database();
    let first = migrate(&database, &owner(), &roles()).await.unwrap();
    assert_eq!(first.applied.first().map(String::as_str), Some("0001_create_schema"));
    assert_eq!(first.version, i64::try_from(first.applied.len()).unwrap());

    let mut server = database.connect().await.unwrap();
    let passwords = "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname LIKE 'carhaul%' ORDER BY 1";
    let before: Vec<(String, Option<String>)> = sqlx::query_as(passwords).fetch_all(&mut server).await.unwrap();

    let second = migrate(&database, &owner(), &roles()).await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(second.version, first.version);
    for (role, password) in sqlx::query_as::<_, (String, Option<String>)>(passwords)
        .fetch_all(&mut server)
        .await
        .unwrap()
    {
        let unchanged = before.iter().any(|(name, old)| *name == role && *old == password);
        assert!(
            unchanged || role.starts_with("carhaul_spare"),
            "{role}'s password was set again"
        );
    }
}

#[tokio::test]
async fn of_two_runs_at_once_one_migrates_and_the_other_waits() {
    let database = fresh_database();
    let (owner, roles) = (owner(), roles());
    let (one, other) = tokio::join!(migrate(&database, &owner, &roles), migrate(&database, &owner, &roles));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.version, other.version);
    assert_eq!(
        one.applied.len() + other.applied.len(),
        usize::try_from(one.version).unwrap()
    );
}

/// On RDS the administrator may create roles and databases, and no more.
#[tokio::test]
async fn an_administrator_who_is_no_superuser_is_enough() {
    migrate(&fresh_database(), &owner(), &roles()).await.unwrap();
    let admin = spare_role();
    let mut server = superuser().connect().await.unwrap();
    execute(
        &mut server,
        format!(
            "CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'admin'",
            admin.username
        ),
    )
    .await;
    // What Postgres gives to the one who creates a role; here, unlike on RDS, they exist already.
    for role in roles().iter().chain([&owner(), &Credentials::new("carhaul_gate", "")]) {
        let grant = format!(
            "GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            role.username, admin.username
        );
        execute(&mut server, grant).await;
    }

    let database = fresh_database().username(&admin.username).password("admin");
    let new_role = spare_role();
    let outcome = migrate(&database, &owner(), &with(roles(), &new_role)).await.unwrap();
    assert!(!outcome.applied.is_empty());
    log_in(&database, &new_role).await.unwrap();
}

#[tokio::test]
async fn a_role_has_its_settings_and_a_changed_password_counts_from_the_next_run() {
    let database = fresh_database();
    let first = spare_role();
    migrate(&database, &owner(), &with(roles(), &first)).await.unwrap();

    let mut session = log_in(&database, &first).await.unwrap();
    for (setting, expected) in [
        ("statement_timeout", "25s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut session)
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }

    let second = Credentials::new(first.username.clone(), "another");
    migrate(&database, &owner(), &with(roles(), &second)).await.unwrap();
    log_in(&database, &second).await.unwrap();
    assert!(log_in(&database, &first).await.is_err());
}

#[tokio::test]
async fn nobody_who_was_not_given_the_database_gets_in() {
    let database = fresh_database();
    migrate(&database, &owner(), &roles()).await.unwrap();
    let stranger = spare_role();
    let mut server = superuser().connect().await.unwrap();
    execute(
        &mut server,
        format!("CREATE ROLE {} LOGIN PASSWORD 'stranger'", stranger.username),
    )
    .await;
    let error = log_in(&database, &Credentials::new(stranger.username, "stranger"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("permission denied for database"), "{error}");
}

#[tokio::test]
async fn a_role_that_could_bypass_row_level_security_is_refused() {
    let privileged = spare_role();
    let mut server = superuser().connect().await.unwrap();
    execute(
        &mut server,
        format!("CREATE ROLE {} LOGIN BYPASSRLS", privileged.username),
    )
    .await;
    let error = migrate(&fresh_database(), &owner(), &with(roles(), &privileged))
        .await
        .unwrap_err();
    assert!(matches!(error, MigrateError::Privileged(name) if name == privileged.username));
}

#[tokio::test]
async fn a_role_name_that_is_not_plain_never_reaches_a_statement() {
    for name in [
        "postgres",
        "carhaul_x; DROP ROLE carhaul_api",
        "carhaul_\"x",
        "carhaul_X",
        "",
    ] {
        let hostile = with(roles(), &Credentials::new(name, "password"));
        let error = migrate(&fresh_database(), &owner(), &hostile).await.unwrap_err();
        assert!(matches!(error, MigrateError::UnknownRole(_)), "{name}: {error}");
    }
}
