//! The test database and the wire in front of it.

use std::time::Duration;

use carhaul_testkit::{Database, TripCounter};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

async fn connect(database: &Database, counter: &TripCounter) -> Result<PgConnection, sqlx::Error> {
    database.options_at("carhaul_api", &counter.host(), counter.port()).connect().await
}

async fn add(connection: &mut PgConnection, number: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT $1 + 1").bind(number).fetch_one(connection).await
}

#[tokio::test]
async fn every_role_of_a_function_reaches_the_database_through_the_pooler() {
    let database = Database::get().await;
    for role in ["carhaul_api", "carhaul_billing", "carhaul_ai", "carhaul_realtime", "carhaul_housekeeping"] {
        let mut connection = database.options(role).connect().await.unwrap();
        let user: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await.unwrap();
        assert_eq!(user, role);
    }
}

#[tokio::test]
async fn the_direct_connection_is_a_superusers_in_the_same_database() {
    let database = Database::get().await;
    let mut connection = database.direct().connect().await.unwrap();
    let sql = "SELECT current_database()::text, rolsuper FROM pg_roles WHERE rolname = current_user";
    let found: (String, bool) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(found, (database.name().to_owned(), true));
}

#[tokio::test]
async fn trips_are_counted_and_signing_in_is_not() {
    let database = Database::get().await;
    let counter = TripCounter::start(database.pooler()).await;
    let mut connection = connect(database, &counter).await.unwrap();
    counter.reset();
    assert_eq!(add(&mut connection, 1).await.unwrap(), 2);
    let first = counter.seen();
    assert_eq!(first.statements, ["SELECT $1 + 1"]);
    counter.reset();
    assert_eq!(add(&mut connection, 2).await.unwrap(), 3);
    assert_eq!(counter.trips(), 1, "a statement that is known already takes one trip: {:?}", counter.seen());
    counter.reset();
    connection.execute("BEGIN").await.unwrap();
    connection.execute("ROLLBACK").await.unwrap();
    assert_eq!(counter.seen().statements, ["BEGIN", "ROLLBACK"]);
    assert_eq!(counter.trips(), 2);
}

#[tokio::test]
async fn a_cut_wire_ends_connections_and_takes_new_ones() {
    let database = Database::get().await;
    let counter = TripCounter::start(database.pooler()).await;
    let mut connection = connect(database, &counter).await.unwrap();
    counter.cut();
    assert!(add(&mut connection, 1).await.is_err());
    let mut connection = connect(database, &counter).await.unwrap();
    assert_eq!(add(&mut connection, 1).await.unwrap(), 2);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_wire_that_refuses_lets_nobody_in_until_it_accepts_again() {
    let database = Database::get().await;
    let counter = TripCounter::start(database.pooler()).await;
    counter.refuse();
    assert!(connect(database, &counter).await.is_err());
    counter.accept();
    assert!(connect(database, &counter).await.is_ok());
}

#[tokio::test]
async fn a_stalled_wire_answers_when_it_resumes() {
    let database = Database::get().await;
    let counter = TripCounter::start(database.pooler()).await;
    let mut connection = connect(database, &counter).await.unwrap();
    counter.stall();
    let mut answer = Box::pin(add(&mut connection, 1));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err());
    counter.resume();
    assert_eq!(answer.await.unwrap(), 2);
}
