//! The list that dispatchers live in: filters, search, sorts, tab counts. Every filter has an index that row-level
//! security leaves usable (uuid, text, date and time operators are leakproof).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

pub use super::order::Include;
use super::order::{IS_LATE, Order};
use super::ways::{Each, Search};
use super::{BillingStatus, OrderStatus, PaymentTerm, TransportType};
use crate::base::day::Day;
use crate::base::error::Result;
use crate::base::ids::UserId;
use crate::base::page::{Limit, Page};
use crate::base::strings::StateCode;
use crate::base::text::Text;
use crate::customers::CustomerId;
use crate::drivers::DriverId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::lookups::custom_statuses::CustomStatusId;
use crate::lookups::tags::TagId;
use crate::platform::db::list::{self, Column, Cursor, Key, Sort as _, push_any, push_words};
use crate::platform::db::{Db, Sql};
use crate::platform::search;
use crate::trips::TripId;
use crate::trucks::TruckId;

/// Everything that dispatchers filter by. Lists mean any of them; different filters must all hold.
#[derive(Debug, Default)]
pub struct Filter {
    pub status: Vec<OrderStatus>,
    pub custom_status: Vec<CustomStatusId>,
    pub unassigned: Option<bool>,
    pub driver: Vec<DriverId>,
    pub truck: Option<TruckId>,
    pub trip: Option<TripId>,
    pub dispatcher: Option<UserId>,
    pub customer: Vec<CustomerId>,
    pub tag: Vec<TagId>,
    pub pickup: PlaceAndTime,
    pub delivery: PlaceAndTime,
    pub transport_type: Option<TransportType>,
    pub is_inoperable: Option<bool>,
    pub payment_term: Vec<PaymentTerm>,
    pub billing_status: Vec<BillingStatus>,
    pub has_pod: Option<bool>,
    pub late: Option<bool>,
    pub on_hold: Option<bool>,
    pub vehicles_on_hold: Option<bool>,
    pub archived: bool,
    /// Prefixes of order number, reference, VIN or its last six, lot number, words of the customer's name.
    pub q: Option<String>,
}

#[derive(Debug, Default)]
pub struct PlaceAndTime {
    pub state: Option<StateCode>,
    pub city: Option<Text<60>>,
    pub zip: Option<Text<60>>,
    /// First and last local day.
    pub from: Option<Day>,
    pub to: Option<Day>,
}

/// The order of the list; a minus sorts the other way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OrderSort)]
pub enum Sort {
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
    #[serde(rename = "created_at")]
    OldestFirst,
    #[serde(rename = "number")]
    Number,
    #[serde(rename = "-number")]
    NumberDescending,
    #[serde(rename = "pickup_date")]
    PickupDate,
    #[serde(rename = "-pickup_date")]
    PickupDateDescending,
    #[serde(rename = "delivery_date")]
    DeliveryDate,
    #[serde(rename = "-delivery_date")]
    DeliveryDateDescending,
    #[serde(rename = "updated_at")]
    LeastRecentlyUpdated,
    #[serde(rename = "-updated_at")]
    RecentlyUpdated,
}

impl list::Sort for Sort {
    fn column(self) -> (Option<Column>, bool) {
        match self {
            Self::NewestFirst => (None, true),
            Self::OldestFirst => (None, false),
            Self::Number => (Some(Column::Number("t.number")), false),
            Self::NumberDescending => (Some(Column::Number("t.number")), true),
            Self::PickupDate => (Some(Column::Date("t.pickup_date")), false),
            Self::PickupDateDescending => (Some(Column::Date("t.pickup_date")), true),
            Self::DeliveryDate => (Some(Column::Date("t.delivery_date")), false),
            Self::DeliveryDateDescending => (Some(Column::Date("t.delivery_date")), true),
            Self::LeastRecentlyUpdated => (Some(Column::Time("t.updated_at")), false),
            Self::RecentlyUpdated => (Some(Column::Time("t.updated_at")), true),
        }
    }
}

impl Sort {
    fn key(self, order: &Order) -> Key {
        match self {
            Self::NewestFirst | Self::OldestFirst => Key::Id,
            Self::Number | Self::NumberDescending => Key::Number(order.number),
            Self::PickupDate | Self::PickupDateDescending => Key::Date(order.pickup.date),
            Self::DeliveryDate | Self::DeliveryDateDescending => Key::Date(order.delivery.date),
            Self::LeastRecentlyUpdated | Self::RecentlyUpdated => Key::Time(order.updated_at),
        }
    }
}

/// Counts stop here: a tab that says 1000 means 1000 or more.
pub const COUNT_CAP: i64 = 1000;

/// A page of orders, with the counts of the tabs when they were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    #[serde(flatten)]
    pub page: Page<Order>,
    /// With `include=counts`: orders in each status that pass the other filters. 1000 means 1000 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, i64>>,
}

/// What to return.
#[derive(Debug, Default)]
pub struct View {
    pub sort: Sort,
    pub include: Include,
    pub counts: bool,
    pub cursor: Option<String>,
    pub limit: Limit,
}

