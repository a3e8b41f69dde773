//! How Postgres runs every list of the API document for a carrier with many rows: each page of each list, filter and sort is one
//! statement, which evaluates the policies once and touches no more than a page needs, as an owner and as a driver, planned for
//! its values and for all. A list that the document has and these tests do not know, or of which they have no rows, fails them.
//!
//! What is looked at is what the instance has sent: the server tells of the plan of each statement (auto_explain), in its
//! session alone.

use std::collections::BTreeMap;

use carhaul_core::platform::telemetry;
use carhaul_testkit::plan::{Touched, calls_for_each_row, dearest, nodes, touched};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::support::{Carrier, Client, Instance, Lines, TestApp, ids};
use crate::tenant_isolation::document::{Operation, operations};

const ROWS: i64 = 20_000;

/// Lists that have no second page, and why.
const SHORT: [(&str, &str); 4] = [
    ("list_billing_prices", "the price list is the same for all and has a row for each plan and interval"),
    ("list_number_sequences", "one for each kind"),
    ("list_order_vehicles", "twelve at most"),
    ("list_provider_keys", "one for each provider"),
];

/// Parameters that say where in a list and how much of it.
const PAGING: [&str; 3] = ["after", "cursor", "limit"];

/// What a page may touch. Of a search or a range 2000 rows are counted at most; they are fetched, or the list is walked past
/// as many, with a look at the words of each.
fn bound(operation: &str, query: &str) -> Touched {
    let is_range = ["_from=", "_to=", "_before="].iter().any(|filter| query.contains(filter));
    let (rows, buffers) = match operation {
        // Every pair of its filters and sorts is in the core's test of this list. Its orders are the newer the earlier their
        // days are: a page of the latest is at the far end.
        "list_orders" if is_range => (14_000, 16_000),
        "list_orders" if query.contains("q=") => (12_000, 16_000),
        "list_orders" => (6000, 16_000),
        // The planner would rather read all of so few trips as they lie than 2000 by an index.
        "list_trips" if is_range => (10_000, 1500),
        _ if is_range || query.contains("q=") => (6500, 13_000),
        _ => (600, 1800),
    };
    Touched { rows, buffers }
}

/// A carrier of many rows, of which the oldest are archived, and one of which all but the oldest are.
static CARRIERS: OnceCell<[Uuid; 2]> = OnceCell::const_new();

async fn carriers(app: &TestApp) -> [Uuid; 2] {
    let load = || async {
        [
            carrier_named(app, "Many rows", "20000", "n <= 200").await,
            carrier_named(app, "Many rows of old", "4000", "n > 200").await,
        ]
    };
    *CARRIERS.get_or_init(load).await
}

/// The tests only read, so a database that has them keeps them.
async fn carrier_named(app: &TestApp, name: &str, orders: &str, archived: &str) -> Uuid {
    let mut superuser = app.superuser().await;
    let loaded = format!("SELECT id FROM tenants WHERE name = '{name}'");
    if let Some(row) = superuser.fetch_optional(AssertSqlSafe(loaded)).await.expect("the question is SQL") {
        return row.get(0);
    }
    let id = app.carrier().await.id;
    let many_orders = include_str!("../../../../shared/core/tests/database/many_orders.sql").replace("$orders", orders);
    let many_rows = include_str!("many_rows.sql").replace("$rows", &ROWS.to_string());
    let many_rows = many_rows.replace("$archived", archived).replace("$name", name);
    // As autovacuum leaves it, sooner or later.
    for sql in [many_orders, many_rows, "VACUUM (ANALYZE)".to_owned()] {
        let sql = sql.replace("$tenant", &id.to_string());
        superuser.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("the rows can be written");
    }
    id
}

/// A carrier as one of its members asks for its lists.
struct Walk {
    app: TestApp,
    tenant: Uuid,
    member: Client,
    role: &'static str,
    lines: Lines,
    /// The most pages with rows of each list, and of each of its parameters.
    pages: BTreeMap<(String, String), usize>,
    faults: Vec<String>,
}

