use axum::http::Method;
use carhaul_core::base::clock::Clock;
use carhaul_core::base::ids::TenantId;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::provider_keys::{OpenError, SealedKey, select_sealed};
use carhaul_core::providers::ProviderName;
use carhaul_testkit::{ModelFault, ModelServer};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, FromRow, Row};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{Carrier, Instance, Peers, TestApp, id, ids, oidc, vault_of};

const PATH: &str = "/v1/provider-keys";

fn a_key(provider: &str) -> Value {
    json!({"provider": provider, "key": ModelServer::KEY})
}

/// The carrier's key as the worker reads it, with the worker's own role.
async fn sealed(app: &TestApp, tenant: Uuid, provider: ProviderName) -> Option<SealedKey> {
    let mut worker = app.database.options("carhaul_ai").connect().await.expect("the pooler is up");
    let enter = format!("BEGIN; SELECT set_config('app.tenant_id', '{tenant}', true)");
    sqlx::raw_sql(AssertSqlSafe(enter)).execute(&mut worker).await.expect("a transaction begins");
    let row = worker.fetch_optional(AssertSqlSafe(select_sealed(provider))).await.expect("the worker may read");
    row.map(|row| SealedKey::from_row(&row).expect("a sealed key"))
}

#[tokio::test]
async fn a_key_is_tried_kept_for_its_end_rotated_and_deleted() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for provider in ["anthropic", "gemini", "openai_compatible"] {
        let created = owner.post(PATH, a_key(provider)).await;
        assert_eq!(created.etag(), "\"1\"");
        let at = created.headers["location"].to_str().unwrap().to_owned();
        let row = created.expect(201);
        assert_eq!(at, format!("{PATH}/{}", id(&row)));
        assert_eq!((&row["provider"], &row["base_url"]), (&json!(provider), &json!(null)));
        assert_eq!((&row["last_four"], &row["test_result"]), (&json!("wxyz"), &json!("accepted")));
        assert!(row["tested_at"].is_string());
        assert_eq!(app.models.requests().pop().unwrap().method, "GET", "no model was asked anything");
        assert_eq!(owner.get(&at).await.expect(200), row);

        app.models.accept_key("sk-of-the-test-after-the-roll-abcd");
        let rotation = json!({"key": "sk-of-the-test-after-the-roll-abcd"});
        let rotated =
            owner.send(Method::PATCH, &at, &[("if-match", "\"1\"")], Some(rotation.clone())).await.expect(200);
        assert_eq!((&rotated["last_four"], &rotated["version"]), (&json!("abcd"), &json!(2)));
        owner.send(Method::PATCH, &at, &[("if-match", "\"1\"")], Some(rotation.clone())).await.refused(412, "stale");
        owner.send(Method::PATCH, &at, &[], Some(rotation)).await.refused(428, "version_required");
        owner.send(Method::DELETE, &at, &[("if-match", "\"1\"")], None).await.refused(412, "stale");

        let problem = owner.post(PATH, a_key(provider)).await.refused(409, "conflict");
        assert_eq!(problem["code"], "already_exists");
        assert_eq!(ids(&owner.get(PATH).await.expect(200)), [id(&row)]);
        owner.delete(&at).await.expect(204);
        owner.get(&at).await.refused(404, "not_found");
        owner.delete(&at).await.refused(404, "not_found");
        assert_eq!(app.count(&format!("SELECT count(*) FROM provider_keys WHERE id = '{}'", id(&row))).await, 0);
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_is_answered_as_before_and_nobody_is_asked_again_also_after_the_key_was_deleted() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let row = owner.post_once(PATH, "once", a_key("anthropic")).await.expect(201);
    assert_eq!(owner.post_once(PATH, "once", a_key("anthropic")).await.expect(201), row);
    owner.delete(&format!("{PATH}/{}", id(&row))).await.expect(204);
    let asked = app.models.requests().len();
    assert_eq!(owner.post_once(PATH, "once", a_key("anthropic")).await.expect(201), row);
    assert_eq!(owner.post_once(PATH, "once", a_key("gemini")).await.invalid_fields(), ["Idempotency-Key"]);
    assert_eq!(app.models.requests().len(), asked);
    assert!(ids(&owner.get(PATH).await.expect(200)).is_empty());
    // Another carrier's key of that name is another key.
    let theirs = rival.post_once(PATH, "once", a_key("anthropic")).await.expect(201);
    assert_eq!((app.models.requests().len(), id(&theirs) == id(&row)), (asked + 1, false));
}

