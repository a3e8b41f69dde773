//! One instance has one connection, and many instances share the pooler's few: nobody gets another one's answer, and a
//! request that is given up half-way leaves nothing behind.

use std::time::Duration;

use carhaul_core::base::error::Result;
use carhaul_core::identity::actor::Actor;
use carhaul_core::identity::permissions::Action;
use carhaul_core::platform::db::{Db, Sql};
use carhaul_core::platform::idempotency::StoredAnswer;
use carhaul_testkit::{Database, Fault, TripCounter};
use sqlx::{Executor, FromRow, Row};
use uuid::Uuid;

use crate::support::{Carrier, connect, number, superuser};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hundred_queries_over_three_connections_get_their_own_answers() {
    let database = Database::get().await;
    // Held transactions leave three connections of this role's pool to the others.
    let mut held = Vec::new();
    for _ in 3..database.pool_size().await {
        let mut connection = connect("carhaul_realtime").await;
        connection.execute("BEGIN").await.unwrap();
        held.push(connection);
    }
    let mut instances = Vec::new();
    for _ in 0..400 {
        let db = Db::with_options(database.options("carhaul_realtime"));
        let connect = db.fetch(|sql| {
            sql.push("SELECT 1");
        });
        connect.await.unwrap();
        instances.push(db);
    }
    let mut queries = tokio::task::JoinSet::new();
    for (n, db) in (0_i64..).zip(instances) {
        queries.spawn(async move {
            for round in 0..3 {
                // Many shapes, so that the same statement name means another statement on each connection.
                let rows = db.fetch(|sql| {
                    sql.push(format!("SELECT {} + ", n % 20)).push_bind(n).push(" + ").push_bind(round);
                });
                assert_eq!(rows.await.unwrap()[0].get::<i64, _>(0), n % 20 + n + round);
            }
        });
    }
    while let Some(done) = queries.join_next().await {
        done.unwrap();
    }
}

async fn insert(db: &Db, actor: &Actor) -> Result<()> {
    let mut tx = db.begin(actor, Action::CustomersWrite, None).await?;
    let mut sql = Sql::new("INSERT INTO customers (tenant_id, id, type, name) VALUES (app.tenant_id(), ");
    sql.push_bind(Uuid::now_v7()).push(", 'broker', 'X') RETURNING id");
    let _: Option<(Uuid,)> = tx.fetch_optional(sql).await?;
    tx.commit(&StoredAnswer { status: 204, headers: serde_json::json!({}), body: String::new() }).await
}

async fn read(db: &Db, actor: &Actor) -> usize {
    let select = |sql: &mut Sql| {
        sql.push("SELECT id FROM customers WHERE tenant_id = e.tenant_id");
    };
    db.read::<(Uuid,)>(actor, Action::CustomersRead, select).await.unwrap().1.len()
}

#[tokio::test]
async fn a_request_that_is_dropped_half_way_leaves_the_connection_clean() {
    let database = Database::get().await;
    let wire = TripCounter::start(database.pooler()).await;
    for step in 1..=3 {
        let carrier = Carrier::with_key().await;
        let actor = carrier.actor();
        let db = Db::with_options(database.options_at("carhaul_api", &wire.host(), wire.port()));
        assert_eq!(read(&db, &actor).await, 0);
        insert(&db, &actor).await.unwrap();
        wire.reset();
        wire.fail_trip(step, Fault::Stall);
        assert!(tokio::time::timeout(Duration::from_millis(300), insert(&db, &actor)).await.is_err(), "{step}");
        wire.resume();
        // What was asked for last was still under way; of a commit nobody can say more than that it may have happened.
        let rows = read(&db, &actor).await;
        assert!(rows == 1 || (rows == 2 && step == 3), "step {step}: {rows} rows");
        insert(&db, &actor).await.unwrap();
        assert_eq!(read(&db, &actor).await, rows + 1);
        assert_eq!(wire.seen().connections, 0, "the connection was good enough to go on with");
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back() {
    let carrier = Carrier::with_key().await;
    let actor = carrier.actor();
    let db = Db::with_options(Database::get().await.options("carhaul_api"));
    {
        let mut tx = db.begin(&actor, Action::CustomersWrite, None).await.unwrap();
        let sql = "INSERT INTO customers (tenant_id, id, type, name) \
                   VALUES (app.tenant_id(), gen_random_uuid(), 'broker', 'X') RETURNING id";
        let _: Option<(Uuid,)> = tx.fetch_optional(Sql::new(sql)).await.unwrap();
    }
    assert_eq!(read(&db, &actor).await, 0);
    let sql = format!("SELECT count(*) FROM customers WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(number(&mut superuser().await, sql).await, 0);
}

/// A transaction's opening is a simple query, whose answers are text; everything else is binary.
#[tokio::test]
async fn rows_that_come_as_text_read_as_those_that_come_in_binary() {
    #[derive(Debug, PartialEq, FromRow)]
    struct Every {
        id: Uuid,
        price: rust_decimal::Decimal,
        at: chrono::DateTime<chrono::Utc>,
        day: chrono::NaiveDate,
        words: Vec<String>,
        ids: Vec<Uuid>,
        data: serde_json::Value,
        count: i16,
        weight: i32,
        number: i64,
        flag: bool,
        text: String,
        nothing: Option<String>,
    }
    const SELECT: &str = r#"SELECT '018f2b3c-0000-7000-8000-000000000001'::uuid AS id, 1234.50::numeric(12, 2) AS price,
        '2026-03-08 02:30:00.123456-05'::timestamptz AS at, '2026-02-28'::date AS day,
        ARRAY['a', 'b "c"', 'd,e', '{f}', 'g\h'] AS words, ARRAY['018f2b3c-0000-7000-8000-000000000002']::uuid[] AS ids,
        '{"a": [1, "ü"]}'::jsonb AS data, 7::smallint AS count, -8 AS weight, 9::bigint AS number, true AS flag,
        E'O''Hara \\ "x"\n' AS text, NULL::text AS nothing"#;
    let carrier = Carrier::with_key().await;
    let db = Db::with_options(Database::get().await.options("carhaul_api"));
    let loaded = db.begin_loading(&carrier.actor(), Action::CustomersWrite, None, Some(SELECT)).await.unwrap();
    let (as_text, mut tx) = (Every::from_row(&loaded.rows[0]).unwrap(), loaded.tx);
    let in_binary: Every = tx.fetch_one(Sql::new(SELECT)).await.unwrap();
    assert_eq!(as_text, in_binary);
    assert_eq!(as_text.price.to_string(), "1234.50");
}
