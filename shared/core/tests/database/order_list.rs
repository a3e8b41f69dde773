//! The dispatch list at a carrier with many orders: whatever is asked together, in whatever order, what Postgres touches for
//! a page has a bound, and what it finds is right on each of the ways to it.

use carhaul_core::base::clock::Clock;
use carhaul_core::base::day::Day;
use carhaul_core::base::ids::{TenantId, UserId};
use carhaul_core::customers::CustomerId;
use carhaul_core::drivers::DriverId;
use carhaul_core::identity::actor::{Actor, Verified};
use carhaul_core::identity::tokens::VerifiedToken;
use carhaul_core::lookups::custom_statuses::CustomStatusId;
use carhaul_core::lookups::tags::TagId;
use carhaul_core::orders::list::{self, Filter, PlaceAndTime, Sort, View};
use carhaul_core::orders::{BillingStatus, OrderStatus, PaymentTerm, TransportType};
use carhaul_core::platform::db::{Counted, Db};
use carhaul_core::trips::TripId;
use carhaul_core::trucks::TruckId;
use carhaul_testkit::plan::{Touched, dearest, touched};
use carhaul_testkit::{Database, TripCounter};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use uuid::Uuid;

use crate::plans::{PLANS, carrier, nth, place};
use crate::support::{Carrier, ISSUER, connect, none, run, superuser, texts};

const SORTS: [Sort; 10] = [
    Sort::NewestFirst,
    Sort::OldestFirst,
    Sort::Number,
    Sort::NumberDescending,
    Sort::PickupDate,
    Sort::PickupDateDescending,
    Sort::DeliveryDate,
    Sort::DeliveryDateDescending,
    Sort::LeastRecentlyUpdated,
    Sort::RecentlyUpdated,
];

/// One filter: how it is set, and the SQL literals that its statement is given.
struct Part {
    name: &'static str,
    set: Box<dyn Fn(&mut Filter) + Sync>,
    arguments: Vec<String>,
}

fn part(name: &'static str, arguments: Vec<String>, set: impl Fn(&mut Filter) + Sync + 'static) -> Part {
    Part { name, set: Box::new(set), arguments }
}

fn search(name: &'static str) -> Part {
    let words = name.split(' ').flat_map(|word| [format!("'{word}'"), format!("E'{word}\\U0010FFFF'")]);
    part(name, words.collect(), move |filter| filter.q = Some(name.into()))
}

/// Every filter of the list, in the order of the statement's arguments.
async fn parts() -> Vec<Part> {
    let quoted = |id: Uuid| vec![format!("'{id}'")];
    let several = |ids: [Uuid; 3]| vec![format!("'{{{},{},{}}}'", ids[0], ids[1], ids[2])];
    let three = async |kind| [nth(kind, 7).await, nth(kind, 8).await, nth(kind, 9).await];
    let (drivers, customers) = (three("driver").await, three("customer").await);
    let (truck, trip, dispatcher) = (nth("truck", 7).await, nth("trip", 7).await, nth("dispatcher", 7).await);
    let (tag, status, driver, customer) =
        (nth("tag", 0).await, nth("custom_status", 1).await, drivers[0], customers[0]);
    let day = |day| Some(Day::parse(day).unwrap());
    let days = move || PlaceAndTime { from: day("2026-03-01"), to: day("2026-03-03"), ..Default::default() };
    let dates = || vec!["current_date - 270".to_owned(), "current_date - 268".to_owned()];
    vec![
        search("vin77"),
        search("customer77"),
        search("customer"),
        search("customer vin"),
        search("customer77 vin7"),
        search("nothing"),
        part("status", vec![], |f| f.status = vec![OrderStatus::New]),
        part("statuses", vec![], |f| f.status = vec![OrderStatus::New, OrderStatus::Assigned, OrderStatus::InTransit]),
        part("delivered", vec![], |f| f.status = vec![OrderStatus::Delivered]),
        part("unassigned", vec![], |f| f.unassigned = Some(true)),
        part("transport type", vec![], |f| f.transport_type = Some(TransportType::Enclosed)),
        part("inoperable", vec![], |f| f.is_inoperable = Some(true)),
        part("payment term", vec![], |f| f.payment_term = PaymentTerm::days(60).into_iter().collect()),
        part("billing", vec![], |f| f.billing_status = vec![BillingStatus::Unbilled, BillingStatus::Invoiced]),
        part("POD", vec![], |f| f.has_pod = Some(true)),
        part("late", vec![], |f| f.late = Some(true)),
        part("on hold", vec![], |f| f.on_hold = Some(true)),
        part("vehicles on hold", vec![], |f| f.vehicles_on_hold = Some(true)),
        part("archived", vec![], |f| f.archived = true),
        part("custom status", quoted(status), move |f| f.custom_status = vec![CustomStatusId(status)]),
        part("driver", quoted(driver), move |f| f.driver = vec![DriverId(driver)]),
        part("drivers", several(drivers), move |f| f.driver = drivers.map(DriverId).to_vec()),
        part("truck", quoted(truck), move |f| f.truck = Some(TruckId(truck))),
        part("trip", quoted(trip), move |f| f.trip = Some(TripId(trip))),
        part("dispatcher", quoted(dispatcher), move |f| f.dispatcher = Some(UserId(dispatcher))),
        part("one customer", quoted(customer), move |f| f.customer = vec![CustomerId(customer)]),
        part("customers", several(customers), move |f| f.customer = customers.map(CustomerId).to_vec()),
        part("pickup state", vec!["'AH'".into()], |f| f.pickup = place("state", "AH")),
        part("pickup city", vec!["'city 7'".into()], |f| f.pickup = place("city", "city 7")),
        part("pickup zip", vec!["'00007'".into()], |f| f.pickup = place("zip", "00007")),
        part("pickup days", dates(), move |f| f.pickup = days()),
        part("delivery state", vec!["'AH'".into()], |f| f.delivery = place("state", "AH")),
        part("delivery city", vec!["'city 7'".into()], |f| f.delivery = place("city", "city 7")),
        part("delivery zip", vec!["'00007'".into()], |f| f.delivery = place("zip", "00007")),
        part("delivery days", dates(), move |f| f.delivery = days()),
        part("tag", quoted(tag), move |f| f.tag = vec![TagId(tag)]),
    ]
}

