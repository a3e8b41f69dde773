//! What others notice of a carrier whose model provider hangs: how long a request is waited for, and how long the first result.

use std::time::{Duration, Instant};

use carhaul_testkit::{Kms, LambdaRuntime, ModelFault, ModelServer};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::Outcome;
use crate::database::Database;
use crate::function::{Function, Latencies, Request, World, median};
use crate::others::Others;
use crate::report::{self, Report, milliseconds};

const ROUNDS: usize = 5;
/// Carriers that ask at the same time, each an instance of its own, and how often each does.
const CALLERS: u32 = 5;
const REQUESTS: usize = 60;
const PAUSE: Duration = Duration::from_millis(25);
/// The one that waits for the provider asks for more at the same time.
const BUSY: u32 = 1;
const OTHER: u32 = 2;
/// What it has running: its half of all slots.
const HELD: usize = 40;
const SLOTS: usize = 2 * HELD;
/// A result is measured so often.
const FIRSTS: usize = 21;

pub async fn measure(world: &World, database: &Database, report: &mut Report) -> Outcome<()> {
    let (others, model, kms) = (Others::start(world, database).await, ModelServer::start().await, Kms::start().await);
    run(database, "TRUNCATE executions, ai_usage, skills, provider_keys CASCADE").await?;
    let slots = SLOTS.to_string();
    let provider = [
        ("PROVIDER_KEYS_KMS_KEY", Kms::KEY),
        ("AWS_ENDPOINT_URL_KMS", kms.url()),
        ("ANTHROPIC_API_BASE", model.url()),
        ("AI_WORKER_SLOTS", &slots),
    ];
    let skill = skill(&others, &provider).await?;
    let mut callers = Vec::new();
    for carrier in 1..=CALLERS {
        callers.push(others.of_owner("ai-dispatch", carrier, &[]).await?);
    }
    let worker = async || others.instance("ai-worker", "carhaul_ai", &provider).await;
    model.fail_with(Some(ModelFault::Hang));
    p99(&mut callers).await?;
    let (mut ratios, mut asked) = (Vec::new(), model.requests().len());
    for round in 1..=ROUNDS {
        let idle = p99(&mut callers).await?;
        nothing_is_due(database).await?;
        let ids = ask(&mut callers[0], &skill, HELD).await?;
        let mut workers = try_join_all((0..HELD).map(|_| worker())).await?;
        let mut waiting: Vec<_> =
            workers.iter_mut().zip(&ids).map(|(worker, id)| Box::pin(use_permit(worker, id))).collect();
        let measured = async {
            asked += HELD;
            while model.requests().len() < asked {
                tokio::time::sleep(PAUSE).await;
            }
            let p99 = p99(&mut callers).await?;
            let firsts = if round == ROUNDS {
                Some(firsts(database, &mut callers, &skill, &mut worker().await?).await?)
            } else {
                None
            };
            Outcome::Ok((p99, firsts))
        };
        let (hanging, firsts) = tokio::select! {
            measured = measured => measured?,
            _ = join_all(&mut waiting) => return Err("the provider does not hang".into()),
        };
        report::progress(&format!("p99 {idle:.2} ms, with {HELD} executions in a provider that hangs {hanging:.2} ms"));
        ratios.push(hanging / idle);
        if let Some(firsts) = firsts {
            let what = format!("AI: accepting one, p99 with {HELD} executions hanging in a provider / with none");
            report.at_most(what, median(ratios.iter().copied()), 1.6, "");
            let what = format!(
                "AI: accepted to written, another carrier's first while one hangs on its {HELD} of {SLOTS} slots"
            );
            report.at_most(what, firsts.p50(), 100.0, " ms");
        }
        drop(waiting);
        drop(workers);
        nothing_is_due(database).await?;
    }
    Ok(())
}

