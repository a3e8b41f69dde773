//! The fixed words of an order.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:tt),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant),*
        }

        $crate::text_column!($name);

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    )*};
}
pub(crate) use words;

words! {
    /// Where an order or a vehicle on it stands; each state comes after the one before. On hold and archived are flags.
    OrderStatus {
        New = "new",
        Assigned = "assigned",
        PickedUp = "picked_up",
        InTransit = "in_transit",
        Delivered = "delivered",
        Cancelled = "cancelled",
    }

    /// What else can happen to an order or a vehicle on it than a move.
    HistoryEvent {
        Held = "held",
        Released = "released",
        Archived = "archived",
        Unarchived = "unarchived",
        /// Vehicles went to an order of their own.
        Split = "split",
        /// Another driver, truck or trailer goes on with it.
        Relayed = "relayed",
    }

    /// What has been billed: a state of its own.
    BillingStatus {
        Unbilled = "unbilled",
        Invoiced = "invoiced",
        PartiallyPaid = "partially_paid",
        Paid = "paid",
    }

    TransportType {
        Open = "open",
        Enclosed = "enclosed",
        Driveaway = "driveaway",
    }

    VehicleType {
        Sedan = "sedan",
        Coupe = "coupe",
        Suv = "suv",
        Pickup = "pickup",
        Van = "van",
        Convertible = "convertible",
        Wagon = "wagon",
        Motorcycle = "motorcycle",
        Atv = "atv",
        Boat = "boat",
        Rv = "rv",
        Trailer = "trailer",
        Heavy = "heavy",
        Other = "other",
    }

    /// Why a vehicle cannot be driven onto the trailer.
    InoperableFlag {
        DoesNotRun = "does_not_run",
        DoesNotRoll = "does_not_roll",
        DoesNotSteer = "does_not_steer",
        NoKeys = "no_keys",
        FlatTire = "flat_tire",
    }
}