/// What dispatchers ask for together.
const PAIRS: [(&str, &str); 16] = [
    ("status", "unassigned"),
    ("statuses", "late"),
    ("statuses", "drivers"),
    ("statuses", "dispatcher"),
    ("status", "pickup state"),
    ("statuses", "pickup days"),
    ("delivered", "billing"),
    ("delivered", "one customer"),
    ("one customer", "delivery days"),
    ("late", "dispatcher"),
    ("on hold", "tag"),
    ("customer vin", "statuses"),
    ("customer", "archived"),
    ("customer77", "delivered"),
    ("status", "archived"),
    ("drivers", "archived"),
];

/// What is sent for a list.
struct Wire(TripCounter);

impl Wire {
    async fn start() -> Self {
        Self(TripCounter::start(Database::get().await.pooler()).await)
    }

    /// Over a connection of its own: one that has sent a statement before sends only its name.
    async fn sent(&self, actor: &Actor, filter: &Filter, view: &View) -> String {
        self.0.reset();
        let options = Database::get().await.options_at("carhaul_api", &self.0.host(), self.0.port());
        list::list(&Db::with_options(options), actor, filter, view).await.unwrap();
        let mut statements = self.0.seen().statements;
        assert_eq!(statements.len(), 1, "{statements:#?}");
        statements.remove(0)
    }
}

/// As the function connects.
async fn db() -> Db {
    Db::with_options(Database::get().await.options("carhaul_api"))
}

/// The customers' words are one small table, which may be read as a whole, those of other carriers included.
const WORDS: Option<&str> = Some("customer_search_terms");

/// Runs the statement as carhaul_api; `entry` are the arguments of app.enter.
async fn explain(api: &mut PgConnection, mode: &str, sql: &str, entry: &str, arguments: &[String]) -> Value {
    let prepare = format!("BEGIN; SET LOCAL plan_cache_mode = {mode}; PREPARE list AS {sql}");
    run(api, prepare).await.unwrap();
    let arguments: String = arguments.iter().map(|argument| format!(", {argument}")).collect();
    let explain =
        format!("EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON) EXECUTE list ({entry}{arguments}, 'full')");
    let row = api.fetch_one(sqlx::raw_sql(AssertSqlSafe(explain))).await.unwrap();
    let plan: Value = row.get(0);
    run(api, "DEALLOCATE list; ROLLBACK").await.unwrap();
    plan[0]["Plan"].clone()
}

fn entry_of_key(carrier: &Carrier) -> String {
    format!("'api_key', NULL, '{}', '{}', NULL", carrier.subject, carrier.id)
}

/// Of 20 000 orders, 14 000 of them live.
const BOUND: Touched = Touched { rows: 6000, buffers: 16_000 };
/// With words. A rare one is looked up and its orders fetched (2000 and 2000 at most); a common one is asked of each order that
/// is walked past.
const BOUND_OF_SEARCH: Touched = Touched { rows: 12_000, ..BOUND };

