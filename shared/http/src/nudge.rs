//! Tells the workers of the push that something has changed, after it was committed and before the answer goes out: a function
//! sleeps as soon as it has answered.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::realtime::nudge;

/// Middleware: `axum::middleware::from_fn_with_state((db, queue), nudge::after)`.
pub async fn after(State((db, queue)): State<(Db, Queue)>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    nudge::send(&queue, db.take_listening().await).await;
    response
}
