//! The purge.

use std::collections::BTreeMap;

use carhaul_core::base::clock::Clock;
use carhaul_core::platform::db::Db;
use carhaul_housekeeping::purge_expired;
use carhaul_testkit::Database;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{ConnectOptions, Executor};

use crate::support::{OwnDatabase, ROLE};

/// Whatever is purged: the time that decides, how old it may be (an interval; things that end are purged once they have
/// ended), a step to both sides of that, and how a row comes to be.
const PURGED: [(&str, &str, &str, &str, &str); 7] = [
    (
        "idempotency_keys",
        "expires_at",
        "0",
        "1 minute",
        "(tenant_id, actor_id, key, request_hash, expires_at) VALUES ($tenant, $user, gen_random_uuid(), 'hash', $time)",
    ),
    (
        "auth_failures",
        "window_start",
        "1 day",
        "1 hour",
        "(key, window_start, failures, strikes) VALUES (gen_random_uuid(), $time, 1, 0)",
    ),
    (
        "invitations",
        "expires_at",
        "30 days",
        "1 day",
        "(tenant_id, id, email, role, token_hash, invited_by, expires_at) \
         VALUES ($tenant, gen_random_uuid(), 'kim@example.com', 'driver', gen_random_uuid(), $user, $time)",
    ),
    (
        "tenant_events",
        "at",
        "30 days",
        "1 day",
        "(tenant_id, at, topic, type, data) VALUES ($tenant, $time, 'tags', 'tag.created', '{}')",
    ),
    (
        "stripe_events",
        "processed_at",
        "90 days",
        "1 day",
        "(id, type, livemode, created_at, payload, processed_at, outcome) \
         VALUES (gen_random_uuid(), 'invoice.paid', false, now(), '{}', $time, 'applied')",
    ),
    (
        "realtime_tickets",
        "expires_at",
        "0",
        "1 minute",
        "(tenant_id, hash, user_id, expires_at) VALUES ($tenant, gen_random_uuid(), $user, $time)",
    ),
    (
        "realtime_connections",
        "connected_at",
        "150 minutes",
        "1 minute",
        "(tenant_id, id, user_id, connected_at, xid, seq) VALUES ($tenant, gen_random_uuid(), $user, $time, 0, 0)",
    ),
];

#[tokio::test]
async fn of_each_table_goes_what_is_past_its_time_and_stays_what_is_not() {
    let database = OwnDatabase::create().await;
    for customer in ["cus_1", "cus_2"] {
        let tenant = database.carrier(customer).await;
        database
            .run(&format!(
                "INSERT INTO users (id, issuer, subject) VALUES ('{tenant}', 'https://issuer.test', '{tenant}'); \
                 INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{tenant}', '{tenant}', 'owner')"
            ))
            .await;
        for (table, _, limit, step, row) in PURGED {
            for side in ["-", "+"] {
                let time = format!("now() - interval '{limit}' {side} interval '{step}'");
                let row = row.replace("$time", &time).replace("$tenant", &format!("'{tenant}'"));
                let row = row.replace("$user", &format!("'{tenant}'"));
                database.run(&format!("INSERT INTO {table} {row}")).await;
            }
        }
        // What is old and still of use.
        database
            .run(&format!(
                "INSERT INTO invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at, accepted_at) VALUES \
                 ('{tenant}', '{tenant}', 'lee@example.com', 'driver', '{tenant}', '{tenant}', now() - interval '1 year', now()); \
                 INSERT INTO stripe_events (id, type, livemode, created_at, payload, received_at) \
                 VALUES ('{tenant}', 'invoice.paid', false, now(), '{{}}', now() - interval '1 year')"
            ))
            .await;
    }
    let gone = "SELECT to_jsonb(array_agg((tenant_id, topic, xid, seq) ORDER BY tenant_id)::text) FROM ";
    let trimmed =
        database.one(&format!("{gone} tenant_events WHERE at < now() - interval '30 days' AND topic = 'tags'")).await;

    let db = database.seen_by(ROLE).await;
    let clock = Clock::system();
    let done = purge_expired(&db, 1, &clock, clock.now() + TimeDelta::minutes(1)).await.unwrap();
    assert!(done.complete);
    // A table that is purged and not listed above is missing here.
    let expected: BTreeMap<String, i64> = PURGED.iter().map(|(table, ..)| ((*table).to_owned(), 2)).collect();
    assert_eq!(done.purged, expected);
    for (table, column, limit, step, _) in PURGED {
        let older_than = |age: &str| format!("SELECT to_jsonb(count(*)) FROM {table} WHERE {column} <= now() - {age}");
        let past = older_than(&format!("interval '{limit}'"))
            + if table == "invitations" { " AND accepted_at IS NULL" } else { "" };
        let nearly = older_than(&format!("interval '{limit}' + 2 * interval '{step}'"));
        assert_eq!(database.one(&past).await, json!(0), "{table}");
        let accepted = if table == "invitations" { 2 } else { 0 };
        assert_eq!(database.one(&nearly).await, json!(2 + accepted), "{table}");
    }
    assert_eq!(
        database.one("SELECT to_jsonb(count(*)) FROM invitations WHERE accepted_at IS NOT NULL").await,
        json!(2)
    );
    assert_eq!(database.one("SELECT to_jsonb(count(*)) FROM stripe_events WHERE processed_at IS NULL").await, json!(2));
    // Whoever comes with a cursor before these is told.
    assert_eq!(database.one(&format!("{gone} event_trims")).await, trimmed);

    let again = purge_expired(&db, 1, &clock, clock.now() + TimeDelta::minutes(1)).await.unwrap();
    assert!(again.complete && again.purged.values().all(|rows| *rows == 0), "{again:?}");
    // A carrier that goes takes its events along, and what was trimmed of them.
    database.run("DELETE FROM tenants").await;
    assert_eq!(database.one("SELECT to_jsonb(count(*)) FROM event_trims").await, json!(0));
    database.drop().await;
}

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
