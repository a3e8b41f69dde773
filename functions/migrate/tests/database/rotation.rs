//! Rotation against a real Postgres and a Secrets Manager that keeps one secret in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials as AwsCredentials, Region};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use carhaul_core::platform::aws;
use carhaul_core::platform::secrets::Credentials;
use carhaul_migrate::{MigrateError, Rotation, RotationRequest, Step};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use crate::support::{Setup, log_in, spare_role, superuser};

const STEPS: [Step; 4] = [Step::CreateSecret, Step::SetSecret, Step::TestSecret, Step::FinishSecret];

/// Versions by id: the text, if any, and the stages.
type Versions = BTreeMap<String, (Option<String>, Vec<String>)>;

#[derive(Clone, Default)]
struct Vault(Arc<Mutex<Versions>>);

impl Vault {
    /// The state in which Secrets Manager calls the first step: a version "new" without content awaits one.
    fn about_to_rotate(current: &Credentials) -> Self {
        let text = json!({"username": current.username, "password": current.password.expose(), "note": "stays"});
        let versions = Versions::from([
            ("old".to_owned(), (Some(text.to_string()), vec!["AWSCURRENT".to_owned()])),
            ("new".to_owned(), (None, vec!["AWSPENDING".to_owned()])),
        ]);
        Self(Arc::new(Mutex::new(versions)))
    }

    fn text(&self, stage: &str) -> Option<String> {
        let versions = self.0.lock().unwrap();
        versions.values().find(|(_, stages)| stages.iter().any(|s| s == stage)).and_then(|(text, _)| text.clone())
    }

    fn credentials(&self, stage: &str) -> Credentials {
        Credentials::parse("secret", &self.text(stage).unwrap()).unwrap()
    }

    async fn client(&self) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/", post(answer)).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version_latest()
            .region(Region::new("eu-west-1"))
            .credentials_provider(AwsCredentials::new("id", "key", None, None, "test"))
            .http_client(aws::http_client(Duration::from_secs(1)))
            .endpoint_url(url);
        Client::from_conf(config.build())
    }
}

async fn answer(State(vault): State<Vault>, headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    let request: Value = serde_json::from_str(&body).unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let mut versions = vault.0.lock().unwrap();
    let found = match operation.as_str() {
        "DescribeSecret" => {
            let stages: BTreeMap<_, _> = versions.iter().map(|(id, (_, stages))| (id, stages)).collect();
            Some(json!({"VersionIdsToStages": stages}))
        }
        "GetSecretValue" => versions.iter().find_map(|(id, (text, stages))| {
            let right_version = request["VersionId"].is_null() || request["VersionId"] == json!(id);
            let right_stage = stages.iter().any(|stage| request["VersionStage"] == json!(stage));
            text.as_ref().filter(|_| right_version && right_stage).map(|text| json!({"SecretString": text}))
        }),
        "PutSecretValue" => {
            let version = versions.get_mut(request["ClientRequestToken"].as_str().unwrap()).unwrap();
            version.0 = request["SecretString"].as_str().map(str::to_owned);
            Some(json!({}))
        }
        "UpdateSecretVersionStage" => {
            for (id, (_, stages)) in versions.iter_mut() {
                stages.retain(|stage| request["VersionStage"] != json!(stage));
                if request["MoveToVersionId"] == json!(id) {
                    stages.push(request["VersionStage"].as_str().unwrap().to_owned());
                }
            }
            Some(json!({}))
        }
        other => panic!("{other} is not expected"),
    };
    match found {
        Some(answer) => (StatusCode::OK, Json(answer)),
        None => (StatusCode::BAD_REQUEST, Json(json!({"__type": "ResourceNotFoundException", "message": "none"}))),
    }
}

async fn rotate(vault: &Vault, admin: &PgConnectOptions, step: Step) -> Result<(), MigrateError> {
    let secrets = vault.client().await;
    let request = RotationRequest { step, secret_id: "secret".to_owned(), client_request_token: "new".to_owned() };
    Rotation { secrets: &secrets, admin, request: &request }.run().await
}

#[tokio::test]
async fn a_rotated_password_works_and_the_old_one_no_longer_does_even_if_every_step_comes_twice() {
    let old = spare_role();
    let setup = Setup::with(&old).await;
    let database = &setup.database;
    setup.migrate().await.unwrap();
    let vault = Vault::about_to_rotate(&old);
    for step in STEPS {
        rotate(&vault, database, step).await.unwrap();
        rotate(&vault, database, step).await.unwrap();
    }
    let new = vault.credentials("AWSCURRENT");
    assert_eq!(new.username, old.username);
    assert!(new.password.expose().len() >= 40);
    assert!(vault.text("AWSCURRENT").unwrap().contains("stays"), "what else the secret holds is kept");
    log_in(database, &new).await.unwrap();
    assert!(log_in(database, &old).await.is_err());
    setup.clean_up().await;
}

#[tokio::test]
async fn a_password_that_the_database_does_not_know_is_not_made_current() {
    let old = spare_role();
    let setup = Setup::with(&old).await;
    let database = &setup.database;
    setup.migrate().await.unwrap();
    let vault = Vault::about_to_rotate(&old);
    rotate(&vault, database, Step::CreateSecret).await.unwrap();
    let error = rotate(&vault, database, Step::TestSecret).await.unwrap_err();
    assert!(error.to_string().contains("refuses the password"), "{error}");
    assert_eq!(vault.credentials("AWSCURRENT"), old);
    log_in(database, &old).await.unwrap();
    setup.clean_up().await;
}

#[tokio::test]
async fn switching_rotation_on_before_the_first_migration_is_no_failure() {
    let vault = Vault::about_to_rotate(&spare_role());
    rotate(&vault, &superuser().await, Step::CreateSecret).await.unwrap();
    rotate(&vault, &superuser().await, Step::TestSecret).await.unwrap();
}

#[tokio::test]
async fn switching_rotation_on_tests_the_current_password_while_the_pending_one_has_no_content() {
    let old = spare_role();
    let vault = Vault::about_to_rotate(&old);
    rotate(&vault, &superuser().await, Step::TestSecret).await.unwrap();
    let setup = Setup::with(&old).await;
    setup.migrate().await.unwrap();
    rotate(&vault, &setup.database, Step::TestSecret).await.unwrap();
    let wrong = Vault::about_to_rotate(&Credentials::new(&old.username, "another"));
    assert!(rotate(&wrong, &setup.database, Step::TestSecret).await.is_err());
    setup.clean_up().await;
}

#[tokio::test]
async fn a_version_without_content_is_not_made_current() {
    let old = spare_role();
    let vault = Vault::about_to_rotate(&old);
    let error = rotate(&vault, &superuser().await, Step::FinishSecret).await.unwrap_err();
    assert!(error.to_string().contains("no pending version"), "{error}");
    assert_eq!(vault.credentials("AWSCURRENT"), old);
}

#[tokio::test]
async fn a_version_that_the_secret_does_not_have_is_refused() {
    let vault = Vault::default();
    for step in STEPS {
        assert!(rotate(&vault, &superuser().await, step).await.is_err(), "{step:?}");
    }
}

#[tokio::test]
async fn only_roles_of_ours_are_rotated() {
    let vault = Vault::about_to_rotate(&Credentials::new("postgres", "x"));
    rotate(&vault, &superuser().await, Step::CreateSecret).await.unwrap();
    let error = rotate(&vault, &superuser().await, Step::SetSecret).await.unwrap_err();
    assert!(error.to_string().contains("postgres"), "{error}");
}
