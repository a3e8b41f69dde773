//! The purge as its own database role.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails")]

use carhaul_core::base::clock::Clock;
use carhaul_core::platform::db::Db;
use carhaul_housekeeping::purge_expired;
use carhaul_migrate::migrate;
use carhaul_testkit::Database;
use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use uuid::Uuid;

const ROLE: &str = "carhaul_housekeeping";
const ROLES: [&str; 5] = ["carhaul_api", "carhaul_billing", "carhaul_ai", "carhaul_realtime", ROLE];

/// In a database of its own, because it purges for all carriers, other tests' too.
#[tokio::test]
async fn what_has_expired_goes_in_batches_and_the_rest_stays() {
    let testkit = Database::get().await;
    let name = format!("housekeeping_{}", Uuid::now_v7().simple());
    let database = testkit.direct().database(&name);
    let roles = ROLES.map(|role| testkit.login(role).clone());
    migrate(&database, testkit.login("carhaul_owner"), &roles).await.unwrap();
    let mut server = database.connect().await.unwrap();
    let seed = "INSERT INTO auth_failures (key, window_start, failures, strikes)
                SELECT 'key' || n, now() - CASE WHEN n > 7 THEN interval '1 h' ELSE interval '2 days' END, 1, 0
                FROM generate_series(1, 9) n";
    server.execute(seed).await.unwrap();

    let db = Db::with_options(database.username(ROLE).password(testkit.login(ROLE).password.expose()));
    let clock = Clock::system();
    let purged = purge_expired(&db, 2, &clock, clock.now() + TimeDelta::minutes(1)).await.unwrap();
    assert!(purged.complete);
    assert_eq!(purged.purged["auth_failures"], 7);
    assert_eq!(purged.purged["idempotency_keys"], 0);
    assert_eq!(purged.purged["realtime_tickets"], 0);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM auth_failures").fetch_one(&mut server).await.unwrap();
    assert_eq!(left, 2);

    server.close().await.unwrap();
    let mut server = testkit.direct().connect().await.unwrap();
    server.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

#[tokio::test]
async fn when_time_runs_out_it_stops_and_says_so() {
    let db = Db::with_options(Database::get().await.options(ROLE));
    let clock = Clock::system();
    let purged = purge_expired(&db, 2, &clock, clock.now() - TimeDelta::seconds(1)).await.unwrap();
    assert!(!purged.complete && purged.purged.is_empty());
}

#[tokio::test]
async fn the_role_may_purge_and_nothing_else() {
    let mut session = Database::get().await.options(ROLE).connect().await.unwrap();
    for statement in ["SELECT FROM tenants", "SELECT FROM auth_failures", "DELETE FROM idempotency_keys"] {
        let error = session.execute(statement).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
}
