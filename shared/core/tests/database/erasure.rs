//! What is found in the catalog to be erased and forgotten: a table that comes later must fit.

use crate::support::{Carrier, connect, none, number, run, superuser, texts};

#[tokio::test]
async fn every_table_of_carriers_can_be_emptied_in_the_order_that_the_catalog_gives() {
    let mut superuser = superuser().await;
    let order = texts(&mut superuser, "SELECT name FROM app.tables_of_tenants()").await;
    let expected = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.attname = 'tenant_id' AND c.relnamespace = 'public'::regnamespace  AND c.relkind IN ('r', 'p')";
    assert_eq!(order.len() as i64, number(&mut superuser, expected).await);
    let forbidden = "SELECT name FROM app.tables_of_tenants()
        WHERE NOT has_table_privilege('carhaul_gate', format('public.%I', name), 'DELETE')
           OR NOT has_column_privilege('carhaul_gate', format('public.%I', name), 'tenant_id', 'SELECT')";
    none(
        &texts(&mut superuser, forbidden).await,
        "GRANT SELECT, DELETE .. TO carhaul_gate, or it is not erased with its carrier",
    );
    let references = "SELECT format('%s %s', k.conrelid::regclass, k.confrelid::regclass) FROM pg_constraint k
        WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND k.conrelid <> k.confrelid";
    let place = |table: &str| order.iter().position(|one| one == table);
    let wrong: Vec<String> = texts(&mut superuser, references)
        .await
        .into_iter()
        .filter(|pair| {
            let (from, to) = pair.split_once(' ').unwrap();
            matches!((place(from), place(to)), (Some(from), Some(to)) if from > to)
        })
        .collect();
    none(&wrong, "what refers to another is emptied before it; a circle of references cannot be");
}

#[tokio::test]
async fn every_column_that_may_name_a_user_is_known_to_what_forgets_them() {
    let mut superuser = superuser().await;
    let columns = "SELECT format('%s.%s', c.relname, a.attname)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'uuid'::regtype
          AND a.attname ~ '(_by|^actor_id|^user_id|^dispatcher_id|^row_id|^subject_id)$'";
    let known = [
        "api_keys.created_by",
        "audit_log.actor_id",
        "audit_log.row_id",
        "documents.created_by",
        "drivers.user_id",
        "executions.created_by",
        "executions.reviewed_by",
        "exports.created_by",
        "idempotency_keys.actor_id",
        "invitations.accepted_by",
        "invitations.invited_by",
        "memberships.user_id",
        "orders.created_by",
        "orders.dispatcher_id",
        "realtime_connections.user_id",
        "realtime_tickets.user_id",
        "skill_versions.created_by",
        "skills.created_by",
        "status_history.actor_id",
        "tenant_events.subject_id",
        "trip_history.actor_id",
        "trips.created_by",
    ];
    let mut columns = texts(&mut superuser, columns).await;
    columns.sort();
    assert_eq!(columns, known, "what names a user is forgotten by app.forget_in or app.forget_rest");
}

#[tokio::test]
async fn housekeeping_erases_and_reads_nothing_but_what_was_asked_for() {
    let (carrier, rival) = (Carrier::create().await, Carrier::create().await);
    carrier.furnish().await;
    let mut housekeeping = connect("carhaul_housekeeping").await;
    let erase =
        |carrier: &Carrier| format!("SELECT count(*) FROM app.erase_rows('{}', 1000, interval '0')", carrier.id);
    for carrier in [&carrier, &rival] {
        assert_eq!(number(&mut housekeeping, erase(carrier)).await, 0);
    }
    let export = "SELECT count(*) FROM app.export_rows((SELECT gen_random_uuid()), 1, 'orders', NULL, 10)";
    assert_eq!(number(&mut housekeeping, export).await, 0);
    for statement in [
        "SELECT FROM erased_tenants",
        "SELECT FROM exports",
        "DELETE FROM orders",
        "UPDATE audit_log SET actor_id = NULL",
        "SELECT app.close_tenant()",
        "SELECT app.erase_me()",
    ] {
        let refused = run(&mut housekeeping, format!("BEGIN; {statement}; ROLLBACK")).await;
        let code = refused.unwrap_err().as_database_error().and_then(|e| e.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
        run(&mut housekeeping, "ROLLBACK").await.unwrap();
    }
    assert_eq!(
        number(&mut superuser().await, format!("SELECT count(*) FROM orders WHERE tenant_id = '{}'", carrier.id)).await,
        1
    );
}