#[tokio::test]
async fn whatever_is_asked_together_and_in_whatever_order_touches_a_bounded_number_of_rows() {
    let (carrier, parts, wire) = (carrier().await, parts().await, Wire::start().await);
    let (actor, mut api) = (carrier.actor(), connect("carhaul_api").await);
    let named = |name: &str| parts.iter().position(|part| part.name == name).unwrap();
    let mut asked: Vec<Vec<usize>> = (0..parts.len()).map(|n| vec![n]).collect();
    asked.push(vec![]);
    asked.extend(PAIRS.iter().map(|(one, other)| {
        let mut pair = vec![named(one), named(other)];
        pair.sort_unstable();
        pair
    }));
    let mut found = Vec::new();
    for asked in &asked {
        let asked: Vec<&Part> = asked.iter().map(|n| &parts[*n]).collect();
        let mut filter = Filter::default();
        asked.iter().for_each(|part| (part.set)(&mut filter));
        let name = asked.iter().map(|part| part.name).collect::<Vec<_>>().join(" + ");
        let arguments: Vec<String> = asked.iter().flat_map(|part| part.arguments.clone()).collect();
        for sort in SORTS {
            let sql = wire.sent(&actor, &filter, &View { sort, ..View::default() }).await;
            let mut arguments = arguments.clone();
            if sql.contains("unnest(") {
                let several = asked.iter().filter(|part| ["drivers", "customers"].contains(&part.name));
                arguments.extend(several.flat_map(|part| part.arguments.clone()));
            }
            for mode in PLANS {
                let plan = explain(&mut api, mode, &sql, &entry_of_key(carrier), &arguments).await;
                let Touched { rows, buffers } = touched(&plan, WORDS);
                let bound = if filter.q.is_some() { BOUND_OF_SEARCH } else { BOUND };
                if rows > bound.rows || buffers > bound.buffers {
                    let most = dearest(&plan);
                    found.push(format!("{name}, {sort:?}, {mode}: {rows} rows, {buffers} buffers, {most}"));
                }
            }
        }
    }
    none(&found, "lists that touch more than a page needs");
}

#[tokio::test]
async fn the_pages_of_a_list_that_nothing_narrows_touch_hardly_more_than_they_show() {
    let (carrier, wire) = (carrier().await, Wire::start().await);
    let (actor, mut api) = (carrier.actor(), connect("carhaul_api").await);
    for archived in [false, true] {
        let filter = Filter { archived, ..Filter::default() };
        for sort in SORTS {
            let sql = wire.sent(&actor, &filter, &View { sort, ..View::default() }).await;
            for mode in PLANS {
                let plan = explain(&mut api, mode, &sql, &entry_of_key(carrier), &[]).await;
                let Touched { rows, .. } = touched(&plan, WORDS);
                assert!(rows < 70, "{sort:?}, archived {archived}, {mode}: {rows} rows: {plan:#}");
            }
        }
    }
}

/// A member of the carrier who drives: few of its many orders.
async fn driver() -> (Carrier, Actor) {
    let carrier = carrier().await;
    let member = carrier.member("driver").await;
    let sql = format!(
        "INSERT INTO drivers (tenant_id, id, name) VALUES ('{tenant}', '{id}', 'Sam Reyes') ON CONFLICT DO NOTHING; \
         UPDATE drivers SET user_id = '{user}' WHERE (tenant_id, id) = ('{tenant}', '{id}')",
        tenant = carrier.id,
        id = nth("driver", 60).await,
        user = member.user.unwrap(),
    );
    run(&mut superuser().await, sql).await.unwrap();
    let token = VerifiedToken {
        issuer: ISSUER.into(),
        subject: member.subject.clone(),
        email: None,
        email_verified: false,
        name: None,
        expires_at: Clock::system().now() + chrono::TimeDelta::hours(1),
    };
    let actor = Actor {
        credential: Verified::User(token),
        tenant: Some(TenantId(member.id)),
        request_id: Uuid::now_v7(),
        counted: Counted::default(),
    };
    (member, actor)
}

