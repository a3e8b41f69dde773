//! What a push costs a carrier's instance of `realtime`, to one connection and to a thousand.

use std::time::Duration;

use carhaul_testkit::ConnectionServer;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::Outcome;
use crate::database::Database;
use crate::function::{World, median};
use crate::others::Others;
use crate::report::{self, Report, milliseconds};

const CROWD: usize = 1_000;
const PUSHES: usize = 21;
/// An event waits for older transactions, such as those of autovacuum.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn measure(world: &World, database: &Database, report: &mut Report) -> Outcome<()> {
    let (others, sockets) = (Others::start(world, database).await, ConnectionServer::start().await);
    let mut realtime =
        others.instance("realtime", "carhaul_realtime", &[("REALTIME_ENDPOINT", sockets.endpoint())]).await?;
    let mut superuser = database.superuser().await?;
    superuser.execute("DELETE FROM realtime_connections").await?;
    let mut cost = Vec::new();
    // Each a carrier of its own.
    for (carrier, connections) in [(1, 1), (2, CROWD)] {
        let tenant = format!("md5('tenant-{carrier}-0')::uuid");
        let connect = format!(
            "INSERT INTO realtime_connections (tenant_id, id, user_id, topics, xid, seq) \
             SELECT {tenant}, 'bench-{carrier}-' || n, md5('user-{carrier}-0')::uuid, '{{orders}}', \
                    pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807 \
             FROM generate_series(1, {connections}) n"
        );
        superuser.execute(AssertSqlSafe(connect)).await?;
        let tenant_id: uuid::Uuid =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT {tenant}"))).fetch_one(&mut superuser).await?;
        let nudge = json!({"Records": [{"messageId": "1", "body": json!({"tenant_id": tenant_id}).to_string()}]});
        let mut took = Vec::new();
        while took.len() <= PUSHES {
            let happen = format!(
                "INSERT INTO tenant_events (tenant_id, topic, type, subject_id, data) \
                 VALUES ({tenant}, 'orders', 'order.updated', gen_random_uuid(), '{{}}')"
            );
            superuser.execute(AssertSqlSafe(happen)).await?;
            let before = sockets.posts();
            let answer = realtime.invoke(&nudge).await.map_err(|e| format!("{e:?}"))?;
            match sockets.posts() - before {
                posts if posts == connections => took.push(milliseconds(answer.elapsed)),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        // The first makes the instance warm.
        let spent = median(took.drain(1..));
        report::progress(&format!(
            "{connections} connections: {spent:.2} ms a push, {:.3} ms a post",
            spent / connections as f64
        ));
        cost.push(spent);
    }
    superuser.execute("DELETE FROM realtime_connections").await?;
    superuser.close().await?;
    report.figure("push of an event to one connection", format!("{:.2} ms", cost[0]));
    report.at_most(format!("push of an event to {CROWD} connections of a carrier"), cost[1], 500.0, " ms");
    report.figure("  a post of those", format!("{:.2} ms", cost[1] / CROWD as f64));
    Ok(())
}
