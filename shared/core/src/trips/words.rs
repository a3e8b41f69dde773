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

    /// What is done at a stop; `other` is fuel, rest, the yard.
    TripStopKind {
        Pickup = "pickup",
        Delivery = "delivery",
        Other = "other",
    }
}
