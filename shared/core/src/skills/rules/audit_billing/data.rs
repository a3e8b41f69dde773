//! What is audited, and what is found.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::base::money::Amount;
use crate::orders::{BillingStatus, OrderId, OrderStatus, PaymentMethod, PaymentTerm};

/// What is asked for. Further fields are for the instructions of a copy.
#[derive(Debug, Deserialize)]
pub struct Asked {
    pub order_id: OrderId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderFacts {
    pub status: OrderStatus,
    pub billing_status: BillingStatus,
    pub on_hold: bool,
    pub price: Option<Amount>,
    pub broker_fee: Option<Amount>,
    /// What the driver was to collect.
    pub cod_amount: Option<Amount>,
    /// What is recorded as collected.
    pub cod_collected: Option<Amount>,
    pub payment_method: Option<PaymentMethod>,
    pub payment_term: Option<PaymentTerm>,
    pub has_pod: bool,
    /// The customer's own number.
    pub reference: Option<String>,
    /// Where the invoice goes.
    pub customer_email: Option<String>,
    pub customer_address: Option<String>,
    /// When the windows close.
    pub pickup_to: DateTime<Utc>,
    pub delivery_to: DateTime<Utc>,
    pub vehicles: Vec<Vehicle>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    pub status: OrderStatus,
    pub vin: Option<String>,
    /// The VIN was kept although its check digit does not fit.
    pub vin_override: bool,
    pub price: Option<Amount>,
    pub picked_up_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// No issue is an error.
    pub ready: bool,
    pub issues: Vec<Issue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// JSON pointer into the order.
    pub field: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// An invoice would be wrong, or refused by the customer.
    Error,
    /// A person should look at it.
    Warning,
    Info,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    NotDelivered,
    OnHold,
    AlreadyInvoiced,
    NoVehicles,
    VehicleNotDelivered,
    PodMissing,
    PriceMissing,
    PriceIsZero,
    VehiclePricesDoNotAddUp,
    VehiclePriceMissing,
    FeeAbovePrice,
    PaymentMissing,
    PaymentDoesNotFit,
    CodNotRecorded,
    CodDiffers,
    CodAbovePrice,
    VinMissing,
    VinCheckDigit,
    VinRepeated,
    PickedUpLate,
    DeliveredLate,
    DeliveredBeforePickup,
    ReferenceMissing,
    CustomerAddressMissing,
}
