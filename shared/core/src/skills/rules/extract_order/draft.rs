//! What is read out of a tender. The names are those of an order, so that a draft can become one field by field.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveTime};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::day::Day;
use crate::base::money::Amount;
use crate::base::strings::{Currency, Email, McNumber, Phone, StateCode, UsdotNumber, Zip};
use crate::base::text::{LongText, Name, Text};
use crate::base::vin::Vin;
use crate::base::whole::Whole;
use crate::orders::{InoperableFlag, OrderId, PaymentMethod, PaymentTerm, TransportType, VehicleType};

/// The longest text that is read, in characters.
pub const MAX_TEXT: usize = 200_000;
/// The longest quote, in characters.
pub const MAX_QUOTE: usize = 1000;
/// The most notes of one draft.
pub const MAX_NOTES: usize = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The tender as it was pasted or forwarded.
    pub text: LongText<MAX_TEXT>,
    /// When it arrived, as the carrier counts days: what a day without a year, a weekday or "tomorrow" is counted from.
    pub received_on: Option<Day>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub order: Draft,
    /// JSON pointers into `order`: what an order needs and the text does not tell.
    pub missing: Vec<String>,
    pub warnings: Vec<Warning>,
    /// Orders that this may be a copy of. Only the database knows them: whoever asked for the draft fills them in.
    pub possible_duplicates: Vec<PossibleDuplicate>,
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told<T> {
    pub value: T,
    /// From 0 to 1.
    pub confidence: f64,
    /// The words of the source that say so.
    pub quote: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub customer: Customer,
    pub reference: Option<Told<Text<60>>>,
    pub pickup: Stop,
    pub delivery: Stop,
    pub transport_type: Option<Told<TransportType>>,
    /// What the carrier is paid.
    pub price: Option<Told<Amount>>,
    pub broker_fee: Option<Told<Amount>>,
    /// What the driver collects.
    pub cod_amount: Option<Told<Amount>>,
    /// Only where it is told: a dollar sign alone is not.
    pub currency: Option<Told<Currency>>,
    pub payment_method: Option<Told<PaymentMethod>>,
    pub payment_term: Option<Told<PaymentTerm>>,
    pub vehicles: Vec<Vehicle>,
    /// Instructions, in the order of the text.
    pub notes: Vec<Told<LongText<MAX_QUOTE>>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    pub name: Option<Told<Name>>,
    pub contact_name: Option<Told<Name>>,
    pub phone: Option<Told<Phone>>,
    pub email: Option<Told<Email>>,
    pub mc_number: Option<Told<McNumber>>,
    pub usdot: Option<Told<UsdotNumber>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub name: Option<Told<Name>>,
    pub address: Option<Told<Text<200>>>,
    pub city: Option<Told<Name>>,
    pub state: Option<Told<StateCode>>,
    pub zip: Option<Told<Zip>>,
    pub contact_name: Option<Told<Name>>,
    pub phone: Option<Told<Phone>>,
    /// The window opens.
    pub from: Option<Told<LocalTime>>,
    /// The window closes.
    pub to: Option<Told<LocalTime>>,
    /// What an auction knows the buyer by.
    pub buyer_number: Option<Told<Text<40>>>,
    /// What opens the gate.
    pub gate_number: Option<Told<Text<40>>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    pub vin: Option<Told<Vin>>,
    pub year: Option<Told<Whole<1886, 2100>>>,
    pub make: Option<Told<Text<60>>>,
    pub model: Option<Told<Text<60>>>,
    pub r#type: Option<Told<VehicleType>>,
    pub color: Option<Told<Text<40>>>,
    pub lot_number: Option<Told<Text<40>>>,
    pub is_inoperable: Option<Told<bool>>,
    pub inoperable_flags: Vec<Told<InoperableFlag>>,
    pub price: Option<Told<Amount>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    pub code: WarningCode,
    /// JSON pointer into `order`.
    pub pointer: String,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The check digit of a VIN does not fit.
    VinCheckDigit,
    /// The text has something that is called a VIN and cannot be one.
    VinMalformed,
    /// One VIN twice.
    VinRepeated,
    VehiclePricesDoNotAddUp,
    PriceIsZero,
    FeeAbovePrice,
    CodAbovePrice,
    PaymentDoesNotFit,
    DeliveryBeforePickup,
    WindowClosesBeforeItOpens,
    /// More vehicles than one order can hold; the rest was left out.
    TooManyVehicles,
    /// The text says that there are more vehicles, or fewer.
    VehicleCountDiffers,
    /// The window closed before the tender arrived.
    DateInPast,
    /// A day whose numbers may be read in either order.
    DateAmbiguous,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PossibleDuplicate {
    pub order_id: OrderId,
    pub number: i64,
    /// What the two have in common.
    pub reason: String,
}

/// A day, or a minute of it, as the clocks of the stop show it: `2026-11-21`, `2026-11-21T08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    pub date: NaiveDate,
    pub time: Option<NaiveTime>,
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date.fmt(f)?;
        self.time.map_or(Ok(()), |time| write!(f, "T{}", time.format("%H:%M")))
    }
}

impl FromStr for LocalTime {
    type Err = &'static str;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a day or a local time, such as \"2026-11-21\" or \"2026-11-21T08:00\"";
        let (day, time) = raw.split_once('T').map_or((raw, None), |(day, time)| (day, Some(time)));
        let date = Day::parse(day).map_err(|_| FORM)?.date();
        let time = time
            .map(|time| (time.len() == 5).then(|| NaiveTime::parse_from_str(time, "%H:%M").ok()).flatten().ok_or(FORM));
        Ok(Self { date, time: time.transpose()? })
    }
}

impl Serialize for LocalTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
