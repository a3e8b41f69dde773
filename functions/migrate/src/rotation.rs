//! Rotation of a role's password, in the four steps in which Secrets Manager calls a rotation function. Each may be called
//! again. <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use aws_lc_rs::rand;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carhaul_core::platform::aws;
use carhaul_core::platform::secrets::Credentials;
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::error::MigrateError;
use crate::roles;

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    CreateSecret,
    SetSecret,
    TestSecret,
    FinishSecret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationRequest {
    pub step: Step,
    pub secret_id: String,
    /// The version of the secret that is being made.
    pub client_request_token: String,
}

/// What a rotation works with.
#[derive(Debug)]
pub struct Rotation<'a> {
    pub secrets: &'a Client,
    /// The database, as its administrator, past any pooler.
    pub admin: &'a PgConnectOptions,
    pub request: &'a RotationRequest,
}

impl Rotation<'_> {
    pub async fn run(&self) -> Result<(), MigrateError> {
        let secret = self.describe().await?;
        let stages =
            secret.version_ids_to_stages().and_then(|versions| versions.get(&self.request.client_request_token));
        match stages {
            None => return Err(refused("the secret has no such version")),
            Some(stages) if stages.iter().any(|stage| stage == CURRENT) => return Ok(()),
            Some(_) => {}
        }
        match self.request.step {
            Step::CreateSecret => self.create_secret().await,
            Step::SetSecret => self.set_secret().await,
            Step::TestSecret => self.test_secret().await,
            Step::FinishSecret => self.finish_secret(&secret).await,
        }
    }

    /// Keeps a new password in the secret, as its pending version. Everything else that the secret holds stays.
    async fn create_secret(&self) -> Result<(), MigrateError> {
        if self.text(PENDING).await?.is_some() {
            return Ok(());
        }
        let mut content: Map<String, Value> =
            serde_json::from_str(&self.current().await?).map_err(|_| refused("the secret is not a JSON object"))?;
        content.insert("password".to_owned(), Value::String(new_password()?));
        let put = self.secrets.put_secret_value().secret_id(&self.request.secret_id);
        let put = put.client_request_token(&self.request.client_request_token).version_stages(PENDING);
        put.secret_string(Value::Object(content).to_string()).send().await.map_err(failed)?;
        Ok(())
    }

    async fn set_secret(&self) -> Result<(), MigrateError> {
        let login = self.pending().await?;
        let mut server = self.admin.connect().await?;
        roles::set_password(&mut server, self.admin, &login).await?;
        server.close().await?;
        Ok(())
    }

    /// Secrets Manager also calls this step when rotation is switched on: with a pending version that may have no content,
    /// when the current one is tested, and before the first migration has made the roles, when there is nothing to test.
    async fn test_secret(&self) -> Result<(), MigrateError> {
        let login = match self.text(PENDING).await? {
            Some(text) => self.credentials(&text)?,
            None => self.credentials(&self.current().await?)?,
        };
        if roles::can_log_in(self.admin, &login).await? {
            return Ok(());
        }
        let mut server = self.admin.connect().await?;
        let exists = roles::exists(&mut server, &login.username).await?;
        server.close().await?;
        if exists { Err(refused("the database refuses the password")) } else { Ok(()) }
    }

    async fn finish_secret(&self, secret: &DescribeSecretOutput) -> Result<(), MigrateError> {
        self.pending().await?;
        let is_current = |stages: &[String]| stages.iter().any(|stage| stage == CURRENT);
        let mut versions = secret.version_ids_to_stages().into_iter().flatten();
        let current = versions.find(|(_, stages)| is_current(stages)).map(|(version, _)| version.clone());
        let update = self.secrets.update_secret_version_stage().secret_id(&self.request.secret_id);
        let update = update.version_stage(CURRENT).move_to_version_id(&self.request.client_request_token);
        update.set_remove_from_version_id(current).send().await.map_err(failed)?;
        tracing::info!(secret = self.request.secret_id, "password rotated");
        Ok(())
    }

    async fn describe(&self) -> Result<DescribeSecretOutput, MigrateError> {
        self.secrets.describe_secret().secret_id(&self.request.secret_id).send().await.map_err(failed)
    }

    async fn pending(&self) -> Result<Credentials, MigrateError> {
        let text = self.text(PENDING).await?.ok_or_else(|| refused("the secret has no pending version"))?;
        self.credentials(&text)
    }

    async fn current(&self) -> Result<String, MigrateError> {
        self.text(CURRENT).await?.ok_or_else(|| refused("the secret has no current version"))
    }

    fn credentials(&self, text: &str) -> Result<Credentials, MigrateError> {
        Ok(Credentials::parse(&self.request.secret_id, text)?)
    }

    /// The secret's text at a stage, if it has one there; the pending one is that of this rotation.
    async fn text(&self, stage: &str) -> Result<Option<String>, MigrateError> {
        let version = (stage == PENDING).then(|| self.request.client_request_token.clone());
        let get = self.secrets.get_secret_value().secret_id(&self.request.secret_id).version_stage(stage);
        match get.set_version_id(version).send().await {
            Ok(value) => Ok(value.secret_string),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// 240 bits in 40 characters that need no quoting anywhere.
fn new_password() -> Result<String, MigrateError> {
    let mut bytes = [0; 30];
    rand::fill(&mut bytes).map_err(|_| refused("no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn refused(reason: &str) -> MigrateError {
    MigrateError::Rotation(reason.to_owned())
}

fn failed<E>(error: SdkError<E>) -> MigrateError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    MigrateError::Rotation(aws::reason(&error))
}
