//! Who may do what: no function's role owns, bypasses or borrows anything, and its grants are exactly the listed ones.

use crate::support::{connect, none, run, superuser, texts};

/// What each role may do, one line for each role and object. A migration that grants something says so here as well.
const GRANTS: &str = include_str!("grants.txt");

const FUNCTION_ROLES: &str =
    "('carhaul_api', 'carhaul_billing', 'carhaul_ai', 'carhaul_realtime', 'carhaul_housekeeping')";

async fn finds_nothing(rule: &str, query: &str) {
    none(&texts(&mut superuser().await, query).await, rule);
}

#[tokio::test]
async fn no_role_of_ours_is_a_superuser_or_bypasses_row_level_security() {
    finds_nothing(
        "roles must be plain",
        "SELECT rolname::text FROM pg_roles
         WHERE rolname LIKE 'carhaul\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
           AND rolname <> 'carhaul_admin'",
    )
    .await;
    finds_nothing(
        "nobody logs in as the gate",
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'carhaul_gate' AND rolcanlogin",
    )
    .await;
}

#[tokio::test]
async fn no_functions_role_owns_anything() {
    finds_nothing(
        "only carhaul_owner owns, and carhaul_gate its functions",
        "SELECT format('%s owns %s', r.rolname, o.name)
         FROM (SELECT relowner AS owner, oid::regclass::text AS name, 'relation' AS kind FROM pg_class
               UNION ALL SELECT proowner, oid::regprocedure::text, 'function' FROM pg_proc
               UNION ALL SELECT nspowner, nspname, 'schema' FROM pg_namespace
               UNION ALL SELECT typowner, typname, 'type' FROM pg_type
               UNION ALL SELECT datdba, datname, 'database' FROM pg_database) o
         JOIN pg_roles r ON r.oid = o.owner
         WHERE r.rolname LIKE 'carhaul\\_%' AND r.rolname NOT IN ('carhaul_owner', 'carhaul_admin')
           AND NOT (r.rolname = 'carhaul_gate' AND o.kind = 'function')",
    )
    .await;
}

#[tokio::test]
async fn no_functions_role_can_become_another() {
    let sql = format!(
        "SELECT format('%s may become %s', member::regrole, roleid::regrole) FROM pg_auth_members
         WHERE member::regrole::text IN {FUNCTION_ROLES}
            OR (roleid::regrole::text = 'carhaul_gate' AND member::regrole::text <> 'carhaul_owner' AND set_option)
            OR (roleid::regrole::text = 'carhaul_gate' AND inherit_option)"
    );
    finds_nothing("roles are not members of each other", &sql).await;
}

#[tokio::test]
async fn functions_that_cross_tenants_are_the_gates_and_nobody_can_steer_their_names() {
    finds_nothing(
        "SECURITY DEFINER needs carhaul_gate as its owner and `SET search_path = public, pg_temp`",
        "SELECT p.oid::regprocedure::text FROM pg_proc p
         WHERE p.prosecdef AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
           AND (p.proowner <> 'carhaul_gate'::regrole
                OR 'search_path=public, pg_temp' <> ALL (coalesce(p.proconfig, '{}')))",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_open_to_everybody() {
    finds_nothing(
        "PUBLIC must have nothing",
        "SELECT p.oid::regprocedure::text
         FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
         WHERE p.pronamespace IN ('app'::regnamespace, 'public'::regnamespace) AND g.grantee = 0
         UNION ALL
         SELECT c.oid::regclass::text FROM pg_class c CROSS JOIN aclexplode(c.relacl) g
         WHERE c.relnamespace IN ('app'::regnamespace, 'public'::regnamespace) AND g.grantee = 0
         UNION ALL
         SELECT n.nspname FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) g
         WHERE n.nspname IN ('app', 'public') AND g.grantee = 0
         UNION ALL
         SELECT d.datname FROM pg_database d CROSS JOIN aclexplode(d.datacl) g
         WHERE d.datname = current_database() AND g.grantee = 0",
    )
    .await;
}