impl Walk {
    async fn start(carrier: usize, role: &'static str) -> Self {
        let app = TestApp::start().await;
        app.sell().await;
        let tenant = carriers(&app).await[carrier];
        let member = app.member(&Carrier { id: tenant, owner: app.client("nobody") }, role).await;
        let (lines, pages, faults) = (Lines::default(), BTreeMap::new(), Vec::new());
        let walk = Self { app, tenant, member, role, lines, pages, faults };
        if role == "driver" {
            let (user, driver) = (walk.member.user_id.expect("a member is a person"), walk.nth("driver", 60).await);
            let sql = format!("UPDATE drivers SET user_id = '{user}' WHERE (tenant_id, id) = ('{tenant}', '{driver}')");
            walk.app.run(&sql).await;
        }
        walk
    }

    async fn text(&self, sql: &str) -> String {
        let sql = format!("SELECT ({sql})::text");
        self.app.superuser().await.fetch_one(AssertSqlSafe(sql)).await.expect("the question is SQL").get(0)
    }

    /// As many_orders.sql numbers them.
    async fn nth(&self, kind: &str, n: u32) -> String {
        self.text(&format!("md5('{}{kind}{n}')::uuid", self.tenant)).await
    }

    /// What the path is about: a thing with a long history.
    async fn path(&self, operation: &Operation) -> String {
        let tenant = self.tenant;
        let order = format!("SELECT id FROM orders WHERE tenant_id = '{tenant}' AND number = 7");
        let skill = format!("SELECT id FROM skills WHERE tenant_id = '{tenant}' ORDER BY id LIMIT 1");
        let (order, trip, skill) = (self.text(&order).await, self.nth("trip", 1000).await, self.text(&skill).await);
        operation.path_with(|collection| match collection {
            "orders" => order.clone(),
            "trips" => trip.clone(),
            "skills" => skill.clone(),
            _ => panic!("say here which of the {collection} {} is asked of", operation.id),
        })
    }

    /// What a filter is given: what few rows have, and what most have.
    async fn values(&self, operation: &Operation, name: &str) -> Vec<String> {
        let parameter = operation.parameters("query").find(|it| it.name == name).expect("it is one of its parameters");
        if parameter.is_flag {
            return vec!["true".into(), "false".into()];
        }
        if !parameter.words.is_empty() {
            return parameter.words.clone();
        }
        let all = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        match name {
            "q" if operation.id == "list_orders" => all(&["rare", "vin77", "nobody"]),
            "q" => all(&["rare", "common", "nobody"]),
            "state" => all(&["HI", "KY"]),
            "city" => all(&["hilo", "lexington"]),
            "pickup_state" | "delivery_state" => all(&["AH"]),
            "pickup_city" | "delivery_city" => all(&["city%207"]),
            "pickup_zip" | "delivery_zip" => all(&["00007"]),
            "number" => all(&["77"]),
            "payment_term" => all(&["days_30", "days_21"]),
            "skill" => all(&["audit_billing", "extract_order"]),
            "expiring_before" => all(&["2020-06-01", "2020-01-01", "2099-12-31"]),
            "batch" => vec![
                self.text(&format!(
                    "SELECT batch_id FROM executions WHERE tenant_id = '{}' AND batch_id IS NOT NULL LIMIT 1",
                    self.tenant
                ))
                .await,
            ],
            "driver" | "truck" | "trailer" | "dispatcher" | "customer" => vec![self.nth(name, 7).await],
            "trip" => vec![self.nth(name, 700).await],
            "tag" => vec![self.nth(name, 0).await],
            "custom_status" => vec![self.nth(name, 1).await],
            "created_from" | "created_to" => {
                let rare = format!(
                    "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM executions WHERE tenant_id = '{}'",
                    self.tenant
                );
                vec![
                    self.text(&format!("{rare} ORDER BY created_at LIMIT 1 OFFSET 100")).await,
                    self.text(&format!("{rare} ORDER BY created_at DESC LIMIT 1 OFFSET 100")).await,
                ]
            }
            _ if name.ends_with("_date_from") || name.ends_with("_date_to") => {
                let day = |days: &str| format!("current_date - {days}");
                vec![self.text(&day("3")).await, self.text(&day("100")).await, self.text(&day("400")).await]
            }
            _ => panic!("say here what the filter {name} of {} is given", operation.id),
        }
    }

