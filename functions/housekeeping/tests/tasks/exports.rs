//! Exports: what is in them, what is not, and that a worker may die.

use std::collections::{BTreeMap, BTreeSet};

use carhaul_core::exports::write::{Writer, Written};
use carhaul_core::exports::{ExportId, LEFT_OUT, TABLES};
use carhaul_housekeeping::Swept;
use carhaul_testkit::sha256_of;
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::erasures::{Carrier, Scene};
use crate::support::ROLE;

impl Scene {
    fn writer_for(&self, time: TimeDelta) -> Writer<'_> {
        let Self { db, bucket, clock, .. } = self;
        Writer { db, bucket, clock, until: clock.now() + time }
    }

    async fn write(&self, id: ExportId) -> Written {
        self.writer_for(TimeDelta::minutes(1)).write(id).await.unwrap()
    }

    /// As the API asks for one.
    async fn ask(&self, carrier: &Carrier) -> ExportId {
        let id = ExportId::new();
        self.database
            .run(&format!(
                "DELETE FROM exports WHERE tenant_id = '{0}'; \
                 INSERT INTO exports (tenant_id, id, tables, created_by) VALUES ('{0}', '{id}', {1}, '{id}')",
                carrier.id,
                TABLES.len()
            ))
            .await;
        id
    }

    async fn export(&self, id: ExportId) -> Value {
        self.database.one(&format!("SELECT to_jsonb(e) FROM exports e WHERE id = '{id}'")).await
    }

    /// The lines of its files, by table, after a look at what is said of the files.
    async fn lines(&self, carrier: &Carrier, id: ExportId) -> BTreeMap<String, Vec<Value>> {
        let files =
            format!("SELECT coalesce(jsonb_agg(f ORDER BY id), '[]') FROM export_files f WHERE export_id = '{id}'");
        let mut tables: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let (mut size, mut rows) = (0, 0);
        for file in self.database.one(&files).await.as_array().unwrap() {
            let key = format!("{}/exports/{id}/{}", carrier.id, file["id"].as_str().unwrap());
            let bytes = self.files.read(&key).unwrap();
            assert_eq!((file["size"].as_u64(), &file["sha256"]), (Some(bytes.len() as u64), &json!(sha256_of(&bytes))));
            let text = String::from_utf8(bytes).unwrap();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(file["row_count"].as_u64(), Some(lines.len() as u64));
            (size, rows) = (size + text.len(), rows + lines.len());
            let name = file["name"].as_str().unwrap().strip_suffix(".ndjson").unwrap();
            tables.entry(name.split('-').next().unwrap().to_owned()).or_default().extend(lines);
        }
        let export = self.export(id).await;
        assert_eq!((&export["size"], &export["row_count"]), (&json!(size), &json!(rows)));
        tables
    }
}

