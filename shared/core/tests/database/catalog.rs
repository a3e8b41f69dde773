//! Rules for every table, read from the catalogs: the checklist in migrations/README.md, so that a table added later
//! cannot forget them.

use crate::support::{none, superuser, texts};

/// Tables of ours, and whether carriers share them. sqlx's own table of migrations is no function's business.
const TABLES: &str = "WITH tables AS (
    SELECT c.oid, c.relname AS name, c.relrowsecurity, c.relforcerowsecurity, c.relacl,
           coalesce(obj_description(c.oid, 'pg_class') LIKE 'SHARED: %', false) AS shared,
           CASE c.relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END AS tenant_column
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations')";

/// Fails if the query, which may select from `tables`, finds anything.
async fn finds_nothing(rule: &str, query: &str) {
    none(&texts(&mut superuser().await, format!("{TABLES} {query}")).await, rule);
}

#[tokio::test]
async fn every_table_has_its_tenant_first_in_its_key_or_says_why_it_is_shared() {
    finds_nothing(
        "the primary key must start with tenant_id, or the table's comment with `SHARED: ` and the reason",
        "SELECT name::text FROM tables WHERE NOT shared AND NOT EXISTS (
             SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = tables.oid AND i.indisprimary AND a.attname = tenant_column)",
    )
    .await;
}

#[tokio::test]
async fn every_table_is_under_row_level_security_its_owner_included() {
    finds_nothing(
        "row-level security must be enabled and forced, unless the table is shared and functions may only read it",
        "SELECT name::text FROM tables
         WHERE NOT (relrowsecurity AND relforcerowsecurity)
           AND NOT (shared AND NOT EXISTS (
               SELECT FROM aclexplode(relacl) g
               WHERE g.grantee <> 'carhaul_owner'::regrole AND g.privilege_type <> 'SELECT'))",
    )
    .await;
}

#[tokio::test]
async fn every_tenant_table_has_a_policy_for_each_command_that_is_evaluated_once() {
    finds_nothing(
        "each command needs a permissive policy `tenant_id = (SELECT app.tenant_id())`",
        "SELECT format('%s: %s is (%s) with check (%s)', name, command, coalesce(qual, 'none'), coalesce(with_check, 'none'))
         FROM tables
         CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS command
         CROSS JOIN format('(%s = ( SELECT app.tenant_id() AS tenant_id))', tenant_column) AS mine
         LEFT JOIN pg_policies p ON p.schemaname = 'public' AND p.tablename = name AND p.cmd = command
                                AND p.permissive = 'PERMISSIVE' AND p.roles = '{public}'
         WHERE NOT shared
           AND (qual IS DISTINCT FROM (CASE WHEN command <> 'INSERT' THEN mine END)
                OR with_check IS DISTINCT FROM (CASE WHEN command IN ('INSERT', 'UPDATE') THEN mine END))",
    )
    .await;
}

#[tokio::test]
async fn no_other_policy_lets_a_function_in() {
    finds_nothing(
        "a permissive policy widens what is seen: only carhaul_gate has others than the tenant's, or a shared table",
        "SELECT format('%s: %s', tablename, policyname)
         FROM pg_policies p JOIN tables ON name = tablename
         WHERE permissive = 'PERMISSIVE' AND roles <> '{carhaul_gate}' AND NOT shared AND policyname NOT LIKE 'tenant\\_%'",
    )
    .await;
}

#[tokio::test]
async fn no_policy_calls_a_function_for_each_row() {
    finds_nothing(
        "a policy must call functions as `(SELECT app.f())`",
        "SELECT format('%s: %s', tablename, policyname)
         FROM pg_policies
         WHERE regexp_replace(concat(qual, with_check), '\\( SELECT (app\\.\\w+\\(\\) AS \\w+|\\(app\\.\\w+\\(\\) IS NULL\\)[^)]*)\\)', '', 'g') ~ '\\w\\('",
    )
    .await;
}

