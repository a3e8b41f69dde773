//! Workers that come at once, die or hang; sockets that are gone; a gateway and a queue that fail.

use std::time::{Duration, Instant};

use carhaul_core::platform::db::Db;
use carhaul_core::realtime::nudge;
use carhaul_testkit::{Database, Fault, Reception, TripCounter};
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};
use uuid::Uuid;

use crate::support::{self, Carrier, ROLE, World, assert_in_order, queue_event, run, start};

#[tokio::test]
async fn twenty_nudges_at_once_send_each_event_once_and_in_order() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("owner").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = world.listen(&person, &["orders"], None).await;
        world.sockets.receive(&id, Reception::Slow(Duration::from_millis(3)));
        ids.push(id);
    }
    let (local, mut workers) = (LocalSet::new(), JoinSet::new());
    for _ in 0..20 {
        let instance = world.another_instance().await;
        let carrier = Carrier { id: carrier.id };
        workers.spawn_local_on(
            async move {
                for _ in 0..5 {
                    carrier.order_event(None).await;
                    support::nudge(&instance, &carrier).await;
                }
            },
            &local,
        );
    }
    local.run_until(workers.join_all()).await;
    world.nudge_until(&carrier, || ids.iter().all(|id| world.events(id).len() >= 100)).await;
    let first = world.events(&ids[0]);
    assert_in_order(&first);
    for id in &ids {
        assert_eq!(world.events(id).len(), 100);
        assert_eq!(world.events(id), first);
    }
}

#[tokio::test]
async fn who_is_kept_out_leaves_a_mark_and_the_worker_begins_once_more() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;
    world.sockets.receive(&id, Reception::Slow(Duration::from_millis(700)));
    carrier.order_event(None).await;
    let other = world.another_instance().await;
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        carrier.order_event(None).await;
        let begun = Instant::now();
        support::nudge(&other, &carrier).await;
        assert!(begun.elapsed() < Duration::from_millis(300), "it waits for nobody");
    };
    tokio::join!(world.nudge(&carrier), late);
    // Both, unless another test's transaction holds the horizon back.
    world.nudge_until(&carrier, || world.events(&id).len() >= 3).await;
    assert_eq!(world.events(&id).len(), 3);
    assert_in_order(&world.events(&id));
}

/// Cuts the worker off at each trip of a push: whatever it had done by then, every event arrives, in order but for repeats,
/// and a repeat has the cursor by which it is known.
#[tokio::test]
async fn a_worker_that_dies_at_any_point_repeats_and_never_loses() {
    let database = Database::get().await;
    for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
        for trip in 1..=4 {
            let world = World::new().await;
            let carrier = Carrier::create().await;
            let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
            let wire = TripCounter::start(database.pooler()).await;
            let mut dying = world.another_instance().await;
            dying.db = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
            // Known statements, so that a trip is a statement.
            support::nudge(&dying, &carrier).await;
            let order = carrier.order_event(None).await;
            wire.reset();
            wire.fail_trip(trip, fault);
            // A cut that is noticed is tried once more on a fresh connection, as if the process had gone on.
            dying.handle(queue_event(&carrier)).await;
            wire.refuse();
            run(format!("UPDATE realtime_pushes SET leased_until = now() WHERE tenant_id = '{}'", carrier.id)).await;
            let later = carrier.order_event(None).await;
            world.nudge_until(&carrier, || world.subjects(&id).contains(&later)).await;
            let mut subjects = world.subjects(&id);
            subjects.dedup();
            assert_eq!(subjects, [order, later], "{fault:?} at trip {trip}");
        }
    }
}

#[tokio::test]
async fn killed_between_post_and_cursor_it_repeats() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    let order = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;

    // The message arrives, and the process is gone before it hears so.
    let second = carrier.order_event(None).await;
    world.sockets.receive(&id, Reception::TakenAndHangs);
    let dying = world.another_instance().await;
    for _ in 0..100 {
        let _killed = tokio::time::timeout(Duration::from_millis(200), dying.handle(queue_event(&carrier))).await;
        if world.events(&id).len() == 2 {
            break;
        }
    }
    assert_eq!(world.events(&id).len(), 2);
    world.sockets.receive(&id, Reception::Taken);
    // Until the dead worker's turn is over nobody pushes.
    world.nudge(&carrier).await;
    assert_eq!(world.events(&id).len(), 2);
    run(format!("UPDATE realtime_pushes SET leased_until = now() WHERE tenant_id = '{}'", carrier.id)).await;
    world.nudge(&carrier).await;
    assert_eq!(world.subjects(&id), [order, second, second]);
    assert_eq!(world.events(&id)[1], world.events(&id)[2], "with the same cursor, by which a client knows it");
}