#[tokio::test]
async fn it_has_all_of_its_carrier_and_nobody_elses_and_no_secret() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    scene
        .database
        .run(&format!(
            "UPDATE api_keys SET key_hash = 'secret ' || id; UPDATE invitations SET token_hash = 'secret ' || id; \
             UPDATE provider_keys SET ciphertext = 'secret', data_key = 'secret', nonce = 'secret'; \
             UPDATE orders SET price = 1234.50 WHERE tenant_id = '{}'",
            carrier.id
        ))
        .await;
    let id = scene.ask(&carrier).await;
    assert_eq!(scene.write(id).await, Written::Completely);
    let export = scene.export(id).await;
    assert_eq!((&export["status"], &export["tables_done"]), (&json!("ready"), &json!(TABLES.len())));
    let lines = scene.lines(&carrier, id).await;
    for table in TABLES {
        let key = if *table == "tenants" { "id" } else { "tenant_id" };
        let rows = scene.count(&format!("{table} WHERE {key} = '{}'", carrier.id)).await;
        assert!(rows > 0, "{table}");
        assert_eq!(lines[*table].len() as i64, rows, "{table}");
    }
    assert_eq!(lines.len(), TABLES.len());
    let all = json!(lines).to_string();
    assert!(all.contains(&carrier.word));
    for foreign in [rival.id.to_string(), rival.word.clone()] {
        assert!(!all.contains(&foreign), "{foreign}");
    }
    // Bytes are written in hex.
    for secret in ["secret", "736563726574", "key_hash", "token_hash", "ciphertext", "data_key", "nonce"] {
        assert!(!all.contains(secret), "{secret}");
    }
    let order = &lines["orders"][0];
    assert_eq!(order["price"], "1234.50");
    assert!(order["created_at"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(lines["documents"][0]["sha256"].as_str().unwrap().len(), 64);
    // Every object is of this carrier, and S3's word of it means nothing.
    let prefix = format!("{}/exports/{id}/", carrier.id);
    assert!(scene.files.keys().iter().all(|key| key.starts_with(&prefix) && carhaul_core::exports::is_key(key)));
    assert_eq!(scene.write(id).await, Written::Nothing);
    scene.leave().await;
}

#[tokio::test]
async fn every_table_of_carriers_is_exported_or_left_out_for_a_reason() {
    let scene = Scene::set().await;
    let known = "SELECT jsonb_agg(name ORDER BY name) FROM (SELECT name FROM app.tables_of_tenants() UNION ALL SELECT 'tenants') t";
    let known: BTreeSet<String> = serde_json::from_value(scene.database.one(known).await).unwrap();
    let listed = TABLES.iter().copied().chain(LEFT_OUT.iter().map(|(table, _)| *table));
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(listed, known);
    assert_eq!(listed.len(), TABLES.len() + LEFT_OUT.len());
    scene.leave().await;
}

#[tokio::test]
async fn a_large_table_fills_several_files_and_a_worker_that_dies_is_followed_by_one_that_goes_on() {
    let scene = Scene::set().await;
    let carrier = scene.carrier().await;
    scene
        .database
        .run(&format!(
            "ALTER TABLE customers DISABLE TRIGGER record_change; \
             INSERT INTO customers (tenant_id, id, type, name, notes) \
             SELECT '{}', app.uuid_v7(), 'dealer', 'Dealer ' || n, repeat('n', 8000) FROM generate_series(1, 2500) n",
            carrier.id
        ))
        .await;
    let id = scene.ask(&carrier).await;
    // The bucket breaks down after the first of the large files, and again.
    scene.files.fail_after(11);
    scene.writer_for(TimeDelta::minutes(1)).write(id).await.unwrap_err();
    let there = scene.files.keys();
    assert_eq!(there.len(), 11);
    scene.writer_for(TimeDelta::minutes(1)).write(id).await.unwrap_err();
    scene.files.fail(false);
    assert_eq!(scene.export(id).await["status"], "running");
    // Each run has time for one file alone.
    let mut runs = 0;
    while scene.writer_for(TimeDelta::seconds(-1)).write(id).await.unwrap() == Written::InPart {
        runs += 1;
    }
    assert!(runs > 10, "{runs}");
    assert!(there.iter().all(|key| scene.files.keys().contains(key)));
    let lines = scene.lines(&carrier, id).await;
    let ids: BTreeSet<&str> = lines["customers"].iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), lines["customers"].len()), (2_501, 2_501));
    let names = format!(
        "SELECT jsonb_agg(name ORDER BY name) FROM export_files WHERE export_id = '{id}' AND name LIKE 'customers%'"
    );
    assert_eq!(
        scene.database.one(&names).await,
        json!(["customers-2.ndjson", "customers-3.ndjson", "customers.ndjson"])
    );
    assert_eq!(scene.export(id).await["status"], "ready");
    scene.leave().await;
}

