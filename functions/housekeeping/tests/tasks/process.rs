//! The function as the process that Lambda runs.

use std::path::Path;

use carhaul_testkit::{Aws, BucketServer, Database, LambdaRuntime, QueueServer, StripeFault, StripeServer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{OwnDatabase, ROLE};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_carhaul-housekeeping");

async fn instance(
    secrets: &Aws,
    queue: &QueueServer,
    database: &OwnDatabase,
    files: &BucketServer,
    stripe: Option<&StripeServer>,
) -> LambdaRuntime {
    let testkit = Database::get().await;
    let mut environment = secrets.environment(testkit, ROLE, testkit.pooler());
    environment.extend([
        ("DATABASE_NAME", database.name.clone()),
        ("AWS_ENDPOINT_URL_SQS", queue.endpoint().to_owned()),
        ("BILLING_QUEUE_URL", queue.url()),
        ("REALTIME_QUEUE_URL", queue.url()),
        ("AI_QUEUE_URL", queue.url()),
        ("CHORES_QUEUE_URL", queue.url()),
        ("DOCUMENTS_URL", files.url().to_owned()),
        ("AI_WORKER_SLOTS", "50".to_owned()),
    ]);
    if let Some(stripe) = stripe {
        environment.extend([("STRIPE_SECRET", "stripe".to_owned()), ("STRIPE_API_BASE", stripe.url().to_owned())]);
    }
    LambdaRuntime::spawn(Path::new(BOOTSTRAP), environment).await.unwrap()
}

async fn invoke(instance: &mut LambdaRuntime, task: &str) -> Result<Value, Value> {
    instance.invoke(&json!({"task": task})).await.unwrap().result
}

#[tokio::test]
async fn without_a_key_of_stripe_it_says_so_and_does_nothing() {
    let (secrets, queue) = (Aws::start().await, QueueServer::start().await);
    let (stripe, database) = (StripeServer::start().await, OwnDatabase::create().await);
    secrets.keep_secret("stripe", &json!({"api_key": ""}));
    for stripe in [None, Some(&stripe)] {
        let mut function = instance(&secrets, &queue, &database, &BucketServer::start().await, stripe).await;
        let skipped = json!({"skipped": "no key of Stripe is configured"});
        assert_eq!(invoke(&mut function, "reconcile").await, Ok(skipped));
        assert!(function.log().iter().any(|line| line.contains("no key of Stripe is configured")));
    }
    assert_eq!(stripe.requests(), []);
    assert_eq!(queue.sent(), [json!(null); 0]);
    database.drop().await;
}

#[tokio::test]
async fn while_stripe_is_down_reconciling_fails_with_a_line_in_the_log_and_the_other_tasks_go_on() {
    let (secrets, queue) = (Aws::start().await, QueueServer::start().await);
    let (stripe, database) = (StripeServer::start().await, OwnDatabase::create().await);
    stripe.add_price("price_starter", 4_900, "month");
    secrets.keep_secret("stripe", &json!({"api_key": stripe.key()}));
    let customer = stripe.create_customer();
    database.carrier(&customer).await;
    let subscription = stripe.subscribe(&customer, "price_starter");
    let mut function = instance(&secrets, &queue, &database, &BucketServer::start().await, Some(&stripe)).await;
    stripe.fault(Some(StripeFault::Refuse));
    let failed = invoke(&mut function, "reconcile").await.unwrap_err();
    assert!(failed["errorMessage"].as_str().is_some_and(|message| message.contains("payment service")), "{failed}");
    assert!(function.log().iter().any(|line| line.contains("Stripe is unavailable")), "{:?}", function.log());
    assert_eq!(invoke(&mut function, "requeue").await, Ok(json!({"requeued": 0})));
    assert_eq!(invoke(&mut function, "purge").await.unwrap()["complete"], true);
    assert_eq!(queue.sent(), [json!(null); 0]);

    stripe.fault(None);
    let expected = json!({"events_recovered": 0, "subscriptions_drifting": 1, "complete": true});
    assert_eq!(invoke(&mut function, "reconcile").await, Ok(expected));
    let job = json!({"kind": "subscription", "id": subscription, "DelaySeconds": 30});
    assert_eq!(queue.sent(), [job]);
    assert!(function.log().iter().all(|line| !line.contains(stripe.key())), "no line tells the key");
    database.drop().await;
}

#[tokio::test]
async fn it_hears_from_s3_and_looks_by_itself() {
    let (secrets, queue) = (Aws::start().await, QueueServer::start().await);
    let (files, database) = (BucketServer::start().await, OwnDatabase::create().await);
    let mut function = instance(&secrets, &queue, &database, &files, None).await;
    let unknown = format!("{0}/{0}", Uuid::now_v7());
    files.put(&unknown, "image/png", b"an image");
    let body = json!({"Records": [{"s3": {"object": {"key": unknown}}}]}).to_string();
    let event = json!({"Records": [{"messageId": "1", "body": body}, {"messageId": "2", "body": "junk"}]});
    let answer = function.invoke(&event).await.unwrap().result;
    assert_eq!(answer, Ok(json!({"batchItemFailures": [{"itemIdentifier": "2"}]})));
    assert_eq!(files.keys(), [""; 0]);
    let nothing = json!({"stored": 0, "refused": 0, "expired": 0, "deleted": 0, "complete": true});
    assert_eq!(invoke(&mut function, "documents").await, Ok(nothing));
    // Neither does what cannot be read vanish, nor is it taken for something else.
    let lost = Uuid::now_v7();
    let unreadable = [
        json!({"chore": "tidy_attic", "id": lost}),
        json!({"chore": "erase_tenant"}),
        json!({"chore": "write_export", "id": "no id"}),
        json!({"Records": [{"s3": {}}]}),
        json!({"Event": "s3:ObjectCreated"}),
        json!({}),
        json!(null),
    ];
    let trial = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "documents"});
    let readable = [trial, json!({"chore": "erase_user", "id": lost}), json!({"Records": []})];
    let messages = unreadable.iter().chain(&readable).enumerate();
    let messages: Vec<Value> =
        messages.map(|(n, body)| json!({"messageId": n.to_string(), "body": body.to_string()})).collect();
    let failed: Vec<Value> = (0..unreadable.len()).map(|n| json!({"itemIdentifier": n.to_string()})).collect();
    let answer = function.invoke(&json!({"Records": messages})).await.unwrap().result;
    assert_eq!(answer, Ok(json!({"batchItemFailures": failed})));
    assert!(function.invoke(&json!({"Records": [{"body": "of no message"}]})).await.unwrap().result.is_err());
    // A schedule that says nothing still wants the purge.
    assert_eq!(function.invoke(&json!({})).await.unwrap().result.unwrap()["complete"], true);
    assert!(invoke(&mut function, "nonsense").await.is_err());
    database.drop().await;
}
