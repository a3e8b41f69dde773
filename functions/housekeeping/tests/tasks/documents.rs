//! Documents: what S3 tells of, what it does not tell of, and what goes from the bucket.

use carhaul_core::base::clock::Clock;
use carhaul_core::documents::uploads::Notification;
use carhaul_core::platform::batch::Batch;
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_housekeeping::{Tidied, Uploads};
use carhaul_testkit::{BucketServer, Database, QueueServer, sha256_of};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor};
use uuid::Uuid;

use crate::support::{OwnDatabase, ROLE};

const PDF: &str = "application/pdf";
const BYTES: &[u8] = b"signed by the customer";

/// A database, a bucket and a queue of nudges, and the function between them.
struct Scene {
    database: OwnDatabase,
    files: BucketServer,
    nudges: QueueServer,
    db: Db,
    bucket: Bucket,
    queue: Queue,
    clock: Clock,
}

impl Scene {
    async fn set() -> Self {
        let (database, files, nudges) =
            (OwnDatabase::create().await, BucketServer::start().await, QueueServer::start().await);
        let db = database.seen_by(ROLE).await;
        let (bucket, queue) = (files.bucket().await, nudges.queue().await);
        Self { database, files, nudges, db, bucket, queue, clock: Clock::system() }
    }

    fn uploads(&self) -> Uploads<'_> {
        let Self { db, bucket, queue, clock, .. } = self;
        Uploads { db, bucket, nudges: queue, clock, environment: "local" }
    }

    async fn tidy(&self) -> Tidied {
        self.uploads().tidy(self.clock.now() + TimeDelta::minutes(1)).await.unwrap()
    }

    /// What the function answers to messages with these bodies, which are called 0, 1, 2 ..
    async fn arrived(&self, bodies: &[String]) -> Value {
        hear(&self.uploads(), bodies).await
    }

    /// An order of a new carrier.
    async fn order(&self) -> Order {
        let tenant = self.database.carrier(&format!("cus_{}", Uuid::now_v7().simple())).await;
        let id = Uuid::now_v7();
        self.database
            .run(&format!(
                "INSERT INTO customers (tenant_id, id, type, name) VALUES ('{tenant}', '{id}', 'dealer', 'Dealer'); \
                 INSERT INTO orders (tenant_id, id, customer_id, number, transport_type, currency, vehicle_count, \
                     pickup_city, pickup_state, pickup_time_zone, pickup_from, pickup_to, \
                     delivery_city, delivery_state, delivery_time_zone, delivery_from, delivery_to) \
                 VALUES ('{tenant}', '{id}', '{id}', 1, 'open', 'USD', 0, 'Lexington', 'KY', 'UTC', now(), now(), \
                     'Dover', 'DE', 'UTC', now(), now())"
            ))
            .await;
        Order { tenant, id }
    }

    /// A document of an order, announced so long ago as an interval says, and uploadable for 15 minutes from then.
    async fn announce(&self, order: &Order, kind: &str, age: &str) -> Announced {
        let id = Uuid::now_v7();
        self.database
            .run(&format!(
                "INSERT INTO documents (tenant_id, id, order_id, kind, file_name, content_type, size, sha256, created_at, \
                     upload_expires_at) \
                 VALUES ('{}', '{id}', '{}', '{kind}', 'pod.pdf', '{PDF}', {}, '{}', now() - interval '{age}', \
                     now() - interval '{age}' + interval '15 minutes')",
                order.tenant,
                order.id,
                BYTES.len(),
                sha256_of(BYTES)
            ))
            .await;
        Announced { id, key: format!("{}/{id}", order.tenant) }
    }

    /// One whose file is there.
    async fn store(&self, order: &Order, kind: &str) -> Announced {
        let document = self.announce(order, kind, "0").await;
        self.files.put(&document.key, PDF, BYTES);
        assert_eq!(self.arrived(&[word_of(&[&document.key])]).await, nothing_failed());
        assert_eq!(self.status(&document).await, "stored");
        self.nudges.take_sent();
        document
    }

    async fn status(&self, document: &Announced) -> Value {
        self.database.one(&format!("SELECT to_jsonb(status) FROM documents WHERE id = '{}'", document.id)).await
    }

    async fn has_pod(&self, order: &Order) -> Value {
        self.database.one(&format!("SELECT to_jsonb(has_pod) FROM orders WHERE id = '{}'", order.id)).await
    }

    async fn count(&self, sql: &str) -> Value {
        self.database.one(&format!("SELECT to_jsonb(count(*)) FROM {sql}")).await
    }

    async fn leave(self) {
        self.database.drop().await;
    }
}

