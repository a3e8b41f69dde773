//! Whether a driver can haul an order with the truck and the trailer that it is assigned to: the rules that a trip keeps, asked
//! of each order for itself. Two orders whose windows overlap may well be hauled one after the other: that is told, not refused.

use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::actions::Assignment;
use super::order::{Include, Order, OrderId};
use crate::base::error::{Error, Result, Violations};
use crate::hauling::{self, BlockerCode, CautionCode, Hauler, Load, Warning, WarningCode, rows};

/// What a driver still has to do is among their latest orders; all that they ever had are not looked through for it.
const LATEST: i32 = 200;

/// What is asked of an assignment.
pub(super) struct Ability {
    to: Assignment,
    known: Known,
    /// What is to be hauled of each order.
    loads: Vec<Load>,
}

/// Who is to haul it, and what else they have to do.
#[derive(Deserialize)]
struct Known {
    #[serde(flatten)]
    hauler: Hauler,
    assignments: Vec<hauling::Assignment>,
}

/// An order with what the rules ask about; the first of several has what is known of who is to haul them.
pub(super) struct ToAssign {
    order: Order,
    load: Load,
    known: Option<Known>,
}

impl FromRow<'_, PgRow> for ToAssign {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(load) = row.try_get("load")?;
        let known: Option<Json<Known>> = row.try_get("known")?;
        Ok(Self { order: Order::from_row(row)?, load, known: known.map(|json| json.0) })
    }
}

/// The columns of [`ToAssign`], of orders `t` that are read in the order of their ids.
pub(super) fn columns(to: &Assignment) -> String {
    let id = |id: Option<Uuid>| id.map_or("NULL::uuid".to_owned(), |id| format!("'{id}'::uuid"));
    let driver = id(Some(to.driver_id.0));
    let (truck, trailer) = (id(to.truck_id.map(|id| id.0)), id(to.trailer_id.map(|id| id.0)));
    format!(
        "{}, {} AS load, CASE WHEN row_number() OVER (ORDER BY t.id) = 1 THEN json_build_object({}, 'assignments', \
         (SELECT coalesce(json_agg(x.a), '[]') FROM (SELECT {} FROM (SELECT * FROM orders o WHERE o.tenant_id = app.tenant_id() \
         AND o.driver_id = {driver} ORDER BY o.id DESC LIMIT {LATEST}) o \
         WHERE o.status IN ('assigned', 'picked_up', 'in_transit')) x)) END AS known",
        Include::PARTS.columns(),
        rows::load("t", "v.status <> 'cancelled'"),
        Hauler::members("app.tenant_id()", &driver, &truck, &trailer),
        rows::ASSIGNMENT,
    )
}

impl Ability {
    /// Of orders that were read with its columns; none where there are no orders.
    pub(super) fn of(to: &Assignment, read: Vec<ToAssign>) -> (Vec<Order>, Option<Self>) {
        let (mut orders, mut loads, mut known) = (Vec::new(), Vec::new(), None);
        for row in read {
            orders.push(row.order);
            loads.push(row.load);
            known = known.or(row.known);
        }
        (orders, known.map(|known| Self { to: to.clone(), known, loads }))
    }

    /// # Errors
    /// [`Error::Invalid`] naming what is not there or archived.
    pub(super) fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        let (truck, trailer) = (self.to.truck_id.map(|_| true), self.to.trailer_id.map(|_| true));
        self.known.hauler.check(Some(true), truck, trailer, &mut violations);
        violations.into_result()
    }

    /// What a person should see to when this order is assigned, beside those that were assigned before it.
    ///
    /// # Errors
    /// [`Error::Conflict`] that tells why it cannot be hauled.
    pub(super) fn judge(&mut self, order: OrderId) -> Result<Vec<Warning>> {
        let load = self.loads.iter().find(|load| load.id == order);
        let load = std::slice::from_ref(load.ok_or_else(|| Error::internal("an order was loaded without its load"))?);
        let mut driver = self.known.hauler.candidate(Some(self.to.driver_id), Vec::new());
        let verdict = hauling::judge(load, &driver);
        hauling::refuse(&verdict.blockers, &[])?;
        let twic: Vec<_> = verdict
            .cautions
            .iter()
            .filter(|it| it.code == CautionCode::TwicNeeded)
            .map(|it| it.detail.clone())
            .collect();
        let mut warnings = hauling::warnings(verdict, load, &driver, true);
        let mut warn = |code, message| {
            warnings.push(Warning { code, message, order_id: None, vehicle_id: None });
        };
        for message in twic {
            warn(WarningCode::TwicNeeded, message);
        }
        driver.assignments.clone_from(&self.known.assignments);
        // Alone nothing stands in its way.
        for blocker in hauling::judge(load, &driver).blockers {
            let message = match blocker.code {
                BlockerCode::Weight => format!("with other orders at the same time: {}", blocker.detail),
                _ => blocker.detail,
            };
            warn(WarningCode::OverlappingAssignment, message);
        }
        warnings.iter_mut().for_each(|warning| warning.order_id = Some(order));
        self.known.assignments.retain(|assignment| assignment.order_id != order);
        self.known.assignments.extend(load.iter().map(Load::assigned));
        Ok(warnings)
    }
}
