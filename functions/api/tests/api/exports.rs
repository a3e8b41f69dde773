//! Exports as carriers ask for them; what is in them is in the tests of housekeeping.

use carhaul_core::base::clock::Clock;
use carhaul_core::exports::ExportId;
use carhaul_core::exports::write::{Writer, Written};
use carhaul_core::platform::db::Db;
use carhaul_testkit::{QueueServer, sha256_of};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Carrier, TestApp, a_customer, id, ids};

const EXPORTS: &str = "/v1/exports";

fn at(export: &Value) -> String {
    format!("{EXPORTS}/{}", id(export))
}

/// As housekeeping writes it.
async fn write(app: &TestApp, export: &Value) {
    let (db, bucket) = (Db::with_options(app.database.options("carhaul_housekeeping")), app.files.bucket().await);
    let clock = Clock::system();
    let writer = Writer { db: &db, bucket: &bucket, clock: &clock, until: clock.now() + TimeDelta::minutes(1) };
    let id = ExportId(id(export).parse().expect("an id is a UUID"));
    assert_eq!(writer.write(id).await.expect("both are up"), Written::Completely);
}

async fn finish_all(app: &TestApp, carrier: &Carrier) {
    app.run(&format!("UPDATE exports SET status = 'failed' WHERE tenant_id = '{}'", carrier.id)).await;
}

#[tokio::test]
async fn an_export_is_asked_for_written_and_downloaded_by_its_own_carrier() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let queue = QueueServer::start().await;
    let owner = carrier.owner.through(&app.instance_with(queue.queue().await));
    owner.post("/v1/customers", a_customer()).await.expect(201);
    let asked = owner.post_once(EXPORTS, "k1", json!({})).await;
    let location = asked.headers["location"].to_str().unwrap().to_owned();
    let export = asked.expect(202);
    assert_eq!(location, at(&export));
    assert_eq!((&export["status"], &export["tables_done"]), (&json!("queued"), &json!(0)));
    assert_eq!((&export["expires_at"], &export["finished_at"]), (&Value::Null, &Value::Null));
    assert_eq!(queue.sent(), [json!({"chore": "write_export", "id": export["id"]})]);
    assert_eq!(owner.post_once(EXPORTS, "k1", json!({})).await.expect(202), export);
    let download = format!("{}/download", at(&export));
    assert_eq!(owner.get(&download).await.refused(409, "conflict")["code"], "not_ready");

    write(&app, &export).await;
    let ready = owner.get(&at(&export)).await.expect(200);
    assert_eq!((&ready["status"], &ready["tables_done"]), (&json!("ready"), &ready["tables"]));
    assert_eq!(ids(&owner.get(EXPORTS).await.expect(200)), [id(&export)]);
    let files = owner.get(&download).await.expect(200);
    let files = files["files"].as_array().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"customers.ndjson") && names.contains(&"audit_log.ndjson"), "{names:?}");
    let prefix = format!("{}/{}/exports/{}/", app.files.url(), carrier.id, id(&export));
    for file in files {
        let url = file["url"].as_str().unwrap();
        assert!(url.starts_with(&prefix) && url.contains("X-Amz-Expires=300"), "{url}");
        let name = file["name"].as_str().unwrap();
        assert!(url.contains(&format!("filename%3D%22{name}%22")), "{url}");
        let object = url.strip_prefix(&format!("{}/", app.files.url())).unwrap().split('?').next().unwrap();
        let bytes = app.files.read(object).unwrap();
        assert_eq!((file["size"].as_u64(), &file["sha256"]), (Some(bytes.len() as u64), &json!(sha256_of(&bytes))));
    }

    for path in [at(&export), download.clone()] {
        rival.owner.get(&path).await.refused(404, "not_found");
        rival.owner.clone().of(carrier.id).get(&path).await.refused(403, "forbidden");
    }
    assert_eq!(rival.owner.get(EXPORTS).await.expect(200)["data"], json!([]));
    app.run(&format!("UPDATE exports SET status = 'expired' WHERE id = '{}'", id(&export))).await;
    assert_eq!(owner.get(&download).await.refused(409, "conflict")["code"], "not_ready");
    let actor = format!(
        "SELECT count(*) FROM audit_log WHERE tenant_id = '{}' AND table_name = 'exports' AND actor_id IS NOT NULL",
        carrier.id
    );
    assert_eq!(app.count(&actor).await, 1);
}

#[tokio::test]
async fn owners_and_admins_export_one_at_a_time_and_a_few_a_day() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    for role in ["dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        member.post(EXPORTS, json!({})).await.refused(403, "forbidden");
        member.get(EXPORTS).await.refused(403, "forbidden");
    }
    let scopes = json!({"name": "Sync", "scopes": ["exports:manage"]});
    assert_eq!(carrier.owner.post("/v1/api-keys", scopes).await.invalid_fields(), ["/scopes/0"]);
    let admin = app.member(&carrier, "admin").await;
    admin.post(EXPORTS, json!({})).await.expect(202);
    let refused = carrier.owner.post(EXPORTS, json!({})).await.refused(409, "conflict");
    assert_eq!(refused["code"], "export_unfinished");
    rival.owner.post(EXPORTS, json!({})).await.expect(202);
    assert_eq!(rival.owner.post(EXPORTS, json!({"format": "csv"})).await.invalid_fields(), ["/format"]);

    // Of twins one is asked for.
    finish_all(&app, &carrier).await;
    let twin = carrier.owner.through(&app.another_instance());
    let (one, other) = tokio::join!(carrier.owner.post(EXPORTS, json!({})), twin.post(EXPORTS, json!({})));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{} {}", one.text, other.text);
    for _ in 0..3 {
        finish_all(&app, &carrier).await;
        carrier.owner.post(EXPORTS, json!({})).await.expect(202);
    }
    finish_all(&app, &carrier).await;
    let reply = carrier.owner.post(EXPORTS, json!({})).await;
    let seconds: i64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&seconds), "{seconds}");
    reply.refused(429, "throttled");
    let earlier =
        format!("UPDATE exports SET created_at = now() - interval '25 hours' WHERE tenant_id = '{}'", carrier.id);
    app.run(&earlier).await;
    carrier.owner.post(EXPORTS, json!({})).await.expect(202);
    carrier.owner.get(&format!("{EXPORTS}/{}", Uuid::now_v7())).await.refused(404, "not_found");
}