struct Order {
    tenant: Uuid,
    id: Uuid,
}

struct Announced {
    id: Uuid,
    key: String,
}

/// S3's message about objects, as AWS documents it and MiniStack sends it, without what nobody reads.
fn word_of(keys: &[&str]) -> String {
    let record = |key: &&str| {
        json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
               "s3": {"bucket": {"name": "documents"}, "object": {"key": key, "size": 9, "eTag": "9259", "sequencer": "0"}}})
    };
    json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string()
}

async fn hear(uploads: &Uploads<'_>, bodies: &[String]) -> Value {
    let failures = batch(bodies).work(async |notification: &Notification| uploads.arrived(notification).await).await;
    serde_json::to_value(failures).unwrap()
}

fn batch(bodies: &[String]) -> Batch {
    let message = |(n, body): (usize, &String)| json!({"messageId": n.to_string(), "body": body});
    let messages: Vec<Value> = bodies.iter().enumerate().map(message).collect();
    serde_json::from_value(json!({"Records": messages})).unwrap()
}

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

fn failed(messages: &[&str]) -> Value {
    let items: Vec<Value> = messages.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": items})
}

#[tokio::test]
async fn a_pod_that_has_come_counts_once_however_often_s3_tells_and_in_its_carrier_alone() {
    let scene = Scene::set().await;
    let (order, rival) = (scene.order().await, scene.order().await);
    let (pod, theirs) = (scene.announce(&order, "pod", "0").await, scene.announce(&rival, "pod", "0").await);
    scene.files.put(&pod.key, PDF, BYTES);
    let word = word_of(&[&pod.key]);
    let five = [word.clone(), word.clone(), word.clone(), word.clone(), word];
    let db = scene.database.seen_by(ROLE).await;
    let twin = Uploads { db: &db, ..scene.uploads() };
    let (here, there) = tokio::join!(scene.arrived(&five), hear(&twin, &five));
    assert_eq!((here, there), (nothing_failed(), nothing_failed()));
    assert_eq!(scene.status(&pod).await, "stored");
    assert_eq!(scene.has_pod(&order).await, true);
    assert_eq!(scene.nudges.sent(), [json!({"tenant_id": order.tenant, "looks": 0})]);
    let told = format!("tenant_events WHERE type = 'document.uploaded' AND tenant_id = '{}'", order.tenant);
    assert_eq!(scene.count(&told).await, 1);
    assert_eq!(scene.files.keys(), [pod.key.as_str()]);

    assert_eq!(scene.status(&theirs).await, "pending");
    assert_eq!(scene.has_pod(&rival).await, false);
    scene.leave().await;
}

