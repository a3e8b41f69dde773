//! Puts the parts together: state, routes, and what goes around every request.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::{Router, middleware};
use carhaul_core::base::clock::Clock;
use carhaul_core::billing::payments::Payments;
use carhaul_core::billing::return_urls::ReturnUrls;
use carhaul_core::identity::tokens::TokenVerifier;
use carhaul_core::platform::bucket::Bucket;
use carhaul_core::platform::config::ApiConfig;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::envelope::Envelope;
use carhaul_core::platform::queue::Queue;
use carhaul_core::provider_keys::Vault;
use carhaul_core::providers::Providers;
use carhaul_http::{envelope, nudge, problem};

use crate::routes;

/// What handlers share; cloning is cheap.
#[derive(Clone, FromRef)]
pub struct App {
    pub db: Db,
    pub verifier: TokenVerifier,
    pub payments: Payments,
    pub vault: Vault,
    /// Of documents.
    pub bucket: Bucket,
    pub clock: Clock,
    pub realtime: Realtime,
    /// Where work goes that takes longer than anybody waits.
    pub chores: Queue,
}

/// Where clients hear of changes, and where they are told of.
#[derive(Clone)]
pub struct Realtime {
    pub url: Arc<str>,
    pub queue: Queue,
}

impl App {
    pub fn from_config(config: &ApiConfig, clock: Clock) -> Self {
        Self {
            db: Db::new(&config.function),
            verifier: TokenVerifier::new(&config.oidc, clock.clone()),
            payments: Payments::new(
                config.stripe.clone(),
                ReturnUrls::new(&config.cors_origins, config.function.environment),
            ),
            vault: Vault::new(
                Providers::new(config.providers.clone(), clock.clone()),
                Envelope::new(&config.provider_keys_kms_key),
                clock.clone(),
            ),
            bucket: Bucket::new(&config.documents_url),
            clock,
            realtime: Realtime {
                url: config.realtime_url.as_str().into(),
                queue: Queue::new(&config.realtime_queue_url),
            },
            chores: Queue::new(&config.chores_queue_url),
        }
    }
}

/// The whole service.
pub fn service(app: App) -> Router {
    routes::all()
        .into_router()
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(middleware::from_fn_with_state((app.db.clone(), app.realtime.queue.clone()), nudge::after))
        .layer(middleware::from_fn_with_state(app.db.clone(), envelope::wrap))
        .with_state(app)
}
