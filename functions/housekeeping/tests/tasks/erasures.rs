//! Erasing carriers and users: afterwards every column of every table is searched for what was theirs, and the bucket as well.

use std::collections::BTreeMap;

use carhaul_core::base::clock::Clock;
use carhaul_core::base::error::{Error, Result};
use carhaul_core::base::ids::{TenantId, UserId};
use carhaul_core::billing::stripe::client::{Patience, Stripe};
use carhaul_core::erasures::{Erased, Eraser};
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::secrets::Secret;
use carhaul_housekeeping::{Chores, Swept};
use carhaul_testkit::{BucketServer, Database, Fault, QueueServer, StripeFault, StripeServer, TripCounter};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{OwnDatabase, ROLE};

const NOBODY: Uuid = Uuid::nil();

/// Looks at every column of every table, as text.
const FOUND: &str = "
    CREATE SCHEMA test;
    CREATE FUNCTION test.found(wanted text) RETURNS TABLE (name text, n bigint, rows text[]) LANGUAGE plpgsql AS $$
    BEGIN
        FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' LOOP
            EXECUTE format('SELECT count(*), array_agg(t::text ORDER BY t::text) FROM public.%I t '
                           'WHERE strpos(lower(t::text), lower($1)) > 0', name) INTO n, rows USING wanted;
            CONTINUE WHEN n = 0;
            RETURN NEXT;
        END LOOP;
    END
    $$";

pub struct Scene {
    pub database: OwnDatabase,
    pub files: BucketServer,
    pub nudges: QueueServer,
    pub db: Db,
    pub bucket: Bucket,
    pub queue: Queue,
    pub clock: Clock,
    stripe: StripeServer,
    stripe_client: Stripe,
}

/// A carrier and its owner, with a word that is in whatever column takes it.
pub struct Carrier {
    pub id: Uuid,
    pub owner: Person,
    pub word: String,
}

#[derive(Clone)]
pub struct Person {
    id: Uuid,
    subject: String,
    name: String,
    email: String,
}

impl Scene {
    pub async fn set() -> Self {
        let (database, files, nudges) =
            (OwnDatabase::create().await, BucketServer::start().await, QueueServer::start().await);
        database.run(FOUND).await;
        let stripe = StripeServer::start().await;
        let patience = Patience {
            overall: std::time::Duration::from_millis(500),
            attempt: std::time::Duration::from_millis(400),
            pause: std::time::Duration::from_millis(10),
        };
        let stripe_client = Stripe::new(stripe.url(), Secret::new(stripe.key())).with_patience(patience);
        let db = database.seen_by(ROLE).await;
        let (bucket, queue) = (files.bucket().await, nudges.queue().await);
        Self { database, files, nudges, db, bucket, queue, clock: Clock::system(), stripe, stripe_client }
    }

