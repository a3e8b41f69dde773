//! The function `migrate`: invoked with `{}` it migrates, with `{"prices": [..]}` or `{"ai_prices": [..]}` it loads a price list;
//! Secrets Manager invokes it to rotate a role's password.

use carhaul_core::platform::config::{MigrateConfig, RoleSecret};
use carhaul_core::platform::secrets::{Credentials, Secrets};
use carhaul_core::platform::telemetry;
use carhaul_migrate::prices::{self, Loaded};
use carhaul_migrate::{MigrateError, Outcome, Rotation, RotationRequest, ai_prices, direct, migrate};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Rotate(RotationRequest),
    Migrate(Nothing),
}

/// The empty object and no other: a mistyped request to rotate must not migrate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Migrated(Outcome),
    Loaded(Loaded),
    Rotated {},
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = MigrateConfig::from_env()?;
    telemetry::init(&config.log_level);
    let config = &config;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let answer = answer(config, &event.payload).await;
        answer.inspect_err(|error| tracing::error!(%error, "failed")).map_err(Error::from)
    }))
    .await
}

async fn answer(config: &MigrateConfig, event: &Value) -> Result<Answer, MigrateError> {
    // Read anew each time: the administrator's password is rotated too, by RDS.
    let secrets = Secrets::new();
    let owner = async || {
        Ok::<_, MigrateError>(direct(&config.database, &secrets.read::<Credentials>(&config.owner_secret).await?))
    };
    // One that is about both is refused by either.
    let loaded = if let Some(prices) = ai_prices::parse(event) {
        Some(ai_prices::load(&owner().await?, &prices?).await?)
    } else if let Some(prices) = prices::parse(event) {
        Some(prices::load(&owner().await?, &prices?).await?)
    } else {
        None
    };
    if let Some(loaded) = loaded {
        tracing::info!(?loaded, "prices loaded");
        return Ok(Answer::Loaded(loaded));
    }
    let request = Request::deserialize(event).map_err(|error| MigrateError::Invalid(vec![error.to_string()]))?;
    let admin = direct(&config.database, &secrets.read::<Credentials>(&config.admin_secret).await?);
    match request {
        Request::Rotate(request) => {
            let rotation = Rotation { secrets: secrets.client().await, admin: &admin, request: &request };
            rotation.run().await?;
            Ok(Answer::Rotated {})
        }
        Request::Migrate(Nothing {}) => {
            let owner: Credentials = secrets.read(&config.owner_secret).await?;
            let mut roles = Vec::new();
            for named in &config.role_secrets {
                roles.push(role(&secrets, named).await?);
            }
            let outcome = migrate(&admin, &owner, &roles).await?;
            tracing::info!(applied = ?outcome.applied, version = outcome.version, "migrated");
            Ok(Answer::Migrated(outcome))
        }
    }
}

/// A role's login, after a check that the secret is that role's and not another's.
async fn role(secrets: &Secrets, named: &RoleSecret) -> Result<Credentials, MigrateError> {
    let credentials: Credentials = secrets.read(&named.secret).await?;
    if credentials.username == named.role {
        Ok(credentials)
    } else {
        Err(MigrateError::UnknownRole(credentials.username))
    }
}