#[tokio::test]
async fn an_order_has_a_pod_as_long_as_one_is_stored() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    scene.store(&order, "bol").await;
    assert_eq!(scene.has_pod(&order).await, false);
    let (first, second) = (scene.store(&order, "pod").await, scene.store(&order, "pod").await);
    let delete =
        async |it: &Announced| scene.database.run(&format!("DELETE FROM documents WHERE id = '{}'", it.id)).await;
    delete(&first).await;
    assert_eq!(scene.has_pod(&order).await, true);
    delete(&second).await;
    assert_eq!(scene.has_pod(&order).await, false);
    // One comes while another goes: whoever is second sees what the first has done.
    for _ in 0..20 {
        let going = scene.store(&order, "pod").await;
        let coming = scene.announce(&order, "pod", "0").await;
        scene.files.put(&coming.key, PDF, BYTES);
        tokio::join!(delete(&going), async {
            assert_eq!(scene.arrived(&[word_of(&[&coming.key])]).await, nothing_failed());
        });
        assert_eq!(scene.has_pod(&order).await, true);
        delete(&coming).await;
        assert_eq!(scene.has_pod(&order).await, false);
    }
    scene.leave().await;
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_refused_and_goes() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let mut longer = BYTES.to_vec();
    longer.push(b'!');
    let mut other = BYTES.to_vec();
    other[0] = b'S';
    for (content_type, bytes) in [(PDF, longer.as_slice()), (PDF, &other), ("text/html", BYTES)] {
        let pod = scene.announce(&order, "pod", "0").await;
        scene.files.put(&pod.key, content_type, bytes);
        assert_eq!(scene.arrived(&[word_of(&[&pod.key])]).await, nothing_failed());
        assert_eq!(scene.status(&pod).await, "refused");
        // It is not taken later, either.
        scene.files.put(&pod.key, PDF, BYTES);
        assert_eq!(scene.arrived(&[word_of(&[&pod.key])]).await, nothing_failed());
        assert_eq!(scene.status(&pod).await, "refused");
        assert_eq!(scene.files.keys(), [""; 0]);
    }
    assert_eq!(scene.has_pod(&order).await, false);
    scene.leave().await;
}

#[tokio::test]
async fn what_is_forged_or_unknown_changes_nothing_of_anybodys() {
    let scene = Scene::set().await;
    let (order, rival) = (scene.order().await, scene.order().await);
    let (pod, theirs) = (scene.announce(&order, "pod", "0").await, scene.store(&rival, "pod").await);
    let stranger = Uuid::now_v7();
    let forged = [
        // Another carrier's name before this document, and this one's before theirs; no such document.
        format!("{}/{}", rival.tenant, pod.id),
        format!("{}/{}", order.tenant, theirs.id),
        format!("{}/{stranger}", order.tenant),
        format!("{stranger}/{stranger}"),
    ];
    for key in &forged {
        scene.files.put(key, PDF, BYTES);
    }
    scene.files.put("reports/2026.csv", "text/csv", b"ours");
    let mut keys: Vec<&str> = forged.iter().map(String::as_str).collect();
    // What did not come at all, what is stored already, and what is no document's.
    keys.extend([pod.key.as_str(), &theirs.key, "reports/2026.csv", "../..", ""]);
    assert_eq!(scene.arrived(&[word_of(&keys)]).await, nothing_failed());
    assert_eq!(scene.files.keys(), [theirs.key.as_str(), "reports/2026.csv"]);
    assert_eq!((scene.status(&pod).await, scene.status(&theirs).await), (json!("pending"), json!("stored")));
    assert_eq!((scene.has_pod(&order).await, scene.has_pod(&rival).await), (json!(false), json!(true)));
    assert_eq!(scene.nudges.sent(), [json!(null); 0]);

    // With which S3 tries out the queue; what nobody of ours has sent.
    let bodies = [r#"{"Service": "Amazon S3", "Event": "s3:TestEvent"}"#.to_owned(), "junk".to_owned(), word_of(&[])];
    assert_eq!(scene.arrived(&bodies).await, failed(&["1"]));
    scene.leave().await;
}

#[tokio::test]
async fn while_the_bucket_is_down_a_message_comes_again_and_then_is_done() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let pod = scene.announce(&order, "pod", "10 minutes").await;
    scene.files.put(&pod.key, PDF, BYTES);
    scene.files.fail(true);
    let bodies = [word_of(&[&pod.key]), word_of(&["of nobody"])];
    assert_eq!(scene.arrived(&bodies).await, failed(&["0"]));
    let until = scene.clock.now() + TimeDelta::minutes(1);
    assert!(scene.uploads().tidy(until).await.is_err());
    assert_eq!(scene.status(&pod).await, "pending");
    scene.files.fail(false);
    assert_eq!(scene.arrived(&bodies).await, nothing_failed());
    assert_eq!(scene.status(&pod).await, "stored");
    scene.leave().await;
}