/// A skill of the busy carrier's own that asks the model, with a key.
async fn skill(others: &Others<'_>, provider: &[(&str, &str)]) -> Outcome<String> {
    let mut owner = others.of_owner("api", BUSY, provider).await?;
    let key = json!({"provider": "anthropic", "key": ModelServer::KEY});
    owner.send(&Request::post("/v1/provider-keys", key)).await?;
    let skill = json!({
        "name": "Words", "instructions": "Sum up {{input.text}}", "provider": "anthropic", "model": ModelServer::MODEL,
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "output_schema": {"type": "object"}, "deadline_seconds": 240,
    });
    let (skill, _) = owner.send(&Request::post("/v1/skills", skill)).await?;
    Ok(skill["id"].as_str().ok_or("a skill has an id")?.to_owned())
}

/// The 99th percentile over all carriers, which ask at the same time.
async fn p99(callers: &mut [Function]) -> Outcome<f64> {
    let asking = callers.iter_mut().map(async |caller| {
        let mut took = Vec::new();
        for _ in 0..REQUESTS {
            tokio::time::sleep(PAUSE).await;
            took.push(milliseconds(caller.send(&wanted("extract_order")).await?.1));
        }
        Outcome::Ok(took)
    });
    Ok(Latencies::of(try_join_all(asking).await?.concat()).p99())
}

/// Milliseconds from the request to the result that is written, of a carrier of whom nothing runs, while the busy one has all
/// that it gets and asks for more.
async fn firsts(
    database: &Database,
    callers: &mut [Function],
    skill: &str,
    worker: &mut LambdaRuntime,
) -> Outcome<Latencies> {
    // What was accepted to measure that.
    run(database, "UPDATE executions SET status = 'cancelled' WHERE status = 'queued'").await?;
    for id in ask(&mut callers[0], skill, HELD).await? {
        use_permit(worker, &id).await?;
    }
    let other = usize::try_from(OTHER - 1)?;
    let mut took = Vec::new();
    for _ in 0..FIRSTS {
        let begun = Instant::now();
        let (accepted, _) = callers[other].send(&wanted("extract_order")).await?;
        use_permit(worker, &accepted["id"]).await?;
        took.push(milliseconds(begun.elapsed()));
        let (now, _) =
            callers[other].get(&format!("/v1/executions/{}", accepted["id"].as_str().unwrap_or_default())).await?;
        if now["status"] != "succeeded" {
            return Err(format!("another carrier's first was not run: {now}").into());
        }
    }
    Ok(Latencies::of(took))
}

fn wanted(skill: &str) -> Request {
    Request::post("/v1/executions", json!({"skill": skill, "input": {"text": "Rate: $900\nVIN 1G4AH59H45G118341"}}))
}

async fn ask(caller: &mut Function, skill: &str, count: usize) -> Outcome<Vec<Value>> {
    let executions = vec![json!({"skill": skill, "input": {"text": "words"}}); count];
    let (batch, _) = caller.send(&Request::post("/v1/executions/batch", json!({ "executions": executions }))).await?;
    Ok(batch["data"].as_array().ok_or("a batch is a list")?.iter().map(|execution| execution["id"].clone()).collect())
}

/// Delivers one message; the worker's answer says that it is done with.
async fn use_permit(worker: &mut LambdaRuntime, id: &Value) -> Outcome<()> {
    let body = json!({"kind": "run", "execution_id": id}).to_string();
    let event = json!({"Records": [{"messageId": "1", "receiptHandle": "1", "body": body}]});
    let answer = worker.invoke(&event).await.map_err(|e| format!("{e:?}"))?.result.map_err(|e| e.to_string())?;
    if answer["batchItemFailures"] != json!([]) {
        return Err(format!("the permit was not used: {answer}").into());
    }
    Ok(())
}

/// Takes what is accepted and not run out of the way, and the slots of workers that were ended.
async fn nothing_is_due(database: &Database) -> Outcome<()> {
    run(database, "UPDATE executions SET status = 'cancelled' WHERE status IN ('queued', 'running')").await?;
    run(database, "DELETE FROM ai_slots").await
}

async fn run(database: &Database, sql: &'static str) -> Outcome<()> {
    let mut superuser = database.superuser().await?;
    superuser.execute(sql).await?;
    Ok(superuser.close().await?)
}
