//! What trucks and trailers have in common.

use crate::base::error::{Error, Result};
use crate::base::page::{Limit, Page};
use crate::base::patch::Patch;
use crate::base::text::Text;
use crate::base::vin::Vin;
use crate::identity::actor::Actor;
use crate::platform::db::{Db, Resource, Sql, push_archived};
use crate::platform::search;

/// The carrier's own number of a truck or trailer; in any case it is the same number.
pub type UnitNumber = Text<20>;
/// The number on a licence plate.
pub type Plate = Text<15>;

#[derive(Debug, Default)]
pub struct EquipmentFilter {
    pub enclosed: Option<bool>,
    /// Start of the unit number.
    pub q: Option<String>,
    pub archived: bool,
}

impl EquipmentFilter {
    fn push(&self, sql: &mut Sql) {
        push_archived(sql, self.archived);
        if let Some(enclosed) = self.enclosed {
            sql.push(" AND t.enclosed = ").push_bind(enclosed);
        }
    }
}

/// A page of trucks or of trailers.
pub(crate) async fn list<R: Resource>(
    db: &Db,
    actor: &Actor,
    filter: &EquipmentFilter,
    cursor: Option<&str>,
    limit: Limit,
) -> Result<Page<R>> {
    let prefix = search::prefix(filter.q.as_deref());
    let begins: Vec<_> = prefix.iter().map(|prefix| prefix.begins(R::TABLE, "unit_number_lower")).collect();
    db.list_rare(actor, cursor, limit, |sql| filter.push(sql), &begins).await
}

/// # Errors
/// [`Error::Invalid`] at `/vin` when the check digit does not fit and nobody has said to take the VIN all the same.
pub(crate) fn check_vin(vin: Option<&Vin>, vin_override: bool) -> Result<()> {
    match vin {
        Some(vin) if !vin_override && !vin.check_digit_fits() => Err(Error::invalid(
            "/vin",
            "its check digit (position 9) does not fit: correct the VIN, or send \"vin_override\": true to take it as it is",
        )),
        _ => Ok(()),
    }
}

/// As [`check_vin`], for a VIN that a patch sets.
///
/// # Errors
/// As [`check_vin`].
pub(crate) fn check_patched_vin(vin: &Patch<Option<Vin>>, vin_override: bool) -> Result<()> {
    match vin {
        Patch::Keep => Ok(()),
        Patch::Set(vin) => check_vin(vin.as_ref(), vin_override),
    }
}