    fn eraser_for(&self, time: TimeDelta) -> Eraser<'_> {
        let Self { db, bucket, queue, clock, stripe_client, .. } = self;
        Eraser { db, bucket, stripe: Some(stripe_client), nudges: queue, clock, until: clock.now() + time }
    }

    fn eraser(&self) -> Eraser<'_> {
        self.eraser_for(TimeDelta::minutes(1))
    }

    pub fn chores(&self) -> Chores<'_> {
        let Self { db, bucket, queue, clock, .. } = self;
        Chores { db, bucket, stripe: None, queue, nudges: queue, clock, environment: "local" }
    }

    pub async fn sweep(&self) -> Result<Swept> {
        self.chores().sweep(self.clock.now() + TimeDelta::minutes(1)).await
    }

    async fn erase(&self, carrier: &Carrier) -> Result<Erased> {
        self.eraser().erase_tenant(TenantId(carrier.id)).await
    }

    async fn erase_user(&self, person: &Person) -> Result<Erased> {
        self.eraser().erase_user(UserId(person.id)).await
    }

    async fn person(&self, name: &str) -> Person {
        let word = Uuid::now_v7().simple().to_string();
        let person = Person {
            id: NOBODY,
            subject: format!("subject-{word}"),
            name: format!("{name} {word}"),
            email: format!("{name}.{word}@Example.com"),
        };
        let id = self.sign_in(&person).await;
        Person { id, ..person }
    }

    async fn sign_in(&self, person: &Person) -> Uuid {
        let id = self.database.one(&format!("SELECT to_jsonb(user_id) FROM {}", person.signs_in())).await;
        serde_json::from_value(id).unwrap()
    }

    /// With a row of everything, and its word wherever it may stand.
    pub async fn carrier(&self) -> Carrier {
        let owner = self.person("Olga").await;
        let (id, word) = (Uuid::now_v7(), format!("word{}", Uuid::now_v7().simple()));
        self.database
            .run(&format!(
                "BEGIN; SELECT app.sign_in('test', '{}', NULL, NULL, NULL); \
                 SELECT app.create_tenant('{id}', 'Carrier {word}', NULL, NULL, 'America/New_York', 'USD'); COMMIT",
                owner.subject
            ))
            .await;
        let furnish = include_str!("../../../../shared/core/tests/database/furnish.sql");
        self.database.run(&furnish.replace("$tenant", &format!("'{id}'"))).await;
        self.database.run(&format!("UPDATE subscriptions SET status = 'canceled' WHERE tenant_id = '{id}'")).await;
        // The word, into each column that takes it; a check or a key may not.
        self.database
            .run(&format!(
                "DO $$ DECLARE it record; BEGIN \
                   FOR it IN SELECT t.name, a.attname, a.atttypid = 'jsonb'::regtype AS is_json \
                             FROM (SELECT name FROM app.tables_of_tenants() UNION ALL SELECT 'tenants') t \
                             JOIN pg_attribute a ON a.attrelid = t.name::regclass AND a.attnum > 0 AND NOT a.attisdropped \
                              AND a.attgenerated = '' AND a.attname !~ 'time_zone' AND a.atttypid IN ('text'::regtype, 'jsonb'::regtype) LOOP \
                     BEGIN \
                       EXECUTE format('UPDATE %I SET %I = %s WHERE %I = %L', it.name, it.attname, \
                         CASE WHEN it.is_json THEN 'jsonb_build_object(''word'', ''{word}'')' \
                              ELSE '''{word} '' || ctid::text' END, \
                         CASE it.name WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END, '{id}'); \
                     EXCEPTION WHEN OTHERS THEN NULL; END; \
                   END LOOP; END $$"
            ))
            .await;
        Carrier { id, owner, word }
    }

    /// As the API closes it.
    async fn close(&self, carrier: &Carrier) {
        self.database
            .run(&format!(
                "BEGIN; SELECT FROM app.enter('user', 'test', '{}', '{}', NULL); SELECT app.close_tenant(); COMMIT",
                carrier.owner.subject, carrier.id
            ))
            .await;
    }

    /// Tables in which a text is anywhere, in any case, and in how many rows.
    pub async fn found(&self, text: &str) -> BTreeMap<String, i64> {
        let found = format!("SELECT coalesce(jsonb_object_agg(name, n), '{{}}') FROM test.found('{text}')");
        serde_json::from_value(self.database.one(&found).await).unwrap()
    }

    /// All rows that name this, to be compared with what they are later.
    async fn all_of(&self, text: &str) -> Value {
        self.database.one(&format!("SELECT jsonb_object_agg(name, rows) FROM test.found('{text}')")).await
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.database.one(&format!("SELECT to_jsonb(count(*)) FROM {sql}")).await.as_i64().unwrap()
    }

    pub async fn leave(self) {
        self.database.drop().await;
    }
}

impl Person {
    fn signs_in(&self) -> String {
        format!("app.sign_in('test', '{}', '{}', '{}', NULL)", self.subject, self.email, self.name)
    }
}