#[tokio::test]
async fn a_key_that_is_refused_or_cannot_be_tried_is_not_kept() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let owner = &carrier.owner;
    let stored = format!("SELECT count(*) FROM provider_keys WHERE tenant_id = '{}'", carrier.id);
    for provider in ["anthropic", "gemini", "openai_compatible"] {
        let wrong = json!({"provider": provider, "key": "sk-of-nobody-0123456789"});
        assert_eq!(owner.post(PATH, wrong).await.invalid_fields(), ["/key"], "{provider}");
        for fault in
            [ModelFault::Status(503, Some("30")), ModelFault::Junk, ModelFault::Redirect("https://a.example".into())]
        {
            app.models.fail_next(fault);
            owner.post(PATH, a_key(provider)).await.refused(503, "unavailable");
        }
        app.models.fail_next(ModelFault::Status(429, Some("30")));
        let busy = owner.post(PATH, a_key(provider)).await;
        assert_eq!(busy.headers["retry-after"], "30");
        busy.refused(503, "unavailable");
    }
    // The same at an address of the tenant's own is the tenant's to mend.
    let own = json!({"provider": "openai_compatible", "key": ModelServer::KEY, "base_url": app.models.openai_url()});
    for fault in [ModelFault::Status(503, None), ModelFault::Status(404, None), ModelFault::Junk] {
        app.models.fail_next(fault);
        assert_eq!(owner.post(PATH, own.clone()).await.invalid_fields(), ["/base_url"]);
    }
    app.kms.go_down(true);
    owner.post(PATH, a_key("anthropic")).await.refused(503, "unavailable");
    app.kms.go_down(false);
    assert_eq!(app.count(&stored).await, 0);

    // A rotation that fails leaves what was there.
    let row = owner.post(PATH, own).await.expect(201);
    assert_eq!(row["base_url"], json!(app.models.openai_url()));
    let at = format!("{PATH}/{}", id(&row));
    assert_eq!(owner.patch(&at, json!({"key": "sk-of-nobody-0123456789"})).await.invalid_fields(), ["/key"]);
    // To send it elsewhere one must have the key.
    assert_eq!(owner.patch(&at, json!({"base_url": "https://models.example.com/v1"})).await.invalid_fields(), ["/key"]);
    assert_eq!(owner.get(&at).await.expect(200), row);
    let back = owner.patch(&at, json!({"key": ModelServer::KEY, "base_url": null})).await.expect(200);
    assert_eq!(back["base_url"], json!(null));
}

#[tokio::test]
async fn a_provider_that_hangs_is_left_after_a_few_seconds() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    app.models.fail_with(Some(ModelFault::Hang));
    let start = Instant::now();
    owner.post(PATH, a_key("gemini")).await.refused(503, "unavailable");
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_and_tries_nothing_again() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let row = owner.post_once(PATH, "k1", a_key("anthropic")).await.expect(201);
    app.models.fail_with(Some(ModelFault::Status(503, None)));
    let asked = app.models.requests().len();
    assert_eq!(owner.post_once(PATH, "k1", a_key("anthropic")).await.expect(201), row);
    assert_eq!(app.models.requests().len(), asked);
    let other = owner.post_once(PATH, "k1", a_key("gemini")).await;
    assert!(!other.status.is_success(), "{}", other.text);
}

