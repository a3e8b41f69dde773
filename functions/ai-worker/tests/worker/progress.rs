//! What a model says while it says it: in the event log, once, in order, for those who may see it, and gone afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use carhaul_core::base::ids::TenantId;
use carhaul_core::base::page::Limit;
use carhaul_core::events::{self, After};
use carhaul_core::executions::{self, Execution, ExecutionId};
use carhaul_core::identity::actor::Actor;
use carhaul_core::platform::db::Db;
use carhaul_testkit::{Database, ModelFault, ModelStop};
use serde_json::{Value, json};
use sqlx::Executor;

use crate::stage::Stage;
use crate::support::{Carrier, alone, execution, one, run, superuser};

const ANSWER: &str = "Łódź: the truck is \u{1f69a} \"late\",\nand it snows. ";

/// A model that takes some seconds for a long answer.
async fn slow() -> Stage {
    let stage = Stage::with_key().await;
    run(format!(
        "UPDATE skills SET deadline_seconds = 60 WHERE id = '{0}'; \
         UPDATE tenants SET ai_budget_amount = NULL WHERE id = '{1}'; \
         UPDATE api_keys SET scopes = scopes || '{{events:read}}' WHERE tenant_id = '{1}'",
        stage.skill, stage.carrier.id
    ))
    .await;
    stage.model.answer_with(json!({"answer": ANSWER.repeat(9)}).to_string(), ModelStop::End);
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(700))));
    stage
}

async fn api() -> Db {
    Db::with_options(Database::get().await.options("carhaul_api"))
}

async fn shown(carrier: &Carrier, id: ExecutionId) -> Option<Execution> {
    executions::get(&api().await, &carrier.actor(), id).await.ok()
}

