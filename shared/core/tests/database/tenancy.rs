//! Row-level security under plain SQL: whatever a function's code asked for, it would get no more than this.

use carhaul_testkit::Database;
use sqlx::ConnectOptions;

use crate::support::{Carrier, connect, none, number, run, superuser, texts};

/// Tables with tenant data and their column that names the tenant.
const TENANT_TABLES: &str = "
    SELECT format('%s.%s', table_name, column_name) FROM information_schema.columns
    WHERE table_schema = 'public'
      AND (column_name = 'tenant_id' OR (table_name, column_name) = ('tenants', 'id'))
    ORDER BY 1";

async fn tenant_tables() -> Vec<(String, String)> {
    let found = texts(&mut superuser().await, TENANT_TABLES).await;
    let split = |name: String| name.split_once('.').map(|(t, c)| (t.to_owned(), c.to_owned()));
    found.into_iter().filter_map(split).collect()
}

/// Two carriers that have something in every table.
async fn neighbours() -> (Carrier, Carrier) {
    let (here, there) = (Carrier::create_on("pro").await, Carrier::create_on("pro").await);
    here.furnish().await;
    there.furnish().await;
    (here, there)
}

/// Runs a statement in a transaction of its own, after `enter`; the SQLSTATE if it is refused, else the rows it met.
async fn attempt(enter: &str, statement: &str) -> Result<u64, String> {
    use sqlx::{AssertSqlSafe, Executor};
    let mut api = connect("carhaul_api").await;
    run(&mut api, format!("BEGIN; {enter}")).await.unwrap();
    let done = api.execute(AssertSqlSafe(statement.to_owned())).await;
    run(&mut api, "ROLLBACK").await.unwrap();
    match done {
        Ok(done) => Ok(done.rows_affected()),
        Err(e) => Err(e.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned()),
    }
}

const REFUSED: &str = "42501";

#[tokio::test]
async fn a_carrier_can_be_furnished_with_a_row_of_every_table() {
    let (here, _) = neighbours().await;
    let mut empty = Vec::new();
    for (table, column) in tenant_tables().await {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = '{}'", here.id);
        if number(&mut superuser().await, sql).await == 0 {
            empty.push(table);
        }
    }
    none(&empty, "furnish.sql needs a row of each new table, or the tests below prove nothing for it");
}

#[tokio::test]
async fn without_a_tenant_every_table_is_empty_and_takes_nothing() {
    let (here, _) = neighbours().await;
    let mut open = Vec::new();
    for (table, column) in tenant_tables().await {
        for statement in [
            format!("SELECT FROM {table}"),
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
        ] {
            // Refused for want of a grant is fine as well.
            if attempt("", &statement).await.unwrap_or(0) != 0 {
                open.push(statement);
            }
        }
        let insert = format!("INSERT INTO {table} ({column}) VALUES ('{}')", here.id);
        if attempt("", &insert).await != Err(REFUSED.into()) {
            open.push(insert);
        }
    }
    none(&open, "a connection that entered no tenant got through");
}

#[tokio::test]
async fn inside_a_tenant_no_other_tenants_row_is_seen_changed_or_made() {
    let (here, there) = neighbours().await;
    let mut open = Vec::new();
    for (table, column) in tenant_tables().await {
        let theirs = format!("WHERE {column} = '{}'", there.id);
        for statement in [
            format!("SELECT FROM {table} {theirs}"),
            format!("UPDATE {table} SET {column} = {column} {theirs}"),
            format!("UPDATE {table} SET {column} = '{}' {theirs}", here.id),
            format!("DELETE FROM {table} {theirs}"),
        ] {
            if attempt(&here.enter(), &statement).await.unwrap_or(0) != 0 {
                open.push(statement);
            }
        }
        for statement in [
            format!("INSERT INTO {table} ({column}) VALUES ('{}')", there.id),
            format!("UPDATE {table} SET {column} = '{}'", there.id),
        ] {
            if attempt(&here.enter(), &statement).await != Err(REFUSED.into()) {
                open.push(statement);
            }
        }
    }
    none(&open, "a carrier got at another one's row");
}

