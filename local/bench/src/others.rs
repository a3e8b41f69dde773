//! The functions beside `api`, and the AWS that they speak to.

use carhaul_testkit::{AUDIENCE, Aws, LambdaRuntime};
use serde_json::json;

use crate::Outcome;
use crate::database::{Database, ISSUER, password};
use crate::function::{Function, World};

pub struct Others<'a> {
    world: &'a World,
    database: &'a Database,
    aws: Aws,
}

impl<'a> Others<'a> {
    pub async fn start(world: &'a World, database: &'a Database) -> Self {
        Self { world, database, aws: Aws::start().await }
    }

    /// An instance of the function, which logs in as this role.
    pub async fn instance(&self, function: &str, role: &str, more: &[(&str, &str)]) -> Outcome<LambdaRuntime> {
        self.aws.keep_secret(role, &json!({"username": role, "password": password(role)}));
        let places = self.world.places();
        let (host, port) = places.database.rsplit_once(':').ok_or("a place reads host:port")?;
        let (aws, discovery) = (self.aws.url(), format!("http://{}/.well-known/openid-configuration", places.issuer));
        let queue = |name: &str| format!("{aws}/000000000000/{name}");
        let (ai, dead_letters, realtime) = (queue("ai"), queue("ai-dead-letters"), queue("realtime"));
        let environment = [
            ("ENVIRONMENT", "local"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port),
            ("DATABASE_NAME", &self.database.name),
            ("DATABASE_TLS", "disable"),
            ("DATABASE_SECRET", role),
            ("OIDC_ISSUER", ISSUER),
            ("OIDC_DISCOVERY_URL", &discovery),
            ("OIDC_AUDIENCE", AUDIENCE),
            ("AI_QUEUE_URL", &ai),
            ("AI_DEAD_LETTER_QUEUE_URL", &dead_letters),
            ("DOCUMENTS_URL", "http://127.0.0.1:9/documents"),
            ("CHORES_QUEUE_URL", "http://127.0.0.1:9/chores"),
            ("REALTIME_URL", "ws://127.0.0.1/live"),
            ("REALTIME_QUEUE_URL", &realtime),
            ("AWS_ENDPOINT_URL", aws),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
        ];
        let bootstrap = self.world.bootstrap.with_file_name(format!("carhaul-{function}"));
        let runtime = LambdaRuntime::spawn(&bootstrap, environment.into_iter().chain(more.iter().copied())).await;
        Ok(runtime.map_err(|e| format!("{function}: {e:?}"))?)
    }

    /// An instance that answers the owner of this carrier.
    pub async fn of_owner(&self, function: &str, carrier: u32, more: &[(&str, &str)]) -> Outcome<Function> {
        let runtime = self.instance(function, "carhaul_api", more).await?;
        Ok(Function::from_runtime(runtime, self.world.token(carrier)))
    }
}
