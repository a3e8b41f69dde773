//! Whose turn it is, and that each execution is run by one worker.

use std::collections::BTreeMap;
use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::run::{Ending, Ran};
use carhaul_testkit::Aws;
use chrono::TimeDelta;
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use crate::support::{Carrier, a_tender, alone, execution, one, permit, run, runner, work, worker};

#[tokio::test]
async fn fifty_workers_at_once_run_each_execution_once() {
    let _turn = alone().await;
    let (carrier, other) = (Carrier::create().await, Carrier::create().await);
    let ids = carrier.ask_for(50).await;
    let (local, mut workers) = (LocalSet::new(), JoinSet::new());
    for id in &ids {
        let id = *id;
        workers.spawn_local_on(
            async move {
                let until = Clock::system().now() + TimeDelta::seconds(300);
                // Each permit comes twice.
                let runner = runner().await;
                [runner.run(id, until).await, runner.run(id, until).await]
                    .map(|ran| ran.expect("the database is up").ran)
            },
            &local,
        );
    }
    let ran = local.run_until(workers.join_all()).await;
    let mut ended: BTreeMap<ExecutionId, usize> = BTreeMap::new();
    for ran in ran.into_iter().flatten() {
        match ran {
            Ran::Ended(id, Ending::Succeeded) => *ended.entry(id).or_default() += 1,
            Ran::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(ended.len() == 50 && ended.values().all(|times| *times == 1), "{ended:?}");
    let once = format!(
        "SELECT bool_and(attempt = 1 AND status = 'succeeded') FROM executions WHERE tenant_id = '{}'",
        carrier.id
    );
    assert_eq!(one(once).await, json!(true));
    assert_eq!((carrier.used().await, other.used().await), (json!(50), json!(0)));
    let booked = format!(
        "SELECT jsonb_agg(jsonb_build_array(skill, succeeded, failed)) FROM ai_usage WHERE tenant_id = '{}'",
        carrier.id
    );
    assert_eq!(one(booked).await, json!([["extract_order", 50, 0]]));
}

#[tokio::test]
async fn a_message_that_comes_three_times_has_one_effect_and_one_for_nothing_has_none() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let (carrier, worker) = (Carrier::create().await, worker(&aws).await);
    let id = carrier.ask_for(1).await[0];
    for _ in 0..3 {
        assert_eq!(work(&worker, &[("1", permit(id))]).await, json!([]));
    }
    assert_eq!(work(&worker, &[("1", permit(ExecutionId::new()))]).await, json!([]));
    let done = execution(id).await;
    assert_eq!(
        (&done["attempt"], &done["status"], &done["review"]),
        (&json!(1), &json!("succeeded"), &json!("pending"))
    );
    // created, begun, succeeded: each told once.
    let told = format!("SELECT jsonb_agg(type ORDER BY xid, seq) FROM tenant_events WHERE subject_id = '{id}'");
    assert_eq!(one(told).await, json!(["execution.created", "execution.running", "execution.succeeded"]));
    assert_eq!(aws.take_messages(), []);
}

#[tokio::test]
async fn one_execution_is_not_kept_waiting_by_another_carriers_ten_thousand() {
    let _turn = alone().await;
    let (large, small) = (Carrier::create().await, Carrier::create().await);
    let first = large.ask_for(1).await[0];
    run(format!(
        "ALTER TABLE executions DISABLE TRIGGER USER; \
         INSERT INTO executions (tenant_id, id, skill, skill_version, kind, provider, input, max_attempts, expires_at, deadline_seconds, \
                                 month, due_at) \
         SELECT e.tenant_id, app.uuid_v7(), e.skill, e.skill_version, e.kind, e.provider, e.input, 4, e.expires_at, 30, e.month, \
                e.due_at - interval '1 hour' FROM executions e, generate_series(1, 9999) WHERE e.id = '{first}'; \
         ALTER TABLE executions ENABLE TRIGGER USER; ANALYZE executions"
    ))
    .await;
    assert_eq!(large.in_status("queued").await, json!(10_000));
    let runner = runner().await;
    let until = || Clock::system().now() + TimeDelta::seconds(300);
    for _ in 0..5 {
        runner.run(first, until()).await.expect("the database is up");
    }
    assert_eq!(large.in_status("succeeded").await, json!(5));
    let late = small.ask("extract_order", &[a_tender()]).await[0];
    let mut claims = 0;
    let started = std::time::Instant::now();
    while execution(late).await["status"] == "queued" {
        // Permits of the large carrier: a permit is for whoever's turn it is.
        runner.run(first, until()).await.expect("the database is up");
        claims += 1;
        assert!(claims <= 2, "it waits behind the others");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "whose turn it is is found by index: {:?}", started.elapsed());
    let took = one(format!("SELECT tenant_id FROM executions WHERE id = '{late}'")).await;
    assert_eq!((took, small.used().await), (json!(small.id), json!(1)));
}

#[tokio::test]
async fn two_carriers_with_much_to_do_are_served_in_turn() {
    let _turn = alone().await;
    let (one_carrier, other) = (Carrier::create().await, Carrier::create().await);
    let ids = one_carrier.ask_for(20).await;
    other.ask_for(20).await;
    let runner = runner().await;
    for _ in 0..20 {
        runner.run(ids[0], Clock::system().now() + TimeDelta::seconds(300)).await.expect("the database is up");
    }
    assert_eq!((one_carrier.in_status("succeeded").await, other.in_status("succeeded").await), (json!(10), json!(10)));
}

#[tokio::test]
async fn of_many_that_are_asked_for_at_once_as_many_as_the_plan_has_left_are_accepted_and_failures_make_room() {
    let _turn = alone().await;
    let carrier = Carrier::create_on("free").await;
    let (local, mut asking) = (LocalSet::new(), JoinSet::new());
    for _ in 0..30 {
        let carrier = carrier.clone();
        asking.spawn_local_on(async move { carrier.try_ask("extract_order", &[a_tender()]).await }, &local);
    }
    let asked = local.run_until(asking.join_all()).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!((accepted.len(), refused.len()), (20, 10));
    assert!(refused.into_iter().all(|it| it == Err("over limit ai_executions".into())));
    // All of a batch or none.
    assert!(carrier.try_ask("extract_order", &[a_tender(), a_tender()]).await.is_err());
    assert_eq!(carrier.used().await, json!(20));
    let id = accepted[0].as_ref().expect("it was accepted")[0];
    run(format!("UPDATE executions SET status = 'failed' WHERE id = '{id}'")).await;
    assert_eq!(carrier.used().await, json!(19));
    carrier.ask_for(1).await;
    assert!(carrier.try_ask("extract_order", &[a_tender()]).await.is_err());
}