/// A worker that slept through the end of its turn must not undo what the next has written.
#[tokio::test]
async fn a_worker_that_has_lost_its_turn_writes_nothing() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    carrier.order_event(None).await;
    world.sockets.receive(&id, Reception::Slow(Duration::from_millis(800)));
    let sleeper = world.another_instance().await;
    let next = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        run(format!("UPDATE realtime_pushes SET leased_until = now() WHERE tenant_id = '{}'", carrier.id)).await;
        world.sockets.receive(&id, Reception::Taken);
        carrier.order_event(None).await;
        world.nudge_until(&carrier, || world.events(&id).len() >= 2).await;
        support::count(format!("SELECT xid FROM realtime_connections WHERE tenant_id = '{}'", carrier.id)).await
    };
    let ((), cursor) = tokio::join!(support::nudge(&sleeper, &carrier), next);
    let now = support::count(format!("SELECT xid FROM realtime_connections WHERE tenant_id = '{}'", carrier.id)).await;
    assert!(now >= cursor, "the cursor went back from {cursor} to {now}");
}

#[tokio::test]
async fn one_that_is_gone_is_forgotten_and_one_that_fails_is_tried_again() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("owner").await;
    let mut ids = Vec::new();
    for reception in [Reception::Taken, Reception::Gone, Reception::Fails(500), Reception::Fails(429), Reception::Hangs]
    {
        let id = world.listen(&person, &["orders"], None).await;
        world.sockets.receive(&id, reception);
        ids.push(id);
    }
    let order = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&ids[0]).is_empty()).await;
    assert_eq!(world.subjects(&ids[0]), [order], "nobody waits for the others");
    assert_eq!(carrier.connections().await, 4);
    assert!(world.queue.sent().iter().any(|sent| sent["tenant_id"] == json!(carrier.id) && sent["DelaySeconds"] == 1));

    // Not with the next nudge, but when it is due.
    for id in &ids[2..] {
        world.sockets.receive(id, Reception::Taken);
    }
    let second = carrier.order_event(None).await;
    world.nudge_until(&carrier, || world.events(&ids[0]).len() == 2).await;
    assert!(ids[2..].iter().all(|id| world.events(id).is_empty()), "they are given time");
    run(format!(
        "UPDATE realtime_connections SET retry_at = now() WHERE tenant_id = '{}' AND retry_at > now()",
        carrier.id
    ))
    .await;
    world.nudge_until(&carrier, || ids[2..].iter().all(|id| world.events(id).len() == 2)).await;
    for id in &ids[2..] {
        assert_eq!(world.subjects(id), [order, second]);
    }
    let waiting =
        format!("SELECT count(*) FROM realtime_connections WHERE tenant_id = '{}' AND failures > 0", carrier.id);
    assert_eq!(support::count(waiting).await, 0);
}

#[tokio::test]
async fn a_nudge_for_nobody_or_for_no_carrier_does_nothing() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    carrier.order_event(None).await;
    world.nudge(&carrier).await;
    world.nudge(&Carrier { id: Uuid::now_v7() }).await;
    assert_eq!((world.sockets.posts(), world.queue.sent().len()), (0, 0));
}

#[tokio::test]
async fn a_nudge_that_cannot_be_worked_comes_again() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let wire = TripCounter::start(Database::get().await.pooler()).await;
    wire.refuse();
    let mut blind = world.another_instance().await;
    blind.db = Db::with_options(Database::get().await.options_at(ROLE, &wire.host(), wire.port()));
    let answer = blind.handle(queue_event(&carrier)).await;
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
}

#[tokio::test]
async fn what_nobody_nudged_for_is_found() {
    let world = World::new().await;
    let (lagging, quiet) = (Carrier::create().await, Carrier::create().await);
    let id = world.listen(&lagging.member("owner").await, &["orders"], None).await;
    let (key, hush) = (quiet.program("events:read,tags:read").await, quiet.member("owner").await);
    world.listen(&hush, &["orders"], None).await;
    let housekeeping = Db::with_options(Database::get().await.options("carhaul_housekeeping"));
    let found = async |carrier: &Carrier| {
        let found = nudge::forgotten(&housekeeping, 10_000).await.unwrap();
        found.iter().any(|tenant| tenant.0 == carrier.id)
    };
    let is_found = async |carrier: &Carrier| {
        for _ in 0..200 {
            if found(carrier).await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    };
    lagging.order_event(None).await;
    assert!(is_found(&lagging).await);
    world.nudge_until(&lagging, || !world.events(&id).is_empty()).await;
    assert!(!found(&lagging).await);
    // A key that has expired makes no event.
    let program = world.connect(&key).await;
    for _ in 0..100 {
        world.nudge(&quiet).await;
        if !found(&quiet).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    run(format!("UPDATE api_keys SET expires_at = now() WHERE id = '{}'", key.id)).await;
    assert!(is_found(&quiet).await);
    world.nudge(&quiet).await;
    assert_eq!(world.sockets.closed(), [program]);
}

#[tokio::test]
async fn a_reply_that_does_not_arrive_is_no_failure_of_the_function() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("owner").await;
    let (gone, failing) = (world.connect(&person).await, world.connect(&person).await);
    world.sockets.receive(&gone, Reception::Gone);
    world.sockets.receive(&failing, Reception::Fails(500));
    for id in [&gone, &failing] {
        world.say(id, json!({"type": "subscribe", "topics": ["orders"], "after": start()})).await;
    }
    assert_eq!(carrier.connections().await, 1);
}
