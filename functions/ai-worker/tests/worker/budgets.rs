//! A month's budget is held before it is spent: also of many who spend it at once, and of those who die meanwhile.

use std::time::Duration;

use carhaul_core::executions::ExecutionId;
use carhaul_testkit::ModelFault;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::stage::Stage;
use crate::support::{alone, execution, one, permit, run, work};

/// What an attempt holds: some 1 700 tokens at 15 dollars a million, and those of its prompt. It costs a hundredth of that.
async fn stage(budget: &str) -> Stage {
    let stage = Stage::with_key().await;
    run(format!(
        "UPDATE skills SET max_output_tokens = 1700, deadline_seconds = 20 WHERE id = '{}'; \
         UPDATE tenants SET ai_budget_amount = {budget} WHERE id = '{}'",
        stage.skill, stage.carrier.id
    ))
    .await;
    stage
}

async fn held(stage: &Stage) -> Value {
    one(format!(
        "SELECT jsonb_build_array(count(*), coalesce(sum(amount) <= (SELECT ai_budget_amount FROM tenants t WHERE t.id = '{0}'), true)) \
         FROM ai_reservations WHERE tenant_id = '{0}' AND held_until > now()",
        stage.carrier.id
    ))
    .await
}

async fn time_passes(stage: &Stage) {
    run(format!(
        "UPDATE ai_reservations SET held_until = now() - interval '1 second' WHERE tenant_id = '{0}'; \
         UPDATE executions SET due_at = now() - interval '1 second' WHERE tenant_id = '{0}' AND status IN ('queued', 'running')",
        stage.carrier.id
    ))
    .await;
}

/// Lets so many workers at once use a permit each.
async fn work_together(stage: &Stage, ids: &[ExecutionId]) {
    let (local, mut working) = (LocalSet::new(), JoinSet::new());
    for id in ids {
        let (worker, id) = (stage.worker().await, *id);
        working.spawn_local_on(async move { work(&worker, &[("receipt", permit(id))]).await }, &local);
    }
    local.run_until(working.join_all()).await;
}

#[tokio::test]
async fn many_at_once_are_asked_for_no_more_than_the_budget_has_and_the_others_later() {
    let _turn = alone().await;
    let (stage, other) = (stage("0.06").await, self::stage("0.03").await);
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(100))));
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(stage.ask().await);
    }
    let watch = async {
        while stage.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(held(&stage).await, json!([2, true]));
        // Another carrier's budget is its own.
        assert_eq!(held(&other).await, json!([0, true]));
    };
    tokio::join!(work_together(&stage, &ids), watch);
    assert_eq!(stage.asked().len(), 2, "two hold it all");
    assert_eq!(
        (stage.carrier.in_status("succeeded").await, stage.carrier.in_status("queued").await),
        (json!(2), json!(8))
    );
    let why = format!(
        "SELECT DISTINCT error_code FROM executions WHERE tenant_id = '{}' AND status = 'queued'",
        stage.carrier.id
    );
    assert_eq!(one(why).await, json!("ai_budget_reached"));
    assert_eq!(held(&stage).await, json!([0, true]), "what was held is given back");
    // On a slow machine the time of some has come already: whoever ended then has sent their permits.
    let letters =
        stage.aws.take_messages().into_iter().filter(|message| message.queue_url.ends_with("ai-dead-letters"));
    assert_eq!(letters.count(), 0, "it is no operator's to mend");
    // What they cost is a hundredth of what they held, so the others have their turn.
    stage.model.fail_with(None);
    time_passes(&stage).await;
    // Whoever is done goes on with the next.
    assert!(!stage.work(ids[0]).await);
    assert_eq!(stage.carrier.in_status("succeeded").await, json!(10));
    assert_eq!(stage.booked().await, json!([10, 0, 250, 150, "0.003000"]));
    assert_eq!(other.run().await["status"], "succeeded");
}

#[tokio::test]
async fn what_a_worker_that_dies_has_held_is_given_back_with_its_lease() {
    let _turn = alone().await;
    let stage = stage("0.03").await;
    stage.model.fail_next(ModelFault::Hang);
    let (lost, next) = (stage.ask().await, stage.ask().await);
    let dying = stage.work(lost);
    tokio::select! {
        _ = dying => panic!("the model has answered"),
        () = async { while stage.asked().is_empty() { tokio::time::sleep(Duration::from_millis(5)).await; } } => {}
    }
    assert_eq!((held(&stage).await, &execution(lost).await["status"]), (json!([1, true]), &json!("running")));
    assert!(stage.work(next).await, "it comes again");
    assert_eq!((&execution(next).await["error_code"], stage.asked().len()), (&json!("ai_budget_reached"), 1));

    time_passes(&stage).await;
    // Whose turn it is takes the permit; both come to their end, one after the other.
    stage.work(next).await;
    time_passes(&stage).await;
    stage.work(lost).await;
    for id in [lost, next] {
        assert_eq!(execution(id).await["status"], "succeeded");
    }
    assert_eq!((held(&stage).await, stage.booked().await), (json!([0, true]), json!([2, 0, 50, 30, "0.000600"])));
    let left = format!("SELECT count(*) FROM ai_reservations WHERE tenant_id = '{}'", stage.carrier.id);
    assert_eq!(one(left).await, json!(0));
}

#[tokio::test]
async fn what_does_not_fit_into_the_budget_is_refused_at_once_and_one_that_holds_it_too_long_is_no_alarm() {
    let _turn = alone().await;
    let stage = stage("0.02").await;
    let done = stage.run().await;
    assert_eq!(
        (&done["status"], &done["error_code"], &done["attempt"]),
        (&json!("failed"), &json!("ai_budget_reached"), &json!(1))
    );
    run(format!("UPDATE tenants SET ai_budget_amount = 0.03 WHERE id = '{}'", stage.carrier.id)).await;
    let id = stage.ask().await;
    run(format!(
        "INSERT INTO ai_reservations (tenant_id, execution_id, month, amount, held_until) \
         SELECT tenant_id, '{}', month, 0.03, now() + interval '1 hour' FROM executions WHERE id = '{id}'",
        done["id"].as_str().expect("an id")
    ))
    .await;
    for _ in 0..4 {
        stage.work(id).await;
        run(format!("UPDATE executions SET due_at = now() WHERE id = '{id}' AND status = 'queued'")).await;
    }
    let done = execution(id).await;
    assert_eq!(
        (&done["status"], &done["error_code"], &done["attempt"]),
        (&json!("failed"), &json!("ai_budget_reached"), &json!(4))
    );
    assert_eq!((stage.asked().len(), stage.aws.take_messages()), (0, Vec::new()));
}
