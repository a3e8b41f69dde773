//! Failed credentials are throttled: five a minute for each address and claimed user, then exponential back-off, shared by
//! all function instances. Of an address all that claim nobody whom we know count together, so that making up users is of
//! no use. A valid credential is never throttled, so nobody can lock another out.

use std::net::IpAddr;

use super::tokens::ClaimedUser;
use crate::base::error::{Error, Result};
use crate::platform::crypto::sha256_hex;
use crate::platform::db::{Db, Sql};

/// Counts a failed credential.
///
/// # Errors
/// [`Error::Throttled`] from the sixth within a minute on; [`Error::Unavailable`].
pub async fn record_failure(db: &Db, address: Option<IpAddr>, user: Option<ClaimedUser>) -> Result<()> {
    let address = address.map_or(String::new(), |address| address.to_string());
    let of_nobody = sha256_hex(&[address.as_bytes()]);
    let record = |sql: &mut Sql| match &user {
        Some(ClaimedUser { issuer, subject }) => {
            let of_user = sha256_hex(&[address.as_bytes(), issuer.as_bytes(), subject.as_bytes()]);
            sql.push("SELECT app.record_auth_failure(CASE WHEN app.is_user(").push_bind(issuer.clone()).push(", ");
            sql.push_bind(subject.clone()).push(") THEN ").push_bind(of_user).push(" ELSE ");
            sql.push_bind(of_nobody.clone()).push(" END)");
        }
        None => {
            sql.push("SELECT app.record_auth_failure(").push_bind(of_nobody.clone()).push(")");
        }
    };
    let (wait,): (i32,) = db.fetch_one(record).await?;
    match u32::try_from(wait) {
        Ok(retry_after_seconds @ 1..) => Err(Error::Throttled { retry_after_seconds }),
        _ => Ok(()),
    }
}