fn tables(found: &BTreeMap<String, i64>) -> Vec<&str> {
    found.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn nothing_of_a_carrier_is_left_in_any_table_or_in_the_bucket_and_another_is_whole() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    let (id, theirs) = (carrier.id.to_string(), rival.id.to_string());
    let customer = scene.stripe.create_customer();
    scene
        .database
        .run(&format!(
            "UPDATE stripe_customers SET deleted_at = now() WHERE tenant_id = '{id}'; \
             INSERT INTO stripe_customers (tenant_id, id) VALUES ('{id}', '{customer}'); \
             INSERT INTO stripe_events (id, type, livemode, created_at, customer_id, payload) \
             VALUES ('evt_waits', 'invoice.paid', false, now(), '{customer}', '{{\"who\": \"{}\"}}')",
            carrier.word
        ))
        .await;
    for n in 0..1_100 {
        scene.files.put(&format!("{id}/{n}"), "application/pdf", b"theirs");
    }
    scene.files.put(&format!("{id}/exports/1/a file.ndjson"), "application/x-ndjson", b"theirs");
    scene.files.put(&format!("{theirs}/1"), "application/pdf", b"a rival's");
    // It has a row in every table, and the word in nearly all of them.
    let before = scene.found(&id).await;
    let all = scene.count("app.tables_of_tenants()").await;
    assert!(before.len() as i64 > all, "{before:?}");
    let spread = scene.found(&carrier.word).await;
    assert!(spread.len() > 35, "{spread:?}");
    let whole = scene.all_of(&theirs).await;

    scene.close(&carrier).await;
    assert_eq!(scene.erase(&carrier).await.unwrap(), Erased::Completely);
    assert_eq!(tables(&scene.found(&id).await), ["erased_tenants"]);
    for text in [&carrier.word, &customer, "evt_waits"] {
        assert_eq!(tables(&scene.found(text).await), [""; 0], "{text}");
    }
    // What it knew of people; they themselves are no carrier's.
    assert_eq!(tables(&scene.found(&carrier.owner.email).await), ["users"]);
    assert_eq!(scene.files.keys(), [format!("{theirs}/1")]);
    let deleted = scene.stripe.requests();
    assert_eq!(
        deleted.iter().map(|it| (it.method.as_str(), it.path.clone())).collect::<Vec<_>>(),
        [("DELETE", format!("/v1/customers/{customer}"))]
    );
    assert_eq!(scene.all_of(&theirs).await, whole);

    // What Stripe tells afterwards is not kept.
    let billing = scene.database.seen_by("carhaul_billing").await;
    billing
        .fetch(|sql| {
            sql.push(format_args!(
                "SELECT FROM app.record_stripe_event('evt_late', 'customer.deleted', NULL, false, now(), '{customer}', '{customer}', \
                 '{{\"who\": \"{}\"}}', false)",
                carrier.word
            ));
        })
        .await
        .unwrap();
    assert_eq!(scene.count("stripe_events WHERE id = 'evt_late' AND outcome = 'ignored'").await, 1);
    for text in [&carrier.word, &customer] {
        assert_eq!(tables(&scene.found(text).await), [""; 0], "{text}");
    }
    scene.leave().await;
}

#[tokio::test]
async fn a_carrier_that_is_open_or_unknown_is_not_touched() {
    let scene = Scene::set().await;
    let carrier = scene.carrier().await;
    let key = format!("{}/1", carrier.id);
    scene.files.put(&key, "application/pdf", b"theirs");
    let whole = scene.all_of(&carrier.id.to_string()).await;
    assert_eq!(scene.erase(&carrier).await.unwrap(), Erased::Completely);
    assert_eq!(scene.eraser().erase_tenant(TenantId(Uuid::now_v7())).await.unwrap(), Erased::Completely);
    assert_eq!(scene.erase_user(&carrier.owner).await.unwrap(), Erased::Completely);
    assert_eq!(scene.all_of(&carrier.id.to_string()).await, whole);
    assert_eq!(scene.files.keys(), [key]);
    scene.leave().await;
}

