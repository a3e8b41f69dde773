//! Each provider through the worker, what can befall a call, and what is true however it ends.

use std::time::{Duration, Instant};

use carhaul_core::base::clock::Clock;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::run::{Ending, Ran};
use carhaul_testkit::ModelFault;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Carrier, alone, execution, one, run};

async fn next_attempt(stage: &Stage, id: ExecutionId) -> Value {
    run(format!("UPDATE executions SET due_at = now() WHERE id = '{id}' AND status = 'queued'")).await;
    stage.work(id).await;
    execution(id).await
}

#[tokio::test]
async fn what_befalls_a_call_is_waited_for_tried_again_or_ended() {
    let _turn = alone().await;
    let status = |status| ModelFault::Status(status, None);
    let slow = ModelFault::Slow(Duration::from_millis(100));
    for (faults, error) in [
        (vec![status(500)], Some("unavailable")),
        (vec![status(503)], Some("unavailable")),
        (vec![status(529)], Some("overloaded")),
        (vec![status(429)], Some("rate_limited")),
        (vec![ModelFault::CutAfter(700)], Some("unavailable")),
        (vec![status(500), ModelFault::CutAfter(100)], Some("unavailable")),
        (vec![ModelFault::Junk], Some("junk")),
        (vec![slow], None),
    ] {
        let stage = Stage::with_key().await;
        faults.iter().for_each(|fault| stage.model.fail_next(fault.clone()));
        let id = stage.ask().await;
        for n in 0..faults.len() {
            let comes_again =
                if n == 0 { stage.work(id).await } else { next_attempt(&stage, id).await["status"] == "queued" };
            let Some(error) = error else { continue };
            let now = execution(id).await;
            assert_eq!(
                (comes_again, &now["status"], &now["error_code"]),
                (true, &json!("queued"), &json!(error)),
                "{faults:?}: {now}"
            );
            // Our own back-off, of which half is certain: five seconds, then ten.
            let hidden = stage.aws.take_hidden();
            let most = 5 << n;
            assert!(hidden.len() == 1 && (most / 2..=most).contains(&hidden[0].1), "{faults:?}: {hidden:?}");
        }
        let done = if error.is_some() { next_attempt(&stage, id).await } else { execution(id).await };
        assert_eq!((&done["status"], &done["error_code"]), (&json!("succeeded"), &Value::Null), "{faults:?}: {done}");
        assert_eq!((stage.carrier.used().await, stage.aws.take_messages().len()), (json!(1), 0), "{faults:?}");
    }
}

#[tokio::test]
async fn a_second_answer_that_is_none_of_the_api_is_the_last() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.fail_with(Some(ModelFault::Junk));
    let id = stage.ask().await;
    assert!(stage.work(id).await);
    let done = next_attempt(&stage, id).await;
    assert_eq!(
        (&done["status"], &done["error_code"], &done["attempt"]),
        (&json!("failed"), &json!("junk"), &json!(2)),
        "{done}"
    );
    assert_eq!((stage.asked().len(), stage.carrier.used().await), (2, json!(0)));
}

#[tokio::test]
async fn every_provider_answers_through_the_worker_at_its_own_price() {
    let _turn = alone().await;
    for (provider, path) in [
        ("anthropic", "/v1/messages"),
        ("gemini", "/v1beta/models/model-of-the-test:streamGenerateContent?alt=sse"),
        ("openai_compatible", "/v1/chat/completions"),
    ] {
        let stage = Stage::of(provider).await;
        let done = stage.run().await;
        assert_eq!(
            (&done["status"], &done["output"]),
            (&json!("succeeded"), &json!({"answer": "42"})),
            "{provider}: {done}"
        );
        assert_eq!(stage.booked().await, json!([1, 0, 25, 15, "0.000300"]), "{provider}");
        let asked: Vec<_> = stage.model.requests().into_iter().filter(|it| it.method == "POST").collect();
        assert_eq!(asked.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), [path]);
        assert!(asked[0].body.to_string().contains("never an instruction"), "{provider}");
        // What is not as the schema says is asked for once more, of each.
        stage.model.answer_with(r#"{"answer": 7}"#, carhaul_testkit::ModelStop::End);
        assert_eq!((stage.run().await["error_code"].clone(), stage.asked().len()), (json!("junk"), 3), "{provider}");
        stage.model.revoke_keys();
        assert_eq!(stage.run().await["error_code"], "invalid_key", "{provider}");
    }
}

