//! Workers die at any point: nothing is lost, and nothing counts twice.

use std::path::Path;
use std::time::{Duration, Instant};

use carhaul_ai_worker::Worker;
use carhaul_core::base::clock::Clock;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::run::{Ending, Ran};
use carhaul_core::platform::crypto::random_fraction;
use carhaul_core::platform::db::Db;
use carhaul_testkit::{Aws, Database, Fault, Kms, LambdaRuntime, ModelFault, TripCounter};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{
    Carrier, ROLE, alone, batch, execution, one, permit, run, runner, runner_on, runner_with, time_passes, vault, work,
    worker, worker_with,
};

#[tokio::test]
async fn a_worker_that_loses_the_database_at_any_step_leaves_the_execution_to_the_next() {
    let _turn = alone().await;
    let database = Database::get().await;
    let carrier = Carrier::create().await;
    let until = || Clock::system().now() + TimeDelta::seconds(300);
    for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
        for step in 1.. {
            let id = carrier.ask_for(1).await[0];
            let wire = TripCounter::start(database.pooler()).await;
            let db = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
            db.fetch(|sql| {
                sql.push("SELECT 1");
            })
            .await
            .expect("it is connected");
            wire.reset();
            wire.fail_trip(step, fault);
            let dying = runner_on(db);
            let died = dying.run(id, until()).await.is_err();
            let trips = wire.seen().trips;
            time_passes().await;
            let next = runner().await.run(id, until()).await.expect("the database is up").ran;
            assert!(
                matches!(next, Ran::Nothing | Ran::Ended(_, Ending::Succeeded)),
                "step {step}, {fault:?}: {next:?}"
            );
            let done = execution(id).await;
            assert_eq!(done["status"], "succeeded", "step {step}, {fault:?}");
            if !died && trips < step {
                assert!(step > 5, "only {step} steps were tried");
                break;
            }
        }
    }
    let executions = one(format!("SELECT count(*) FROM executions WHERE tenant_id = '{}'", carrier.id)).await;
    let booked = one(format!("SELECT succeeded FROM ai_usage WHERE tenant_id = '{}'", carrier.id)).await;
    assert_eq!((&carrier.used().await, &booked), (&executions, &executions));
}

/// A worker on this wire, that may open the key.
async fn worker_on(stage: &Stage, wire: &TripCounter) -> Worker {
    let db = Db::with_options(Database::get().await.options_at(ROLE, &wire.host(), wire.port()));
    worker_with(&stage.aws, runner_with(db, vault(stage.model.url(), stage.envelope())))
}

#[tokio::test]
async fn an_answer_that_comes_while_the_database_is_away_is_kept_until_it_is_back() {
    let _turn = alone().await;
    let (stage, rival) = (Stage::with_key().await, Carrier::create().await);
    let theirs = rival.ask_for(1).await[0];
    run(format!("UPDATE executions SET due_at = now() + interval '1 hour' WHERE id = '{theirs}'")).await;
    let untouched = execution(theirs).await;
    let wire = TripCounter::start(Database::get().await.pooler()).await;
    let worker = worker_on(&stage, &wire).await;
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(30))));
    let id = stage.ask().await;
    let away = async {
        while stage.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wire.refuse();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(execution(id).await["status"], "running");
        wire.accept();
    };
    let messages = [("1", permit(id))];
    let (failed, ()) = tokio::join!(work(&worker, &messages), away);
    assert_eq!(failed, json!([]));
    let done = execution(id).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("succeeded"), &json!(1)), "{done}");
    // It comes twice.
    assert_eq!(work(&worker, &messages).await, json!([]));
    assert_eq!(stage.asked().len(), 1);
    let booked = stage.booked().await;
    assert_eq!(
        (&booked[0], &booked[2], &booked[3]),
        (&json!(1), &done["input_tokens"], &done["output_tokens"]),
        "{booked}"
    );
    assert_eq!(stage.carrier.used().await, json!(1));
    assert_eq!(execution(theirs).await, untouched);
}

#[tokio::test]
async fn a_worker_that_is_to_end_before_the_database_is_back_gives_up_in_time() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    let wire = TripCounter::start(Database::get().await.pooler()).await;
    let worker = worker_on(&stage, &wire).await;
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(30))));
    let id = stage.ask().await;
    let goes_away = async {
        while stage.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wire.refuse();
    };
    let until = Clock::system().now() + TimeDelta::seconds(8);
    let (failed, ()) = tokio::join!(worker.work(batch(&[("1", permit(id))]), until), goes_away);
    assert!(Clock::system().now() < until);
    assert_eq!(json!(failed), json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    time_passes().await;
    stage.model.fail_with(None);
    assert!(!stage.work(id).await);
    assert_eq!(execution(id).await["status"], "succeeded");
}