#[tokio::test]
async fn an_erasure_that_is_killed_goes_on_where_it_was_and_of_several_at_once_one_does_it() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    scene
        .database
        .run(&format!(
            "INSERT INTO customers (tenant_id, id, type, name) \
             SELECT '{}', app.uuid_v7(), 'dealer', 'Dealer ' || n FROM generate_series(1, 3000) n",
            carrier.id
        ))
        .await;
    let ids: Vec<String> = (0..40).map(|n| format!("{}/{n}", carrier.id)).collect();
    for id in &ids {
        scene.files.put(id, "application/pdf", b"theirs");
    }
    scene.close(&carrier).await;
    let rows = scene.found(&carrier.id.to_string()).await;

    // The bucket breaks down in the middle: no row goes before its objects.
    scene.files.fail_after(20);
    scene.erase(&carrier).await.unwrap_err();
    scene.files.fail(false);
    let left = scene.files.keys().len();
    assert!((1..40).contains(&left), "{left}");
    assert_eq!(scene.found(&carrier.id.to_string()).await, rows);

    // So does Stripe.
    scene.stripe.fault(Some(StripeFault::Refuse));
    scene.erase(&carrier).await.unwrap_err();
    scene.stripe.fault(None);
    assert_eq!(scene.files.keys(), [""; 0]);
    assert_eq!(scene.found(&carrier.id.to_string()).await, rows);

    // Time runs out after each batch.
    let mut runs = 0;
    while scene.eraser_for(TimeDelta::seconds(-1)).erase_tenant(TenantId(carrier.id)).await.unwrap() == Erased::InPart {
        runs += 1;
        if runs == 2 {
            break;
        }
    }
    let fewer = scene.count(&format!("tenants WHERE id = '{}'", carrier.id)).await;
    assert_eq!((runs, fewer), (2, 1));

    let (one, other) = (scene.database.seen_by(ROLE).await, scene.database.seen_by(ROLE).await);
    let (one, other) = (Eraser { db: &one, ..scene.eraser() }, Eraser { db: &other, ..scene.eraser() });
    let id = TenantId(carrier.id);
    let (one, other, third) = tokio::join!(one.erase_tenant(id), other.erase_tenant(id), scene.erase(&carrier));
    let done = [one, other, third].map(|done| done.unwrap());
    assert!(done.contains(&Erased::Completely) && !done.contains(&Erased::InPart), "{done:?}");
    assert_eq!(tables(&scene.found(&carrier.id.to_string()).await), ["erased_tenants"]);
    assert_eq!(scene.erase(&carrier).await.unwrap(), Erased::Completely);
    assert_eq!(scene.count("erased_tenants").await, 1);
    assert!(scene.found(&rival.id.to_string()).await.len() > 35);
    scene.leave().await;
}

#[tokio::test]
async fn what_is_uploaded_too_late_goes_as_well() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    scene.close(&carrier).await;
    scene.erase(&carrier).await.unwrap();
    let late = format!("{}/{}", carrier.id, Uuid::now_v7());
    let theirs = format!("{}/{}", rival.id, Uuid::now_v7());
    for key in [&late, &theirs] {
        scene.files.put(key, "application/pdf", b"signed before");
    }
    // Another may still come.
    scene.erase(&carrier).await.unwrap();
    assert_eq!(scene.files.keys().len(), 2);
    scene.database.run("UPDATE erased_tenants SET look_at = now() - interval '6 minutes'").await;
    let chore = json!({"chore": "erase_tenant", "id": carrier.id});
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 1, overdue: 0, expired: 0 });
    assert_eq!(scene.nudges.take_sent(), std::slice::from_ref(&chore));
    scene.files.fail(true);
    let until = scene.clock.now() + TimeDelta::minutes(1);
    let chore = serde_json::from_value(chore).unwrap();
    scene.chores().work(chore, until).await.unwrap_err();
    scene.files.fail(false);
    scene.chores().work(chore, until).await.unwrap();
    assert_eq!(scene.files.keys(), [theirs]);
    assert_eq!(scene.count("erased_tenants WHERE look_at IS NOT NULL").await, 0);
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 0, overdue: 0, expired: 0 });
    scene.leave().await;
}

#[tokio::test]
async fn what_the_queue_has_lost_is_queued_again_and_counted_when_it_waits_for_long() {
    let scene = Scene::set().await;
    let (lost, stuck, young) = (scene.carrier().await, scene.carrier().await, scene.carrier().await);
    scene.database.run("DELETE FROM exports").await;
    let person = scene.person("Lee").await;
    for carrier in [&lost, &stuck, &young] {
        scene.close(carrier).await;
    }
    scene
        .database
        .run(&format!(
            "UPDATE tenants SET closed_at = now() - interval '6 minutes' WHERE id = '{}'; \
             UPDATE tenants SET closed_at = now() - interval '2 hours' WHERE id = '{}'; \
             UPDATE users SET erased_at = now() - interval '10 minutes' WHERE id = '{}'",
            lost.id, stuck.id, person.id
        ))
        .await;
    scene.nudges.fail();
    assert!(scene.sweep().await.is_err());
    scene.nudges.recover();
    scene.nudges.take_sent();
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 3, overdue: 1, expired: 0 });
    assert_eq!(
        scene.nudges.sent(),
        [
            json!({"chore": "erase_tenant", "id": stuck.id}),
            json!({"chore": "erase_user", "id": person.id}),
            json!({"chore": "erase_tenant", "id": lost.id}),
        ]
    );
    scene.leave().await;
}