#[tokio::test]
async fn every_foreign_key_between_tenant_tables_includes_the_tenant() {
    finds_nothing(
        "the key must name tenant_id on both sides, at the same place",
        "SELECT format('%s: %s', t.name, k.conname)
         FROM pg_constraint k
         JOIN tables t ON t.oid = k.conrelid AND NOT t.shared
         JOIN tables r ON r.oid = k.confrelid AND NOT r.shared
         WHERE k.contype = 'f' AND NOT EXISTS (
             SELECT FROM unnest(k.conkey, k.confkey) AS pair(here, there)
             JOIN pg_attribute h ON h.attrelid = t.oid AND h.attnum = here AND h.attname = 'tenant_id'
             JOIN pg_attribute o ON o.attrelid = r.oid AND o.attnum = there AND o.attname = r.tenant_column)",
    )
    .await;
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    finds_nothing(
        "the key's columns must be the first columns of an index",
        "SELECT format('%s: %s', name, k.conname)
         FROM pg_constraint k JOIN tables ON tables.oid = k.conrelid
         WHERE k.contype = 'f' AND NOT EXISTS (
             SELECT FROM pg_index i
             WHERE i.indrelid = k.conrelid
               AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
               AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$'))",
    )
    .await;
}

#[tokio::test]
async fn every_index_that_a_list_can_walk_starts_with_the_tenant() {
    finds_nothing(
        "an index of a tenant table starts with tenant_id, unless it serves what crosses tenants: the gate's look-ups and purges",
        "SELECT i.indexrelid::regclass::text
         FROM pg_index i JOIN tables ON tables.oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE NOT shared AND a.attname <> tenant_column
           AND NOT EXISTS (SELECT FROM pg_policies p WHERE p.tablename = name AND p.roles = '{carhaul_gate}')
           AND name <> 'tenants'",
    )
    .await;
}

#[tokio::test]
async fn every_indexed_column_can_be_searched_under_row_level_security() {
    finds_nothing(
        "operators that are not leakproof lose their index: enum, numeric, jsonb, tsvector and the like are not for filters",
        "SELECT DISTINCT format('%s: %s', i.indexrelid::regclass, format_type(a.atttypid, a.atttypmod))
         FROM pg_index i
         JOIN tables ON oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum <= i.indnkeyatts
         JOIN pg_opclass c ON c.oid = i.indclass[a.attnum - 1]
         JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
         JOIN pg_operator o ON o.oid = m.amopopr
         JOIN pg_proc f ON f.oid = o.oprcode
         WHERE NOT f.proleakproof",
    )
    .await;
}

#[tokio::test]
async fn money_is_decimal_and_nothing_is_a_float() {
    finds_nothing(
        "no float and no money type; numeric has a scale and is for amounts and rates",
        "SELECT format('%s.%s %s', name, a.attname, format_type(a.atttypid, a.atttypmod))
         FROM tables JOIN pg_attribute a ON a.attrelid = oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE a.atttypid IN ('real'::regtype, 'double precision'::regtype, 'money'::regtype)
            OR (a.atttypid = 'numeric'::regtype
                AND (a.atttypmod = -1 OR a.attname !~ '(^|_)(price|fee|amount|rate|cost|total|balance)$'))",
    )
    .await;
}

#[tokio::test]
async fn every_time_has_a_zone() {
    finds_nothing(
        "a moment is timestamptz, a calendar day is date",
        "SELECT format('%s.%s %s', name, a.attname, format_type(a.atttypid, a.atttypmod))
         FROM tables JOIN pg_attribute a ON a.attrelid = oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE a.atttypid IN ('timestamp'::regtype, 'time'::regtype, 'timetz'::regtype)
            OR (a.attname ~ '_at$' AND a.atttypid <> 'timestamptz'::regtype)",
    )
    .await;
}

#[tokio::test]
async fn states_are_text_and_not_enums() {
    finds_nothing(
        "an enum's operators are not leakproof: use text with a CHECK",
        "SELECT typname::text FROM pg_type WHERE typtype = 'e' AND typnamespace NOT IN (
             'pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
    )
    .await;
}

#[tokio::test]
async fn every_table_that_counts_versions_counts_them_by_trigger() {
    finds_nothing(
        "a table with `version` has the trigger `touch`, unless its rows are versions",
        "SELECT name::text
         FROM tables JOIN pg_attribute a ON a.attrelid = tables.oid AND a.attname = 'version'
         WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = tables.oid AND t.tgname = 'touch')
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = tables.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))",
    )
    .await;
}
