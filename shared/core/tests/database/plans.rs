//! How Postgres runs the dispatch list under row-level security: the policy is evaluated once, every filter finds its index, and
//! nothing is read that is not shown. What is explained is what the functions send, taken from the wire. All lists, as the api
//! function runs them, are in its test `list_plans`.

use carhaul_core::base::strings::StateCode;
use carhaul_core::base::text::Text;
use carhaul_core::orders::list::{self, Filter, PlaceAndTime, Sort, View};
use carhaul_core::orders::{BillingStatus, OrderStatus, PaymentTerm, TransportType};
use carhaul_core::platform::db::Db;
use carhaul_testkit::{Database, TripCounter};
use sqlx::{Executor, Row};
use tokio::sync::OnceCell;

use crate::support::{Carrier, connect, none, run, superuser, texts};

/// A carrier with many orders, beside another one; the tests only read, so a database that has them keeps them.
static CARRIER: OnceCell<Carrier> = OnceCell::const_new();

pub async fn carrier() -> &'static Carrier {
    let load = || async {
        let mut superuser = superuser().await;
        let loaded =
            "SELECT t.id, k.key_hash FROM tenants t JOIN api_keys k ON k.tenant_id = t.id WHERE t.name = 'Many orders'";
        if let Some(row) = superuser.fetch_optional(loaded).await.unwrap() {
            return Carrier { id: row.get(0), subject: row.get(1), user: None };
        }
        let (carrier, other) = (Carrier::with_key().await, Carrier::with_key().await);
        for (carrier, orders) in [(&other, "4000"), (&carrier, "20000")] {
            let sql = include_str!("many_orders.sql").replace("$tenant", &carrier.id.to_string());
            run(&mut superuser, sql.replace("$orders", orders)).await.unwrap();
        }
        // As autovacuum leaves it, sooner or later.
        run(&mut superuser, "VACUUM (ANALYZE)").await.unwrap();
        let sql = format!("UPDATE tenants SET name = 'Many orders' WHERE id = '{}'", carrier.id);
        run(&mut superuser, sql).await.unwrap();
        carrier
    };
    CARRIER.get_or_init(load).await
}

/// A list, what its filters are given (SQL literals, in the order of the statement), and what its plan must mention.
struct Case {
    name: &'static str,
    sql: String,
    arguments: Vec<String>,
    uses: &'static str,
}

/// The statement that `read` sends.
async fn sent<F: AsyncFnOnce(Db)>(read: F) -> String {
    let database = Database::get().await;
    let wire = TripCounter::start(database.pooler()).await;
    read(Db::with_options(database.options_at("carhaul_api", &wire.host(), wire.port()))).await;
    let mut statements = wire.seen().statements;
    assert_eq!(statements.len(), 1, "{statements:#?}");
    statements.remove(0)
}

/// Postgres plans anew for each value at first, then once for all values if that looks no dearer: both must be well.
pub const PLANS: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

/// Runs the statement as carhaul_api and tells how.
async fn explain(case: &Case, mode: &str) -> String {
    let carrier = carrier().await;
    let entry = format!("'api_key', NULL, '{}', '{}', NULL", carrier.subject, carrier.id);
    let arguments: String = case.arguments.iter().map(|argument| format!(", {argument}")).collect();
    // The last argument: which of the plan's limits on calls hold.
    let quota = "'full'";
    let mut api = connect("carhaul_api").await;
    let prepare = format!("BEGIN; SET LOCAL plan_cache_mode = {mode}; PREPARE list AS {}", case.sql);
    run(&mut api, prepare).await.unwrap();
    let explain = format!(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE list ({entry}{arguments}, {quota})"
    );
    let plan = texts(&mut api, explain).await.join("\n");
    run(&mut api, "DEALLOCATE list; ROLLBACK").await.unwrap();
    format!("{mode}\n{plan}")
}

/// What is wrong with the plan.
fn faults(case: &Case, plan: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: &str| {
        if !holds {
            faults.push(format!("{}: {fault}\n{}\n{plan}\n", case.name, case.sql));
        }
    };
    let filters = || plan.lines().filter(|line| line.contains("Filter:"));
    let number_after = |label: &str| -> i64 {
        let numbers = plan.lines().filter_map(|line| line.trim().strip_prefix(label));
        numbers.filter_map(|number| number.trim().parse::<f64>().ok()).sum::<f64>() as i64
    };
    check(plan.contains("InitPlan"), "the policy is not an InitPlan");
    check(!plan.contains("Seq Scan"), "a table is read from end to end");
    check(filters().all(|f| !f.contains("app.") && !f.contains("current_setting")), "a function runs for each row");
    check(number_after("Rows Removed by Filter:") < 3000, "many rows are read that are not shown");
    let walked = plan.lines().any(|line| {
        (line.contains("Index Cond:") || line.contains("Index Scan") || line.contains("Index Only Scan"))
            && line.contains(case.uses)
    });
    check(walked, &format!("no index is walked by {}", case.uses));
    faults
}

