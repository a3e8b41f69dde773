//! What is told to a person who plans, and stands in nobody's way.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::data::{BlockerCode, Candidate, CautionCode, Load};
use super::rules::Verdict;
use crate::orders::{OrderId, TransportType, VehicleId, words};

words! {
    /// What a person should see to. The first ones are rules that a plan must keep; they show here when something has changed
    /// since.
    WarningCode {
        /// More vehicles than slots at the same time.
        Capacity = "capacity",
        /// More pounds than truck and trailer may carry.
        Weight = "weight",
        /// An enclosed order on an open trailer.
        EnclosedNeeded = "enclosed_needed",
        /// What is to be driven away does not run.
        NotDrivable = "not_drivable",
        DriverArchived = "driver_archived",
        LicenceExpires = "licence_expires",
        MedicalCardExpires = "medical_card_expires",
        LicenceNotRecorded = "licence_not_recorded",
        MedicalCardNotRecorded = "medical_card_not_recorded",
        /// Which truck and trailer it has is open.
        EquipmentNotKnown = "equipment_not_known",
        /// How much truck or trailer may carry is not recorded.
        WeightLimitNotRecorded = "weight_limit_not_recorded",
        /// What a vehicle weighs is not recorded.
        WeightNotRecorded = "weight_not_recorded",
        /// An inoperable vehicle, and no winch is recorded of truck and trailer.
        WinchNeeded = "winch_needed",
        /// A stop asks for a TWIC, and none of the driver is recorded that is valid then.
        TwicNeeded = "twic_needed",
        /// A vehicle cannot be picked up until it is released.
        VehicleOnHold = "vehicle_on_hold",
        /// The driver has other orders whose windows overlap, and not all may find room at the same time.
        OverlappingAssignment = "overlapping_assignment",
        /// An order on the trip is cancelled: it is to be taken off.
        OrderCancelled = "order_cancelled",
        /// The driver is on another trip that is in progress, too.
        DriverOnAnotherTrip = "driver_on_another_trip",
        /// The truck is on another trip that is in progress, too.
        TruckOnAnotherTrip = "truck_on_another_trip",
        /// The trailer is on another trip that is in progress, too.
        TrailerOnAnotherTrip = "trailer_on_another_trip",
    }
}

/// What a person should see to before, or while, something is on the road.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// A word for it that never changes.
    pub code: WarningCode,
    /// The same for a person.
    pub message: String,
    /// The order that it is about; null for a trip as a whole.
    #[schema(required)]
    pub order_id: Option<OrderId>,
    /// The vehicle on that order, if it is about one.
    #[schema(required)]
    pub vehicle_id: Option<VehicleId>,
}

/// What the rules say of loads: what stands in the way by now, what is not recorded, and what a vehicle needs. What stops need
/// is told where they are known. Only of a driver that is there something is missing.
pub fn warnings(verdict: Verdict, loads: &[Load], driver: &Candidate, has_driver: bool) -> Vec<Warning> {
    use WarningCode::*;
    let mut warnings = Vec::new();
    let mut warn = |code, message: String, order_id, vehicle_id| {
        warnings.push(Warning { code, message, order_id, vehicle_id });
    };
    for blocker in verdict.blockers {
        if let Some(code) = of_blocker(blocker.code) {
            warn(code, blocker.detail, None, None);
        }
    }
    for caution in verdict.cautions {
        match caution.code {
            CautionCode::LicenceNotRecorded if has_driver => warn(LicenceNotRecorded, caution.detail, None, None),
            CautionCode::MedicalCardNotRecorded if has_driver => {
                warn(MedicalCardNotRecorded, caution.detail, None, None);
            }
            CautionCode::EquipmentNotKnown => {
                warn(EquipmentNotKnown, "which truck and trailer it has is open".into(), None, None);
            }
            // Each is told of the vehicle or the stop that it is about.
            _ => {}
        }
    }
    if !loads.is_empty() {
        for unit in driver.units().filter(|unit| unit.max_weight_lbs.is_none()) {
            let message = format!("how much {} may carry is not recorded", unit.unit_number);
            warn(WeightLimitNotRecorded, message, None, None);
        }
    }
    for load in loads {
        for vehicle in &load.vehicles {
            let mut of_vehicle = |code, what: &str| {
                warn(code, format!("a vehicle of order {} {what}", load.number), Some(load.id), vehicle.id);
            };
            if vehicle.on_hold {
                of_vehicle(VehicleOnHold, "is on hold");
            }
            if load.transport_type == TransportType::Driveaway {
                continue;
            }
            if vehicle.weight_lbs.is_none() {
                of_vehicle(WeightNotRecorded, "has no weight on record");
            }
            if vehicle.is_inoperable && !driver.has_winch() {
                of_vehicle(WinchNeeded, "is inoperable, and no winch is on record");
            }
        }
    }
    warnings
}

fn of_blocker(code: BlockerCode) -> Option<WarningCode> {
    Some(match code {
        BlockerCode::Capacity => WarningCode::Capacity,
        BlockerCode::Weight => WarningCode::Weight,
        BlockerCode::EnclosedNeeded => WarningCode::EnclosedNeeded,
        BlockerCode::NotDrivable => WarningCode::NotDrivable,
        BlockerCode::LicenceExpires => WarningCode::LicenceExpires,
        BlockerCode::MedicalCardExpires => WarningCode::MedicalCardExpires,
        BlockerCode::OverlappingAssignment => WarningCode::OverlappingAssignment,
        // Told by name.
        BlockerCode::DriverArchived => return None,
    })
}
