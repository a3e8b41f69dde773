//! What a match is made from and what comes out. The caller loads it inside the carrier.

use serde::{Deserialize, Serialize};

use crate::drivers::DriverId;
use crate::hauling::{Blocker, Candidate, Caution, Load};
use crate::orders::OrderId;

/// What is asked for. Further fields are for the instructions of a copy.
#[derive(Debug, Deserialize)]
pub struct Asked {
    pub order_ids: Vec<OrderId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The orders that one driver is to haul together.
    pub orders: Vec<Load>,
    pub drivers: Vec<Candidate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub drivers: Vec<Ranked>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranked {
    pub driver_id: DriverId,
    pub name: String,
    /// From 1.
    pub rank: u32,
    /// The sum of the factors' points, 0 to 100; 0 for who cannot.
    pub score: u32,
    pub factors: Vec<Factor>,
    /// Why this driver cannot.
    pub blockers: Vec<Blocker>,
    /// What a person should ask before.
    pub cautions: Vec<Caution>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    pub code: FactorCode,
    pub points: u32,
    pub of: u32,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorCode {
    /// How near the driver's last delivery before it is to the pickup.
    Nearness,
    /// How little else the driver has.
    Balance,
    /// How often the driver has delivered for the customer.
    Experience,
    /// How well the load fills the trailer.
    Fill,
    /// How long licence and medical card go on.
    Documents,
}