async fn all_are_well(cases: Vec<Case>) {
    let mut found = Vec::new();
    for case in &cases {
        for mode in PLANS {
            found.extend(faults(case, &explain(case, mode).await));
        }
    }
    none(&found, "plans");
}

async fn order_list(name: &'static str, filter: Filter, arguments: &[&str], uses: &'static str) -> Case {
    let view = View::default();
    let actor = carrier().await.actor();
    let sql = sent(async |db: Db| {
        list::list(&db, &actor, &filter, &view).await.unwrap();
    });
    let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
    Case { name, sql: sql.await, arguments, uses }
}

/// The id of the `n`th thing of a kind, as many_orders.sql numbers them.
pub async fn nth(kind: &str, n: u32) -> uuid::Uuid {
    let sql = format!("SELECT md5('{}{kind}{n}')::uuid::text", carrier().await.id);
    texts(&mut superuser().await, sql).await[0].parse().unwrap()
}

pub fn place(part: &str, text: &str) -> PlaceAndTime {
    let words = || Some(Text::parse(text).unwrap());
    match part {
        "state" => PlaceAndTime { state: Some(StateCode::parse(text).unwrap()), ..Default::default() },
        "city" => PlaceAndTime { city: words(), ..Default::default() },
        _ => PlaceAndTime { zip: words(), ..Default::default() },
    }
}

#[tokio::test]
async fn every_filter_of_the_order_list_finds_its_index() {
    use carhaul_core::base::day::Day;
    let days = |from: &str, to: &str| PlaceAndTime {
        from: Some(Day::parse(from).unwrap()),
        to: Some(Day::parse(to).unwrap()),
        ..Default::default()
    };
    let none = Filter::default;
    let (driver, customer, truck, trip) =
        (nth("driver", 7).await, nth("customer", 7).await, nth("truck", 7).await, nth("trip", 7).await);
    let (tag, status, dispatcher) = (nth("tag", 0).await, nth("custom_status", 1).await, nth("dispatcher", 7).await);
    let quoted = |id: uuid::Uuid| format!("'{id}'");
    let cases = vec![
        order_list("no filter", none(), &[], "orders_live").await,
        order_list("status", Filter { status: vec![OrderStatus::New], ..none() }, &[], "status =").await,
        order_list(
            "statuses",
            Filter { status: vec![OrderStatus::New, OrderStatus::InTransit], ..none() },
            &[],
            "status = ANY",
        )
        .await,
        order_list(
            "custom status",
            Filter { custom_status: vec![carhaul_core::lookups::custom_statuses::CustomStatusId(status)], ..none() },
            &[&quoted(status)],
            "custom_status_id =",
        )
        .await,
        order_list("unassigned", Filter { unassigned: Some(true), ..none() }, &[], "orders_unassigned").await,
        order_list(
            "driver",
            Filter { driver: vec![carhaul_core::drivers::DriverId(driver)], ..none() },
            &[&quoted(driver)],
            "driver_id =",
        )
        .await,
        order_list(
            "truck",
            Filter { truck: Some(carhaul_core::trucks::TruckId(truck)), ..none() },
            &[&quoted(truck)],
            "truck_id =",
        )
        .await,
        order_list(
            "trip",
            Filter { trip: Some(carhaul_core::trips::TripId(trip)), ..none() },
            &[&quoted(trip)],
            "trip_id =",
        )
        .await,
        order_list(
            "dispatcher",
            Filter { dispatcher: Some(carhaul_core::base::ids::UserId(dispatcher)), ..none() },
            &[&quoted(dispatcher)],
            "dispatcher_id =",
        )
        .await,
        order_list(
            "customer",
            Filter { customer: vec![carhaul_core::customers::CustomerId(customer)], ..none() },
            &[&quoted(customer)],
            "customer_id =",
        )
        .await,
        order_list(
            "tag",
            Filter { tag: vec![carhaul_core::lookups::tags::TagId(tag)], ..none() },
            &[&quoted(tag)],
            "tag_id =",
        )
        .await,
        order_list("pickup state", Filter { pickup: place("state", "AH"), ..none() }, &["'AH'"], "pickup_state =")
            .await,
        order_list(
            "pickup city",
            Filter { pickup: place("city", "city 7"), ..none() },
            &["'city 7'"],
            "pickup_city_lower =",
        )
        .await,
        order_list("pickup zip", Filter { pickup: place("zip", "00007"), ..none() }, &["'00007'"], "pickup_zip =")
            .await,
        order_list(
            "delivery state",
            Filter { delivery: place("state", "AH"), ..none() },
            &["'AH'"],
            "delivery_state =",
        )
        .await,
        order_list(
            "delivery city",
            Filter { delivery: place("city", "city 7"), ..none() },
            &["'city 7'"],
            "delivery_city_lower =",
        )
        .await,
        order_list(
            "delivery zip",
            Filter { delivery: place("zip", "00007"), ..none() },
            &["'00007'"],
            "delivery_zip =",
        )
        .await,
        order_list(
            "pickup date",
            Filter { pickup: days("2025-11-01", "2025-11-02"), ..none() },
            &["current_date - 400", "current_date - 399"],
            "pickup_date",
        )
        .await,
        order_list(
            "delivery date",
            Filter { delivery: days("2025-11-01", "2025-11-02"), ..none() },
            &["current_date - 400", "current_date - 399"],
            "delivery_date",
        )
        .await,
        order_list(
            "transport type",
            Filter { transport_type: Some(TransportType::Enclosed), ..none() },
            &[],
            "transport_type =",
        )
        .await,
        order_list("inoperable", Filter { is_inoperable: Some(true), ..none() }, &[], "orders_inoperable").await,
        order_list(
            "payment term",
            Filter { payment_term: PaymentTerm::days(60).into_iter().collect(), ..none() },
            &[],
            "orders_p",
        )
        .await,
        order_list(
            "billing status",
            Filter { billing_status: vec![BillingStatus::Unbilled], ..none() },
            &[],
            "billing_status =",
        )
        .await,
        order_list("has a POD", Filter { has_pod: Some(true), ..none() }, &[], "orders_has_pod").await,
        order_list("late", Filter { late: Some(true), ..none() }, &[], "status = ANY").await,
        order_list("on hold", Filter { on_hold: Some(true), ..none() }, &[], "orders_on_hold").await,
        order_list("vehicles on hold", Filter { vehicles_on_hold: Some(true), ..none() }, &[], "orders_v").await,
        order_list("archived", Filter { archived: true, ..none() }, &[], "orders_archived").await,
        order_list(
            "search",
            Filter { q: Some("vin77".into()), ..none() },
            &["'vin77'", "E'vin77\\U0010FFFF'"],
            "term >=",
        )
        .await,
    ];
    all_are_well(cases).await;
}