/// Reads one page, in one round trip.
///
/// # Errors
/// [`Error::Invalid`] for a cursor of another list; those of [`Db::read`].
pub async fn list(db: &Db, actor: &Actor, filter: &Filter, view: &View) -> Result<OrderList> {
    let cursor = Cursor::read("orders", view.cursor.as_deref(), view.sort)?;
    let words = search::words(filter.q.as_deref());
    let page = |sql: &mut Sql| {
        let search = Search::push(sql, &words);
        let in_order = format!("{} LIMIT {}", view.sort.order(), view.limit.fetch());
        sql.push("SELECT t.* FROM ").push(search.found()).push("(");
        search.push_ways(sql, &view.include.columns(), &in_order, filter.each(view.sort), |sql| {
            push_words(sql, "t.status", filter.status.iter().map(|status| status.as_str()));
            filter.push(sql);
            if let Some(cursor) = &cursor {
                cursor.push(sql);
            }
        });
        sql.push(") t").push(in_order);
    };
    let counts = |sql: &mut Sql| {
        let search = Search::push(sql, &words);
        sql.push("SELECT json_object_agg(s.status, (SELECT count(*) FROM (SELECT 1 FROM (");
        search.push_ways(sql, "1", &format!(" LIMIT {COUNT_CAP}"), None, |sql| {
            sql.push(" AND t.status = s.status");
            filter.push(sql);
        });
        sql.push(") t LIMIT ").push(COUNT_CAP).push(") c)) AS aside FROM ").push(search.found()).push("unnest(");
        sql.push_bind(OrderStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>())
            .push(") AS s (status)");
    };
    let (entered, orders, counts) = if view.counts {
        let (entered, orders, Json(counts)) = db.read_with(actor, Action::OrdersRead, page, counts).await?;
        (entered, orders, Some(counts))
    } else {
        let (entered, orders) = db.read::<Order>(actor, Action::OrdersRead, page).await?;
        (entered, orders, None)
    };
    let orders = orders.into_iter().map(|order: Order| order.shown_to(&entered)).collect();
    let page = Page::from_rows("orders", orders, view.limit, |order: &Order| {
        Cursor(view.sort, view.sort.key(order), order.id.0)
    });
    Ok(OrderList { page, counts })
}

/// What is still to be done; there is an index of it for each sort.
const OPEN: [OrderStatus; 4] = [OrderStatus::New, OrderStatus::Assigned, OrderStatus::PickedUp, OrderStatus::InTransit];

impl Filter {
    /// Several drivers or customers, in an order that their indexes have.
    fn each(&self, sort: Sort) -> Option<Each> {
        let drivers = ("driver_id", self.driver.iter().map(|id| id.0).collect::<BTreeSet<_>>());
        let customers = ("customer_id", self.customer.iter().map(|id| id.0).collect::<BTreeSet<_>>());
        let several = [drivers, customers].into_iter().find(|(_, values)| values.len() > 1);
        let (column, values) = several.filter(|_| sort.column().0.is_none())?;
        Some(Each { column, values: values.into_iter().collect() })
    }

    /// Writes every filter but the status and the words.
    fn push(&self, sql: &mut Sql) {
        sql.push(if self.archived { " AND t.archived_at IS NOT NULL" } else { " AND t.archived_at IS NULL" });
        push_any(sql, "t.custom_status_id", self.custom_status.iter().copied());
        push_any(sql, "t.driver_id", self.driver.iter().copied());
        push_any(sql, "t.truck_id", self.truck);
        push_any(sql, "t.trip_id", self.trip);
        push_any(sql, "t.dispatcher_id", self.dispatcher);
        push_any(sql, "t.customer_id", self.customer.iter().copied());
        push_words(sql, "t.payment_term", self.payment_term.iter());
        push_words(sql, "t.billing_status", self.billing_status.iter().map(|status| status.as_str()));
        push_words(sql, "t.transport_type", self.transport_type.map(TransportType::as_str));
        push_flag(sql, "t.driver_id IS NULL", self.unassigned);
        push_flag(sql, "t.is_inoperable", self.is_inoperable);
        push_flag(sql, "t.has_pod", self.has_pod);
        push_flag(sql, "t.on_hold", self.on_hold);
        push_flag(sql, "t.held_count > 0", self.vehicles_on_hold);
        push_flag(sql, IS_LATE, self.late);
        if self.late == Some(true) {
            // Nothing new, but so plainly that the planner walks an index of what is open.
            push_words(sql, "t.status", OPEN.map(OrderStatus::as_str));
        }
        self.pickup.push(sql, "pickup");
        self.delivery.push(sql, "delivery");
        if !self.tag.is_empty() {
            sql.push(" AND t.id IN (SELECT g.order_id FROM order_tags g WHERE g.tenant_id = e.tenant_id");
            push_any(sql, "g.tag_id", self.tag.iter().copied());
            sql.push(")");
        }
    }
}

impl PlaceAndTime {
    fn push(&self, sql: &mut Sql, stop: &str) {
        let texts = [
            ("state", self.state.as_ref().map(|state| state.as_str().to_owned())),
            ("city_lower", self.city.as_ref().map(|city| city.as_str().to_lowercase())),
            ("zip", self.zip.as_ref().map(|zip| zip.as_str().to_uppercase())),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                sql.push(" AND t.").push(stop).push("_").push(column).push(" = ").push_bind(text);
            }
        }
        for (operator, date) in [(" >= ", self.from), (" <= ", self.to)] {
            if let Some(date) = date {
                sql.push(" AND t.").push(stop).push("_date").push(operator).push_bind(date);
            }
        }
    }
}

fn push_flag(sql: &mut Sql, condition: &str, wanted: Option<bool>) {
    match wanted {
        None => {}
        Some(true) => {
            sql.push(" AND ").push(condition);
        }
        Some(false) => {
            sql.push(" AND NOT (").push(condition).push(")");
        }
    }
}