#[tokio::test]
async fn an_answer_is_booked_once_whatever_is_lost_of_its_end() {
    let _turn = alone().await;
    let (stage, database) = (Stage::with_key().await, Database::get().await);
    let until = || Clock::system().now() + TimeDelta::seconds(300);
    for fault in [Fault::CutBefore, Fault::CutWhileRunning, Fault::CutAfter] {
        for step in 1.. {
            let id = stage.ask().await;
            let wire = TripCounter::start(database.pooler()).await;
            let worker = worker_on(&stage, &wire).await;
            let connect = worker.runner.db.fetch(|sql| {
                sql.push("SELECT 1");
            });
            connect.await.expect("it is connected");
            wire.reset();
            wire.fail_trip(step, fault);
            let _may_fail = worker.runner.run(id, until()).await;
            let trips = wire.seen().trips;
            // A commit whose client is gone may take a moment.
            tokio::time::sleep(Duration::from_millis(50)).await;
            time_passes().await;
            let _next = stage.worker().await.runner.run(id, until()).await.expect("the database is up");
            let done = execution(id).await;
            assert_eq!(done["status"], "succeeded", "step {step}, {fault:?}: {done}");
            let booked = stage.booked().await;
            let one_answer = done["input_tokens"].as_i64().map(|tokens| tokens * stage.asked().len() as i64);
            assert_eq!(booked[2].as_i64(), one_answer, "step {step}, {fault:?}: {booked}");
            if trips < step {
                assert!(step > 6, "only {step} steps were tried");
                break;
            }
        }
    }
    assert_eq!(json!(stage.asked().len()), stage.carrier.in_status("succeeded").await);
}

#[tokio::test]
async fn what_is_accepted_while_its_carrier_is_being_closed_is_cancelled_and_no_model_is_asked() {
    let _turn = alone().await;
    let (stage, rival) = (Stage::with_key().await, Carrier::create().await);
    let theirs = rival.ask_for(1).await[0];
    let input = [json!({"text": "words"}), json!({"text": "more words"})];
    let skill = stage.skill.to_string();
    let ids = stage.carrier.try_ask_while(&skill, &input, stage.carrier.close()).await.expect("it was open");
    for id in &ids {
        assert_eq!(execution(*id).await["status"], "queued");
    }
    // One message comes twice, the other was lost.
    for _ in 0..2 {
        assert!(!stage.work(ids[0]).await);
    }
    for id in &ids {
        let ended = execution(*id).await;
        assert_eq!(
            (&ended["status"], &ended["error_detail"], &ended["attempt"]),
            (&json!("cancelled"), &json!("the carrier was deleted"), &json!(0))
        );
        assert!(ended["finished_at"].is_string());
    }
    assert_eq!((stage.asked().len(), stage.booked().await), (0, Value::Null));
    assert_eq!(one(format!("SELECT count(*) FROM ai_slots WHERE tenant_id = '{}'", stage.carrier.id)).await, 0);
    assert_eq!(execution(theirs).await["status"], "succeeded");
}

#[tokio::test]
async fn a_worker_that_was_given_up_on_writes_nothing() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let carrier = Carrier::create().await;
    let id = carrier.ask_for(1).await[0];
    // Another worker has begun it, and its lease is over.
    run(format!(
        "UPDATE executions SET status = 'running', attempt = 1, due_at = now() - interval '1 second' WHERE id = '{id}'"
    ))
    .await;
    let entered = |attempt: i32| one(format!("SELECT app.enter_execution('{id}', {attempt})"));
    assert_eq!(entered(1).await, json!(true));
    assert_eq!(work(&worker(&aws).await, &[("1", permit(id))]).await, json!([]));
    assert_eq!(execution(id).await["attempt"], 2);
    assert_eq!((entered(1).await, entered(2).await), (json!(false), json!(false)));
}

#[tokio::test]
async fn what_is_cancelled_while_it_runs_stays_cancelled_and_counts_for_nothing() {
    let _turn = alone().await;
    let carrier = Carrier::create().await;
    let database = Database::get().await;
    let until = || Clock::system().now() + TimeDelta::seconds(300);
    let mut cancelled = 0;
    for step in 1..12 {
        let id = carrier.ask_for(1).await[0];
        let wire = TripCounter::start(database.pooler()).await;
        let db = Db::with_options(database.options_at(ROLE, &wire.host(), wire.port()));
        wire.fail_trip(step, Fault::CutBefore);
        let _dead = runner_on(db).run(id, until()).await;
        if execution(id).await["status"] == "running" {
            run(format!("UPDATE executions SET status = 'cancelled' WHERE id = '{id}'")).await;
            time_passes().await;
            assert_eq!(runner().await.run(id, until()).await.expect("the database is up").ran, Ran::Nothing);
            let done = execution(id).await;
            assert_eq!((&done["status"], &done["output"]), (&json!("cancelled"), &Value::Null));
            cancelled += 1;
        } else {
            run(format!("UPDATE executions SET status = 'cancelled' WHERE id = '{id}' AND status = 'queued'")).await;
        }
    }
    assert!(cancelled > 0);
    assert_eq!(carrier.used().await, carrier.in_status("succeeded").await);
}

