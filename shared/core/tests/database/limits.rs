//! Plan limits are counted by the database itself: whatever the client and however many at once.

use carhaul_testkit::Database;
use sqlx::ConnectOptions;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Carrier, connect, number, run, superuser};

/// Runs the statement a hundred times at once, each in a transaction of its own inside the carrier. The number that were
/// done; all others must have met the limit.
async fn a_hundred_times(carrier: &Carrier, role: &str, statement: &'static str) -> usize {
    let options = Database::get().await.options(role);
    let mut attempts = JoinSet::new();
    for n in 0..100 {
        let (options, enter) = (options.clone(), carrier.enter());
        attempts.spawn(async move {
            let mut connection = options.connect().await.unwrap();
            let statement = statement.replace("$n", &n.to_string());
            run(&mut connection, format!("BEGIN; {enter}; {statement}; COMMIT")).await
        });
    }
    let mut done = 0;
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap() {
            Ok(()) => done += 1,
            Err(e) => assert_eq!(e.as_database_error().and_then(|e| e.code()).as_deref(), Some("CH402"), "{e}"),
        }
    }
    done
}

async fn used(carrier: &Carrier, name: &str) -> i64 {
    let sql = format!("SELECT used FROM counters WHERE tenant_id = '{}' AND name = '{name}'", carrier.id);
    number(&mut superuser().await, sql).await
}

const TRUCK: &str = "INSERT INTO trucks (tenant_id, id, unit_number, capacity) \
                     VALUES (app.tenant_id(), gen_random_uuid(), 'T$n', 1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_trucks_at_once_exactly_as_many_as_the_plan_has_left_are_taken() {
    let carrier = Carrier::create_on("starter").await;
    for n in 0..9 {
        let sql = format!("BEGIN; {}; {}; COMMIT", carrier.enter(), TRUCK.replace("$n", &format!("first {n}")));
        run(&mut connect("carhaul_api").await, sql).await.unwrap();
    }
    assert_eq!(a_hundred_times(&carrier, "carhaul_api", TRUCK).await, 1);
    assert_eq!(used(&carrier, "trucks").await, 10);
    let sql = format!("SELECT count(*) FROM trucks WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(number(&mut superuser().await, sql).await, 10);
}

#[tokio::test]
async fn what_is_archived_or_rolled_back_makes_room_and_what_comes_back_takes_it() {
    let carrier = Carrier::create_on("free").await;
    let mut api = connect("carhaul_api").await;
    let mut inside = async |statement: &str| {
        let done = run(&mut api, format!("BEGIN; {}; {statement}; COMMIT", carrier.enter())).await;
        run(&mut api, "ROLLBACK").await.unwrap();
        done.map_err(|e| e.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned())
    };
    let over = Err("CH402".to_owned());
    let truck = |n: &str| TRUCK.replace("$n", n);
    assert_eq!(inside(&format!("{}; ROLLBACK", truck("gone"))).await, Ok(()));
    assert_eq!(inside(&truck("1")).await, Ok(()));
    assert_eq!(inside(&truck("2")).await, over);
    assert_eq!(inside("UPDATE trucks SET archived_at = now()").await, Ok(()));
    assert_eq!(inside(&truck("2")).await, Ok(()));
    assert_eq!(inside("UPDATE trucks SET archived_at = NULL WHERE unit_number = 'T1'").await, over);
    assert_eq!(inside("DELETE FROM trucks WHERE unit_number = 'T2'").await, Ok(()));
    assert_eq!(inside("UPDATE trucks SET archived_at = NULL WHERE unit_number = 'T1'").await, Ok(()));
    assert_eq!(used(&carrier, "trucks").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_members_at_once_do_not_pass_the_limit_and_drivers_are_free() {
    let carrier = Carrier::create_on("starter").await;
    // Members join through the gate's functions, so this is a superuser's insert: the trigger counts it all the same.
    let mut joins = JoinSet::new();
    let options = Database::get().await.direct();
    for n in 0..50 {
        let (options, tenant) = (options.clone(), carrier.id);
        joins.spawn(async move {
            let role = if n % 5 == 0 { "driver" } else { "dispatcher" };
            let user = Uuid::now_v7();
            let sql = format!(
                "INSERT INTO users (id, issuer, subject) VALUES ('{user}', 'https://issuer.test', '{user}'); \
                 INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{tenant}', '{user}', '{role}')"
            );
            (role, run(&mut options.connect().await.unwrap(), format!("BEGIN; {sql}; COMMIT")).await.is_ok())
        });
    }
    let (mut drivers, mut others) = (0, 0);
    while let Some(joined) = joins.join_next().await {
        match joined.unwrap() {
            ("driver", true) => drivers += 1,
            ("driver", false) => panic!("a driver's seat is free"),
            (_, done) => others += usize::from(done),
        }
    }
    // The owner is the first of ten.
    assert_eq!((drivers, others, used(&carrier, "members").await), (10, 9, 10));
}

#[tokio::test]
async fn a_downgrade_keeps_what_is_there_and_refuses_only_more() {
    let carrier = Carrier::create_on("starter").await;
    let mut api = connect("carhaul_api").await;
    for n in 0..3 {
        let sql = format!("BEGIN; {}; {}; COMMIT", carrier.enter(), TRUCK.replace("$n", &format!("first {n}")));
        run(&mut api, sql).await.unwrap();
    }
    let sql = format!("UPDATE tenants SET plan = 'free' WHERE id = '{}'", carrier.id);
    run(&mut superuser().await, sql).await.unwrap();
    let sql = format!("BEGIN; {}; UPDATE trucks SET notes = 'still mine'; COMMIT", carrier.enter());
    run(&mut api, sql).await.unwrap();
    assert_eq!(a_hundred_times(&carrier, "carhaul_api", TRUCK).await, 0);
    assert_eq!(used(&carrier, "trucks").await, 3);
}
