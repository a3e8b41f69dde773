//! No carrier takes all slots: what others wait for while one's provider hangs, and that what is held for it is not forgotten.

use std::time::Duration;

use carhaul_core::base::clock::Clock;
use carhaul_core::executions::ExecutionId;
use carhaul_core::executions::run::{Ending, Ran};
use carhaul_testkit::ModelFault;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fleet::{Fleet, until};
use crate::stage::Stage;
use crate::support::{
    Carrier, a_tender, alone, execution, one, permit, run, runner, superuser, time_passes, work, worker_with,
};

const SLOTS: usize = 20;
/// Of what is asked while nobody answers: much longer than anybody else may wait.
const DEADLINE: i64 = 15;
const AT_ONCE: Duration = Duration::from_secs(2);

/// Has a carrier's own skill ask the stage's model.
async fn skill_of(stage: &Stage, carrier: &Carrier) -> String {
    let skill = Uuid::now_v7();
    stage.add_key_of(carrier, "anthropic").await;
    run(format!(
        "INSERT INTO skills SELECT (jsonb_populate_record(s, '{{\"id\": \"{skill}\", \"tenant_id\": \"{}\"}}')).* FROM skills s \
         WHERE s.id = '{}'",
        carrier.id, stage.skill
    ))
    .await;
    skill.to_string()
}

async fn ask(carrier: &Carrier, skill: &str, count: usize) -> Vec<ExecutionId> {
    let mut ids = Vec::new();
    for inputs in vec![json!({"text": "words"}); count].chunks(100) {
        ids.extend(carrier.ask(skill, inputs).await);
    }
    ids
}

async fn running(carrier: &Carrier) -> u64 {
    carrier.in_status("running").await.as_u64().expect("a count")
}

/// How long a carrier waits for the first that it asks for.
async fn first_of(carrier: &Carrier, fleet: &Fleet<'_>) -> Duration {
    let id = carrier.ask("extract_order", &[a_tender()]).await[0];
    fleet.send(permit(id));
    until(async || execution(id).await["status"] == "succeeded").await
}

async fn slots() -> Value {
    one("SELECT count(*) FROM ai_slots").await
}

#[tokio::test]
async fn carriers_whose_provider_hangs_leave_slots_to_the_next_and_all_of_theirs_are_run_once_it_answers() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    let (second, third, fourth) = (Carrier::create().await, Carrier::create().await, Carrier::create().await);
    run(format!("UPDATE skills SET deadline_seconds = {DEADLINE} WHERE id = '{}'", stage.skill)).await;
    let skill = skill_of(&stage, &second).await;
    stage.model.fail_with(Some(ModelFault::Hang));
    let fleet = Fleet::start(&stage, SLOTS).await;
    let ids = ask(&stage.carrier, &stage.skill.to_string(), 200).await;
    ids.iter().for_each(|id| fleet.send(permit(*id)));

    let half = SLOTS as u64 / 2;
    let work = async {
        until(async || running(&stage.carrier).await == half && fleet.waiting() == 0).await;
        assert_eq!((stage.asked().len() as u64, fleet.deliveries()), (half, 200), "each message came once");
        let waited = first_of(&third, &fleet).await;
        println!("the third's first after {waited:.2?}, with {half} of {SLOTS} slots held for {DEADLINE} s");
        assert!(waited < AT_ONCE, "{waited:?}");

        // Another one hangs, too: a third of what is left by both.
        let theirs = ask(&second, &skill, 30).await;
        theirs.iter().for_each(|id| fleet.send(permit(*id)));
        until(async || running(&second).await == SLOTS as u64 / 4 && fleet.waiting() == 0).await;
        let waited = first_of(&fourth, &fleet).await;
        println!("the fourth's first after {waited:.2?}, with two that hang");
        assert!(waited < AT_ONCE, "{waited:?}");
        assert_eq!((running(&stage.carrier).await, running(&second).await), (half, half / 2));

        // What is held can be cancelled; the rest is run as soon as the provider answers, without another message of anybody.
        let held: Vec<String> = ids[180..].iter().map(|id| format!("'{id}'")).collect();
        run(format!(
            "UPDATE executions SET status = 'cancelled' WHERE id IN ({}) AND status = 'queued'",
            held.join(", ")
        ))
        .await;
        stage.model.fail_with(None);
        let begun = Instant::now();
        until(async || {
            stage.carrier.in_status("succeeded").await == json!(180) && second.in_status("succeeded").await == json!(30)
        })
        .await;
        println!("all the others after {:.1?}", begun.elapsed());
        until(async || fleet.idle()).await;
    };
    fleet.run(work).await;
    assert_eq!((slots().await, stage.carrier.in_status("cancelled").await), (json!(0), json!(20)));
    // Those that hung were tried again, and nothing else; each was charged once.
    let attempts = one(format!(
        "SELECT jsonb_object_agg(attempt, n ORDER BY attempt) FROM (SELECT attempt, count(*) AS n FROM executions \
         WHERE tenant_id IN ('{}', '{}') GROUP BY 1) a",
        stage.carrier.id, second.id
    ));
    assert_eq!(attempts.await, json!({"0": 20, "1": 195, "2": 15}));
    assert_eq!(stage.booked().await, json!([180, 0, 4500, 2700, "0.054000"]));
    assert_eq!((stage.carrier.used().await, third.used().await), (json!(180), json!(1)));
    assert_eq!((stage.asked().len(), fleet.dead_letters()), (225, 0));
}

