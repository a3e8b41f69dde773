//! How others join the carrier: an owner or admin invites an address, and whoever has the token takes it up.

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_literal;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::{Error, Result};
use crate::base::ids::UserId;
use crate::base::page::{Limit, Page};
use crate::base::strings::Email;
use crate::base::text::Text;
use crate::identity::actor::Actor;
use crate::identity::permissions::{Action, Grant, Role};
use crate::identity::tokens::VerifiedToken;
use crate::me::{self, Membership};
use crate::members::check_owner_rule;
use crate::platform::crypto::{random_token, sha256_hex};
use crate::platform::db::{Db, Resource, Sql, Tx};
use crate::platform::idempotency::IdempotencyKey;

crate::id!(InvitationId);

const UNVERIFIED: &str =
    "who is to run a carrier shows a verified e-mail address: send a token that says it, such as an ID token";

/// Somebody who was asked to work for the carrier.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    pub email: String,
    pub role: Role,
    /// The member who has asked.
    pub invited_by: UserId,
    pub expires_at: DateTime<Utc>,
    /// When it was taken up; null until then.
    #[schema(required)]
    pub accepted_at: Option<DateTime<Utc>>,
    /// Who has taken it up.
    #[schema(required)]
    pub accepted_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
}

/// A new invitation with its token.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedInvitation {
    #[serde(flatten)]
    pub invitation: Invitation,
    /// What the invited person sends to accept. Shown this once: only its hash is kept, and a repeated request gets null.
    #[schema(required)]
    pub token: Option<String>,
}

impl Resource for Invitation {
    const TABLE: &'static str = "invitations";
    const NAME: &'static str = "invitation";
    const COLUMNS: &'static str =
        "t.id, t.email, t.role, t.invited_by, t.expires_at, t.accepted_at, t.accepted_by, t.created_at";
    const READ: Action = Action::MembersRead;
    const WRITE: Action = Action::MembersWrite;

    fn id(&self) -> Uuid {
        self.id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    pub email: Email,
    /// Only an owner invites an owner.
    pub role: Role,
}

/// The taking up of an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The token of the invitation, as it was sent.
    pub token: Text<100>,
}

/// Lists invitations, newest first; `open` leaves out those that were accepted or have expired.
pub async fn list(db: &Db, actor: &Actor, open: bool, cursor: Option<&str>, limit: Limit) -> Result<Page<Invitation>> {
    db.list(actor, cursor, limit, |sql| {
        if open {
            sql.push(" AND t.accepted_at IS NULL AND t.expires_at > now()");
        }
    })
    .await
}

pub async fn get(db: &Db, actor: &Actor, id: InvitationId) -> Result<Invitation> {
    Ok(db.get(actor, id.0).await?.1)
}

/// Invites an address for seven days. An earlier invitation of the same address that is still open is replaced.
///
/// # Errors
/// [`Error::Forbidden`](crate::base::error::Error::Forbidden) when somebody else than an owner invites an owner.
pub async fn create(tx: &mut Tx, new: NewInvitation) -> Result<IssuedInvitation> {
    check_owner_rule(&tx.entered.grant, &[new.role])?;
    let token = random_token();
    let mut sql = Sql::new(
        "WITH replaced AS (DELETE FROM invitations i WHERE i.tenant_id = app.tenant_id() AND i.accepted_at IS NULL \
         AND lower(i.email) = lower(",
    );
    sql.push_bind(new.email.clone())
        .push(
            ")) INSERT INTO invitations AS t (tenant_id, id, email, role, token_hash, invited_by, expires_at) \
             VALUES (app.tenant_id(), ",
        )
        .push_bind(InvitationId::new())
        .push(", ")
        .push_bind(new.email)
        .push(", ")
        .push_bind(new.role)
        .push(", ")
        .push_bind(hash(&token))
        .push(", app.actor_id(), now() + interval '7 days') RETURNING ")
        .push(Invitation::COLUMNS);
    Ok(IssuedInvitation { invitation: tx.fetch_one(sql).await?, token: Some(token) })
}

/// Takes an invitation back, or forgets one that was accepted.
pub async fn delete(tx: &mut Tx, id: InvitationId) -> Result<()> {
    tx.delete::<Invitation>(id.0, None).await
}

/// Opens a transaction in the carrier that the token invites to, with the signed-in person as its member.
///
/// # Errors
/// [`Error::NotFound`](crate::base::error::Error::NotFound) for a token that is unknown, used or expired,
/// [`Error::Forbidden`](crate::base::error::Error::Forbidden) when the token says another address, or none that is verified
/// where the invitation is an owner's or admin's,
/// [`Error::OverLimit`](crate::base::error::Error::OverLimit).
pub async fn begin_accept(
    db: &Db,
    actor: &Actor,
    person: &VerifiedToken,
    acceptance: &Acceptance,
    key: Option<&IdempotencyKey>,
) -> Result<Tx> {
    let accept = format!(
        "SELECT app.accept_invitation('{}', {})",
        hash(acceptance.token.as_str()),
        person.email.as_deref().map_or("NULL".to_owned(), escape_literal),
    );
    let tx = db.begin_after(actor, &[me::sign_in(actor, person), accept], key).await?;
    let runs_the_carrier = matches!(tx.entered.grant, Grant::Role(Role::Owner | Role::Admin));
    if runs_the_carrier && !person.email_verified {
        return Err(Error::Forbidden(UNVERIFIED.into()));
    }
    Ok(tx)
}

/// What the person who has accepted is now.
///
/// # Errors
/// Those of [`Tx::fetch_one`].
pub async fn accepted(tx: &mut Tx) -> Result<Membership> {
    me::membership(tx).await
}

/// 256 random bits need no salt and no slow hash.
fn hash(token: &str) -> String {
    sha256_hex(&[token.as_bytes()])
}
