//! Who hears what: each event once, in order, by those who may see it now.

use serde_json::json;
use sqlx::Executor;
use uuid::Uuid;

use crate::support::{Carrier, World, assert_in_order, run, start};

#[tokio::test]
async fn an_event_reaches_those_who_listen_for_it_and_no_other_carrier() {
    let world = World::new().await;
    let (here, there) = (Carrier::create().await, Carrier::create().await);
    let (mine, theirs) = (here.member("dispatcher").await, there.member("owner").await);
    let watched = Uuid::now_v7();
    let one = format!("orders/{watched}");
    let all = world.listen(&mine, &["orders"], None).await;
    let single = world.listen(&mine, &[&one], None).await;
    let tags = world.listen(&mine, &["tags"], None).await;
    // The other carrier names the same topic, the same order, a cursor of the first, and even its tenant.
    let foreign = world.listen(&theirs, &["orders", &one, "tags"], Some(&world.cursor(&all))).await;
    world.say(&foreign, json!({"type": "subscribe", "topics": [format!("{}/orders", here.id)]})).await;
    world.say(&foreign, json!({"type": "subscribe", "topics": ["orders"], "tenant_id": here.id})).await;

    let other = here.order_event(None).await;
    run(here.event_sql("orders", watched, None)).await;
    run(here.event_sql("tags", watched, None)).await;
    world.nudge_until(&here, || world.events(&tags).len() == 1 && world.events(&all).len() == 2).await;
    world.nudge(&there).await;
    assert_eq!(world.subjects(&all), [other, watched]);
    assert_eq!(world.subjects(&single), [watched]);
    assert_eq!(world.events(&tags)[0]["topic"], "tags");
    assert!(world.events(&foreign).is_empty());

    let heard = there.order_event(None).await;
    world.nudge_until(&there, || !world.events(&foreign).is_empty()).await;
    assert_eq!(world.subjects(&foreign), [heard]);
    assert_eq!(world.events(&all).len(), 2);
}

#[tokio::test]
async fn an_event_looks_like_one_of_the_list() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    let order = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;
    let message = world.sockets.received(&id).pop().unwrap();
    let event = &message["data"][0];
    assert_eq!(event["type"], "orders.created");
    assert_eq!((&event["topic"], &event["subject_id"]), (&json!("orders"), &json!(order)));
    assert!(event["cursor"].is_string() && event["at"].is_string() && event["data"].is_object(), "{event}");
    assert!(event.get("driver_id").is_none() && event.get("tenant_id").is_none());
    assert!(message["next_cursor"].is_string());
}

#[tokio::test]
async fn transactions_that_end_out_of_order_are_neither_skipped_nor_repeated() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    let orders = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let mut first = carrier.open_transaction(orders[0]).await;
    let mut second = carrier.open_transaction(orders[1]).await;
    let mut third = carrier.open_transaction(orders[2]).await;

    // The last to begin is the first to end: its event has to wait for the others, and is looked for again.
    third.execute("COMMIT").await.unwrap();
    world.nudge(&carrier).await;
    assert!(world.events(&id).is_empty());
    let again = world.queue.sent();
    assert_eq!(again.last().unwrap(), &json!({"tenant_id": carrier.id, "looks": 1, "DelaySeconds": 1}));

    first.execute("COMMIT").await.unwrap();
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;
    assert_eq!(world.subjects(&id), orders[..1]);
    second.execute("COMMIT").await.unwrap();
    world.nudge_until(&carrier, || world.events(&id).len() >= 3).await;
    assert_eq!(world.subjects(&id), orders);
    assert_in_order(&world.events(&id));
}

