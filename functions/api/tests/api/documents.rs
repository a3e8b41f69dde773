//! Documents of orders: announced, uploaded, looked at, downloaded, deleted.

use axum::http::Method;
use carhaul_core::base::ids::TenantId;
use carhaul_core::documents::uploads::{self, Outcome, Place};
use carhaul_core::platform::db::Db;
use carhaul_testkit::sha256_of;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orders::{create_driver, create_order, path};
use crate::support::{Carrier, Client, TestApp, id, ids};

const BYTES: &[u8] = b"signed by the customer";

fn a_document(kind: &str) -> Value {
    json!({"kind": kind, "file_name": "POD \"1042\" \u{e9}.pdf", "content_type": "application/pdf",
           "size": BYTES.len(), "sha256": sha256_of(BYTES)})
}

/// Uploads what a document was announced as, and lets S3 tell of it.
async fn upload(app: &TestApp, carrier: &Carrier, document: &Value) {
    let key = format!("{}/{}", carrier.id, id(document));
    app.files.put(&key, document["content_type"].as_str().expect("it has a type"), BYTES);
    let housekeeping = Db::with_options(app.database.options("carhaul_housekeeping"));
    let place = Place::of_key(&key).expect("a key of ours");
    assert_eq!(place.tenant_id, TenantId(carrier.id));
    let outcome = uploads::arrived(&housekeeping, &app.files.bucket().await, place).await.expect("both are up");
    assert_eq!(outcome, Outcome::Stored);
}

async fn announce(client: &Client, order: &Value, body: Value) -> Value {
    client.post(&path(order, "/documents"), body).await.expect(201)
}

fn at(document: &Value) -> String {
    format!("/v1/documents/{}", id(document))
}