/// Privileges of each role of a function and of the gate, columns in parentheses where not all are meant.
const ACTUAL: &str = "
    WITH grants AS (
        SELECT g.grantee, c.relname AS object, g.privilege_type AS privilege
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) g
        WHERE c.relnamespace IN ('app'::regnamespace, 'public'::regnamespace)
        UNION ALL
        SELECT g.grantee, c.relname, format('%s (%s)', g.privilege_type, string_agg(a.attname, ', ' ORDER BY a.attnum))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid CROSS JOIN aclexplode(a.attacl) g
        WHERE c.relnamespace = 'public'::regnamespace
        GROUP BY g.grantee, c.relname, g.privilege_type
        UNION ALL
        SELECT g.grantee, format('%s.%s()', n.nspname, p.proname), g.privilege_type
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN aclexplode(p.proacl) g
        WHERE n.nspname IN ('app', 'public') AND g.grantee <> p.proowner
        UNION ALL
        SELECT g.grantee, format('schema %s', n.nspname), g.privilege_type
        FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) g WHERE n.nspname IN ('app', 'public'))
    SELECT format('%s | %s | %s', r.rolname, object, string_agg(DISTINCT privilege, ', ' ORDER BY privilege)) AS line
    FROM grants JOIN pg_roles r ON r.oid = grantee
    WHERE r.rolname LIKE 'carhaul\\_%' AND r.rolname <> 'carhaul_owner'
    GROUP BY r.rolname, object
    ORDER BY r.rolname COLLATE \"C\", object COLLATE \"C\"";

#[tokio::test]
async fn each_role_has_exactly_the_grants_that_are_listed() {
    let actual = texts(&mut superuser().await, ACTUAL).await;
    let listed: Vec<&str> = GRANTS.lines().collect();
    let missing: Vec<_> = listed.iter().filter(|line| !actual.iter().any(|a| a == *line)).collect();
    let unlisted: Vec<_> = actual.iter().filter(|line| !listed.contains(&line.as_str())).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "grants.txt differs from the database.\nListed and not granted: {missing:#?}\nGranted and not listed: {unlisted:#?}"
    );
}

#[tokio::test]
async fn a_function_reaches_nothing_beyond_its_grants() {
    for (role, statement) in [
        ("carhaul_billing", "SELECT FROM orders"),
        ("carhaul_billing", "UPDATE orders SET price = 0"),
        ("carhaul_billing", "SELECT FROM customers"),
        ("carhaul_ai", "SELECT FROM api_keys"),
        ("carhaul_ai", "SELECT pay_rate FROM drivers"),
        ("carhaul_realtime", "SELECT FROM app.enter('user', '', '', NULL, NULL)"),
        ("carhaul_ai", "UPDATE orders SET price = 0"),
        ("carhaul_ai", "INSERT INTO executions (tenant_id) VALUES (gen_random_uuid())"),
        ("carhaul_ai", "SELECT FROM app.enter('user', '', '', NULL, NULL)"),
        ("carhaul_api", "UPDATE executions SET output = '{}'"),
        ("carhaul_api", "SELECT app.enter_execution(gen_random_uuid(), 1)"),
        ("carhaul_api", "SELECT app.book_unheard(gen_random_uuid(), 1, 0, 0, 0)"),
        ("carhaul_ai", "UPDATE provider_keys SET ciphertext = ''"),
        ("carhaul_ai", "UPDATE provider_keys SET base_url = 'https://elsewhere.example.com'"),
        ("carhaul_api", "SELECT ciphertext FROM provider_keys"),
        ("carhaul_api", "SELECT data_key FROM provider_keys"),
        ("carhaul_api", "SELECT * FROM provider_keys"),
        ("carhaul_api", "DELETE FROM provider_keys RETURNING ciphertext"),
        ("carhaul_housekeeping", "SELECT FROM provider_keys"),
        ("carhaul_realtime", "INSERT INTO tenant_events (tenant_id) VALUES (gen_random_uuid())"),
        ("carhaul_housekeeping", "SELECT FROM orders"),
        ("carhaul_api", "UPDATE tenants SET plan = 'pro'"),
        ("carhaul_api", "UPDATE counters SET used = 0"),
        ("carhaul_api", "DELETE FROM audit_log"),
        ("carhaul_api", "INSERT INTO memberships (tenant_id) VALUES (gen_random_uuid())"),
        ("carhaul_api", "INSERT INTO plan_limits VALUES ('free', 'trucks', NULL, 'total')"),
        ("carhaul_api", "DELETE FROM orders"),
        ("carhaul_api", "SELECT app.set_context(gen_random_uuid(), NULL, NULL, NULL, NULL)"),
        ("carhaul_api", "SELECT app.purge_expired(1)"),
        ("carhaul_api", "SELECT FROM _sqlx_migrations"),
        ("carhaul_api", "SET ROLE carhaul_gate"),
        ("carhaul_api", "CREATE TABLE public.mine (id integer)"),
        ("carhaul_api", "ALTER TABLE orders DISABLE ROW LEVEL SECURITY"),
        ("carhaul_api", "CREATE TEMP TABLE orders (id integer)"),
    ] {
        let refused = run(&mut connect(role).await, format!("BEGIN; {statement}; ROLLBACK")).await;
        let code = refused.unwrap_err().as_database_error().and_then(|e| e.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{role}: {statement}");
    }
}