#[tokio::test]
async fn each_bad_field_is_named() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    for (body, pointer) in [
        (json!({"key": ModelServer::KEY}), "/provider"),
        (json!({"provider": "rules", "key": ModelServer::KEY}), "/provider"),
        (json!({"provider": "anthropic"}), "/key"),
        (json!({"provider": "anthropic", "key": "short"}), "/key"),
        (json!({"provider": "anthropic", "key": "with a blank in its middle"}), "/key"),
        (json!({"provider": "anthropic", "key": null}), "/key"),
        (
            json!({"provider": "anthropic", "key": ModelServer::KEY, "base_url": "https://models.example.com"}),
            "/base_url",
        ),
        (
            json!({"provider": "openai_compatible", "key": ModelServer::KEY, "base_url": "models.example.com"}),
            "/base_url",
        ),
        (
            json!({"provider": "openai_compatible", "key": ModelServer::KEY, "base_url": "https://u:p@example.com"}),
            "/base_url",
        ),
        (json!({"provider": "anthropic", "key": ModelServer::KEY, "test": false}), "/test"),
    ] {
        assert_eq!(owner.post(PATH, body.clone()).await.invalid_fields(), [pointer], "{body}");
    }
    assert_eq!(app.models.requests(), []);
}

#[tokio::test]
async fn outside_of_development_no_key_is_sent_into_our_own_network() {
    let app = TestApp::start().await;
    let verifier = TokenVerifier::new(&oidc(&app.issuer), Clock::system());
    let vault = vault_of(&app.models, &app.kms, false);
    let instance = Instance::with_peers(
        app.database.options("carhaul_api"),
        verifier,
        Peers { vault, ..Peers::none(&Clock::system()) },
        Clock::system(),
    );
    let owner = app.carrier().await.owner.through(&instance);
    for base_url in [
        app.models.openai_url().as_str(),
        "http://models.example.com/v1",
        "https://127.0.0.1/v1",
        "https://localhost/v1",
        "https://169.254.169.254/latest",
        "https://10.0.0.7/v1",
        "https://[::1]/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://models.example.com:9001/v1",
        "https://2130706433/",
    ] {
        let body = json!({"provider": "openai_compatible", "key": ModelServer::KEY, "base_url": base_url});
        assert_eq!(owner.post(PATH, body).await.invalid_fields(), ["/base_url"], "{base_url}");
    }
    assert_eq!(app.models.requests(), []);
    // Our own configuration may lead anywhere.
    owner.post(PATH, a_key("anthropic")).await.expect(201);
}

#[tokio::test]
async fn only_owners_and_admins_have_to_do_with_keys() {
    let app = TestApp::start().await;
    let carrier = app.carrier().await;
    let row = carrier.owner.post(PATH, a_key("anthropic")).await.expect(201);
    let at = format!("{PATH}/{}", id(&row));
    let asked = app.models.requests().len();
    for role in ["dispatcher", "accountant", "driver"] {
        let member = app.member(&carrier, role).await;
        member.get(PATH).await.refused(403, "forbidden");
        member.get(&at).await.refused(403, "forbidden");
        member.post(PATH, a_key("gemini")).await.refused(403, "forbidden");
        member.patch(&at, json!({"key": ModelServer::KEY})).await.refused(403, "forbidden");
        member.delete(&at).await.refused(403, "forbidden");
    }
    let program = json!({"name": "Sync", "scopes": ["provider_keys:manage"]});
    assert_eq!(carrier.owner.post("/v1/api-keys", program).await.invalid_fields(), ["/scopes/0"]);
    assert_eq!(app.models.requests().len(), asked, "nobody else has us ask a provider");
    let admin = app.member(&carrier, "admin").await;
    admin.patch(&at, json!({"key": ModelServer::KEY})).await.expect(200);
}

#[tokio::test]
async fn another_carrier_sees_and_changes_no_key() {
    let app = TestApp::start().await;
    let (carrier, rival) = (app.carrier().await, app.carrier().await.owner);
    let row = carrier.owner.post(PATH, a_key("anthropic")).await.expect(201);
    let at = format!("{PATH}/{}", id(&row));
    rival.get(&at).await.refused(404, "not_found");
    rival.patch(&at, json!({"key": ModelServer::KEY})).await.refused(404, "not_found");
    rival.delete(&at).await.refused(404, "not_found");
    assert_eq!(rival.get(PATH).await.expect(200)["data"], json!([]));
    rival.post(PATH, a_key("anthropic")).await.expect(201);
    assert_eq!(carrier.owner.get(&at).await.expect(200), row);
}