/// Somebody who has joined by an invitation and has had their hands in everything.
async fn busy_member(scene: &Scene, carrier: &Carrier) -> Person {
    let person = scene.person("Mia").await;
    let (id, tenant) = (person.id, carrier.id);
    scene
        .database
        .run(&format!(
            "UPDATE tenants SET plan = 'pro' WHERE id = '{tenant}'; \
             INSERT INTO invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at) \
             VALUES ('{tenant}', app.uuid_v7(), '{}', 'dispatcher', 'hash {id} {tenant}', '{}', now() + interval '1 day'); \
             BEGIN; SELECT FROM {}; SELECT app.accept_invitation('hash {id} {tenant}', NULL); COMMIT; \
             UPDATE drivers SET user_id = '{id}' WHERE tenant_id = '{tenant}'; \
             INSERT INTO idempotency_keys (tenant_id, actor_id, key, request_hash, status, body, expires_at) VALUES \
               ('{tenant}', '{}', 'of another', '', 200, '{{\"email\": \"{}\"}}', now() + interval '1 day'); \
             INSERT INTO realtime_tickets (tenant_id, hash, user_id, expires_at) VALUES ('{tenant}', 't {id} {tenant}', '{id}', now()); \
             INSERT INTO realtime_connections (tenant_id, id, user_id, xid, seq) VALUES ('{tenant}', 'c {id} {tenant}', '{id}', 0, 0); \
             DO $$ DECLARE it record; BEGIN \
               FOR it IN SELECT t.name, a.attname FROM app.tables_of_tenants() t \
                         JOIN pg_attribute a ON a.attrelid = t.name::regclass \
                         WHERE a.attname IN ('created_by', 'reviewed_by', 'actor_id', 'invited_by', 'dispatcher_id') LOOP \
                 EXECUTE format('UPDATE %I SET %I = ''{id}'' WHERE tenant_id = ''{tenant}''', it.name, it.attname); \
               END LOOP; END $$",
            person.email,
            carrier.owner.id,
            person.signs_in(),
            carrier.owner.id,
            person.email,
        ))
        .await;
    person
}

/// As the API does it. Carriers that keep them from going.
async fn leaves(scene: &Scene, person: &Person) -> Value {
    let api = scene.database.seen_by("carhaul_api").await;
    let statements = [
        format!("SELECT FROM {}", person.signs_in()),
        "SELECT tenant_name FROM app.erase_me() WHERE is_last_owner".to_owned(),
    ];
    let (tx, mut sets) = api.begin_system(&statements).await.unwrap();
    sets.next_set::<()>().unwrap();
    let names: Vec<(String,)> = sets.next_set().unwrap();
    tx.commit().await.unwrap();
    json!(names.into_iter().map(|(name,)| name).collect::<Vec<_>>())
}

