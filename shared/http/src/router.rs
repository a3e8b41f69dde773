//! Routes that know their part of the API document, and write it only when asked: a cold start shall not pay for a
//! document that was committed long ago.

use axum::Router;
use carhaul_core::base::error::Result;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// For the macro below.
#[doc(hidden)]
pub use utoipa_axum;

use crate::answer::Answer;
use crate::problem::Failure;

/// What every handler returns.
pub type Outcome = Result<Answer, Failure>;

/// A path with its handlers, made by [`routes!`](crate::routes).
pub struct Route<S> {
    pub serve: fn(Router<S>) -> Router<S>,
    pub document: fn() -> UtoipaMethodRouter<S>,
}

/// The routes of a resource; `S` is what their handlers share.
pub struct Routes<S>(Vec<Route<S>>);

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn routes(mut self, route: Route<S>) -> Self {
        self.0.push(route);
        self
    }

    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// For serving requests.
    pub fn into_router(self) -> Router<S> {
        self.0.into_iter().fold(Router::new(), |router, route| (route.serve)(router))
    }

    /// What the handlers say of themselves.
    pub fn document(self) -> OpenApi {
        let all = self.0.into_iter().fold(OpenApiRouter::new(), |router, route| router.routes((route.document)()));
        all.into_openapi()
    }
}

/// The [`Route`](crate::router::Route) of handlers that share a path, each with its `#[utoipa::path]`.
#[macro_export]
macro_rules! routes {
    ($($first:ident $(:: $more:ident)*),+ $(,)?) => {
        $crate::router::Route {
            serve: |router| {
                use $crate::router::utoipa_axum::PathItemExt as _;
                $(
                    let path = $crate::router::utoipa_axum::routes!(@path [path()] of $first $(:: $more)*);
                    let methods = $crate::router::utoipa_axum::routes!(@path [methods()] of $first $(:: $more)*);
                    let takes_query: fn() -> bool = || {
                        static TAKES: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
                            let operation = $crate::router::utoipa_axum::routes!(@path [operation()] of $first $(:: $more)*);
                            $crate::query::has_parameters(&operation)
                        });
                        *TAKES
                    };
                    let router = methods.iter().fold(router, |router, method| {
                        let route = axum::routing::on(method.to_method_filter(), $first $(:: $more)*);
                        let refuse = axum::middleware::from_fn_with_state(takes_query, $crate::query::refuse);
                        router.route(&path, route.route_layer(refuse))
                    });
                )+
                router
            },
            document: || $crate::router::utoipa_axum::routes!($($first $(:: $more)*),+),
        }
    };
}
