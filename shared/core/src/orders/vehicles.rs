//! The vehicles on an order. A vehicle is part of its order: it is guarded by the order's version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::machine::{self, Moves};
use super::{InoperableFlag, MAX_VEHICLES, Order, OrderId, OrderStatus, VehicleType, save};
use crate::base::error::{ConflictCode, Error, Result, Violations};
use crate::base::money::Amount;
use crate::base::patch::Patch;
use crate::base::text::{LongText, Text};
use crate::base::vin::Vin;
use crate::platform::db::Tx;

crate::id!(VehicleId);

/// The vehicles of an order `t` as JSON, in their order.
pub const OF_ORDER: &str = "(SELECT coalesce(json_agg(v ORDER BY v.position), '[]') FROM (\
    SELECT v.id, v.position, v.status, v.vin, v.vin_override, v.year, v.make, v.model, v.type, v.color, v.lot_number, \
    v.weight_lbs, v.is_inoperable, v.inoperable_flags, v.price::text, v.notes, v.on_hold, v.hold_reason, v.picked_up_at, \
    v.delivered_at FROM order_vehicles v WHERE v.tenant_id = t.tenant_id AND v.order_id = t.id) v)";

/// A vehicle on an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Vehicle {
    pub id: VehicleId,
    /// The place on the order, from 1.
    pub position: i16,
    pub status: OrderStatus,
    #[schema(required)]
    pub vin: Option<String>,
    /// The VIN was kept although its check digit does not fit.
    pub vin_override: bool,
    #[schema(required)]
    pub year: Option<i16>,
    #[schema(required)]
    pub make: Option<String>,
    #[schema(required)]
    pub model: Option<String>,
    #[schema(required)]
    pub r#type: Option<VehicleType>,
    #[schema(required)]
    pub color: Option<String>,
    /// The auction's lot.
    #[schema(required)]
    pub lot_number: Option<String>,
    /// Pounds.
    #[schema(required)]
    pub weight_lbs: Option<i32>,
    pub is_inoperable: bool,
    pub inoperable_flags: Vec<InoperableFlag>,
    #[schema(required)]
    pub price: Option<Amount>,
    #[schema(required)]
    pub notes: Option<String>,
    /// Whether it waits: it cannot be picked up until it is released, while the rest of the order moves.
    pub on_hold: bool,
    /// Why it waits, such as keys that are missing.
    #[schema(required)]
    pub hold_reason: Option<String>,
    /// When it was picked up; null until then.
    #[schema(required)]
    pub picked_up_at: Option<DateTime<Utc>>,
    /// When it was delivered; null until then.
    #[schema(required)]
    pub delivered_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVehicle {
    pub vin: Option<Vin>,
    /// Keeps a VIN whose check digit does not fit: from before 1981, or foreign.
    #[serde(default)]
    pub vin_override: bool,
    #[schema(minimum = 1886, maximum = 2100, example = 2021)]
    pub year: Option<i16>,
    #[schema(example = "Ford")]
    pub make: Option<Text<60>>,
    #[schema(example = "F-150")]
    pub model: Option<Text<60>>,
    pub r#type: Option<VehicleType>,
    pub color: Option<Text<40>>,
    pub lot_number: Option<Text<40>>,
    /// Pounds.
    #[schema(minimum = 1, maximum = 200_000)]
    pub weight_lbs: Option<i32>,
    #[serde(default)]
    pub is_inoperable: bool,
    /// Any of them makes the vehicle inoperable.
    #[serde(default)]
    pub inoperable_flags: Vec<InoperableFlag>,
    pub price: Option<Amount>,
    pub notes: Option<LongText<1000>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VehiclePatch {
    #[serde(default)]
    pub vin: Patch<Option<Vin>>,
    /// Keeps a VIN whose check digit does not fit.
    #[serde(default)]
    pub vin_override: Patch<bool>,
    #[serde(default)]
    pub year: Patch<Option<i16>>,
    #[serde(default)]
    pub make: Patch<Option<Text<60>>>,
    #[serde(default)]
    pub model: Patch<Option<Text<60>>>,
    #[serde(default)]
    pub r#type: Patch<Option<VehicleType>>,
    #[serde(default)]
    pub color: Patch<Option<Text<40>>>,
    #[serde(default)]
    pub lot_number: Patch<Option<Text<40>>>,
    /// Pounds.
    #[serde(default)]
    pub weight_lbs: Patch<Option<i32>>,
    #[serde(default)]
    pub is_inoperable: Patch<bool>,
    #[serde(default)]
    pub inoperable_flags: Patch<Vec<InoperableFlag>>,
    #[serde(default)]
    pub price: Patch<Option<Amount>>,
    #[serde(default)]
    pub notes: Patch<Option<LongText<1000>>>,
}

impl NewVehicle {
    /// The vehicle as it goes onto an order.
    pub fn into_vehicle(self, position: i16, status: OrderStatus, at: &str, violations: &mut Violations) -> Vehicle {
        let mut vehicle = Vehicle {
            id: VehicleId::new(),
            position,
            status,
            vin: self.vin.map(|vin| vin.as_str().to_owned()),
            vin_override: self.vin_override,
            year: self.year,
            make: self.make.map(|text| text.to_string()),
            model: self.model.map(|text| text.to_string()),
            r#type: self.r#type,
            color: self.color.map(|text| text.to_string()),
            lot_number: self.lot_number.map(|text| text.to_string()),
            weight_lbs: self.weight_lbs,
            is_inoperable: self.is_inoperable,
            inoperable_flags: self.inoperable_flags,
            price: self.price,
            notes: self.notes.map(|text| text.to_string()),
            on_hold: false,
            hold_reason: None,
            picked_up_at: None,
            delivered_at: None,
        };
        vehicle.settle(at, violations);
        vehicle
    }
}

impl VehiclePatch {
    fn apply(self, vehicle: &mut Vehicle) {
        let text = |patch: Patch<Option<Text<60>>>, present: &mut Option<String>| {
            if let Patch::Set(value) = patch {
                *present = value.map(|text| text.to_string());
            }
        };
        text(self.make, &mut vehicle.make);
        text(self.model, &mut vehicle.model);
        if let Patch::Set(vin) = self.vin {
            vehicle.vin = vin.map(|vin| vin.as_str().to_owned());
            vehicle.vin_override = false;
        }
        if let Patch::Set(color) = self.color {
            vehicle.color = color.map(|text| text.to_string());
        }
        if let Patch::Set(lot) = self.lot_number {
            vehicle.lot_number = lot.map(|text| text.to_string());
        }
        if let Patch::Set(notes) = self.notes {
            vehicle.notes = notes.map(|text| text.to_string());
        }
        vehicle.vin_override = self.vin_override.over(vehicle.vin_override);
        vehicle.year = self.year.over(vehicle.year);
        vehicle.r#type = self.r#type.over(vehicle.r#type);
        vehicle.weight_lbs = self.weight_lbs.over(vehicle.weight_lbs);
        vehicle.inoperable_flags = self.inoperable_flags.over(std::mem::take(&mut vehicle.inoperable_flags));
        vehicle.is_inoperable = self.is_inoperable.over(vehicle.is_inoperable);
        vehicle.price = self.price.over(vehicle.price);
    }
}

impl Vehicle {
    /// Checks what types alone cannot, and draws what follows from the rest.
    fn settle(&mut self, at: &str, violations: &mut Violations) {
        let vin = self.vin.as_deref().and_then(|vin| Vin::parse(vin).ok());
        let check_digit_fits = vin.is_none_or(|vin| vin.check_digit_fits());
        // The override is kept only where it is needed, so that it tells something.
        let overridden = std::mem::take(&mut self.vin_override);
        self.vin_override = overridden && !check_digit_fits;
        violations.add_unless(
            check_digit_fits || overridden,
            format!("{at}/vin"),
            "the check digit does not fit; if the VIN is right all the same, set vin_override to true",
        );
        let years = 1886..=2100;
        violations.add_unless(
            self.year.is_none_or(|y| years.contains(&y)),
            format!("{at}/year"),
            "must be from 1886 to 2100",
        );
        let weights = 1..=200_000;
        let weight_fits = self.weight_lbs.is_none_or(|w| weights.contains(&w));
        violations.add_unless(weight_fits, format!("{at}/weight_lbs"), "must be from 1 to 200000 pounds");
        self.inoperable_flags.sort_unstable();
        self.inoperable_flags.dedup();
        self.is_inoperable |= !self.inoperable_flags.is_empty();
    }

    pub fn is_active(&self) -> bool {
        self.status != OrderStatus::Cancelled
    }
}

impl Order {
    /// The vehicles of an order that was loaded with them.
    pub fn loaded_vehicles(&self) -> &[Vehicle] {
        self.vehicles.as_deref().unwrap_or_default()
    }

    pub(super) fn loaded_vehicles_mut(&mut self) -> &mut Vec<Vehicle> {
        self.vehicles.get_or_insert_default()
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub fn vehicle(&self, id: VehicleId) -> Result<&Vehicle> {
        self.loaded_vehicles().iter().find(|vehicle| vehicle.id == id).ok_or(Error::NotFound("vehicle"))
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(super) fn vehicle_mut(&mut self, id: VehicleId) -> Result<&mut Vehicle> {
        self.loaded_vehicles_mut().iter_mut().find(|vehicle| vehicle.id == id).ok_or(Error::NotFound("vehicle"))
    }
}

/// Adds a vehicle to an order that is not under way.
pub async fn create(tx: &mut Tx, mut order: Order, new: NewVehicle) -> Result<(Order, VehicleId)> {
    still_open(&order)?;
    let vehicles = order.loaded_vehicles();
    if vehicles.iter().filter(|vehicle| vehicle.is_active()).count() >= MAX_VEHICLES {
        let detail = format!("an order has at most {MAX_VEHICLES} vehicles");
        return Err(machine::refused(ConflictCode::OrderFull, detail, order.status.next()));
    }
    let position = vehicles.iter().map(|vehicle| vehicle.position).max().unwrap_or(0) + 1;
    let mut violations = Violations::default();
    let vehicle = new.into_vehicle(position, order.status, "", &mut violations);
    violations.into_result()?;
    let id = vehicle.id;
    let mut moves = Moves::default();
    moves.enters(&vehicle);
    order.loaded_vehicles_mut().push(vehicle);
    moves.follow(&mut order);
    save::orders(tx, vec![(order, moves)]).await.map(|mut saved| (saved.remove(0), id))
}

/// Changes what is known of a vehicle, in any state: a VIN is often read at the pickup.
pub async fn update(tx: &mut Tx, mut order: Order, id: VehicleId, patch: VehiclePatch) -> Result<Order> {
    let vehicle = order.vehicle_mut(id)?;
    let mut violations = Violations::default();
    patch.apply(vehicle);
    vehicle.settle("", &mut violations);
    violations.into_result()?;
    let mut moves = Moves::default();
    moves.follow(&mut order);
    save::orders(tx, vec![(order, moves)]).await.map(|mut saved| saved.remove(0))
}

/// Takes a vehicle off an order that is not under way.
pub async fn delete(tx: &mut Tx, mut order: Order, id: VehicleId) -> Result<Order> {
    order.vehicle(id)?;
    still_open(&order)?;
    let mut moves = Moves::default();
    order.loaded_vehicles_mut().retain(|vehicle| vehicle.id != id);
    moves.leaves(id);
    moves.follow(&mut order);
    save::orders(tx, vec![(order, moves)]).await.map(|mut saved| saved.remove(0))
}

fn still_open(order: &Order) -> Result<()> {
    let open = matches!(order.status, OrderStatus::New | OrderStatus::Assigned) && order.vehicle_counts.picked_up == 0;
    let detail = "vehicles come and go only before the first pickup";
    if open { Ok(()) } else { Err(machine::refused(ConflictCode::UnderWay, detail, order.status.next())) }
}

/// The vehicles as one argument of a statement.
pub(super) fn as_argument(vehicles: &[(OrderId, &Vehicle)]) -> Json<Vec<serde_json::Value>> {
    Json(
        vehicles
            .iter()
            .map(|(order, vehicle)| {
                let mut value = serde_json::to_value(vehicle).unwrap_or_default();
                value["order_id"] = serde_json::json!(order);
                value
            })
            .collect(),
    )
}