#[tokio::test]
async fn a_drivers_list_touches_only_their_own_orders() {
    let ((member, actor), wire, db) = (driver().await, Wire::start().await, db().await);
    let mut api = connect("carhaul_api").await;
    let entry = format!("'user', '{ISSUER}', '{}', '{}', NULL", member.subject, member.id);
    for q in [None, Some("customer")] {
        let filter = Filter { q: q.map(str::to_owned), ..Filter::default() };
        let arguments: &[String] = match q {
            None => &[],
            Some(_) => &["'customer'".into(), "E'customer\\U0010FFFF'".into()],
        };
        for sort in SORTS {
            let view = View { sort, ..View::default() };
            let page = list::list(&db, &actor, &filter, &view).await.unwrap().page;
            assert_eq!(page.data.iter().map(|order| order.number).max(), Some(12_007), "{sort:?}, {q:?}");
            assert_eq!(page.data.len(), 4, "{sort:?}, {q:?}");
            let sql = wire.sent(&actor, &filter, &view).await;
            for mode in PLANS {
                let plan = explain(&mut api, mode, &sql, &entry, arguments).await;
                let Touched { rows, .. } = touched(&plan, WORDS);
                // The list has 14 000 orders.
                assert!(rows < 100, "{sort:?}, {q:?}, {mode}: {rows} rows: {plan:#}");
            }
        }
    }
    let counted = View { counts: true, ..View::default() };
    let counts = list::list(&db, &actor, &Filter::default(), &counted).await.unwrap().counts.unwrap();
    assert_eq!(counts.values().sum::<i64>(), 4);
}

/// Rare words, common ones and both, page by page, against a comparison of all terms of all orders.
#[tokio::test]
async fn words_find_the_same_orders_however_common_they_are() {
    let carrier = carrier().await;
    let db = db().await;
    let rival = Carrier::with_key().await.actor();
    for q in
        ["vin77", "vin", "customer", "customer77", "customer77 vin", "vin customer 1", "customer7 vin77", "nothing"]
    {
        let filter = Filter { q: Some(q.into()), ..Filter::default() };
        let words: String = q
            .split(' ')
            .map(|word| {
                format!(
                    " AND (EXISTS (SELECT FROM order_search_terms s WHERE (s.tenant_id, s.order_id) = (o.tenant_id, o.id) \
                     AND starts_with(s.term, '{word}')) OR EXISTS (SELECT FROM customer_search_terms s \
                     WHERE (s.tenant_id, s.customer_id) = (o.tenant_id, o.customer_id) AND starts_with(s.term, '{word}')))"
                )
            })
            .collect();
        for (sort, order) in [(Sort::NewestFirst, "id DESC"), (Sort::PickupDate, "pickup_date, id")] {
            let sql = format!(
                "SELECT id::text FROM orders o WHERE tenant_id = '{}' AND archived_at IS NULL{words} ORDER BY {order} LIMIT 120",
                carrier.id
            );
            let expected = texts(&mut superuser().await, sql).await;
            let mut read = Vec::new();
            let mut cursor = None;
            for _ in 0..3 {
                let view = View { sort, cursor, ..View::default() };
                let page = list::list(&db, &carrier.actor(), &filter, &view).await.unwrap().page;
                read.extend(page.data.iter().map(|order| order.id.0.to_string()));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            read.truncate(120);
            assert_eq!(read, expected, "{q}, {order}");
            assert_eq!(read.is_empty(), q == "nothing", "{q}");
        }
        assert_eq!(list::list(&db, &rival, &filter, &View::default()).await.unwrap().page.data.len(), 0, "{q}");
    }
}

/// The orders of several drivers or customers are read by themselves and merged; one named twice is shown once.
#[tokio::test]
async fn the_orders_of_several_come_in_one_order_page_by_page() {
    let carrier = carrier().await;
    let db = db().await;
    let rival = Carrier::with_key().await.actor();
    let (one, other) = (nth("driver", 7).await, nth("driver", 8).await);
    let (buyer, seller) = (nth("customer", 7).await, nth("customer", 8).await);
    for (filter, column, ids) in [
        (Filter { driver: [one, other, one].map(DriverId).to_vec(), ..Filter::default() }, "driver_id", [one, other]),
        (
            Filter { customer: [buyer, seller, buyer].map(CustomerId).to_vec(), ..Filter::default() },
            "customer_id",
            [buyer, seller],
        ),
    ] {
        for (sort, order) in [(Sort::NewestFirst, "id DESC"), (Sort::OldestFirst, "id"), (Sort::Number, "number")] {
            let sql = format!(
                "SELECT id::text FROM orders WHERE tenant_id = '{}' AND archived_at IS NULL AND {column} IN ('{}', '{}') \
                 ORDER BY {order} LIMIT 100",
                carrier.id, ids[0], ids[1]
            );
            let expected = texts(&mut superuser().await, sql).await;
            let mut read = Vec::new();
            let mut cursor = None;
            for _ in 0..2 {
                let view = View { sort, cursor: cursor.take(), ..View::default() };
                let page = list::list(&db, &carrier.actor(), &filter, &view).await.unwrap().page;
                read.extend(page.data.iter().map(|order| order.id.0.to_string()));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert!(read.len() > 10, "{column}: {}", read.len());
            assert_eq!(read, expected, "{column}, {order}");
        }
        assert!(list::list(&db, &rival, &filter, &View::default()).await.unwrap().page.data.is_empty(), "{column}");
    }
}
