//! Batches, back-off and what is put aside for operators.

use carhaul_core::executions::ExecutionId;
use carhaul_testkit::Aws;
use serde_json::json;

use crate::support::{Carrier, alone, execution, permit, run, work, worker};

#[tokio::test]
async fn exactly_the_messages_that_could_not_be_used_come_again() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let carrier = Carrier::create().await;
    let ids = carrier.ask_for(2).await;
    let failed = work(
        &worker(&aws).await,
        &[("1", permit(ids[0])), ("2", json!("no job")), ("3", permit(ids[1])), ("4", json!({"kind": "other"}))],
    )
    .await;
    assert_eq!(failed, json!(["2", "4"]));
    assert_eq!(carrier.in_status("succeeded").await, json!(2));
}

#[tokio::test]
async fn what_died_with_its_last_worker_fails_and_is_put_aside_and_an_operator_can_send_it_back() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let (carrier, worker) = (Carrier::create().await, worker(&aws).await);
    let ids = carrier.ask_for(2).await;
    let lost = |id: ExecutionId| {
        format!(
            "UPDATE executions SET status = 'running', attempt = max_attempts, due_at = now() - interval '1 hour' WHERE id = '{id}'"
        )
    };
    run(lost(ids[0])).await;
    // The same permit then runs what is still good.
    assert_eq!(work(&worker, &[("1", permit(ids[0]))]).await, json!([]));
    let failed = execution(ids[0]).await;
    assert_eq!((&failed["status"], &failed["error_code"]), (&json!("failed"), &json!("lost")));
    assert_eq!(execution(ids[1]).await["status"], "succeeded");
    assert_eq!(carrier.used().await, json!(1));
    let letters = aws.take_messages();
    let bodies: Vec<_> =
        letters.iter().map(|letter| (letter.queue_url.ends_with("ai-dead-letters"), &letter.body)).collect();
    let letter = json!({"kind": "failed", "execution_id": ids[0], "error": "lost"});
    assert_eq!(bodies, [(true, &letter)]);

    // What the redrive moves back to the queue is run again, and counts again; once.
    for _ in 0..2 {
        assert_eq!(work(&worker, &[("2", letter.clone())]).await, json!([]));
    }
    let done = execution(ids[0]).await;
    assert_eq!(
        (&done["status"], &done["attempt"], &done["error_code"]),
        (&json!("succeeded"), &json!(5), &json!(null))
    );
    assert_eq!(carrier.used().await, json!(2));
}

#[tokio::test]
async fn what_was_not_begun_in_time_expires_and_gives_its_place_back() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let (carrier, worker) = (Carrier::create().await, worker(&aws).await);
    let id = carrier.ask_for(1).await[0];
    run(format!("UPDATE executions SET expires_at = now() - interval '1 second' WHERE id = '{id}'")).await;
    assert_eq!(work(&worker, &[("1", permit(id))]).await, json!([]));
    assert_eq!((&execution(id).await["status"], carrier.used().await), (&json!("expired"), json!(0)));
    assert_eq!(aws.take_messages(), [], "nobody's fault");
}

#[tokio::test]
async fn whoever_pushes_is_told_of_what_a_worker_has_changed_if_somebody_is_connected() {
    let _turn = alone().await;
    let aws = Aws::start().await;
    let (carrier, worker) = (Carrier::create().await, worker(&aws).await);
    let id = carrier.ask_for(1).await[0];
    work(&worker, &[("1", permit(id))]).await;
    assert_eq!(aws.take_messages(), []);
    run(format!(
        "INSERT INTO realtime_connections (tenant_id, id, user_id, xid, seq) \
         SELECT tenant_id, 'connection-' || user_id, user_id, 0, 0 FROM memberships WHERE tenant_id = '{}'",
        carrier.id
    ))
    .await;
    let id = carrier.ask_for(1).await[0];
    work(&worker, &[("2", permit(id))]).await;
    let told: Vec<_> = aws.take_messages().into_iter().map(|message| message.body["tenant_id"].clone()).collect();
    assert_eq!(told, [json!(carrier.id)]);
}