#[tokio::test]
async fn a_carrier_alone_has_half_of_the_slots_all_the_time() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    // A dozen events.
    stage.model.fail_with(Some(ModelFault::Slow(Duration::from_millis(100))));
    let fleet = Fleet::start(&stage, SLOTS).await;
    let first = ask(&stage.carrier, &stage.skill.to_string(), 1).await;
    fleet.send(permit(first[0]));
    let alone = fleet.run(until(async || stage.carrier.in_status("succeeded").await == json!(1))).await;
    let ids = ask(&stage.carrier, &stage.skill.to_string(), 100).await;
    ids.iter().for_each(|id| fleet.send(permit(*id)));
    let took = fleet.run(until(async || stage.carrier.in_status("succeeded").await == json!(101))).await;
    let width = 100.0 * alone.as_secs_f64() / took.as_secs_f64();
    println!("100 of {alone:.2?} each in {took:.2?}: {width:.1} at the same time, of {SLOTS} slots");
    // What lies between two of a slot is not for free on a busy machine.
    assert!(width > SLOTS as f64 / 2.0 * 0.7, "{width}");
}

/// The last one that runs ends while the permit of another is used up: over and over, as closely as it goes.
#[tokio::test]
async fn whatever_ends_while_a_permit_is_held_finds_what_it_was_for() {
    let _turn = alone().await;
    let stage = Stage::set().await;
    let others = [Carrier::create().await, Carrier::create().await];
    // One at a time of a carrier alone.
    let fleet = Fleet::start_with(&stage, 8, 2).await;
    for round in 0..30 {
        let mut ids = others[0].ask_for(6).await;
        if round % 3 == 0 {
            ids.extend(others[1].ask_for(3).await);
        }
        ids.iter().for_each(|id| fleet.send(permit(*id)));
        let done = until(async || fleet.idle());
        fleet.run(done).await;
        let open = one("SELECT count(*) FROM executions WHERE status IN ('queued', 'running')").await;
        assert_eq!((open, slots().await), (json!(0), json!(0)), "round {round}");
    }
    let done = (others[0].in_status("succeeded").await, others[1].in_status("succeeded").await);
    assert_eq!(done, (json!(180), json!(30)));
}

