//! Failed credentials are throttled: five a minute for each address and claimed subject, then exponential back-off,
//! shared by all function instances. A valid credential is never throttled, so nobody can lock another out.

use std::net::IpAddr;

use sqlx::Row;

use crate::base::error::{Error, Result};
use crate::platform::crypto::sha256_hex;
use crate::platform::db::Db;

/// Counts a failed credential.
///
/// # Errors
/// [`Error::Throttled`] from the sixth within a minute on; [`Error::Unavailable`].
pub async fn record_failure(db: &Db, address: Option<IpAddr>, subject: Option<&str>) -> Result<()> {
    let address = address.map_or(String::new(), |address| address.to_string());
    let key = sha256_hex(&[address.as_bytes(), subject.unwrap_or_default().as_bytes()]);
    let rows = db.fetch(|sql| {
        sql.push("SELECT app.record_auth_failure(").push_bind(key.clone()).push(") AS wait");
    });
    let wait: i32 = rows.await?.first().map_or(Ok(0), |row| row.try_get("wait")).map_err(Error::internal)?;
    match u32::try_from(wait) {
        Ok(retry_after_seconds @ 1..) => Err(Error::Throttled { retry_after_seconds }),
        _ => Ok(()),
    }
}
