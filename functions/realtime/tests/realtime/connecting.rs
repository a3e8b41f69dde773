//! Tickets and messages.

use carhaul_testkit::Database;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::task::{JoinSet, LocalSet};
use uuid::Uuid;

use crate::support::{Carrier, ROLE, World, connect_event, count, run, socket_event, status};

#[tokio::test]
async fn a_socket_opens_with_a_ticket_and_with_nothing_else() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let person = carrier.member("dispatcher").await;
    for refused in [None, Some(""), Some("guessed"), Some("' OR true --")] {
        let answer = world.function.handle(connect_event(refused, "c1=")).await;
        assert_eq!(status(&answer), 401, "{refused:?}");
    }
    let (ticket, expired) = (person.ticket().await, person.ticket().await);
    assert_eq!(world.handshake(&ticket, "first=").await, 200);
    assert_eq!(world.handshake(&ticket, "second=").await, 401, "it was used");
    run(format!("UPDATE realtime_tickets SET expires_at = now() - interval '1 ms' WHERE tenant_id = '{}'", carrier.id))
        .await;
    assert_eq!(world.handshake(&expired, "third=").await, 401, "it has expired");
    assert_eq!(carrier.connections().await, 1);

    // Who is removed in between does not get in.
    let (ticket, other) = (person.ticket().await, carrier.member("owner").await);
    run(format!("DELETE FROM memberships WHERE (tenant_id, user_id) = ('{}', '{}')", carrier.id, person.id)).await;
    assert_eq!(world.handshake(&ticket, "fourth=").await, 401);
    world.connect(&other).await;
    world.function.handle(socket_event("DISCONNECT", "first=", None)).await;
    assert_eq!(carrier.connections().await, 1);
}

#[tokio::test]
async fn of_many_who_come_with_one_ticket_one_gets_in() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let ticket = carrier.member("owner").await.ticket().await;
    let (local, mut handshakes) = (LocalSet::new(), JoinSet::new());
    for n in 0..12 {
        let (instance, ticket) = (world.another_instance().await, ticket.clone());
        let shake = async move {
            status(&instance.handle(connect_event(Some(&ticket), &format!("{n} {}", Uuid::now_v7()))).await)
        };
        handshakes.spawn_local_on(shake, &local);
    }
    let mut statuses = local.run_until(handshakes.join_all()).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(carrier.connections().await, 1);
}

#[tokio::test]
async fn of_many_who_come_at_once_as_many_get_in_as_the_plan_allows_and_the_next_when_one_has_gone() {
    let world = World::new().await;
    let (carrier, other) = (Carrier::create().await, Carrier::create().await);
    run(format!("UPDATE tenants SET plan = 'free' WHERE id IN ('{}', '{}')", carrier.id, other.id)).await;
    let (owner, theirs) = (carrier.member("owner").await, other.member("owner").await);
    let mut tickets = Vec::new();
    for _ in 0..14 {
        tickets.push(owner.ticket().await);
    }
    let (local, mut handshakes) = (LocalSet::new(), JoinSet::new());
    for ticket in tickets {
        let instance = world.another_instance().await;
        let shake = async move {
            let id = format!("c {}", Uuid::now_v7());
            (status(&instance.handle(connect_event(Some(&ticket), &id)).await), id, ticket)
        };
        handshakes.spawn_local_on(shake, &local);
    }
    let (opened, refused): (Vec<_>, Vec<_>) =
        local.run_until(handshakes.join_all()).await.into_iter().partition(|(status, ..)| *status == 200);
    assert_eq!((opened.len(), refused.len()), (10, 4));
    assert!(refused.iter().all(|(status, ..)| *status == 402), "{refused:?}");
    assert_eq!(carrier.connections().await, 10);
    // Whoever was refused has their ticket still.
    assert_eq!(world.handshake(&refused[0].2, "again=").await, 402);
    world.function.handle(socket_event("DISCONNECT", &opened[0].1, None)).await;
    assert_eq!(world.handshake(&refused[0].2, &format!("again {}", Uuid::now_v7())).await, 200);
    world.connect(&theirs).await;
    assert_eq!((carrier.connections().await, other.connections().await), (10, 1));
}