#[tokio::test]
async fn what_is_cancelled_keeps_its_slot_until_its_worker_lets_go() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    let other = Carrier::create().await;
    run(format!("UPDATE skills SET deadline_seconds = 8 WHERE id = '{}'", stage.skill)).await;
    stage.model.fail_with(Some(ModelFault::Hang));
    let fleet = Fleet::start(&stage, 4).await;
    let ids = ask(&stage.carrier, &stage.skill.to_string(), 10).await;
    ids.iter().for_each(|id| fleet.send(permit(*id)));
    let work = async {
        until(async || running(&stage.carrier).await == 2 && fleet.waiting() == 0).await;
        // Whoever cancels what hangs and asks anew does not get everybody's slots.
        run(format!("UPDATE executions SET status = 'cancelled' WHERE tenant_id = '{}'", stage.carrier.id)).await;
        let more = ask(&stage.carrier, &stage.skill.to_string(), 10).await;
        more.iter().for_each(|id| fleet.send(permit(*id)));
        until(async || fleet.waiting() == 0).await;
        assert_eq!((running(&stage.carrier).await, slots().await, stage.asked().len()), (0, json!(2), 2));
        let waited = first_of(&other, &fleet).await;
        assert!(waited < AT_ONCE, "{waited:?}");
        // Then the workers give up, and what was held is run.
        stage.model.fail_with(None);
        until(async || stage.carrier.in_status("succeeded").await == json!(10)).await;
        until(async || fleet.idle()).await;
    };
    fleet.run(work).await;
    assert_eq!((slots().await, stage.carrier.in_status("cancelled").await), (json!(0), json!(10)));
}

/// Claims until nobody may have one more; how many each carrier has then.
async fn claim_all(slots: usize) -> Vec<u64> {
    let mut superuser = superuser().await;
    loop {
        let claim = format!("SELECT outcome FROM app.claim_execution('{0}', '30 s', {slots}, '{0}')", Uuid::now_v7());
        let row = superuser.fetch_one(AssertSqlSafe(claim)).await.expect("something is due");
        match row.get("outcome") {
            "run" => {}
            "held" => break,
            other => panic!("{other}"),
        }
    }
    let counts =
        one("SELECT jsonb_agg(n ORDER BY n DESC) FROM (SELECT count(*) AS n FROM ai_slots GROUP BY tenant_id) c").await;
    serde_json::from_value(counts).expect("counts")
}

#[tokio::test]
async fn n_carriers_have_one_of_n_plus_one_parts_each_and_whoever_has_none_may_always_have_one() {
    let _turn = alone().await;
    let expected: [(usize, &[u64]); 5] = [(1, &[6]), (2, &[4, 4]), (3, &[3, 3, 3]), (5, &[2; 5]), (12, &[1; 12])];
    for (carriers, shares) in expected {
        run("UPDATE executions SET status = 'cancelled' WHERE status IN ('queued', 'running'); DELETE FROM ai_slots")
            .await;
        for _ in 0..carriers {
            Carrier::create().await.ask_for(13).await;
        }
        assert_eq!(claim_all(12).await, shares, "{carriers} carriers");
        // One more comes, and none that is there gets more.
        Carrier::create().await.ask_for(13).await;
        let now = claim_all(12).await;
        assert_eq!(&now[..carriers], shares, "{carriers} carriers");
        assert!(now.len() == carriers + 1 && now[carriers] >= 1, "{now:?}");
    }
}

#[tokio::test]
async fn leases_that_are_over_hold_no_slot_and_a_claim_that_is_said_twice_is_one() {
    let _turn = alone().await;
    let carrier = Carrier::create().await;
    let ids = carrier.ask_for(8).await;
    assert_eq!(claim_all(4).await, [2]);
    // Their workers are dead.
    time_passes().await;
    let claim =
        |claim: Uuid| one(format!("SELECT to_jsonb(c) FROM app.claim_execution('{}', '30 s', 4, '{claim}') c", ids[0]));
    let id = Uuid::now_v7();
    let first = claim(id).await;
    assert_eq!((&first["outcome"], &first["attempt"]), (&json!("run"), &json!(2)), "it is run again");
    // The answer was lost on the way.
    let again = claim(id).await;
    assert_eq!((&again["id"], &again["attempt"]), (&first["id"], &first["attempt"]));
    assert_eq!(slots().await, json!(1));
    assert_ne!(claim(Uuid::now_v7()).await["id"], first["id"]);
    assert_eq!(claim(Uuid::now_v7()).await["outcome"], "held");
    // Nothing is kept of a carrier that is gone.
    run(format!("DELETE FROM tenants WHERE id = '{}'", carrier.id)).await;
    assert_eq!(slots().await, json!(0));
}

