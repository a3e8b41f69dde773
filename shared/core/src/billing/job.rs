//! What the billing queue carries: ids, never content, so that a message that comes twice or late does no harm.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Apply a stored event.
    Event { id: String },
    /// Bring a subscription to the state that Stripe says it has.
    Subscription { id: String },
}
