//! The fixed words of a trip.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::orders::words;

words! {
    /// Where a trip stands; each state comes after the one before. Archived is a flag.
    TripStatus {
        Planning = "planning",
        Ready = "ready",
        InProgress = "in_progress",
        Delivered = "delivered",
        Completed = "completed",
        Cancelled = "cancelled",
    }

    /// What else can happen to a trip than a move.
    TripEvent {
        /// Another driver, truck or trailer goes on with it.
        Relayed = "relayed",
        /// What was recorded at a stop was wrong.
        StopCorrected = "stop_corrected",
    }

    /// What a person should see to. The first ones are rules that a plan must keep; they show here when something has changed
    /// since.
    TripWarningCode {
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
    }

    /// What is done at a stop; `other` is fuel, rest, the yard.
    TripStopKind {
        Pickup = "pickup",
        Delivery = "delivery",
        Other = "other",
    }
}
