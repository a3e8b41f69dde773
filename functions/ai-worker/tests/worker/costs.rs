//! What providers charge is booked: once, whatever becomes of the answer.

use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::review;
use carhaul_core::identity::permissions::Action;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::idempotency::StoredAnswer;
use carhaul_testkit::{Database, ModelFault, ModelStop};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::stage::Stage;
use crate::support::{Carrier, alone, execution, one, permit, run, work};

/// Whoever comes next may take it.
async fn let_come_again(id: ExecutionId) {
    run(format!("UPDATE executions SET due_at = now() WHERE id = '{id}'")).await;
}

#[tokio::test]
async fn a_call_that_fails_on_the_way_is_booked_with_what_the_provider_has_said_of_its_bill() {
    let _turn = alone().await;
    let other = Carrier::create().await;
    for (fault, code) in [
        (ModelFault::CutAfter(700), "unavailable"),
        (ModelFault::EndAfter(700), "unavailable"),
        (ModelFault::StallAfter(4), "timeout"),
        (ModelFault::FailMidway, "overloaded"),
        (ModelFault::Endless, "answer_too_large"),
    ] {
        let stage = Stage::with_key().await;
        stage.model.fail_next(fault.clone());
        let id = stage.ask().await;
        let comes_again = stage.work(id).await;
        let now = execution(id).await;
        assert_eq!(now["error_code"], code, "{fault:?}: {now}");
        // The start of the answer tells of 25 tokens, and of the first that was written.
        if comes_again {
            assert_eq!(stage.booked().await, json!([0, 0, 25, 1, "0.000090"]), "{fault:?}");
            let_come_again(id).await;
            stage.work(id).await;
            assert_eq!(execution(id).await["status"], "succeeded", "{fault:?}");
            assert_eq!(stage.booked().await, json!([1, 0, 50, 16, "0.000390"]), "{fault:?}");
        } else {
            assert_eq!(stage.booked().await, json!([0, 1, 25, 1, "0.000090"]), "{fault:?}");
        }
        let cost = format!("SELECT to_jsonb(cost::text) FROM executions WHERE id = '{id}'");
        assert_eq!(one(cost).await, stage.booked().await[4], "{fault:?}");
    }
    assert_eq!(one(format!("SELECT count(*) FROM ai_usage WHERE tenant_id = '{}'", other.id)).await, json!(0));
}

#[tokio::test]
async fn an_answer_to_what_was_cancelled_meanwhile_is_dropped_and_booked() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(150))));
    let id = stage.ask().await;
    let cancel = async {
        while stage.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let api = Db::with_options(Database::get().await.options("carhaul_api"));
        let owner = stage.carrier.owner();
        let begun = review::begin(&api, &owner, Action::ExecutionsCreate, None, id, None).await;
        let (mut tx, running) = begun.expect("it is there");
        review::cancel(&mut tx, running, Clock::system().now()).await.expect("it runs");
        let answer = StoredAnswer { status: 200, headers: json!({}), body: String::new() };
        tx.commit(&answer).await.expect("it is cancelled");
        assert_eq!((execution(id).await["status"].clone(), stage.booked().await), (json!("cancelled"), Value::Null));
    };
    let (comes_again, ()) = tokio::join!(stage.work(id), cancel);
    let done = execution(id).await;
    assert_eq!((comes_again, &done["status"], &done["output"]), (false, &json!("cancelled"), &Value::Null), "{done}");
    assert_eq!(stage.booked().await, json!([0, 0, 25, 15, "0.000300"]));
    assert_eq!((&done["input_tokens"], stage.carrier.used().await), (&json!(25), json!(0)));
    // The message once more changes nothing.
    assert!(!stage.work(id).await);
    assert_eq!((stage.booked().await, stage.asked().len()), (json!([0, 0, 25, 15, "0.000300"]), 1));
}