#[tokio::test]
async fn a_pod_is_announced_uploaded_and_downloaded_and_the_list_finds_its_order() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let owner = &carrier.owner;
    let (order, other) = (create_order(owner).await, create_order(owner).await);
    let vehicle = order["vehicles"][0]["id"].clone();
    let mut body = a_document("pod");
    body["vehicle_id"] = vehicle.clone();
    let created = owner.post(&path(&order, "/documents"), body.clone()).await;
    let location = created.headers["location"].to_str().unwrap().to_owned();
    let mut document = created.expect(201);
    assert_eq!(location, at(&document));
    for member in ["kind", "file_name", "content_type", "size", "sha256", "vehicle_id"] {
        assert_eq!(document[member], body[member], "{member}");
    }
    assert_eq!((&document["status"], &document["stored_at"]), (&json!("pending"), &Value::Null));
    assert_eq!(document["order_id"], order["id"]);

    let upload_to = document.as_object_mut().unwrap().remove("upload").unwrap();
    let start = format!("{}/{}/{}?", app.files.url(), carrier.id, id(&document));
    let url = upload_to["url"].as_str().unwrap();
    assert!(url.starts_with(&start), "{url}");
    for part in
        ["X-Amz-Expires=900", "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256"]
    {
        assert!(url.contains(part), "{url}");
    }
    assert_eq!(upload_to["method"], "PUT");
    assert_eq!(upload_to["expires_at"], document["upload_expires_at"]);
    assert_eq!(upload_to["headers"]["content-type"], "application/pdf");
    assert_eq!(upload_to["headers"]["x-amz-checksum-sha256"].as_str().unwrap().len(), 44);

    assert_eq!(owner.get(&at(&document)).await.expect(200), document);
    let download = format!("{}/download", at(&document));
    assert_eq!(owner.get(&download).await.refused(409, "conflict")["code"], "not_stored");
    assert_eq!(owner.get("/v1/orders?has_pod=true").await.expect(200)["data"], json!([]));

    upload(&app, &carrier, &document).await;
    let stored = owner.get(&at(&document)).await.expect(200);
    assert_eq!(stored["status"], "stored");
    assert!(stored["stored_at"].is_string());
    assert_eq!(
        owner.get(&path(&order, "/documents")).await.expect(200),
        json!({"data": [stored], "next_cursor": null})
    );
    let now = owner.get(&path(&order, "")).await.expect(200);
    assert_eq!(now["has_pod"], true);
    assert_eq!(now["version"].as_i64(), order["version"].as_i64().map(|version| version + 1));
    assert_eq!(ids(&owner.get("/v1/orders?has_pod=true").await.expect(200)), [id(&order)]);
    assert_eq!(ids(&owner.get("/v1/orders?has_pod=false").await.expect(200)), [id(&other)]);

    let url = owner.get(&download).await.expect(200)["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&start) && url.contains("X-Amz-Expires=300"), "{url}");
    assert!(
        url.contains("response-content-disposition=attachment%3B%20filename%3D%22POD%20_1042_%20_.pdf%22"),
        "{url}"
    );

    for stranger in [&rival.owner, &rival.owner.clone().of(rival.id)] {
        stranger.get(&at(&document)).await.refused(404, "not_found");
        stranger.get(&download).await.refused(404, "not_found");
        stranger.delete(&at(&document)).await.refused(404, "not_found");
        stranger.get(&path(&order, "/documents")).await.refused(404, "not_found");
        stranger.post(&path(&order, "/documents"), a_document("pod")).await.refused(404, "not_found");
        assert_eq!(stranger.get("/v1/orders?has_pod=true").await.expect(200)["data"], json!([]));
    }

    owner.delete(&at(&document)).await.expect(204);
    owner.get(&at(&document)).await.refused(404, "not_found");
    owner.delete(&at(&document)).await.refused(404, "not_found");
    assert_eq!(owner.get(&path(&order, "")).await.expect(200)["has_pod"], false);
    assert_eq!(owner.get("/v1/orders?has_pod=true").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn what_is_too_large_or_of_the_wrong_type_is_refused_before_there_is_a_url() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let (order, other) = (create_order(&owner).await, create_order(&owner).await);
    let documents = path(&order, "/documents");
    let cases = [
        ("size", json!(104_857_601)),
        ("size", json!(5_000_000_000_i64)),
        ("size", json!(0)),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!("1")),
        ("sha256", json!("abc")),
        ("sha256", json!("g".repeat(64))),
        ("content_type", json!("text/html")),
        ("content_type", json!("application/pdf; charset=x")),
        ("kind", json!("invoice")),
        ("file_name", json!("")),
        ("file_name", json!("a\r\nSet-Cookie: b")),
        ("file_name", json!("x".repeat(256))),
        ("vehicle_id", other["vehicles"][0]["id"].clone()),
        ("vehicle_id", json!(Uuid::now_v7())),
        ("status", json!("stored")),
    ];
    for (member, value) in cases {
        let mut body = a_document("pod");
        body[member] = value.clone();
        assert_eq!(owner.post(&documents, body).await.invalid_fields(), [format!("/{member}")], "{member}: {value}");
    }
    assert_eq!(owner.post(&documents, a_document("photo")).await.invalid_fields(), ["/content_type"]);
    owner.post(&format!("/v1/orders/{}/documents", Uuid::now_v7()), a_document("pod")).await.refused(404, "not_found");
    assert_eq!(owner.get(&documents).await.expect(200)["data"], json!([]));

    let mut largest = a_document("pod");
    largest["size"] = json!(104_857_600);
    largest["sha256"] = json!(sha256_of(BYTES).to_uppercase());
    assert_eq!(announce(&owner, &order, largest).await["sha256"], sha256_of(BYTES));
    for content_type in ["image/jpeg", "image/png", "image/heic", "image/webp"] {
        let mut photo = a_document("photo");
        photo["content_type"] = json!(content_type);
        announce(&owner, &order, photo).await;
    }
}

