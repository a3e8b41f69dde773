//! What the rules are asked about, and what they say. The caller loads it inside the carrier.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::customers::CustomerId;
use crate::drivers::DriverId;
use crate::orders::{OrderId, OrderStatus, TransportType, VehicleId};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub id: OrderId,
    pub number: i64,
    pub customer_id: CustomerId,
    pub transport_type: TransportType,
    pub pickup: StopFacts,
    pub delivery: StopFacts,
    pub vehicles: Vec<VehicleFacts>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopFacts {
    pub place: Place,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// The local day on which the window closes.
    pub last_day: NaiveDate,
    /// Of the location, if the stop is at one.
    pub twic_required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub city: String,
    pub state: String,
    pub zip: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VehicleFacts {
    #[serde(default)]
    pub id: Option<VehicleId>,
    pub weight_lbs: Option<i32>,
    pub is_inoperable: bool,
    /// It cannot be picked up yet, and keeps its slot.
    #[serde(default)]
    pub on_hold: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    pub id: DriverId,
    pub name: String,
    pub archived: bool,
    /// The last day on which it is valid.
    pub licence_expires_on: Option<NaiveDate>,
    /// The last day on which it is valid.
    pub medical_card_expires_on: Option<NaiveDate>,
    /// The last day on which it is valid.
    #[serde(default)]
    pub twic_expires_on: Option<NaiveDate>,
    /// What the driver drives: that of the latest order, say.
    pub truck: Option<Unit>,
    pub trailer: Option<Unit>,
    /// Orders of the driver that are not over, and the last one that is.
    pub assignments: Vec<Assignment>,
    /// How many orders of these customers the driver has delivered.
    pub delivered_for_customer: u32,
}

/// A truck or a trailer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub unit_number: String,
    /// Vehicle slots.
    pub capacity: i16,
    pub max_weight_lbs: Option<i32>,
    pub enclosed: bool,
    /// None: nobody has recorded it.
    #[serde(default)]
    pub has_winch: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    pub order_id: OrderId,
    pub number: i64,
    pub status: OrderStatus,
    pub pickup_from: DateTime<Utc>,
    pub delivery_to: DateTime<Utc>,
    pub delivery: Place,
    /// Those that take up slots.
    pub vehicles: Vec<VehicleFacts>,
}

impl Load {
    /// As what its driver has to do from now on.
    pub fn assigned(&self) -> Assignment {
        Assignment {
            order_id: self.id,
            number: self.number,
            status: OrderStatus::Assigned,
            pickup_from: self.pickup.from,
            delivery_to: self.delivery.to,
            delivery: self.delivery.place.clone(),
            vehicles: self.vehicles.clone(),
        }
    }
}

impl Assignment {
    pub fn is_open(&self) -> bool {
        !matches!(self.status, OrderStatus::Delivered | OrderStatus::Cancelled)
    }
}

impl Candidate {
    pub fn open_vehicles(&self) -> usize {
        self.assignments
            .iter()
            .filter(|assignment| assignment.is_open())
            .map(|assignment| assignment.vehicles.len())
            .sum()
    }

    /// Whether it can load what does not drive, as far as is known.
    pub fn has_winch(&self) -> bool {
        self.truck.iter().chain(&self.trailer).any(|unit| unit.has_winch == Some(true))
    }

    /// Truck and trailer, where they can carry anything.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.truck.iter().chain(&self.trailer).filter(|unit| unit.capacity > 0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocker {
    pub code: BlockerCode,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockerCode {
    DriverArchived,
    LicenceExpires,
    MedicalCardExpires,
    Capacity,
    Weight,
    EnclosedNeeded,
    OverlappingAssignment,
    /// What is to be driven away does not run.
    NotDrivable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caution {
    pub code: CautionCode,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CautionCode {
    LicenceNotRecorded,
    MedicalCardNotRecorded,
    EquipmentNotKnown,
    WeightNotKnown,
    WinchNeeded,
    TwicNeeded,
    /// A vehicle that cannot be picked up until it is released.
    VehicleOnHold,
}
