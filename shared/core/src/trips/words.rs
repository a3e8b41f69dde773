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

    /// What is done at a stop; `other` is fuel, rest, the yard.
    TripStopKind {
        Pickup = "pickup",
        Delivery = "delivery",
        Other = "other",
    }
}