#[tokio::test]
async fn documents_come_in_pages_newest_first() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let mut made = Vec::new();
    for kind in ["bol", "gate_pass", "rate_confirmation", "receipt", "pod"] {
        made.insert(0, id(&announce(&owner, &order, a_document(kind)).await));
    }
    let first = owner.get(&path(&order, "/documents?limit=2")).await.expect(200);
    assert_eq!(ids(&first), made[..2]);
    let rest = format!("/documents?cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(ids(&owner.get(&path(&order, &rest)).await.expect(200)), made[2..]);
    assert_eq!(owner.get(&path(&order, "/documents?cursor=x")).await.invalid_fields(), ["cursor"]);
}

#[tokio::test]
async fn a_driver_proves_their_own_deliveries_and_sees_no_price() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let (order, other) = (create_order(owner).await, create_order(owner).await);
    let driver = app.member(&carrier, "driver").await;
    let record = create_driver(owner, driver.user_id).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": record})).await.expect(200);
    let price = announce(owner, &order, a_document("rate_confirmation")).await;
    let theirs = announce(owner, &other, a_document("bol")).await;

    let pod = announce(&driver, &order, a_document("pod")).await;
    assert_eq!(pod["created_by"], json!(driver.user_id));
    upload(&app, &carrier, &pod).await;
    assert_eq!(ids(&driver.get(&path(&order, "/documents")).await.expect(200)), [id(&pod)]);
    driver.get(&format!("{}/download", at(&pod))).await.expect(200);
    driver.delete(&at(&pod)).await.refused(403, "forbidden");
    for hidden in [&price, &theirs] {
        driver.get(&at(hidden)).await.refused(404, "not_found");
        driver.get(&format!("{}/download", at(hidden))).await.refused(404, "not_found");
    }
    driver.get(&path(&other, "/documents")).await.refused(404, "not_found");
    driver.post(&path(&other, "/documents"), a_document("pod")).await.refused(404, "not_found");
    driver.post(&path(&order, "/documents"), a_document("rate_confirmation")).await.refused(403, "forbidden");
    // Where drivers see prices they see these, too.
    owner.patch("/v1/tenant", json!({"drivers_see_prices": true})).await.expect(200);
    driver.get(&at(&price)).await.expect(200);
    announce(&driver, &order, a_document("rate_confirmation")).await;
}

#[tokio::test]
async fn an_accountant_reads_a_dispatcher_works_and_a_key_does_what_it_may() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let order = create_order(owner).await;
    let accountant = app.member(&carrier, "accountant").await;
    let dispatcher = app.member(&carrier, "dispatcher").await;
    let pod = announce(&dispatcher, &order, a_document("pod")).await;
    assert_eq!(ids(&accountant.get(&path(&order, "/documents")).await.expect(200)), [id(&pod)]);
    accountant.post(&path(&order, "/documents"), a_document("pod")).await.refused(403, "forbidden");
    accountant.delete(&at(&pod)).await.refused(403, "forbidden");
    let key = owner.post("/v1/api-keys", json!({"name": "scanner", "scopes": ["documents:record"]})).await.expect(201);
    let scanner = owner.with_key(key["key"].as_str().unwrap());
    announce(&scanner, &order, a_document("bol")).await;
    scanner.get(&at(&pod)).await.refused(403, "forbidden");
    dispatcher.delete(&at(&pod)).await.expect(204);
}

#[tokio::test]
async fn a_delivery_is_proven_whatever_the_plan_says() {
    let app = TestApp::start().await;
    let carrier = app.carrier_on("free").await;
    let order = create_order(&carrier.owner).await;
    app.run(&format!("UPDATE api_usage SET calls = 1000000 WHERE tenant_id = '{}'", carrier.id)).await;
    carrier.owner.get(&path(&order, "/documents")).await.refused(402, "over_limit");
    for _ in 0..10 {
        announce(&carrier.owner, &order, a_document("pod")).await;
    }
}