#[tokio::test]
async fn what_s3_did_not_tell_of_is_found_and_what_never_came_expires() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let lost = scene.announce(&order, "pod", "6 minutes").await;
    let wrong = scene.announce(&order, "pod", "6 minutes").await;
    let young = scene.announce(&order, "pod", "4 minutes").await;
    let awaited = scene.announce(&order, "pod", "70 minutes").await;
    let never = scene.announce(&order, "pod", "80 minutes").await;
    for (document, bytes) in [(&lost, BYTES), (&wrong, b"something else"), (&young, BYTES)] {
        scene.files.put(&document.key, PDF, bytes);
    }
    let done = scene.tidy().await;
    assert_eq!(done, Tidied { stored: 1, refused: 1, expired: 1, deleted: 2, complete: true });
    for (document, status) in
        [(&lost, "stored"), (&wrong, "refused"), (&young, "pending"), (&awaited, "pending"), (&never, "expired")]
    {
        assert_eq!(scene.status(document).await, status);
    }
    assert_eq!(scene.has_pod(&order).await, true);
    assert_eq!(scene.nudges.take_sent(), [json!({"tenant_id": order.tenant, "looks": 0})]);
    let mut there = vec![lost.key.as_str(), &young.key];
    there.sort_unstable();
    assert_eq!(scene.files.keys(), there);
    assert_eq!(scene.tidy().await, Tidied { complete: true, ..Tidied::default() });

    // It comes after all: nobody awaits it.
    scene.files.put(&never.key, PDF, BYTES);
    assert_eq!(scene.arrived(&[word_of(&[&never.key])]).await, nothing_failed());
    assert_eq!(scene.status(&never).await, "expired");
    assert_eq!(scene.files.keys(), there);
    // When time runs out it says so.
    let past = scene.uploads().tidy(scene.clock.now() - TimeDelta::seconds(1)).await.unwrap();
    assert!(!past.complete);
    scene.leave().await;
}

#[tokio::test]
async fn more_than_it_reads_at_once_is_done_as_well() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    scene.announce(&order, "photo", "2 days").await;
    scene
        .database
        .run(
            "INSERT INTO documents (tenant_id, id, order_id, kind, file_name, content_type, size, sha256, created_at, \
                 upload_expires_at) \
             SELECT tenant_id, app.uuid_v7(), order_id, kind, file_name, content_type, size, sha256, created_at, \
                 CASE WHEN n % 2 = 0 THEN upload_expires_at ELSE now() END FROM documents, generate_series(1, 249) n",
        )
        .await;
    // Half of them may still come: that does not keep the others from being seen.
    let done = scene.tidy().await;
    assert_eq!(done, Tidied { expired: 125, deleted: 125, complete: true, ..Tidied::default() });
    scene.leave().await;
}

#[tokio::test]
async fn the_file_of_a_deleted_document_goes_and_stays_gone() {
    let scene = Scene::set().await;
    let (order, rival) = (scene.order().await, scene.order().await);
    let (pod, theirs) = (scene.store(&order, "pod").await, scene.store(&rival, "pod").await);
    scene.database.run(&format!("DELETE FROM documents WHERE id = '{}'", pod.id)).await;
    // Killed between the two: the bucket is asked once more.
    scene.files.fail(true);
    let until = scene.clock.now() + TimeDelta::minutes(1);
    assert!(scene.uploads().tidy(until).await.is_err());
    scene.files.fail(false);
    assert_eq!(scene.tidy().await.deleted, 1);
    assert_eq!(scene.files.keys(), [theirs.key.as_str()]);
    assert_eq!(scene.tidy().await.deleted, 0);

    // Its URL still holds: whoever uploads once more does so for nothing, also if S3 does not tell.
    scene.files.put(&pod.key, PDF, BYTES);
    assert_eq!(scene.arrived(&[word_of(&[&pod.key])]).await, nothing_failed());
    assert_eq!(scene.files.keys(), [theirs.key.as_str()]);
    scene.files.put(&pod.key, PDF, BYTES);
    scene.database.run("UPDATE object_deletions SET due_at = now(), last_at = now()").await;
    assert_eq!(scene.tidy().await.deleted, 1);
    assert_eq!(scene.files.keys(), [theirs.key.as_str()]);
    assert_eq!(scene.count("object_deletions").await, 0);
    scene.leave().await;
}

