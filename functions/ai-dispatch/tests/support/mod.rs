//! What the tests of this function share.

use axum::Router;
use carhaul_ai_dispatch::app::{App, Nudges, service};
use carhaul_core::base::clock::Clock;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::platform::config::{OidcConfig, SigningAlgorithm};
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_testkit::{Aws, Database};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// As a superuser.
pub async fn run(sql: String) {
    let mut superuser = Database::get().await.direct().connect().await.expect("the database is up");
    superuser.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("the statement is SQL");
}

pub async fn role(name: &str) -> Db {
    Db::with_options(Database::get().await.options(name))
}

pub fn queue(aws: &Aws, name: &str) -> Queue {
    Queue::with_client(&format!("{}/{name}", aws.queue_url()), aws.sqs())
}

/// An instance for callers with API keys, which ask no issuer.
pub fn instance(db: Db, aws: &Aws) -> Router {
    let clock = Clock::system();
    let oidc = OidcConfig {
        issuer: "http://127.0.0.1:9".into(),
        discovery_url: None,
        audiences: vec!["carhaul".into()],
        algorithms: vec![SigningAlgorithm::Rs256],
    };
    let app = App {
        db,
        verifier: TokenVerifier::new(&oidc, clock.clone()),
        queue: queue(aws, "ai"),
        nudges: Nudges(queue(aws, "realtime")),
        clock,
        environment: "local",
    };
    service(app)
}
