//! Who hauls it, with what, as they are on record.

use chrono::NaiveDate;
use serde::Deserialize;

use super::data::{Assignment, Candidate, Unit};
use super::rows;
use crate::base::error::Violations;
use crate::drivers::DriverId;

/// A driver, a truck and a trailer; none where none is named, and where there is none.
#[derive(Debug, Deserialize)]
pub struct Hauler {
    pub driver: Option<DriverFacts>,
    pub truck: Option<UnitFacts>,
    pub trailer: Option<UnitFacts>,
}

#[derive(Debug, Deserialize)]
pub struct DriverFacts {
    pub name: String,
    pub archived: bool,
    pub licence_expires_on: Option<NaiveDate>,
    pub medical_card_expires_on: Option<NaiveDate>,
    pub twic_expires_on: Option<NaiveDate>,
}

#[derive(Debug, Deserialize)]
pub struct UnitFacts {
    pub archived: bool,
    pub unit: Unit,
}

impl Hauler {
    /// The members of a JSON object that it is read from. Each argument is an SQL expression.
    pub fn members(tenant: &str, driver: &str, truck: &str, trailer: &str) -> String {
        let unit = |table: &str, id: &str| {
            format!(
                "(SELECT json_build_object('archived', k.archived_at IS NOT NULL, 'unit', {}) FROM {table} k \
                 WHERE k.tenant_id = {tenant} AND k.id = {id})",
                rows::UNIT
            )
        };
        format!(
            "'driver', (SELECT json_build_object('name', d.name, 'archived', d.archived_at IS NOT NULL, \
             'licence_expires_on', d.licence_expires_on, 'medical_card_expires_on', d.medical_card_expires_on, \
             'twic_expires_on', d.twic_expires_on) FROM drivers d WHERE d.tenant_id = {tenant} AND d.id = {driver}), \
             'truck', {}, 'trailer', {}",
            unit("trucks", truck),
            unit("trailers", trailer),
        )
    }

    /// What is named must be there, and what is named anew must not be archived: each is None when it is not named, else
    /// whether it is anew.
    pub fn check(&self, driver: Option<bool>, truck: Option<bool>, trailer: Option<bool>, violations: &mut Violations) {
        let mut check = |field: &str, is_new: Option<bool>, archived: Option<bool>| match (is_new, archived) {
            (Some(_), None) => violations.add(field, "there is no such thing in your carrier"),
            (Some(true), Some(true)) => violations.add(field, "is archived"),
            _ => {}
        };
        check("/driver_id", driver, self.driver.as_ref().map(|driver| driver.archived));
        check("/truck_id", truck, self.truck.as_ref().map(|truck| truck.archived));
        check("/trailer_id", trailer, self.trailer.as_ref().map(|trailer| trailer.archived));
    }

    /// As the rules ask about it. Who is archived can't be named anew; one who hauls it already may end it.
    pub fn candidate(&self, id: Option<DriverId>, assignments: Vec<Assignment>) -> Candidate {
        let driver = self.driver.as_ref();
        Candidate {
            id: id.unwrap_or(DriverId(uuid::Uuid::nil())),
            name: driver.map(|driver| driver.name.clone()).unwrap_or_default(),
            archived: false,
            licence_expires_on: driver.and_then(|driver| driver.licence_expires_on),
            medical_card_expires_on: driver.and_then(|driver| driver.medical_card_expires_on),
            twic_expires_on: driver.and_then(|driver| driver.twic_expires_on),
            truck: self.truck.as_ref().map(|truck| truck.unit.clone()),
            trailer: self.trailer.as_ref().map(|trailer| trailer.unit.clone()),
            assignments,
            delivered_for_customer: 0,
        }
    }
}