#[tokio::test]
async fn a_vehicle_that_goes_to_another_order_takes_its_documents_along() {
    let scene = Scene::set().await;
    let order = scene.order().await;
    let (tenant, other) = (order.tenant, Order { tenant: order.tenant, id: Uuid::now_v7() });
    scene
        .database
        .run(&format!(
            "INSERT INTO orders (tenant_id, id, customer_id, number, transport_type, currency, vehicle_count, \
                 pickup_city, pickup_state, pickup_time_zone, pickup_from, pickup_to, \
                 delivery_city, delivery_state, delivery_time_zone, delivery_from, delivery_to) \
             SELECT tenant_id, '{}', customer_id, 2, 'open', 'USD', 0, 'Lexington', 'KY', 'UTC', now(), now(), \
                 'Dover', 'DE', 'UTC', now(), now() FROM orders WHERE id = '{}'; \
             INSERT INTO order_vehicles (tenant_id, id, order_id, position) VALUES ('{tenant}', '{tenant}', '{}', 1)",
            other.id, order.id, order.id
        ))
        .await;
    let (pod, bol) = (scene.store(&order, "pod").await, scene.store(&order, "bol").await);
    scene.database.run(&format!("UPDATE documents SET vehicle_id = '{tenant}' WHERE id = '{}'", pod.id)).await;
    scene.database.run(&format!("UPDATE order_vehicles SET order_id = '{}' WHERE id = '{tenant}'", other.id)).await;
    assert_eq!((scene.has_pod(&order).await, scene.has_pod(&other).await), (json!(false), json!(true)));
    let of = async |document: &Announced| {
        scene.database.one(&format!("SELECT to_jsonb(order_id) FROM documents WHERE id = '{}'", document.id)).await
    };
    assert_eq!((of(&pod).await, of(&bol).await), (json!(other.id), json!(order.id)));
    // Its file is where it was, and was not told of once more.
    assert_eq!(scene.tidy().await, Tidied { complete: true, ..Tidied::default() });
    assert_eq!(scene.files.keys().len(), 2);
    assert_eq!(scene.count("tenant_events WHERE type = 'document.uploaded'").await, 2);
    scene.leave().await;
}

#[tokio::test]
async fn with_a_carrier_go_all_its_files_and_nobody_elses() {
    let scene = Scene::set().await;
    let (order, rival) = (scene.order().await, scene.order().await);
    for kind in ["pod", "bol", "photo"] {
        scene.store(&order, kind).await;
    }
    scene.announce(&order, "receipt", "0").await;
    let theirs = scene.store(&rival, "pod").await;
    scene.database.run(&format!("DELETE FROM tenants WHERE id = '{}'", order.tenant)).await;
    assert_eq!(scene.tidy().await.deleted, 4);
    assert_eq!(scene.files.keys(), [theirs.key.as_str()]);
    assert_eq!(scene.has_pod(&rival).await, true);
    // Nothing stays of it once no upload can come any more.
    scene.database.run("UPDATE object_deletions SET due_at = now(), last_at = now()").await;
    assert_eq!(scene.tidy().await.deleted, 4);
    assert_eq!(scene.count("object_deletions").await, 0);
    scene.leave().await;
}

#[tokio::test]
async fn the_role_reads_no_document_and_no_order() {
    let mut session = Database::get().await.options(ROLE).connect().await.unwrap();
    for statement in [
        "SELECT FROM documents",
        "UPDATE documents SET status = 'stored'",
        "SELECT FROM orders",
        "SELECT FROM object_deletions",
    ] {
        let error = session.execute(statement).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
}