#[tokio::test]
async fn nothing_names_a_user_who_is_gone_and_carriers_keep_what_was_done() {
    let scene = Scene::set().await;
    let (carrier, former, rival) = (scene.carrier().await, scene.carrier().await, scene.carrier().await);
    let person = busy_member(&scene, &carrier).await;
    let other = busy_member(&scene, &rival).await;
    // Of another carrier they were a member long ago.
    scene
        .database
        .run(&format!(
            "INSERT INTO memberships (tenant_id, user_id, role, name, email) VALUES ('{0}', '{1}', 'driver', '{2}', '{3}'); \
             UPDATE status_history SET actor_id = '{1}' WHERE tenant_id = '{0}'; \
             DELETE FROM memberships WHERE tenant_id = '{0}' AND user_id = '{1}'; \
             INSERT INTO status_history (tenant_id, order_id, to_status, at, actor_id) \
             SELECT o.tenant_id, o.id, 'new', now(), '{1}' FROM orders o, generate_series(1, 12000) WHERE o.tenant_id = '{4}'",
            former.id, person.id, person.name, person.email, carrier.id
        ))
        .await;
    let texts = [person.id.to_string(), person.email.clone(), person.name.clone(), person.subject.clone()];
    let named = scene.found(&texts[0]).await;
    for table in [
        "api_keys",
        "audit_log",
        "documents",
        "drivers",
        "executions",
        "exports",
        "idempotency_keys",
        "invitations",
        "memberships",
        "orders",
        "realtime_connections",
        "realtime_tickets",
        "skill_versions",
        "skills",
        "status_history",
        "tenant_events",
        "trip_history",
        "trips",
        "users",
    ] {
        assert!(named.contains_key(table), "{table} of {named:?}");
    }
    assert!(scene.found(&person.email).await["audit_log"] >= 4);
    let whole = scene.all_of(&rival.id.to_string()).await;
    let histories = ["status_history", "trip_history", "orders", "documents", "api_keys", "skills", "skill_versions"];
    let counts = async || {
        let mut counts = Vec::new();
        for table in histories {
            counts.push(scene.count(&format!("{table} WHERE tenant_id = '{}'", carrier.id)).await);
        }
        counts
    };
    let done = counts().await;
    let versions = |table: &str| format!("SELECT jsonb_agg(version) FROM {table} WHERE tenant_id = '{}'", carrier.id);
    let before = (scene.database.one(&versions("trips")).await, scene.database.one(&versions("executions")).await);

    assert_eq!(leaves(&scene, &person).await, json!([]));
    // At once nobody is called so any more, and signing in makes somebody new.
    for text in &texts[1..] {
        assert!(
            scene
                .found(text)
                .await
                .keys()
                .all(|table| ["audit_log", "idempotency_keys", "invitations"].contains(&table.as_str()))
        );
    }
    assert_ne!(scene.sign_in(&person).await, person.id);
    scene.database.run(&format!("DELETE FROM users WHERE subject = '{}'", person.subject)).await;

    // Each run has time for one batch, and goes on behind the one before.
    let mut runs = 0;
    while scene.eraser_for(TimeDelta::seconds(-1)).erase_user(UserId(person.id)).await.unwrap() == Erased::InPart
        && runs < 3
    {
        runs += 1;
    }
    assert_eq!(runs, 3);
    let (one, two) = tokio::join!(scene.erase_user(&person), async {
        let db = scene.database.seen_by(ROLE).await;
        Eraser { db: &db, ..scene.eraser() }.erase_user(UserId(person.id)).await
    });
    let both = [one.unwrap(), two.unwrap()];
    assert!(both.contains(&Erased::Completely) && !both.contains(&Erased::InPart), "{both:?}");
    for text in &texts {
        assert_eq!(tables(&scene.found(text).await), [""; 0], "{text}");
    }
    assert_eq!(counts().await, done);
    let nobody = format!("status_history WHERE tenant_id = '{}' AND actor_id = '{NOBODY}'", carrier.id);
    assert!(scene.count(&nobody).await > 12_000);
    let lines = format!("audit_log WHERE tenant_id = '{}' AND actor_id = '{NOBODY}'", carrier.id);
    assert!(scene.count(&lines).await > 10);
    // Nothing else of these rows has changed.
    assert_eq!(
        (scene.database.one(&versions("trips")).await, scene.database.one(&versions("executions")).await),
        before
    );
    let driver = format!("SELECT to_jsonb(d) FROM drivers d WHERE tenant_id = '{}'", carrier.id);
    assert_eq!(scene.database.one(&driver).await["user_id"], Value::Null);
    assert_eq!(scene.count(&format!("memberships WHERE tenant_id = '{}'", carrier.id)).await, 1);
    // Clients hear that a member is gone.
    assert!(scene.nudges.sent().contains(&json!({"tenant_id": carrier.id, "looks": 0})));
    let told = format!("tenant_events WHERE tenant_id = '{}' AND type = 'member.deleted'", carrier.id);
    assert_eq!(scene.count(&told).await, 1);

    assert_eq!(scene.all_of(&rival.id.to_string()).await, whole);
    assert!(scene.found(&other.email).await.contains_key("memberships"));
    assert_eq!(scene.erase_user(&person).await.unwrap(), Erased::Completely);
    scene.leave().await;
}

