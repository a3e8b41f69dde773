//! What opens a WebSocket: a browser can send no header with the handshake, and a credential does not belong into a URL.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::base::error::Result;
use crate::platform::crypto::{random_token, sha256_hex};
use crate::platform::db::{Sql, Tx};

/// Nothing is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {}

/// A ticket for one connection, and where to connect.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedTicket {
    /// Opens one connection: `{url}?ticket={ticket}`. Shown this once: only its hash is kept, and a repeated request gets null.
    #[schema(required)]
    pub ticket: Option<String>,
    /// A minute from now.
    pub expires_at: DateTime<Utc>,
    /// Of the WebSocket.
    #[schema(example = "wss://example.com/live")]
    pub url: String,
}

/// Issues a ticket to the caller.
///
/// # Errors
/// [`Error::OverLimit`](crate::base::error::Error::OverLimit) when the carrier has as many connections as its plan allows.
pub async fn create(tx: &mut Tx, url: &str) -> Result<IssuedTicket> {
    #[derive(FromRow)]
    struct Row {
        expires_at: DateTime<Utc>,
    }
    let ticket = random_token();
    let mut sql = Sql::new(
        "INSERT INTO realtime_tickets (tenant_id, hash, user_id, api_key_id, expires_at) VALUES (app.tenant_id(), ",
    );
    sql.push_bind(hash(&ticket)).push(
        ", app.user_id(), CASE WHEN app.user_id() IS NULL THEN app.actor_id() END, now() + interval '1 minute') \
         RETURNING expires_at",
    );
    let row: Row = tx.fetch_one(sql).await?;
    Ok(IssuedTicket { ticket: Some(ticket), expires_at: row.expires_at, url: url.to_owned() })
}

/// 256 random bits need no salt and no slow hash.
pub(super) fn hash(ticket: &str) -> String {
    sha256_hex(&[ticket.as_bytes()])
}