/// Everything that the database has, of every table: the lines in which the text stands, as it is or as bytes.
async fn found_in_database(app: &TestApp, text: &str) -> Vec<String> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut superuser = app.superuser().await;
    let tables = superuser.fetch_all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await;
    let mut found = Vec::new();
    for table in tables.expect("the catalog can be read") {
        let table: String = table.get(0);
        let sql = format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%{text}%' OR t::text LIKE '%{hex}%'");
        if app.count(&sql).await > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn the_database_and_the_answers_have_nothing_of_the_key_but_its_end() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let key = format!("sk-{}-abcd", Uuid::now_v7().simple());
    app.models.accept_key(&key);
    let created = owner.post_once(PATH, "k", json!({"provider": "anthropic", "key": key})).await;
    assert!(!created.text.contains(&key[..12]), "{}", created.text);
    let row = created.expect(201);
    let at = format!("{PATH}/{}", id(&row));
    owner.patch(&at, json!({"key": key})).await.expect(200);
    app.models.revoke_keys();
    let refused = owner.patch(&at, json!({"key": key})).await;
    assert!(!refused.text.contains(&key), "{}", refused.text);
    for path in [PATH, &at, "/v1/events"] {
        assert!(!owner.get(path).await.text.contains(&key), "{path}");
    }
    assert_eq!(found_in_database(&app, &key).await, Vec::<String>::new());
    // What is looked for would be found.
    assert!(found_in_database(&app, &id(&row)).await.contains(&"audit_log".to_owned()));
    let events = format!("SELECT count(*) FROM tenant_events WHERE subject_id = '{}'", id(&row));
    assert_eq!(app.count(&events).await, 0, "drivers read the event log");
}

async fn opens(app: &TestApp, tenant: Uuid, key: &SealedKey) -> Result<(), OpenError> {
    let provider = vault_of(&app.models, &app.kms, true).open(TenantId(tenant), key).await?;
    Ok(provider.test(Instant::now() + Duration::from_secs(5)).await?)
}

#[tokio::test]
async fn the_worker_opens_a_key_for_its_carrier_and_as_it_was_written_alone() {
    let app = TestApp::start().await;
    let (carrier, rival): (Carrier, Carrier) = (app.carrier().await, app.carrier().await);
    let row = carrier.owner.post(PATH, a_key("gemini")).await.expect(201);
    rival.owner.post(PATH, a_key("gemini")).await.expect(201);
    let key = sealed(&app, carrier.id, ProviderName::Gemini).await.expect("it is there");
    assert_eq!(key.id.to_string(), id(&row));
    assert!(sealed(&app, carrier.id, ProviderName::Anthropic).await.is_none());

    opens(&app, carrier.id, &key).await.unwrap();
    let is_closed =
        |opened: Result<(), OpenError>| matches!(opened, Err(OpenError::Envelope(e)) if !e.to_string().contains("KMS"));
    assert!(is_closed(opens(&app, rival.id, &key).await), "under the context of another carrier");
    for moved in [
        SealedKey { id: sealed(&app, rival.id, ProviderName::Gemini).await.unwrap().id, ..key.clone() },
        SealedKey { provider: ProviderName::OpenaiCompatible, ..key.clone() },
        SealedKey { base_url: Some(app.models.openai_url()), ..key.clone() },
    ] {
        assert!(is_closed(opens(&app, carrier.id, &moved).await), "{moved:?}");
    }
    // Ciphertexts of two rows that are exchanged open for neither.
    app.run(&format!(
        "UPDATE provider_keys a SET ciphertext = b.ciphertext, data_key = b.data_key, nonce = b.nonce FROM provider_keys b \
         WHERE a.tenant_id = '{}' AND b.tenant_id = '{}'",
        rival.id, carrier.id
    ))
    .await;
    let exchanged = sealed(&app, rival.id, ProviderName::Gemini).await.unwrap();
    assert!(is_closed(opens(&app, rival.id, &exchanged).await));

    carrier.owner.delete(&format!("{PATH}/{}", id(&row))).await.expect(204);
    assert!(sealed(&app, carrier.id, ProviderName::Gemini).await.is_none());
}