#[tokio::test]
async fn inside_a_tenant_its_own_rows_are_seen() {
    let (here, _) = neighbours().await;
    let readable = "SELECT table_name::text FROM information_schema.table_privileges
                    WHERE grantee = 'carhaul_api' AND privilege_type = 'SELECT' AND table_schema = 'public'";
    let readable = texts(&mut superuser().await, readable).await;
    for (table, _) in tenant_tables().await.iter().filter(|(table, _)| readable.contains(table)) {
        let seen = attempt(&here.enter(), &format!("SELECT FROM {table}")).await;
        // The claim of an idempotency key belongs to its actor, but to the tenant it is visible.
        assert!(seen.as_ref().is_ok_and(|rows| *rows > 0), "{table}: {seen:?}");
    }
}

#[tokio::test]
async fn a_reference_to_another_tenants_row_is_refused_by_its_key() {
    let (here, there) = neighbours().await;
    let customer =
        texts(&mut superuser().await, format!("SELECT id::text FROM customers WHERE tenant_id = '{}'", there.id))
            .await
            .remove(0);
    let sql = format!("UPDATE orders SET customer_id = '{customer}'");
    assert_eq!(attempt(&here.enter(), &sql).await, Err("23503".into()));
}

#[tokio::test]
async fn a_driver_sees_only_their_own_orders_and_trips_and_what_belongs_to_them() {
    let (here, _) = neighbours().await;
    let driver = here.member("driver").await;
    let scoped = [
        "orders",
        "order_vehicles",
        "order_tags",
        "status_history",
        "documents",
        "order_search_terms",
        "trips",
        "trip_stops",
        "trip_history",
        "tenant_events",
    ];
    for table in scoped {
        assert_eq!(attempt(&driver.enter(), &format!("SELECT FROM {table}")).await, Ok(0), "{table}");
    }
    let sql = format!(
        "BEGIN; UPDATE drivers SET user_id = '{user}' WHERE tenant_id = '{tenant}'; \
         UPDATE orders SET driver_id = (SELECT id FROM drivers WHERE tenant_id = '{tenant}') WHERE tenant_id = '{tenant}'; \
         UPDATE trips SET driver_id = (SELECT id FROM drivers WHERE tenant_id = '{tenant}') WHERE tenant_id = '{tenant}'; \
         COMMIT",
        user = driver.user.unwrap(),
        tenant = here.id
    );
    run(&mut superuser().await, sql).await.unwrap();
    for table in scoped {
        let seen = attempt(&driver.enter(), &format!("SELECT FROM {table}")).await;
        assert!(seen.as_ref().is_ok_and(|rows| *rows > 0), "{table}: {seen:?}");
    }
}

/// A pool of five server connections, two hundred clients: what one transaction has set is gone for the next, whoever's
/// it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_was_entered_is_left_with_the_transaction() {
    let (here, there) = neighbours().await;
    let mut tasks = tokio::task::JoinSet::new();
    let options = Database::get().await.options("carhaul_api");
    for n in 0..200 {
        let carrier = [Some(here.clone()), Some(there.clone()), None][n % 3].clone();
        let options = options.clone();
        tasks.spawn(async move {
            let mut api = options.connect().await.unwrap();
            for round in 0..5 {
                let Some(carrier) = &carrier else {
                    assert_eq!(number(&mut api, "SELECT count(*) FROM orders").await, 0);
                    let left = "SELECT coalesce(current_setting('app.tenant_id', true), '')";
                    assert_eq!(texts(&mut api, left).await, [""]);
                    continue;
                };
                let end = ["COMMIT", "ROLLBACK"][round % 2];
                run(&mut api, format!("BEGIN; {}", carrier.enter())).await.unwrap();
                let seen = texts(&mut api, "SELECT DISTINCT tenant_id::text FROM orders").await;
                run(&mut api, end).await.unwrap();
                assert_eq!(seen, [carrier.id.to_string()]);
                assert_eq!(number(&mut api, "SELECT count(*) FROM orders").await, 0);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
