//! What a push costs: the trips and the work of a thousand connections are those of a few.

use std::time::Instant;

use carhaul_core::platform::db::Db;
use carhaul_testkit::{Database, TripCounter};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use crate::support::{self, Carrier, ROLE, World, run};

const CROWD: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_cost_the_trips_of_one() {
    let database = Database::get().await;
    let world = World::new().await;
    let (few, many) = (Carrier::create().await, Carrier::create().await);
    let mut trips = Vec::new();
    for (carrier, connections) in [(&few, 1), (&many, CROWD)] {
        let person = carrier.member("owner").await;
        run(format!(
            "INSERT INTO realtime_connections (tenant_id, id, user_id, topics, xid, seq) \
             SELECT '{tenant}', '{tenant} ' || n, '{user}', '{{orders}}', \
                    pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807 \
             FROM generate_series(1, {connections}) n",
            tenant = carrier.id,
            user = person.id
        ))
        .await;
        let wire = TripCounter::start(database.pooler()).await;
        let mut function = world.another_instance().await;
        function.db = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
        let last = format!("{} {connections}", carrier.id);
        // The first push makes the instance warm; one that a transaction of another test has kept waiting is no measure.
        let (mut measured, mut events) = (None, 0);
        for attempt in 0..100 {
            carrier.order_event(None).await;
            events += 1;
            wire.reset();
            let (before, begun) = (world.sockets.posts(), Instant::now());
            support::nudge(&function, carrier).await;
            let (posts, elapsed) = (world.sockets.posts() - before, begun.elapsed());
            if attempt > 0 && posts == connections && world.events(&last).len() == events {
                measured = Some((wire.trips(), posts, elapsed));
                break;
            }
        }
        let (round, posts, elapsed) = measured.expect("a push comes through");
        println!(
            "{connections} connections: {round} trips, {posts} posts in {:.1} ms, {:.3} ms a post",
            elapsed.as_secs_f64() * 1e3,
            elapsed.as_secs_f64() * 1e3 / posts as f64
        );
        trips.push(round);
    }
    assert_eq!(trips, [3, 3]);
    let mut superuser = database.direct().connect().await.unwrap();
    let cursors =
        format!("SELECT count(DISTINCT (xid, seq)) FROM realtime_connections WHERE tenant_id = '{}'", many.id);
    let distinct: i64 = superuser.fetch_one(AssertSqlSafe(cursors)).await.unwrap().get(0);
    assert_eq!(distinct, 1, "they go on together");
}
