//! Who works for the carrier, and in which role.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::{Error, Result};
use crate::base::ids::UserId;
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::text::Name;
use crate::identity::actor::Actor;
use crate::identity::permissions::{Action, Grant, Role};
use crate::platform::db::{Assignments, Db, Loaded, Resource};

/// Somebody who works for the carrier.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Member {
    pub user_id: UserId,
    #[schema(required)]
    pub name: Option<String>,
    #[schema(required)]
    pub email: Option<String>,
    pub role: Role,
    /// Counts up with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Resource for Member {
    const TABLE: &'static str = "memberships";
    const NAME: &'static str = "member";
    const COLUMNS: &'static str =
        "t.user_id AS id, t.user_id, t.name, t.email, t.role, t.version, t.created_at, t.updated_at";
    const ID_COLUMN: &'static str = "user_id";
    const READ: Action = Action::MembersRead;
    const WRITE: Action = Action::MembersWrite;

    fn id(&self) -> Uuid {
        self.user_id.0
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    /// Only an owner makes and unmakes owners.
    #[serde(default)]
    pub role: Patch<Role>,
    #[serde(default)]
    pub name: Patch<Option<Name>>,
}

pub async fn list(
    db: &Db,
    actor: &Actor,
    role: Option<Role>,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<Member>> {
    db.list(actor, cursor, limit, |sql| {
        if let Some(role) = role {
            sql.push(" AND t.role = ").push_bind(role);
        }
    })
    .await
}

pub async fn get(db: &Db, actor: &Actor, id: UserId) -> Result<Member> {
    Ok(db.get(actor, id.0).await?.1)
}

/// Opens a transaction with the member's row locked: what the rules below say of its role still holds at the commit.
///
/// # Errors
/// Those of [`Db::begin`].
pub async fn begin(db: &Db, actor: &Actor, action: Action, id: UserId) -> Result<Loaded> {
    let lock = format!(
        "SELECT role FROM memberships WHERE tenant_id = app.tenant_id() AND user_id = '{id}' FOR NO KEY UPDATE"
    );
    db.begin_loading(actor, action, None, Some(&lock)).await
}

/// # Errors
/// [`Error::Forbidden`] when an owner is made or unmade by somebody else; a conflict for the last owner.
pub async fn update(loaded: &mut Loaded, id: UserId, version: Option<i64>, patch: MemberPatch) -> Result<Member> {
    let present = role(loaded)?;
    if let Patch::Set(wanted) = patch.role
        && wanted != present
    {
        check_owner_rule(&loaded.tx.entered.grant, &[present, wanted])?;
    }
    let mut changes = Assignments::default();
    changes.patch("role", patch.role).patch("name", patch.name);
    loaded.tx.update(id.0, version, changes).await
}

/// Removes a member. Everybody may leave; only an owner removes an owner.
///
/// # Errors
/// [`Error::Forbidden`]; a conflict for the last owner.
pub async fn remove(loaded: &mut Loaded, id: UserId, version: Option<i64>) -> Result<()> {
    let entered = &loaded.tx.entered;
    if entered.user_id != Some(id) {
        entered.grant.require(Action::MembersWrite)?;
        check_owner_rule(&entered.grant, &[role(loaded)?])?;
    }
    loaded.tx.delete::<Member>(id.0, version).await
}

fn role(loaded: &Loaded) -> Result<Role> {
    let row = loaded.rows.first().ok_or(Error::NotFound(Member::NAME))?;
    row.try_get("role").map_err(Error::internal)
}

/// Only an owner gives or takes what concerns an owner.
pub(crate) fn check_owner_rule(grant: &Grant, roles: &[Role]) -> Result<()> {
    if roles.contains(&Role::Owner) && *grant != Grant::Role(Role::Owner) {
        return Err(Error::Forbidden("only an owner makes, unmakes or removes an owner".into()));
    }
    Ok(())
}