#[tokio::test]
async fn who_comes_back_after_events_were_trimmed_is_told_that_they_missed_some() {
    let world = World::new().await;
    let (carrier, other) = (Carrier::create().await, Carrier::create().await);
    let (person, stranger) = (carrier.member("owner").await, other.member("owner").await);
    let first = world.listen(&person, &["orders"], None).await;
    let before = world.cursor(&first);
    for carrier in [&carrier, &other] {
        carrier.order_event(None).await;
    }
    world.nudge_until(&carrier, || !world.events(&first).is_empty()).await;
    run(format!("DELETE FROM tenant_events WHERE tenant_id = '{}' AND topic = 'orders'", carrier.id)).await;

    let subscribe = |topics: &[&str], after: &str| json!({"type": "subscribe", "topics": topics, "after": after});
    let second = world.connect(&person).await;
    for topics in [&["orders"][..], &["tags", "orders"], &[&format!("orders/{}", Uuid::now_v7())]] {
        world.say(&second, subscribe(topics, &before)).await;
    }
    let problems = world.problems(&second);
    assert_eq!(problems.len(), 3);
    assert!(problems.iter().all(|it| it["type"] == "urn:carhaul:problem:gone" && it["status"] == 410), "{problems:?}");
    // Nothing was subscribed; a topic of which nothing is gone can be, and the others from now on.
    world.say(&second, subscribe(&["tags"], &before)).await;
    assert_eq!(world.sockets.received(&second)[3]["topics"], json!(["tags"]));
    // The cursor is one for all that is heard then.
    world.say(&second, subscribe(&["orders"], &before)).await;
    assert_eq!(world.problems(&second).len(), 4);
    world.say(&second, subscribe(&["orders"], "now")).await;
    let order = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&second).is_empty()).await;
    assert_eq!(world.subjects(&second), [order]);
    // What is kept is behind the last cursor; and nobody else has lost anything.
    world.listen(&person, &["orders"], Some(&world.cursor(&first))).await;
    let foreign = world.listen(&stranger, &["orders"], Some(&before)).await;
    world.nudge_until(&other, || !world.events(&foreign).is_empty()).await;
}

#[tokio::test]
async fn who_comes_back_gets_what_they_missed_page_by_page_and_then_what_happens() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("owner").await;
    let first = world.listen(&person, &["orders"], None).await;
    let before = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&first).is_empty()).await;
    let cursor = world.cursor(&first);

    // More than two pages, and more than fits into one message.
    run(format!(
        "INSERT INTO tenant_events (tenant_id, topic, type, subject_id, data) \
         SELECT '{}', 'orders', 'order.updated', gen_random_uuid(), jsonb_build_object('note', repeat('x', 1000)) \
         FROM generate_series(1, 450)",
        carrier.id
    ))
    .await;
    let second = world.listen(&person, &["orders"], Some(&cursor)).await;
    world.nudge_until(&carrier, || world.events(&second).len() >= 450).await;
    let after = carrier.order_event(None).await;
    world.nudge_until(&carrier, || world.events(&second).len() >= 451).await;
    let events = world.events(&second);
    assert_in_order(&events);
    assert_eq!(events.len(), 451);
    assert_eq!(world.subjects(&second).last(), Some(&after));
    assert!(!world.subjects(&second).contains(&before));
    for message in world.sockets.received(&second) {
        assert!(message.to_string().len() < 128 * 1024);
    }
    // The first was connected all the time, and heard the same.
    assert_eq!(world.events(&first)[1..], events);

    // From each cursor that it was given, a third gets exactly the rest.
    for at in [0, 1, 199, 200, 201, 449, 450] {
        let cursor = events[at]["cursor"].as_str().unwrap();
        let third = world.listen(&person, &["orders"], Some(cursor)).await;
        let rest = events.len() - at - 1;
        world.nudge_until(&carrier, || world.events(&third).len() >= rest).await;
        assert_eq!(world.events(&third), events[at + 1..]);
    }
}

#[tokio::test]
async fn a_driver_hears_only_what_is_theirs() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let ((driver, own), (_, other)) = (carrier.driver().await, carrier.driver().await);
    let unlinked = carrier.member("driver").await;
    let id = world.listen(&driver, &["orders", "drivers"], None).await;
    let nobody = world.listen(&unlinked, &["orders", "drivers"], None).await;
    let dispatcher = world.listen(&carrier.member("dispatcher").await, &["orders"], None).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["customers"]})).await;
    assert_eq!(world.problems(&id)[0]["type"], "urn:carhaul:problem:forbidden");
    let mut orders = Vec::new();
    for driver in [Some(other), Some(own), None, Some(own)] {
        orders.push(carrier.order_event(driver).await);
    }
    world.nudge_until(&carrier, || world.events(&dispatcher).len() >= 4).await;
    assert_eq!(world.subjects(&dispatcher), orders);
    assert_eq!(world.subjects(&id), [orders[1], orders[3]]);
    assert!(world.events(&nobody).is_empty());
}