    /// Nothing asked for, each sort, each value of each filter, and that among what is archived.
    /// Each with the parameter that it is about.
    async fn queries(&self, operation: &Operation) -> Vec<(String, String)> {
        let mut queries = vec![(String::new(), String::new())];
        for parameter in operation.parameters("query").filter(|it| !PAGING.contains(&it.name.as_str())) {
            let name = &parameter.name;
            let values = match name.as_str() {
                "include" => vec![parameter.words.join(",")],
                _ => self.values(operation, name).await,
            };
            for value in values {
                queries.push((name.clone(), format!("{name}={value}")));
                if operation.takes("query", "archived") && name != "archived" {
                    queries.push((name.clone(), format!("{name}={value}&archived=true")));
                }
            }
        }
        queries
    }

    /// An instance past the pooler, whose session tells of its plans. Only a superuser may ask for that, who then is the
    /// function's role.
    fn explained(&self, mode: &str) -> Instance {
        let settings = [
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_buffers", "on"),
            ("auto_explain.log_timing", "off"),
            ("auto_explain.log_format", "json"),
            ("auto_explain.log_level", "notice"),
            ("plan_cache_mode", mode),
            ("role", "carhaul_api"),
        ];
        self.app.instance_at(self.app.database.direct().options(settings))
    }

    /// Every list in every way.
    async fn all(mut self) -> Self {
        let _guard = telemetry::divert("sqlx::postgres::notice=info", {
            let lines = self.lines.clone();
            move || lines.clone()
        });
        let lists: Vec<Operation> = operations().into_iter().filter(|operation| operation.is_list).collect();
        assert!(lists.len() > 25, "the document has {} lists", lists.len());
        for operation in &lists {
            let (path, queries) = (self.path(operation).await, self.queries(operation).await);
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let client = self.member.through(&self.explained(mode));
                for (parameter, query) in &queries {
                    self.ask(&client, operation, &format!("{path}?{query}"), parameter, mode).await;
                }
            }
        }
        self
    }

    /// Two pages of one list.
    async fn ask(&mut self, client: &Client, operation: &Operation, asked: &str, parameter: &str, mode: &str) {
        let mut cursor = String::new();
        for page in 1..=2 {
            self.lines.take();
            let reply = client.get(&format!("{asked}{cursor}")).await;
            if self.role == "driver" && reply.status == 403 {
                return;
            }
            let shown = reply.expect(200);
            let plans = self.lines.take();
            for fault in faults(&plans, bound(&operation.id, asked)) {
                self.faults.push(format!("{} as {}, page {page} of {asked}, {mode}: {fault}", operation.id, self.role));
            }
            if shown["data"].as_array().is_some_and(|rows| !rows.is_empty()) {
                let most = self.pages.entry((operation.id.clone(), parameter.to_owned())).or_default();
                *most = page.max(*most);
            }
            let Some(next) = shown["next_cursor"].as_str() else { return };
            let name = if operation.takes("query", "after") { "after" } else { "cursor" };
            cursor = format!("&{name}={next}");
        }
    }
}

/// What is wrong with what a request has sent, in the words of the log.
fn faults(log: &str, bound: Touched) -> Vec<String> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let told = lines.filter_map(|line| line["message"].as_str().map(str::to_owned));
    let plans: Vec<Value> = told
        .filter_map(|message| message.split_once("plan:").map(|(_, plan)| plan.to_owned()))
        .map(|plan| serde_json::from_str::<Value>(&plan).expect("a plan is JSON")["Plan"].clone())
        .collect();
    let [plan] = plans.as_slice() else { return vec![format!("{} statements", plans.len())] };
    let mut faults = Vec::new();
    let found = touched(plan, None);
    if found.rows > bound.rows || found.buffers > bound.buffers {
        faults.push(format!("{found:?}, and {bound:?} would do: {}", dearest(plan)));
    }
    let once = nodes(plan).into_iter().any(|node| node["Parent Relationship"] == "InitPlan");
    if !once {
        faults.push("the policy is not an InitPlan".to_owned());
    }
    faults.extend(calls_for_each_row(plan).into_iter().map(|call| format!("runs for each row: {call}")));
    faults
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} plans:\n  {}", faults.len(), faults.join("\n  "));
}

