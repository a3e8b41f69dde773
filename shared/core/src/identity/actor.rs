//! Who calls. An actor has shown a valid credential; what it may do is known once it has entered a tenant.

use uuid::Uuid;

use super::tokens::VerifiedToken;
use crate::base::ids::TenantId;
use crate::platform::db::Counted;

#[derive(Debug, Clone)]
pub struct Actor {
    pub credential: Verified,
    /// The tenant that the caller named; an actor with exactly one membership may leave it out.
    pub tenant: Option<TenantId>,
    /// Ties the answer, the log and the audit log together.
    pub request_id: Uuid,
    /// Whether this request has been counted against the plan.
    pub counted: Counted,
}

#[derive(Debug, Clone)]
pub enum Verified {
    User(VerifiedToken),
    /// SHA-256 of the key in hex. Whether it is one of ours, the database says on entry.
    ApiKey {
        hash: String,
    },
}

impl Actor {
    /// The first three arguments of `app.enter`: kind, issuer, subject.
    pub(crate) fn entry(&self) -> (&'static str, Option<&str>, &str) {
        match &self.credential {
            Verified::User(token) => ("user", Some(&token.issuer), &token.subject),
            Verified::ApiKey { hash } => ("api_key", None, hash),
        }
    }
}