#[tokio::test]
async fn who_follows_an_order_hears_of_its_documents_and_its_driver_of_all_but_prices() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let order = create_order(owner).await;
    let driver = app.member(&carrier, "driver").await;
    let record = create_driver(owner, driver.user_id).await;
    owner.post(&path(&order, "/assign"), json!({"driver_id": record})).await.expect(200);
    let pod = announce(owner, &order, a_document("pod")).await;
    let price = announce(owner, &order, a_document("rate_confirmation")).await;
    for document in [&pod, &price] {
        upload(&app, &carrier, document).await;
    }
    owner.delete(&at(&pod)).await.expect(204);
    let heard = |of: &str| {
        format!(
            "SELECT count(*) FROM tenant_events WHERE tenant_id = '{}' AND topic = 'orders' AND subject_id = '{}' \
             AND type = 'document.{of}' AND data ->> 'document_id' ",
            carrier.id,
            id(&order)
        )
    };
    let mine = format!("AND driver_id = '{record}'");
    assert_eq!(app.count(&format!("{} = '{}' {mine}", heard("uploaded"), id(&pod))).await, 1);
    assert_eq!(app.count(&format!("{} = '{}' {mine}", heard("deleted"), id(&pod))).await, 1);
    assert_eq!(app.count(&format!("{} = '{}' AND driver_id IS NULL", heard("uploaded"), id(&price))).await, 1);
    // The audit log has every step of both, the one that uploaded and the one that checked.
    for (document, lines) in [(&pod, 3), (&price, 2)] {
        let audited =
            format!("SELECT count(*) FROM audit_log WHERE table_name = 'documents' AND row_id = '{}'", id(document));
        assert_eq!(app.count(&audited).await, lines);
    }
}

#[tokio::test]
async fn a_vehicle_that_leaves_the_order_leaves_its_documents_there() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let mut photo = a_document("photo");
    photo["content_type"] = json!("image/jpeg");
    photo["vehicle_id"] = order["vehicles"][1]["id"].clone();
    let document = announce(&owner, &order, photo).await;
    let vehicle = path(&order, &format!("/vehicles/{}", order["vehicles"][1]["id"].as_str().unwrap()));
    owner.delete(&vehicle).await.expect(204);
    assert_eq!(owner.get(&at(&document)).await.expect(200)["vehicle_id"], Value::Null);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_with_its_url() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let order = create_order(&owner).await;
    let documents = path(&order, "/documents");
    let first = owner.post_once(&documents, "pod-1", a_document("pod")).await.expect(201);
    let again = owner.post_once(&documents, "pod-1", a_document("pod")).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201), first);
    assert_eq!(owner.post_once(&documents, "pod-1", a_document("bol")).await.invalid_fields(), ["Idempotency-Key"]);
    assert_eq!(ids(&owner.get(&documents).await.expect(200)).len(), 1);
    // It needs no version of the order, and takes none.
    let stale = [("if-match", "\"99\"")];
    owner.send(Method::POST, &documents, &stale, Some(a_document("bol"))).await.expect(201);
}

#[tokio::test]
async fn a_vehicle_that_is_split_off_takes_its_documents_along() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    let owner = &carrier.owner;
    let order = create_order(owner).await;
    let mut of_vehicle = Vec::new();
    for kind in ["pod", "gate_pass"] {
        let mut body = a_document(kind);
        body["vehicle_id"] = order["vehicles"][1]["id"].clone();
        of_vehicle.push(announce(owner, &order, body).await);
    }
    let of_order = announce(owner, &order, a_document("bol")).await;
    let [pod, gate_pass] = &of_vehicle[..] else { unreachable!("two were announced") };
    upload(&app, &carrier, pod).await;

    let named = json!({"vehicle_ids": [order["vehicles"][1]["id"]]});
    let split = owner.post(&path(&order, "/split"), named).await.expect(201);
    assert_eq!(ids(&owner.get(&path(&order, "/documents")).await.expect(200)), [id(&of_order)]);
    assert_eq!(ids(&owner.get(&path(&split, "/documents")).await.expect(200)), [id(gate_pass), id(pod)]);
    assert_eq!(ids(&owner.get("/v1/orders?has_pod=true").await.expect(200)), [id(&split)]);
    rival.owner.get(&path(&split, "/documents")).await.refused(404, "not_found");

    // What was announced before is uploaded and downloaded as if nothing had happened.
    upload(&app, &carrier, gate_pass).await;
    for document in &of_vehicle {
        owner.get(&format!("{}/download", at(document))).await.expect(200);
    }
    assert_eq!(app.files.keys().len(), 2, "none was deleted");
}