#[tokio::test]
async fn a_user_is_forgotten_batch_by_batch_by_runs_that_have_time_for_one() {
    let scene = Scene::set().await;
    let (carrier, second, rival) = (scene.carrier().await, scene.carrier().await, scene.carrier().await);
    let person = busy_member(&scene, &carrier).await;
    let other = busy_member(&scene, &rival).await;
    let id = person.id;
    for (carrier, rows) in [(&carrier, 5_500), (&second, 2_500)] {
        scene
            .database
            .run(&format!(
                "INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{0}', '{id}', 'driver') ON CONFLICT DO NOTHING; \
                 INSERT INTO status_history (tenant_id, order_id, to_status, at, actor_id) \
                 SELECT o.tenant_id, o.id, 'new', now(), '{id}' FROM orders o, generate_series(1, {rows}) \
                 WHERE o.tenant_id = '{0}'",
                carrier.id
            ))
            .await;
    }
    let whole = scene.all_of(&rival.id.to_string()).await;
    assert_eq!(leaves(&scene, &person).await, json!([]));
    let forgotten = async || scene.count(&format!("status_history WHERE actor_id = '{NOBODY}'")).await;
    let (mut runs, mut before) = (0, forgotten().await);
    while scene.eraser_for(TimeDelta::seconds(-1)).erase_user(UserId(id)).await.unwrap() == Erased::InPart {
        let now = forgotten().await;
        assert!(now - before <= 1_000, "{before} and then {now}");
        (runs, before) = (runs + 1, now);
        assert!(runs < 100, "no run comes any further");
    }
    assert!(runs > 10, "{runs}");
    for text in [id.to_string(), person.email.clone(), person.subject.clone()] {
        assert_eq!(tables(&scene.found(&text).await), [""; 0], "{text}");
    }
    assert_eq!((scene.count("erasures").await, scene.all_of(&rival.id.to_string()).await), (0, whole));
    assert!(scene.found(&other.email).await.contains_key("memberships"));
    scene.leave().await;
}

#[tokio::test]
async fn what_is_being_erased_is_not_queued_again_until_its_run_must_have_died() {
    let scene = Scene::set().await;
    let (carrier, second, rival) = (scene.carrier().await, scene.carrier().await, scene.carrier().await);
    scene.database.run("DELETE FROM exports").await;
    let person = busy_member(&scene, &second).await;
    let user = UserId(person.id);
    scene
        .database
        .run(&format!(
            "INSERT INTO status_history (tenant_id, order_id, to_status, at, actor_id) \
             SELECT o.tenant_id, o.id, 'new', now(), '{}' FROM orders o, generate_series(1, 3000) WHERE o.tenant_id = '{}'",
            person.id, second.id
        ))
        .await;
    let whole = scene.all_of(&rival.id.to_string()).await;
    scene.close(&carrier).await;
    assert_eq!(leaves(&scene, &person).await, json!([]));
    scene
        .database
        .run(
            "UPDATE tenants SET closed_at = now() - interval '2 hours' WHERE closed_at IS NOT NULL; \
              UPDATE users SET erased_at = now() - interval '6 minutes' WHERE erased_at IS NOT NULL",
        )
        .await;
    // Both are stopped in their midst.
    let testkit = Database::get().await;
    for (step, is_user) in [(4, false), (9, true)] {
        let wire = TripCounter::start(testkit.pooler()).await;
        let options = testkit.options_at(ROLE, &wire.host(), wire.port()).database(&scene.database.name);
        let db = Db::with_options(options);
        wire.fail_trip(step, Fault::Stall);
        let dying = Eraser { db: &db, ..scene.eraser() };
        let erase = async {
            match is_user {
                true => dying.erase_user(user).await,
                false => dying.erase_tenant(TenantId(carrier.id)).await,
            }
        };
        let stops = tokio::time::timeout(std::time::Duration::from_secs(2), erase).await;
        assert!(stops.is_err(), "{:?}", stops.unwrap());
    }
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 0, overdue: 1, expired: 0 });
    // What comes all the same leaves it to whoever has it.
    assert_eq!(scene.erase(&carrier).await.unwrap(), Erased::Held);
    assert_eq!(scene.erase_user(&person).await.unwrap(), Erased::Held);
    assert_eq!(scene.nudges.take_sent(), [json!(null); 0]);

    scene.database.run("UPDATE erasures SET held_until = now()").await;
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 2, overdue: 1, expired: 0 });
    let queued = scene.nudges.take_sent();
    // More than there is time for comes back at once.
    let late = scene.clock.now() - TimeDelta::seconds(1);
    for chore in &queued {
        scene.chores().work(serde_json::from_value(chore.clone()).unwrap(), late).await.unwrap();
    }
    assert_eq!(scene.nudges.take_sent(), queued);
    for chore in &queued {
        let until = scene.clock.now() + TimeDelta::minutes(1);
        scene.chores().work(serde_json::from_value(chore.clone()).unwrap(), until).await.unwrap();
    }
    assert_eq!(tables(&scene.found(&carrier.id.to_string()).await), ["erased_tenants"]);
    assert_eq!(tables(&scene.found(&person.id.to_string()).await), [""; 0]);
    assert_eq!((scene.count("erasures").await, scene.all_of(&rival.id.to_string()).await), (0, whole));
    scene.leave().await;
}

