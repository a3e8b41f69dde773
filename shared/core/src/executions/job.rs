//! What the queue of executions carries: ids, never content.

use serde::{Deserialize, Serialize};

use super::ExecutionId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// A permit to run one execution: this one, if it is its carrier's turn.
    Run { execution_id: ExecutionId },
    /// What failed for good, for an operator to look at; sent back to the queue it is run again.
    Failed { execution_id: ExecutionId, error: String },
}