#[tokio::test]
async fn a_change_of_role_counts_from_the_next_push() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("dispatcher").await;
    let id = world.listen(&person, &["orders", "customers"], None).await;
    let witness = world.listen(&carrier.member("owner").await, &["orders", "customers"], None).await;
    let driver = Uuid::now_v7();
    run(format!(
        "UPDATE memberships SET role = 'driver' WHERE (tenant_id, user_id) = ('{tenant}', '{user}'); \
         INSERT INTO drivers (tenant_id, id, name, user_id) VALUES ('{tenant}', '{driver}', 'Sam', '{user}')",
        tenant = carrier.id,
        user = person.id
    ))
    .await;
    carrier.order_event(None).await;
    run(carrier.event_sql("customers", Uuid::now_v7(), None)).await;
    let own = carrier.order_event(Some(driver)).await;
    world.nudge_until(&carrier, || world.events(&witness).len() >= 3).await;
    assert_eq!(world.subjects(&id), [own]);
}

#[tokio::test]
async fn a_member_who_is_removed_loses_the_socket() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("dispatcher").await;
    let key = carrier.program("events:read,orders:read").await;
    let (leaver, program) =
        (world.listen(&person, &["orders"], None).await, world.listen(&key, &["orders"], None).await);
    let stayer = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    let early = carrier.order_event(None).await;
    world.nudge_until(&carrier, || world.events(&stayer).len() == 1).await;
    assert_eq!((world.subjects(&leaver), world.subjects(&program)), (vec![early], vec![early]));

    run(format!(
        "DELETE FROM memberships WHERE (tenant_id, user_id) = ('{}', '{}'); \
         UPDATE api_keys SET revoked_at = now() WHERE id = '{}'",
        carrier.id, person.id, key.id
    ))
    .await;
    carrier.order_event(None).await;
    world.nudge_until(&carrier, || world.events(&stayer).len() == 2).await;
    let mut closed = world.sockets.closed();
    closed.sort();
    let mut expected = [leaver.clone(), program.clone()];
    expected.sort();
    assert_eq!(closed, expected);
    assert_eq!((world.events(&leaver).len(), world.events(&program).len()), (1, 1));
    assert_eq!(carrier.connections().await, 1);
}

#[tokio::test]
async fn who_is_removed_can_say_nothing_any_more() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("dispatcher").await;
    let id = world.listen(&person, &["tags"], None).await;
    carrier.order_event(None).await;
    run(format!("DELETE FROM memberships WHERE (tenant_id, user_id) = ('{}', '{}')", carrier.id, person.id)).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["orders"], "after": start()})).await;
    assert_eq!(world.sockets.closed(), [id.as_str()]);
    assert!(world.events(&id).is_empty());
    assert_eq!(carrier.connections().await, 0);
}

#[tokio::test]
async fn a_program_hears_what_its_scopes_allow() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let key = carrier.program("events:read,orders:read").await;
    let id = world.listen(&key, &["orders"], None).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["customers"]})).await;
    assert_eq!(world.problems(&id)[0]["type"], "urn:carhaul:problem:forbidden");
    let order = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;
    assert_eq!(world.subjects(&id), [order]);
    // A scope that is taken away counts at once.
    run(format!("UPDATE api_keys SET scopes = '{{events:read,tags:read}}' WHERE id = '{}'", key.id)).await;
    let witness = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&witness).is_empty()).await;
    assert_eq!(world.subjects(&id), [order]);
}

#[tokio::test]
async fn what_is_no_longer_wanted_does_not_come_and_what_is_added_comes_from_there_on() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.listen(&carrier.member("owner").await, &["orders"], None).await;
    run(carrier.event_sql("tags", Uuid::now_v7(), None)).await;
    let first = carrier.order_event(None).await;
    world.nudge_until(&carrier, || !world.events(&id).is_empty()).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["tags"]})).await;
    world.say(&id, json!({"type": "unsubscribe", "topics": ["orders"]})).await;
    carrier.order_event(None).await;
    let tag = Uuid::now_v7();
    run(carrier.event_sql("tags", tag, None)).await;
    world.nudge_until(&carrier, || world.events(&id).len() >= 2).await;
    assert_eq!(world.subjects(&id), [first, tag]);
    // Back to the beginning, for all topics of the connection.
    world.say(&id, json!({"type": "subscribe", "topics": ["orders"], "after": start()})).await;
    world.nudge_until(&carrier, || world.events(&id).len() >= 6).await;
    assert_in_order(&world.events(&id)[2..]);
}