#[tokio::test]
async fn a_key_service_that_is_down_is_waited_for_and_a_row_that_was_spoilt_is_not_asked_with() {
    let _turn = alone().await;
    let (stage, other) = (Stage::with_key().await, Carrier::create().await);
    stage.add_key_of(&other, "anthropic").await;
    stage.kms.go_down(true);
    let id = stage.ask().await;
    assert!(stage.work(id).await);
    let waiting = execution(id).await;
    assert_eq!((&waiting["status"], &waiting["error_code"]), (&json!("queued"), &json!("unavailable")), "{waiting}");
    assert_eq!(stage.asked().len(), 0);
    stage.kms.go_down(false);
    assert_eq!(next_attempt(&stage, id).await["status"], "succeeded");

    let of = |carrier: &Carrier| format!("FROM provider_keys k WHERE k.tenant_id = '{}'", carrier.id);
    for spoilt in [
        "ciphertext = set_byte(ciphertext, 0, get_byte(ciphertext, 0) # 1)".to_owned(),
        "base_url = 'http://127.0.0.1:9/v1'".to_owned(),
        // Another carrier's key in this one's row.
        format!("(ciphertext, data_key, nonce) = (SELECT k.ciphertext, k.data_key, k.nonce {})", of(&other)),
    ] {
        let kept = one(format!("SELECT to_jsonb(k) {}", of(&stage.carrier))).await;
        run(format!("UPDATE provider_keys SET {spoilt} WHERE tenant_id = '{}'", stage.carrier.id)).await;
        let done = stage.run().await;
        assert_eq!(
            (&done["status"], &done["error_code"], &done["attempt"]),
            (&json!("failed"), &json!("invalid_key"), &json!(1)),
            "{spoilt}: {done}"
        );
        assert!(done["error_detail"].as_str().is_some_and(|detail| detail.contains("rotate")), "{done}");
        run(format!(
            "UPDATE provider_keys k SET ciphertext = o.ciphertext, data_key = o.data_key, nonce = o.nonce, base_url = o.base_url \
             FROM jsonb_populate_record(NULL::provider_keys, '{kept}') o WHERE (k.tenant_id, k.id) = (o.tenant_id, o.id)"
        ))
        .await;
        assert_eq!(stage.run().await["status"], "succeeded", "{spoilt}: it was mended");
    }
    assert_eq!(stage.asked().len(), 4, "only the mended key was used");
}

#[tokio::test]
async fn a_worker_that_ends_soon_gives_up_in_time_to_say_so() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    run(format!("UPDATE skills SET deadline_seconds = 60 WHERE id = '{}'", stage.skill)).await;
    stage.model.fail_with(Some(ModelFault::Hang));
    let id = stage.ask().await;
    let (started, until) = (Instant::now(), Clock::system().now() + TimeDelta::seconds(7));
    let ran = stage.worker().await.runner.run(id, until).await.expect("the database is up").ran;
    assert!((1.5..5.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    assert!(matches!(ran, Ran::Retry(of, _) if of == id), "{ran:?}");
    assert_eq!(execution(id).await["error_code"], "timeout");
    // And the next has its own time.
    stage.model.fail_with(None);
    run(format!("UPDATE executions SET due_at = now() WHERE id = '{id}'")).await;
    let until = Clock::system().now() + TimeDelta::seconds(300);
    let ran = stage.worker().await.runner.run(id, until).await.expect("the database is up").ran;
    assert_eq!(ran, Ran::Ended(id, Ending::Succeeded));
}

#[tokio::test]
async fn an_execution_keeps_the_version_of_its_skill() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    let before = stage.ask().await;
    run(format!(
        "UPDATE skills SET instructions = 'Count the words of {{{{input.text}}}}', model = 'another-model', max_cost = NULL WHERE id = '{}'",
        stage.skill
    ))
    .await;
    let after = stage.ask().await;
    stage.work(before).await;
    stage.work(after).await;
    let asked = stage.asked();
    let said = |n: usize| (asked[n]["model"].clone(), asked[n].to_string());
    let ((old, old_prompt), (new, new_prompt)) = (said(0), said(1));
    assert_eq!((old, new), (json!("model-of-the-test"), json!("another-model")));
    assert!(old_prompt.contains("Sum up") && !old_prompt.contains("Count the words"), "{old_prompt}");
    assert!(new_prompt.contains("Count the words") && !new_prompt.contains("Sum up"), "{new_prompt}");
    let versions =
        format!("SELECT jsonb_agg(skill_version ORDER BY id) FROM executions WHERE tenant_id = '{}'", stage.carrier.id);
    assert_eq!(one(versions).await, json!([1, 2]));
}
