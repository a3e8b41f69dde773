//! Puts the parts together: state, routes, and what goes around every request.

use std::time::Duration;

use axum::extract::FromRef;
use axum::{Router, middleware};
use carhaul_core::base::clock::Clock;
use carhaul_core::executions::Execution;
use carhaul_core::executions::job::Job;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::platform::config::AiDispatchConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::telemetry;
use carhaul_http::{envelope, nudge, problem};

use crate::routes;

/// What a caller waits for the queue, at the most: what is accepted is not lost without it.
const SENDING: Duration = Duration::from_secs(2);

/// What handlers share; cloning is cheap.
#[derive(Clone, FromRef)]
pub struct App {
    pub db: Db,
    pub verifier: TokenVerifier,
    pub queue: Queue,
    /// Of those who push what has changed.
    pub nudges: Nudges,
    pub clock: Clock,
    /// Of the metrics.
    pub environment: &'static str,
}

/// In a type of its own, since it is another queue.
#[derive(Clone)]
pub struct Nudges(pub Queue);

impl App {
    pub fn from_config(config: &AiDispatchConfig, clock: Clock) -> Self {
        Self {
            db: Db::new(&config.function),
            verifier: TokenVerifier::new(&config.oidc, clock.clone()),
            queue: Queue::new(&config.ai_queue_url),
            nudges: Nudges(Queue::new(&config.realtime_queue_url)),
            clock,
            environment: config.function.environment.as_str(),
        }
    }

    /// Sends permits for what was accepted and committed. If the queue cannot be reached, housekeeping sends them later.
    pub async fn hand_on(&self, executions: &[Execution]) {
        let jobs: Vec<Job> = executions.iter().map(|execution| Job::Run { execution_id: execution.id }).collect();
        let sent = tokio::time::timeout(SENDING, self.queue.send_all(&jobs)).await;
        let cause = match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the queue took too long".to_owned(),
        };
        tracing::error!(count = jobs.len(), cause, "accepted and not queued");
        let count = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
        telemetry::count(&self.clock, &[("Environment", self.environment)], "ExecutionsUnqueued", count);
    }
}

/// The whole service.
pub fn service(app: App) -> Router {
    routes::all()
        .into_router()
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(middleware::from_fn_with_state((app.db.clone(), app.nudges.0.clone()), nudge::after))
        .layer(middleware::from_fn_with_state(app.db.clone(), envelope::wrap))
        .with_state(app)
}