#[tokio::test]
async fn every_sort_of_the_order_list_walks_an_index_from_any_page() {
    let actor = carrier().await.actor();
    let mut cases = Vec::new();
    for (name, sort, argument, uses) in [
        ("oldest first", Sort::OldestFirst, "", "orders_live"),
        ("newest first", Sort::NewestFirst, "", "orders_live"),
        ("number", Sort::Number, "7000", "orders_live_number"),
        ("number descending", Sort::NumberDescending, "7000", "orders_live_number"),
        ("pickup date", Sort::PickupDate, "current_date - 400", "orders_pickup_date"),
        ("pickup date descending", Sort::PickupDateDescending, "current_date - 400", "orders_pickup_date"),
        ("delivery date", Sort::DeliveryDate, "current_date - 400", "orders_delivery_date"),
        ("delivery date descending", Sort::DeliveryDateDescending, "current_date - 400", "orders_delivery_date"),
        ("least recently updated", Sort::LeastRecentlyUpdated, "now() - interval '400 days'", "orders_updated_at"),
        ("recently updated", Sort::RecentlyUpdated, "now() - interval '30 days'", "orders_updated_at"),
    ] {
        let first = View { sort, ..View::default() };
        let database = Database::get().await;
        let db = Db::with_options(database.options("carhaul_api"));
        let page = list::list(&db, &actor, &Filter::default(), &first).await.unwrap().page;
        let second = View { sort, cursor: page.next_cursor, ..View::default() };
        let sql = async |view: &View| {
            sent(async |db: Db| {
                list::list(&db, &actor, &Filter::default(), view).await.unwrap();
            })
            .await
        };
        cases.push(Case { name, sql: sql(&first).await, arguments: Vec::new(), uses });
        let after = [argument, "'019431a9-d000-7000-8000-000000000000'"];
        let arguments = after.into_iter().filter(|a| !a.is_empty()).map(str::to_owned).collect();
        cases.push(Case { name, sql: sql(&second).await, arguments, uses });
    }
    all_are_well(cases).await;
}

/// The tabs count once for the request, not once for each row of the page.
#[tokio::test]
async fn the_counts_of_the_tabs_are_taken_once() {
    let actor = carrier().await.actor();
    let view = View { counts: true, ..View::default() };
    let sql = sent(async |db: Db| {
        let orders = list::list(&db, &actor, &Filter::default(), &view).await.unwrap();
        assert_eq!(orders.counts.unwrap()["delivered"], list::COUNT_CAP);
    })
    .await;
    let case = Case {
        name: "counts",
        sql: sql.replace("unnest($6)", "unnest($6::text[])"),
        arguments: vec!["'{new,delivered}'".into()],
        uses: "orders_status",
    };
    for mode in PLANS {
        let plan = explain(&case, mode).await;
        let counted = plan.lines().find(|line| line.contains("Function Scan on unnest")).unwrap_or_default();
        assert!(counted.contains("loops=1)"), "{plan}");
    }
}
