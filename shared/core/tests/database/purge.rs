//! What has expired is found by an index, however much has not.

use sqlx::Executor;

use crate::support::{none, run, superuser, texts};

#[tokio::test]
async fn every_table_that_is_purged_is_purged_by_an_index() {
    let mut superuser = superuser().await;
    // The function's own statements: what it selects by ctid, with the limit that its caller gives.
    let body = "SELECT string_agg(prosrc, '') FROM pg_proc WHERE proname LIKE 'purge\\_%'";
    let body = texts(&mut superuser, body).await.remove(0);
    let selects: Vec<String> = body
        .split("ARRAY(")
        .skip(1)
        .filter_map(|rest| rest.split_once("));").map(|(select, _)| select.replace("LIMIT batch", "LIMIT 100")))
        .collect();
    assert!(selects.len() >= 7, "{selects:?}");
    superuser.execute("BEGIN").await.unwrap();
    // A table of a few rows is quicker read whole; what counts is that it need not be.
    run(&mut superuser, "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off").await.unwrap();
    let mut walked_whole = Vec::new();
    for select in selects {
        let plan = texts(&mut superuser, format!("EXPLAIN (COSTS OFF) {select}")).await.join("\n");
        if !plan.contains("Index Cond") || plan.contains("Sort") || plan.contains("Seq Scan") {
            walked_whole.push(format!("{select}\n{plan}"));
        }
    }
    none(&walked_whole, "each purge needs an index on the time that it asks for");
}