/// What is done at once to an order and to the documents of a vehicle that leaves it.
async fn at_once(app: &TestApp, carrier: &Carrier, is_split: bool) -> Value {
    let owner = &carrier.owner;
    let order = create_order(owner).await;
    let vehicle = order["vehicles"][1]["id"].clone();
    let mut of_vehicle = Vec::new();
    for kind in ["bol", "gate_pass", "pod", "receipt"] {
        let mut body = a_document(kind);
        body["vehicle_id"] = vehicle.clone();
        let document = announce(owner, &order, body).await;
        app.files.put(&format!("{}/{}", carrier.id, id(&document)), "application/pdf", BYTES);
        of_vehicle.push(document);
    }
    let (deleted, uploaded) = of_vehicle.split_at(2);

    let mut requests = JoinSet::new();
    for document in deleted {
        let (client, at) = (owner.through(&app.another_instance()), at(document));
        requests.spawn(async move { client.delete(&at).await });
    }
    let (client, to_order) = (owner.through(&app.another_instance()), path(&order, ""));
    let named = vehicle.clone();
    requests.spawn(async move {
        if is_split {
            client.post(&format!("{to_order}/split"), json!({"vehicle_ids": [named]})).await
        } else {
            client.delete(&format!("{to_order}/vehicles/{}", named.as_str().expect("an id"))).await
        }
    });
    let (bucket, mut settled) = (app.files.bucket().await, JoinSet::new());
    for document in uploaded {
        let housekeeping = Db::with_options(app.database.options("carhaul_housekeeping"));
        let place = Place::of_key(&format!("{}/{}", carrier.id, id(document))).expect("a key of ours");
        let bucket = bucket.clone();
        settled.spawn(async move { uploads::arrived(&housekeeping, &bucket, place).await });
    }
    let mut refused = Vec::new();
    for reply in requests.join_all().await {
        if !reply.status.is_success() {
            refused.push(reply.text);
        }
    }
    let outcomes = settled.join_all().await;
    refused.extend(outcomes.iter().filter(|it| !matches!(it, Ok(Outcome::Stored))).map(|it| format!("{it:?}")));
    assert_eq!(refused, Vec::<String>::new(), "split: {is_split}");

    for document in deleted {
        owner.get(&at(document)).await.refused(404, "not_found");
    }
    let stored = owner.get(&at(&uploaded[0])).await.expect(200);
    let now = owner.get(&format!("/v1/orders/{}", stored["order_id"].as_str().expect("an id"))).await.expect(200);
    let expected = if is_split { (&order["id"], &vehicle) } else { (&Value::Null, &Value::Null) };
    assert_eq!((&now["split_from"], &stored["vehicle_id"]), expected);
    assert_eq!((&now["has_pod"], now["id"] == order["id"]), (&json!(true), !is_split));
    let listed = owner.get(&path(&now, "/documents")).await.expect(200);
    assert_eq!(ids(&listed), [id(&uploaded[1]), id(&uploaded[0])]);
    assert_eq!((&listed["data"][0]["status"], &listed["data"][1]["status"]), (&json!("stored"), &json!("stored")));
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vehicle_leaves_while_its_documents_come_and_go_and_nobody_waits_in_a_circle() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await);
    for is_split in [true, false].repeat(8) {
        let order = at_once(&app, &carrier, is_split).await;
        rival.owner.get(&path(&order, "/documents")).await.refused(404, "not_found");
    }
    assert_eq!(rival.owner.get("/v1/orders").await.expect(200)["data"], json!([]));
}
