//! What a message is made from. Times are those of the stop's own clock: the caller knows its zone.

use chrono::{NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::base::money::Amount;
use crate::base::text::{Name, Text};
use crate::orders::OrderId;

/// What is asked for: the order, and what is not on it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub order_id: OrderId,
    pub intent: Intent,
    pub channel: Channel,
    /// The customer's contact unless told.
    pub recipient: Option<Name>,
    /// On the clocks of the place where the driver is expected.
    pub eta: Option<NaiveDateTime>,
    pub reason: Option<Text<200>>,
    /// The order's price unless told.
    pub amount_due: Option<Amount>,
    pub due_on: Option<NaiveDate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub intent: Intent,
    pub channel: Channel,
    /// Who writes: the carrier's name.
    pub sender: Name,
    /// Whom it is to.
    pub recipient: Option<Name>,
    pub order: OrderFacts,
    /// When the driver is now expected.
    pub eta: Option<NaiveDateTime>,
    /// Why it is late, in words for the customer.
    pub reason: Option<Text<200>>,
    pub amount_due: Option<Amount>,
    pub due_on: Option<NaiveDate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    PickupConfirmation,
    EtaUpdate,
    Delay,
    DeliveryConfirmation,
    PaymentReminder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Sms,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderFacts {
    pub number: i64,
    /// The customer's own number.
    pub reference: Option<Text<60>>,
    pub pickup: Stop,
    pub delivery: Stop,
    pub vehicles: Vec<Vehicle>,
    pub currency: Option<Text<3>>,
    pub picked_up_at: Option<NaiveDateTime>,
    pub delivered_at: Option<NaiveDateTime>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub city: Name,
    pub state: Text<2>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    pub year: Option<i16>,
    pub make: Option<Text<60>>,
    pub model: Option<Text<60>>,
    pub vin: Option<Text<17>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Of an e-mail; a text message has none.
    pub subject: Option<String>,
    pub body: String,
    /// How many text messages it takes.
    pub segments: Option<usize>,
    /// JSON pointers into the input, in the order of their first use.
    pub facts_used: Vec<String>,
}