#[tokio::test]
async fn every_list_touches_no_more_than_its_page_needs() {
    let walk = Walk::start(0, "owner").await.all().await;
    none(&walk.faults);
    for operation in operations().into_iter().filter(|operation| operation.is_list) {
        let id = &operation.id;
        let pages = |parameter: &str| walk.pages.get(&(id.clone(), parameter.to_owned())).copied().unwrap_or_default();
        let is_short = SHORT.iter().any(|(list, _)| list == id);
        let (shown, expected) = (pages(""), if is_short { 1 } else { 2 });
        assert_eq!(shown, expected, "pages of {id}: many_rows.sql must have some of its rows");
        for parameter in operation.parameters("query").filter(|it| !PAGING.contains(&it.name.as_str())) {
            assert!(
                pages(&parameter.name) > 0,
                "{id} finds nothing by {}: let many_rows.sql have some",
                parameter.name
            );
        }
    }
}

#[tokio::test]
async fn what_is_in_use_is_found_among_much_that_is_archived() {
    none(&Walk::start(1, "owner").await.all().await.faults);
}

#[tokio::test]
async fn a_driver_touches_no_more_than_what_is_theirs() {
    let walk = Walk::start(0, "driver").await.all().await;
    none(&walk.faults);
    let shown: Vec<&str> =
        walk.pages.keys().filter(|(_, parameter)| parameter.is_empty()).map(|(id, _)| &**id).collect();
    let theirs =
        ["list_drivers", "list_events", "list_order_history", "list_order_vehicles", "list_orders", "list_trips"];
    assert!(theirs.iter().all(|list| shown.contains(list)), "{shown:?}");
}

/// What few rows pass is looked up, and what many pass is asked of each row of the list: both find the same.
#[tokio::test]
async fn a_search_finds_the_same_whether_few_or_many_rows_pass_it() {
    for carrier in [0, 1] {
        let walk = Walk::start(carrier, "owner").await;
        for (list, query, passes) in [
            ("customers", "q=rare", "name LIKE 'Rare %'"),
            ("customers", "q=common", "name LIKE 'Common %'"),
            ("customers", "q=common+1999", "name LIKE 'Common 1999%'"),
            ("customers", "q=nobody", "false"),
            ("locations", "q=rare", "name LIKE 'Rare %'"),
            ("locations", "q=common", "name LIKE 'Common %'"),
            ("drivers", "q=rare+2", "name LIKE 'Rare 2%'"),
            ("drivers", "q=common", "name LIKE 'Common %'"),
            ("drivers", "expiring_before=2020-01-15", "licence_expires_on < '2020-01-15'"),
            ("drivers", "expiring_before=2020-06-01", "medical_card_expires_on < '2020-06-01'"),
            ("drivers", "expiring_before=2099-12-31", "licence_expires_on IS NOT NULL"),
            ("drivers", "expiring_before=2020-06-01&q=rare+21", "name LIKE 'Rare 21%'"),
            ("trucks", "q=rare", "unit_number LIKE 'Rare %'"),
            ("trucks", "q=common", "unit_number LIKE 'Common %'"),
            ("trailers", "q=COMMON+7", "unit_number LIKE 'Common 7%'"),
            ("trips", "start_date_from=2020-01-01&end_date_to=2020-02-01", "false"),
            ("trips", "start_date_from=2020-01-01", "true"),
            (
                "executions",
                "created_from=2023-11-15T00:00:00Z&created_to=2023-11-15T06:00:00Z",
                "created_at >= '2023-11-15T00:00:00Z' AND created_at < '2023-11-15T06:00:00Z'",
            ),
        ] {
            for (archived, condition) in [("", "archived_at IS NULL"), ("&archived=true", "archived_at IS NOT NULL")] {
                let condition = if list == "executions" { "true" } else { condition };
                let sql = format!(
                    "SELECT id::text FROM {list} WHERE tenant_id = '{}' AND {passes} AND {condition} ORDER BY id DESC LIMIT 120",
                    walk.tenant
                );
                let mut superuser = walk.app.superuser().await;
                let rows = superuser.fetch_all(AssertSqlSafe(sql)).await.expect("the question is SQL");
                let expected: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                let (mut found, mut cursor) = (Vec::new(), String::new());
                for _ in 0..2 {
                    let archived = if list == "executions" { "" } else { archived };
                    let page =
                        walk.member.get(&format!("/v1/{list}?{query}{archived}&limit=60{cursor}")).await.expect(200);
                    found.extend(ids(&page));
                    let Some(next) = page["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                }
                assert_eq!(found, expected, "{list}?{query}{archived}");
            }
        }
    }
}