#[tokio::test]
async fn a_chore_of_a_kind_that_is_not_known_is_an_error_and_no_other_chore() {
    let scene = Scene::set().await;
    let carrier = scene.carrier().await;
    scene.close(&carrier).await;
    scene
        .database
        .run(&format!(
            "CREATE OR REPLACE FUNCTION app.waiting_chores(p_older_than interval, p_limit integer, p_also_held boolean) \
             RETURNS TABLE (kind text, id uuid) LANGUAGE sql SECURITY DEFINER AS $$ SELECT 'tidy_attic', '{}'::uuid $$",
            carrier.id
        ))
        .await;
    assert!(matches!(scene.sweep().await, Err(Error::Internal(_))));
    assert_eq!(scene.nudges.sent(), [json!(null); 0]);
    scene.leave().await;
}

#[tokio::test]
async fn the_last_owner_stays_until_there_is_another_or_the_carrier_is_closed() {
    let scene = Scene::set().await;
    let carrier = scene.carrier().await;
    let name = scene.database.one(&format!("SELECT to_jsonb(name) FROM tenants WHERE id = '{}'", carrier.id)).await;
    assert_eq!(leaves(&scene, &carrier.owner).await, json!([name]));
    assert_eq!(scene.sign_in(&carrier.owner).await, carrier.owner.id);
    let second = scene.person("Zoe").await;
    scene
        .database
        .run(&format!(
            "UPDATE tenants SET plan = 'pro' WHERE id = '{0}'; \
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{0}', '{1}', 'owner')",
            carrier.id, second.id
        ))
        .await;
    // Of two who go at once one stays.
    let (one, other) = tokio::join!(leaves(&scene, &carrier.owner), leaves(&scene, &second));
    assert_eq!([&one, &other].iter().filter(|stays| ***stays == json!([])).count(), 1, "{one} {other}");
    let (gone, stays) = if one == json!([]) { (&carrier.owner, &second) } else { (&second, &carrier.owner) };
    assert_eq!(scene.erase_user(gone).await.unwrap(), Erased::Completely);
    assert_eq!(tables(&scene.found(&gone.id.to_string()).await), [""; 0]);
    assert_eq!(leaves(&scene, stays).await, json!([name]));

    let close = format!("UPDATE tenants SET closed_at = now() WHERE id = '{}'", carrier.id);
    scene.database.run(&close).await;
    assert_eq!(leaves(&scene, stays).await, json!([]));
    assert_eq!(scene.erase_user(stays).await.unwrap(), Erased::Completely);
    assert_eq!(tables(&scene.found(&stays.id.to_string()).await), [""; 0]);
    scene.leave().await;
}
