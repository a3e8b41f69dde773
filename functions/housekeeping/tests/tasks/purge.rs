//! The purge.

use carhaul_core::base::clock::Clock;
use carhaul_core::platform::db::Db;
use carhaul_housekeeping::purge_expired;
use carhaul_testkit::Database;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{ConnectOptions, Executor};

use crate::support::{OwnDatabase, ROLE};

#[tokio::test]
async fn what_has_expired_goes_in_batches_and_the_rest_stays() {
    let database = OwnDatabase::create().await;
    database
        .run(
            "INSERT INTO auth_failures (key, window_start, failures, strikes)
             SELECT 'key' || n, now() - CASE WHEN n > 7 THEN interval '1 h' ELSE interval '2 days' END, 1, 0
             FROM generate_series(1, 9) n",
        )
        .await;
    let db = database.seen_by(ROLE).await;
    let clock = Clock::system();
    let purged = purge_expired(&db, 2, &clock, clock.now() + TimeDelta::minutes(1)).await.unwrap();
    assert!(purged.complete);
    assert_eq!(purged.purged["auth_failures"], 7);
    assert_eq!(purged.purged["idempotency_keys"], 0);
    assert_eq!(purged.purged["realtime_tickets"], 0);
    assert_eq!(database.one("SELECT to_jsonb(count(*)) FROM auth_failures").await, json!(2));
    database.drop().await;
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