#[tokio::test]
async fn a_connection_says_what_it_hears() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.connect(&carrier.member("dispatcher").await).await;
    let order = format!("orders/{}", Uuid::now_v7());
    world.say(&id, json!({"type": "ping"})).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["tags", order]})).await;
    world.say(&id, json!({"type": "subscribe", "topics": ["customers", "tags"], "after": "now"})).await;
    world.say(&id, json!({"type": "unsubscribe", "topics": [order]})).await;
    let mut said = world.sockets.received(&id);
    for message in &mut said[1..] {
        assert!(message.as_object_mut().unwrap().remove("cursor").is_some_and(|cursor| cursor.is_string()));
    }
    let expected = [
        json!({"type": "pong"}),
        json!({"type": "subscribed", "topics": [order, "tags"]}),
        json!({"type": "subscribed", "topics": ["customers", order, "tags"]}),
        json!({"type": "unsubscribed", "topics": ["customers", "tags"]}),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_is_wrong_is_a_problem_in_the_words_of_the_api() {
    let world = World::new().await;
    let carrier = Carrier::create().await;
    let id = world.connect(&carrier.member("dispatcher").await).await;
    let kind = |problem: &Value| problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    for (text, expected, field) in [
        ("not json", "malformed", None),
        (r#"{"type":"shout"}"#, "invalid", Some("")),
        (r#"{"type":"subscribe","topics":["orders","secrets"]}"#, "invalid", Some("/topics/1")),
        (r#"{"type":"subscribe","topics":["orders/7"]}"#, "invalid", Some("/topics/0")),
        (r#"{"type":"subscribe","topics":[]}"#, "invalid", Some("/topics")),
        (r#"{"type":"subscribe","topics":["orders"],"after":"yesterday"}"#, "invalid", Some("/after")),
        (r#"{"type":"subscribe","topics":["api_keys"]}"#, "forbidden", None),
    ] {
        let before = world.problems(&id).len();
        world.say_text(&id, text).await;
        let problems = world.problems(&id);
        assert_eq!(problems.len(), before + 1, "{text}");
        let problem = &problems[before];
        assert_eq!(kind(problem), expected, "{problem}");
        assert_eq!(problem["request_id"], "r");
        if let Some(field) = field {
            assert_eq!(problem["errors"][0]["pointer"], field, "{problem}");
        }
    }
    // More than a hundred in all, in messages of fewer.
    let many = |from: u128| (from..from + 60).map(|n| format!("orders/{}", Uuid::from_u128(n))).collect::<Vec<_>>();
    world.say(&id, json!({"type": "subscribe", "topics": many(0)})).await;
    let before = world.problems(&id).len();
    world.say(&id, json!({"type": "subscribe", "topics": many(60)})).await;
    assert_eq!(world.problems(&id)[before]["errors"][0]["pointer"], "/topics");
}

#[tokio::test]
async fn a_socket_that_nobody_knows_is_closed() {
    let world = World::new().await;
    world.say("stranger=", json!({"type": "subscribe", "topics": ["orders"]})).await;
    assert_eq!(world.sockets.closed(), ["stranger="]);
    assert_eq!(world.sockets.posts(), 0);
}

#[tokio::test]
async fn the_role_reaches_the_log_of_a_turn_and_nothing_else() {
    let carrier = Carrier::create().await;
    carrier.order_event(None).await;
    let mut session = Database::get().await.options(ROLE).connect().await.unwrap();
    for table in ["realtime_tickets", "realtime_connections", "realtime_pushes", "memberships", "orders", "api_keys"] {
        let error = session.execute(AssertSqlSafe(format!("SELECT FROM {table}"))).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{table}: {error}");
    }
    assert_eq!(session.execute("SELECT FROM tenant_events").await.unwrap().rows_affected(), 0);
    assert!(count(format!("SELECT count(*) FROM tenant_events WHERE tenant_id = '{}'", carrier.id)).await > 0);
}