/// The pieces in the log that this actor may read; None for one who may read none of it.
async fn pieces(actor: &Actor, id: ExecutionId) -> Option<Vec<Value>> {
    let read = events::list(&api().await, actor, After::Nothing, None, Limit::default()).await.ok()?;
    let of_it =
        read.data.into_iter().filter(|event| event.subject_id == Some(id.0) && event.r#type == "execution.progress");
    Some(of_it.map(|event| event.data).collect())
}

async fn written(id: ExecutionId) -> Value {
    one(format!("SELECT count(*) FROM tenant_events WHERE subject_id = '{id}' AND type = 'execution.progress'")).await
}

async fn until_written(id: ExecutionId, least: u64) {
    for _ in 0..400 {
        if written(id).await.as_u64() >= Some(least) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?}", execution(id).await);
}

#[tokio::test]
async fn the_text_of_an_answer_comes_in_pieces_for_the_carrier_alone_and_is_gone_when_it_is_whole() {
    let _turn = alone().await;
    let (stage, other) = (slow().await, Carrier::create().await);
    run(format!("UPDATE api_keys SET scopes = scopes || '{{events:read}}' WHERE tenant_id = '{}'", other.id)).await;
    let id = stage.ask().await;
    let watch = async {
        until_written(id, 2).await;
        let running = shown(&stage.carrier, id).await.expect("it is the carrier's");
        let progress = running.progress.expect("it has begun");
        let mut read = Vec::new();
        for _ in 0..100 {
            // The log is read up to the oldest transaction, and others have some.
            read = pieces(&stage.carrier.actor(), id).await.expect("it may");
            if read.len() >= usize::try_from(progress.part).expect("some") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let of_progress: String = read
            .iter()
            .take_while(|it| it["part"].as_i64() <= Some(i64::from(progress.part)))
            .map(|it| it["text"]["answer"].as_str().expect("a text"))
            .collect();
        assert_eq!((progress.attempt, progress.draft), (1, 1));
        assert_eq!(progress.text, BTreeMap::from([("answer".to_owned(), of_progress.clone())]));
        assert!(!of_progress.is_empty() && ANSWER.repeat(9).starts_with(&of_progress), "{of_progress}");
        let numbers: Vec<i64> = read.iter().map(|it| it["part"].as_i64().expect("a number")).collect();
        assert_eq!(numbers, (1..=i64::try_from(numbers.len()).expect("few")).collect::<Vec<_>>());
        // Another carrier, also one that asks in this one's name.
        assert_eq!(pieces(&other.actor(), id).await, Some(Vec::new()));
        assert!(shown(&other, id).await.is_none());
        let intruder = Actor { tenant: Some(TenantId(stage.carrier.id)), ..other.owner() };
        assert_eq!(pieces(&intruder, id).await, None);
        // The row's own history says nothing of it.
        assert_eq!(execution(id).await["version"], json!(2));
    };
    let (again, ()) = tokio::join!(stage.work(id), watch);
    let done = execution(id).await;
    assert_eq!(
        (again, &done["status"], &done["output"]["answer"]),
        (false, &json!("succeeded"), &json!(ANSWER.repeat(9)))
    );
    assert_eq!(written(id).await, json!(0));
    assert_eq!(shown(&stage.carrier, id).await.expect("it is there").progress, None);
    // Nobody is connected, so nobody is nudged.
    assert_eq!(stage.aws.take_messages(), []);
}

#[tokio::test]
async fn who_is_connected_is_nudged_for_each_piece_and_a_member_who_may_not_read_executions_hears_none() {
    let _turn = alone().await;
    let stage = slow().await;
    run(format!(
        "INSERT INTO realtime_connections (tenant_id, id, api_key_id, xid, seq) \
         SELECT tenant_id, 'of ' || id, id, 0, 0 FROM api_keys WHERE tenant_id = '{0}'; \
         UPDATE api_keys SET scopes = '{{events:read,executions:create,orders:read}}' WHERE tenant_id = '{0}'",
        stage.carrier.id
    ))
    .await;
    let id = stage.ask().await;
    let watch = async {
        until_written(id, 2).await;
        assert_eq!(pieces(&stage.carrier.actor(), id).await, Some(Vec::new()), "its scopes do not have them");
        assert!(pieces(&stage.carrier.owner(), id).await.is_some_and(|pieces| !pieces.is_empty()));
    };
    tokio::join!(stage.work(id), watch);
    let nudges = stage.aws.take_messages();
    assert!(nudges.len() >= 3 && nudges.iter().all(|it| it.body["tenant_id"] == json!(stage.carrier.id)), "{nudges:?}");
}

#[tokio::test]
async fn who_is_connected_is_nudged_when_it_begins_and_not_only_when_it_is_over() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.fail_with(Some(ModelFault::Hang));
    run(format!(
        "INSERT INTO realtime_connections (tenant_id, id, api_key_id, xid, seq) \
         SELECT tenant_id, 'of ' || id, id, 0, 0 FROM api_keys WHERE tenant_id = '{}'",
        stage.carrier.id
    ))
    .await;
    let id = stage.ask().await;
    let watch = async {
        while stage.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(execution(id).await["status"], "running");
        let nudges: Vec<_> = stage.aws.take_messages().into_iter().map(|it| it.body["tenant_id"].clone()).collect();
        assert_eq!(nudges, [json!(stage.carrier.id)]);
    };
    tokio::select! {
        again = stage.work(id) => panic!("nobody answers: {again}"),
        () = watch => {}
    }
}

#[tokio::test]
async fn nobody_waits_for_progress_and_an_attempt_that_is_over_writes_none() {
    let _turn = alone().await;
    let stage = slow().await;
    // Somebody holds the row for a while, as one does who is about to decide.
    let id = stage.ask().await;
    let hold = async {
        while execution(id).await["status"] == "queued" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut holder = superuser().await;
        holder
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                "BEGIN; SELECT 1 FROM executions WHERE id = '{id}' FOR UPDATE"
            ))))
            .await
            .expect("it can be locked");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let meanwhile = written(id).await;
        holder.execute("ROLLBACK").await.expect("it ends");
        meanwhile
    };
    let (_, meanwhile) = tokio::join!(stage.work(id), hold);
    assert_eq!((meanwhile, &execution(id).await["status"]), (json!(0), &json!("succeeded")));

    // Another worker has taken over: what is there goes, and the first adds nothing.
    let id = stage.ask().await;
    let take_over = async {
        until_written(id, 1).await;
        run(format!(
            "UPDATE executions SET attempt = attempt + 1, due_at = now() + interval '1 hour' WHERE id = '{id}'"
        ))
        .await;
        assert_eq!(written(id).await, json!(0));
        let part = |attempt: i32| one(format!("SELECT app.report_progress('{id}', {attempt}, 1, 90, '{{}}')"));
        assert_eq!((part(1).await, part(2).await, part(2).await), (Value::Null, json!(false), json!(false)));
        run(format!("UPDATE executions SET due_at = now() WHERE id = '{id}'")).await;
        assert_eq!(part(2).await, Value::Null, "its lease is over");
        run(format!("UPDATE executions SET due_at = now() + interval '1 hour' WHERE id = '{id}'")).await;
    };
    tokio::join!(stage.work(id), take_over);
    assert_eq!(written(id).await, json!(1), "a number counts once");
    assert_eq!(execution(id).await["status"], "running");
    run(format!("UPDATE executions SET status = 'cancelled' WHERE id = '{id}'")).await;
    assert_eq!(written(id).await, json!(0));
}

#[tokio::test]
async fn a_second_draft_takes_the_place_of_one_that_did_not_fit_and_what_is_quick_costs_nothing() {
    let _turn = alone().await;
    let stage = slow().await;
    stage.model.answer_with(json!({"answer": ANSWER.repeat(3), "more": 7}).to_string(), ModelStop::End);
    let id = stage.ask().await;
    let watch = async {
        let mut seen = Vec::new();
        while execution(id).await["finished_at"].is_null() {
            if let Some(progress) = shown(&stage.carrier, id).await.and_then(|it| it.progress) {
                assert!(ANSWER.repeat(3).starts_with(&progress.text["answer"]), "a draft is not put behind another");
                seen.push((progress.draft, progress.part));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen.dedup();
        seen
    };
    let (_, seen) = tokio::join!(stage.work(id), watch);
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1] && pair[0].1 < pair[1].1), "{seen:?}");
    assert!(seen.first().is_some_and(|first| first.0 == 1) && seen.last().is_some_and(|last| last.0 == 2), "{seen:?}");

    stage.model.fail_with(None);
    let started = format!("SELECT coalesce(max(seq), 0) FROM tenant_events WHERE tenant_id = '{}'", stage.carrier.id);
    let before = one(started.clone()).await;
    stage.model.answer_with(r#"{"answer": "42"}"#, ModelStop::End);
    let done = stage.run().await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let told = format!(
        "SELECT jsonb_agg(type ORDER BY xid, seq) FROM tenant_events WHERE tenant_id = '{}' AND seq > {before}",
        stage.carrier.id
    );
    assert_eq!(one(told).await, json!(["execution.created", "execution.running", "execution.succeeded"]));
}