#[tokio::test]
async fn two_workers_who_ask_for_one_execution_are_booked_twice_and_one_is_heard() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.fail_next(ModelFault::Slow(Duration::from_millis(200)));
    let id = stage.ask().await;
    let second = async {
        while stage.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // As if the first had been so slow that its lease is over.
        let_come_again(id).await;
        stage.work(id).await
    };
    tokio::join!(stage.work(id), second);
    let done = execution(id).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("succeeded"), &json!(2)), "{done}");
    assert_eq!(stage.booked().await, json!([1, 0, 50, 30, "0.000600"]));
    assert_eq!((stage.asked().len(), stage.carrier.used().await), (2, json!(1)));
}

#[tokio::test]
async fn a_refusal_has_its_price() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.answer_with("", ModelStop::Refusal);
    let done = stage.run().await;
    assert_eq!((&done["status"], &done["error_code"]), (&json!("failed"), &json!("refused")), "{done}");
    assert_eq!(stage.booked().await, json!([0, 1, 25, 15, "0.000300"]));
}

#[tokio::test]
async fn without_a_price_and_a_budget_a_model_is_asked_its_tokens_are_booked_and_somebody_is_told() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    let is_unpriced = async |id: ExecutionId| {
        let until = Clock::system().now() + TimeDelta::seconds(300);
        stage.worker().await.runner.run(id, until).await.expect("the database is up").is_unpriced
    };
    assert!(!is_unpriced(stage.ask().await).await);
    run(format!("UPDATE skills SET max_cost = NULL, model = 'of-unknown-price' WHERE id = '{}'", stage.skill)).await;
    let id = stage.ask().await;
    assert!(is_unpriced(id).await);
    let done = execution(id).await;
    assert_eq!((&done["status"], &done["cost"]), (&json!("succeeded"), &json!(0.0)), "{done}");
    assert_eq!(stage.booked().await, json!([2, 0, 50, 30, "0.000300"]));
    // A price of later is none today, and rules need none.
    run(format!(
        "UPDATE skills SET model = 'of-later' WHERE id = '{}'; \
         INSERT INTO ai_prices (provider, model, valid_from, input_price, output_price) \
         VALUES ('anthropic', 'of-later', '2190-01-01', 1, 1) ON CONFLICT DO NOTHING",
        stage.skill
    ))
    .await;
    assert!(is_unpriced(stage.ask().await).await);
    assert!(!is_unpriced(stage.carrier.ask_for(1).await[0]).await);
}

#[tokio::test]
async fn fifty_messages_that_come_three_times_at_once_are_asked_counted_and_charged_once() {
    let _turn = alone().await;
    let (stage, other) = (Stage::with_key().await, Carrier::create().await);
    run(format!("UPDATE skills SET deadline_seconds = 120 WHERE id = '{}'", stage.skill)).await;
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(10))));
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(stage.ask().await);
    }
    let (local, mut working) = (LocalSet::new(), JoinSet::new());
    for round in 0..3 {
        // Not in the same order, nor with the same others in a batch.
        ids.rotate_left(round * 2);
        for ids in ids.chunks(5) {
            let (worker, ids) = (stage.worker().await, ids.to_vec());
            working.spawn_local_on(
                async move {
                    let messages: Vec<_> = ids.iter().map(|id| (id.to_string(), permit(*id))).collect();
                    let messages: Vec<_> = messages.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
                    work(&worker, &messages).await
                },
                &local,
            );
        }
    }
    let failed = local.run_until(working.join_all()).await;
    assert!(failed.len() == 30 && failed.iter().all(|failed| *failed == json!([])), "{failed:?}");
    assert_eq!(stage.booked().await, json!([50, 0, 1250, 750, "0.015000"]));
    assert_eq!((stage.asked().len(), stage.carrier.used().await, other.used().await), (50, json!(50), json!(0)));
    let once = "bool_and(attempt = 1 AND status = 'succeeded' AND cost = 0.0003)";
    assert_eq!(
        one(format!("SELECT {once} FROM executions WHERE tenant_id = '{}'", stage.carrier.id)).await,
        json!(true)
    );
}