#[tokio::test]
async fn rows_with_large_texts_fill_no_file_beyond_its_bounds() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    let megabyte = 1024 * 1024;
    scene
        .database
        .run(&format!(
            "DELETE FROM audit_log WHERE tenant_id = '{0}'; \
             INSERT INTO audit_log (tenant_id, action, table_name, row_id, changes) \
             SELECT t.id, 'updated', 'skills', app.uuid_v7(), jsonb_build_object('n', n, 'text', repeat('a', {megabyte})) \
             FROM generate_series(1, 30) n, (VALUES ('{0}'::uuid), ('{1}'::uuid)) t (id)",
            carrier.id, rival.id
        ))
        .await;
    let id = scene.ask(&carrier).await;
    // What is written when it dies is not written again.
    scene.writer_for(TimeDelta::seconds(-1)).write(id).await.unwrap();
    assert_eq!(scene.write(id).await, Written::Completely);
    let largest = format!("SELECT to_jsonb(max(size)) FROM export_files WHERE export_id = '{id}'");
    let largest = scene.database.one(&largest).await.as_u64().unwrap();
    // A file, the page that reaches its end, and the row that reaches the page's.
    assert!(largest < 11 * megabyte + 2_000, "{largest}");
    let lines = scene.lines(&carrier, id).await;
    let mut numbers: Vec<i64> = lines["audit_log"].iter().filter_map(|line| line["changes"]["n"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    let page = async |rows: i32, bytes: i64| {
        let begin = format!("UPDATE exports SET status = 'running', attempt = 7 WHERE id = '{id}'");
        scene.database.run(&begin).await;
        scene.count(&format!("app.export_rows('{id}', 7, 'audit_log', NULL, {rows}, {bytes})")).await
    };
    // Of rows or of bytes whichever comes first, and one row at least.
    assert_eq!((page(3, i64::MAX).await, page(20, 4 * megabyte as i64).await, page(20, 1).await), (3, 4, 1));
    scene.leave().await;
}

#[tokio::test]
async fn one_worker_at_a_time_writes_and_one_that_was_given_up_on_writes_nothing() {
    let scene = Scene::set().await;
    let carrier = scene.carrier().await;
    let id = scene.ask(&carrier).await;
    let db = scene.database.seen_by(ROLE).await;
    let twin = Writer { db: &db, ..scene.writer_for(TimeDelta::minutes(1)) };
    let (one, other) = tokio::join!(scene.write(id), twin.write(id));
    let mut both = [one, other.unwrap()];
    both.sort_by_key(|done| *done == Written::Nothing);
    assert_eq!(both, [Written::Completely, Written::Nothing]);
    scene.lines(&carrier, id).await;

    let id = scene.ask(&carrier).await;
    let begin = format!("UPDATE exports SET status = 'running', attempt = 3, due_at = now() WHERE id = '{id}'");
    scene.database.run(&begin).await;
    for (attempt, done) in [(2, json!(false)), (3, json!(true))] {
        let file = Uuid::now_v7();
        let record = format!(
            "SELECT to_jsonb(app.record_export_file('{id}', {attempt}, 'f{attempt}', '{file}', 1, 1, '', 1::smallint, 0, NULL, \
             interval '1 minute'))"
        );
        assert_eq!(scene.database.one(&record).await, done);
    }
    let finish = |attempt: i32| format!("SELECT to_jsonb(app.finish_export('{id}', {attempt}, interval '1 day'))");
    assert_eq!(scene.database.one(&finish(2)).await, false);
    assert_eq!(scene.count(&format!("app.export_rows('{id}', 2, 'orders', NULL, 10)")).await, 0);
    assert_eq!(scene.count(&format!("app.export_rows('{id}', 3, 'orders', NULL, 10)")).await, 1);
    // No table but carriers' is read, whatever is asked for.
    for table in ["users", "erased_tenants", "auth_failures"] {
        assert_eq!(scene.count(&format!("app.export_rows('{id}', 3, '{table}', NULL, 10)")).await, 0);
    }
    assert_eq!(scene.database.one(&finish(3)).await, true);
    scene.leave().await;
}

#[tokio::test]
async fn what_never_comes_on_fails_what_is_old_expires_and_a_carrier_that_is_closed_gets_none() {
    let scene = Scene::set().await;
    let (carrier, rival) = (scene.carrier().await, scene.carrier().await);
    scene.database.run("DELETE FROM exports").await;
    let (hopeless, ready) = (scene.ask(&carrier).await, scene.ask(&rival).await);
    scene.files.fail(true);
    for _ in 0..5 {
        scene.writer_for(TimeDelta::minutes(1)).write(hopeless).await.unwrap_err();
    }
    scene.files.fail(false);
    assert_eq!(scene.write(hopeless).await, Written::Nothing);
    assert_eq!(scene.export(hopeless).await["status"], "failed");

    assert_eq!(scene.write(ready).await, Written::Completely);
    let files = scene.files.keys();
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 0, overdue: 0, expired: 1 });
    assert_eq!(scene.files.keys(), files);
    assert_eq!(scene.export(hopeless).await["status"], "failed");
    scene.database.run("UPDATE exports SET expires_at = now() WHERE status = 'ready'").await;
    // There is no time left.
    let late = scene.clock.now() - TimeDelta::seconds(1);
    assert_eq!(scene.chores().sweep(late).await.unwrap(), Swept { requeued: 0, overdue: 0, expired: 0 });
    assert_eq!((scene.files.keys(), &scene.export(ready).await["status"]), (files, &json!("ready")));
    scene.files.fail(true);
    assert!(scene.sweep().await.is_err());
    scene.files.fail(false);
    assert_eq!(scene.sweep().await.unwrap(), Swept { requeued: 0, overdue: 0, expired: 1 });
    assert_eq!(scene.files.keys(), [""; 0]);
    assert_eq!((&scene.export(ready).await["status"], scene.count("export_files").await), (&json!("expired"), 0));

    // Lost by the queue, or by its worker.
    let lost = scene.ask(&carrier).await;
    scene.database.run("UPDATE exports SET due_at = now() - interval '6 minutes' WHERE status = 'queued'").await;
    assert_eq!(scene.sweep().await.unwrap().requeued, 1);
    let chore = json!({"chore": "write_export", "id": lost});
    assert_eq!(scene.nudges.take_sent(), std::slice::from_ref(&chore));
    // More than there is time for comes back at once.
    let until = scene.clock.now() - TimeDelta::seconds(1);
    scene.chores().work(serde_json::from_value(chore.clone()).unwrap(), until).await.unwrap();
    assert_eq!(scene.nudges.take_sent(), [chore]);
    scene.database.run(&format!("UPDATE tenants SET closed_at = now() WHERE id = '{}'", carrier.id)).await;
    assert_eq!(scene.write(lost).await, Written::Nothing);
    scene.leave().await;
}