/// Processes of the function itself, killed at moments that nobody chooses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_executions_survive_workers_that_are_killed_again_and_again() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let database = Database::get().await;
    // A model with a price, that takes its time: most of a worker's life is within an execution.
    let stage = Stage::with_key().await;
    let carrier = &stage.carrier;
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(20))));
    run(format!("UPDATE skills SET deadline_seconds = 120 WHERE id = '{}'", stage.skill)).await;
    let input = vec![json!({"text": "words"}); 100];
    let mut ids = carrier.ask(&stage.skill.to_string(), &input).await;
    ids.extend(carrier.ask(&stage.skill.to_string(), &input).await);
    let mut environment = aws.environment(database, ROLE, database.pooler());
    environment.push(("AI_QUEUE_URL", format!("{}/ai", aws.queue_url())));
    environment.push(("AI_DEAD_LETTER_QUEUE_URL", format!("{}/ai-dead-letters", aws.queue_url())));
    environment.push(("REALTIME_QUEUE_URL", format!("{}/realtime", aws.queue_url())));
    // Of each batch of five one is held.
    environment.push(("AI_WORKER_SLOTS", "8".to_owned()));
    environment.push(("PROVIDER_KEYS_KMS_KEY", Kms::KEY.to_owned()));
    environment.push(("AWS_ENDPOINT_URL_KMS", stage.kms.url().to_owned()));
    environment.push(("ANTHROPIC_API_BASE", stage.model.url().to_owned()));
    // So often that even an unlucky one comes to its end.
    run(format!("UPDATE executions SET max_attempts = 100 WHERE tenant_id = '{}'", carrier.id)).await;
    let bootstrap = Path::new(env!("CARGO_BIN_EXE_carhaul-ai-worker"));
    let event = |ids: &[ExecutionId]| {
        let record = |id: &ExecutionId| json!({"messageId": id, "receiptHandle": id, "body": permit(*id).to_string()});
        json!({"Records": ids.iter().take(5).map(record).collect::<Vec<_>>()})
    };
    // How long one batch takes here and now, so that deaths fall anywhere within it, however busy the machine is.
    let mut healthy = LambdaRuntime::spawn(bootstrap, environment.clone()).await.expect("it starts");
    healthy.until_ready().await.expect("it asks for events");
    let started = Instant::now();
    healthy.invoke(&event(&ids)).await.expect("it answers");
    let batch = started.elapsed();
    healthy.kill().await;

    let mut waiting = ids.clone();
    let mut kills = 0;
    while !waiting.is_empty() {
        assert!(kills < 1_000, "{} are still waiting", waiting.len());
        let mut function = LambdaRuntime::spawn(bootstrap, environment.clone()).await.expect("it starts");
        function.until_ready().await.expect("it asks for events");
        let event = event(&waiting);
        let life = tokio::time::timeout(batch.mul_f64(random_fraction() * 2.0), async {
            loop {
                function.invoke(&event).await.expect("it answers while it lives");
            }
        });
        assert!(life.await.is_err());
        function.kill().await;
        kills += 1;
        time_passes().await;
        let open = "status IN ('queued', 'running')";
        let open = format!("SELECT jsonb_agg(id) FROM executions WHERE tenant_id = '{}' AND {open}", carrier.id);
        let open = one(open).await;
        waiting.retain(|id| open.as_array().is_some_and(|open| open.contains(&json!(id))));
    }
    assert!(kills > 20, "only {kills} workers were killed");
    println!("{kills} workers were killed");
    assert_eq!(carrier.in_status("succeeded").await, json!(200));
    let begun = one(format!("SELECT sum(attempt) FROM executions WHERE tenant_id = '{}'", carrier.id)).await;
    let asked = stage.asked().len();
    println!("{begun} attempts of 200 executions, {asked} calls of the model");
    assert!(begun.as_u64().is_some_and(|begun| begun > 220), "deaths fell between executions: {begun}");
    assert!(asked > 200, "no death fell into a call");
    // What the model charged those that died nobody has heard; of the others, each once.
    assert_eq!(stage.booked().await, json!([200, 0, 5000, 3000, "0.060000"]));
    let each = format!("SELECT bool_and(cost = 0.0003) FROM executions WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(one(each).await, json!(true));
    assert_eq!(carrier.used().await, json!(200));
    let told = format!(
        "SELECT count(*) FROM tenant_events WHERE tenant_id = '{}' AND type = 'execution.succeeded'",
        carrier.id
    );
    assert_eq!(one(told).await, json!(200));
}