/// The oldest message of a carrier whose own queue is long is not delivered again and again.
#[tokio::test]
async fn a_held_permit_is_used_up_and_its_execution_is_found_by_the_next_that_ends() {
    let _turn = alone().await;
    let stage = Stage::set().await;
    let carrier = Carrier::create().await;
    let ids = carrier.ask_for(3).await;
    let mut runner = runner().await;
    runner.slots = 2;
    // Somebody else runs the first.
    let claimed = format!("SELECT outcome FROM app.claim_execution('{}', '30 s', 2, '{}')", ids[0], Uuid::now_v7());
    assert_eq!(one(claimed).await, json!("run"));
    let until = || Clock::system().now() + TimeDelta::seconds(300);
    assert_eq!(runner.run(ids[1], until()).await.expect("the database is up").ran, Ran::Held);
    let worker = worker_with(&stage.aws, runner.clone());
    assert_eq!(work(&worker, &[("1", permit(ids[1])), ("2", permit(ids[2]))]).await, json!([]), "used up");
    assert_eq!((stage.aws.take_hidden().len(), stage.aws.take_messages().len()), (0, 0));
    time_passes().await;
    // One permit for all three.
    assert_eq!(work(&worker, &[("3", permit(ids[0]))]).await, json!([]));
    assert_eq!(carrier.in_status("succeeded").await, json!(3));
    // Without the time for another, a permit is sent for it.
    let ids = carrier.ask_for(2).await;
    let soon = Clock::system().now() + TimeDelta::seconds(200);
    let ran = worker.work(crate::support::batch(&[("4", permit(ids[0]))]), soon).await;
    assert_eq!(serde_json::to_value(ran).expect("JSON"), json!({"batchItemFailures": []}));
    let sent: Vec<Value> = stage.aws.take_messages().into_iter().map(|message| message.body).collect();
    assert_eq!(sent, [permit(ids[1])]);
    // If it cannot be sent, the message that was used stays one.
    carrier.ask_for(1).await;
    stage.aws.refuse_messages(true);
    let soon = Clock::system().now() + TimeDelta::seconds(200);
    let ran = worker.work(crate::support::batch(&[("5", permit(ids[1]))]), soon).await;
    assert_eq!(serde_json::to_value(ran).expect("JSON"), json!({"batchItemFailures": [{"itemIdentifier": "5"}]}));
    let ran = runner.run(ids[1], until()).await.expect("the database is up");
    assert!(matches!(ran.ran, Ran::Ended(_, Ending::Succeeded)) && ran.due.is_none(), "{ran:?}");
}

#[tokio::test]
async fn a_message_that_served_many_is_replaced_before_it_is_put_aside() {
    let _turn = alone().await;
    let stage = Stage::with_key().await;
    stage.model.fail_with(Some(ModelFault::Status(429, None)));
    let deliver = async |count: u32| {
        let id = stage.ask().await;
        let message = json!({
            "messageId": "1", "receiptHandle": "1", "body": permit(id).to_string(),
            "attributes": {"ApproximateReceiveCount": count.to_string()},
        });
        let batch = serde_json::from_value(json!({"Records": [message]})).expect("a batch");
        let failures = stage.worker().await.work(batch, Clock::system().now() + TimeDelta::seconds(300)).await;
        let again = serde_json::to_value(failures).expect("JSON")["batchItemFailures"] != json!([]);
        assert_eq!(execution(id).await["status"], "queued");
        let sent: Vec<_> = stage.aws.take_messages().into_iter().map(|it| (it.body, it.delay_seconds)).collect();
        (id, again, stage.aws.take_hidden().len(), sent)
    };
    let (_, again, hidden, sent) = deliver(7).await;
    assert_eq!((again, hidden, sent), (true, 1, vec![]));
    let (id, again, hidden, sent) = deliver(8).await;
    assert_eq!((again, hidden, &sent[0].0), (false, 0, &permit(id)));
    assert!((2..=6).contains(&sent[0].1), "{sent:?}");
}
