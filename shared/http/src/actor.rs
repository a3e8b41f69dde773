//! Who calls: the credential of the request, checked, and the tenant it names. Taking an [`Actor`] as an argument is
//! authentication; the operation's `begin` or `read` is authorization.

use axum::extract::{FromRef, FromRequestParts};
use carhaul_core::base::error::{Error, Result};
use carhaul_core::base::ids::TenantId;
use carhaul_core::identity::actor::{Actor, Verified};
use carhaul_core::identity::bearer::{BearerError, Credential};
use carhaul_core::identity::tokens::{TokenVerifier, VerifiedToken};
use carhaul_core::platform::db::Counted;
use http::request::Parts;
use http::{HeaderMap, header};
use uuid::Uuid;

use crate::envelope::RequestId;
use crate::problem::{Failure, Refusal};

/// A caller with a valid credential. In a wrapper of its own, since both the trait and the actor come from elsewhere.
pub struct Caller(pub Actor);

/// A caller who signed in as a person.
pub struct SignedIn {
    pub actor: Actor,
    pub token: VerifiedToken,
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(authenticate(parts, &TokenVerifier::from_ref(state)).await?))
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let actor = authenticate(parts, &TokenVerifier::from_ref(state)).await?;
        match actor.credential.clone() {
            Verified::User(token) => Ok(Self { actor, token }),
            Verified::ApiKey { .. } => Err(Error::Forbidden("an API key cannot act as a person".into()).into()),
        }
    }
}

async fn authenticate(parts: &Parts, verifier: &TokenVerifier) -> Result<Actor, Failure> {
    let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(Refusal::no_credential)?;
    let credential = header.to_str().map_or(Err(BearerError::NotBearer), Credential::parse);
    let credential = match credential.map_err(|e| Error::Unauthenticated(e.to_string().into()))? {
        Credential::Jwt(token) => Verified::User(verifier.verify(&token).await.map_err(Error::from)?),
        Credential::ApiKey(key) => Verified::ApiKey { hash: key.hash() },
    };
    let request_id = parts.extensions.get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0);
    let counted = parts.extensions.get::<Counted>().cloned().unwrap_or_default();
    Ok(Actor { credential, tenant: tenant(&parts.headers)?, request_id, counted })
}

fn tenant(headers: &HeaderMap) -> Result<Option<TenantId>> {
    let Some(value) = headers.get("tenant-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(|id| Some(TenantId(id))).ok_or_else(|| Error::invalid("Tenant-Id", "must be the UUID of a carrier"))
}
