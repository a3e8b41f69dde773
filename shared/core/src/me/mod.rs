//! The signed-in person and the carriers they work for.

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_literal;
use serde::Serialize;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use crate::base::error::{ConflictCode, Error, Result};
use crate::base::ids::{TenantId, UserId};
use crate::identity::actor::Actor;
use crate::identity::permissions::Role;
use crate::identity::tokens::VerifiedToken;
use crate::platform::db::{Db, Sql, Tx};

/// The signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub id: UserId,
    /// As the identity provider says it.
    #[schema(required)]
    pub email: Option<String>,
    #[schema(required)]
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    /// The carriers you work for, the first joined first.
    pub memberships: Vec<Membership>,
}

/// A carrier that the person works for.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Membership {
    /// The carrier's id, for the header `Tenant-Id`.
    pub tenant_id: TenantId,
    /// The carrier's name.
    pub tenant_name: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

/// Signs the person in, which creates the user at the first time, and tells who they are, in one round trip.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn get(db: &Db, actor: &Actor, token: &VerifiedToken) -> Result<Me> {
    let rows = db.fetch(|sql| {
        sql.push(
            "SELECT s.user_id, s.email, s.name, s.created_at AS user_created_at, m.tenant_id, m.tenant_name, m.role, \
             m.created_at FROM app.sign_in(",
        );
        let mut arguments = sql.separated(", ");
        arguments
            .push_bind(token.issuer.clone())
            .push_bind(token.subject.clone())
            .push_bind(token.email.clone())
            .push_bind(token.name.clone())
            .push_bind(actor.request_id);
        // The memberships are those of the user whom signing in has set, hence LATERAL.
        sql.push(
            ") s LEFT JOIN LATERAL (SELECT * FROM app.my_memberships()) m ON true ORDER BY m.created_at, m.tenant_id",
        );
    });
    let rows = rows.await?;
    let first = rows.first().ok_or_else(|| Error::internal("app.sign_in returned no row"))?;
    let memberships = rows
        .iter()
        .filter(|row| matches!(row.try_get::<Option<TenantId>, _>("tenant_id"), Ok(Some(_))))
        .map(Membership::from_row)
        .collect::<Result<_, _>>();
    let me = || {
        Ok::<_, sqlx::Error>(Me {
            id: first.try_get("user_id")?,
            email: first.try_get("email")?,
            name: first.try_get("name")?,
            created_at: first.try_get("user_created_at")?,
            memberships: memberships?,
        })
    };
    me().map_err(Error::internal)
}

/// A carrier that keeps a person from going, or one that is to hear that they have gone.
#[derive(FromRow)]
struct Tie {
    tenant_id: TenantId,
    tenant_name: Option<String>,
    is_last_owner: bool,
}

/// Takes the person's identity away; what else names them is rewritten afterwards ([`crate::erasures`]). Returns who it was.
///
/// # Errors
/// A conflict that names the carriers that would be without an owner.
pub async fn erase(db: &Db, actor: &Actor, token: &VerifiedToken) -> Result<UserId> {
    let statements =
        [sign_in(actor, token), "SELECT app.user_id()".to_owned(), "SELECT * FROM app.erase_me()".to_owned()];
    let (tx, mut sets) = db.begin_system(&statements).await?;
    sets.next_set::<()>()?;
    let (id,): (UserId,) = sets.next_row()?.ok_or_else(|| Error::internal("app.sign_in set no user"))?;
    let ties: Vec<Tie> = sets.next_set()?;
    let ownerless: Vec<&str> =
        ties.iter().filter(|tie| tie.is_last_owner).filter_map(|tie| tie.tenant_name.as_deref()).collect();
    if !ownerless.is_empty() {
        let detail = format!(
            "you are the last owner of: {}. Make another member owner first, or delete the carrier",
            ownerless.join(", ")
        );
        return Err(Error::conflict(ConflictCode::LastOwner, detail));
    }
    tx.commit().await?;
    for tie in ties {
        db.note_listening(tie.tenant_id).await;
    }
    tracing::info!(actor_id = %id, "a user is to be erased");
    Ok(id)
}

/// The statement that signs a person in, for the opening of a transaction.
pub(crate) fn sign_in(actor: &Actor, token: &VerifiedToken) -> String {
    let optional = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), escape_literal);
    format!(
        "SELECT app.sign_in({}, {}, {}, {}, '{}')",
        escape_literal(&token.issuer),
        escape_literal(&token.subject),
        optional(&token.email),
        optional(&token.name),
        actor.request_id,
    )
}

/// The signed-in person's place in the carrier that the transaction has entered.
pub(crate) async fn membership(tx: &mut Tx) -> Result<Membership> {
    tx.fetch_one(Sql::new("SELECT m.* FROM app.my_memberships() m WHERE m.tenant_id = app.tenant_id()")).await
}
