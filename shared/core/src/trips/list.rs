//! The list of trips. Every filter has an index that row-level security leaves usable.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use super::trip::Include;
use super::{Trip, TripStatus};
use crate::base::day::Day;
use crate::base::error::{Error, Result};
use crate::base::page::{self, Limit, Page};
use crate::drivers::DriverId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::orders::list::{push_any, push_words};
use crate::platform::db::{Db, Sql, push_archived};
use crate::trailers::TrailerId;
use crate::trucks::TruckId;

/// Lists mean any of them; different filters must all hold.
#[derive(Debug, Default)]
pub struct Filter {
    pub status: Vec<TripStatus>,
    pub driver: Vec<DriverId>,
    pub truck: Option<TruckId>,
    pub trailer: Option<TrailerId>,
    pub number: Option<i64>,
    pub start: Days,
    pub end: Days,
    pub archived: bool,
}

/// First and last local day.
#[derive(Debug, Default)]
pub struct Days {
    pub from: Option<Day>,
    pub to: Option<Day>,
}

/// The order of the list; a minus sorts the other way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TripSort)]
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
    #[serde(rename = "start_date")]
    StartDate,
    #[serde(rename = "-start_date")]
    StartDateDescending,
    #[serde(rename = "end_date")]
    EndDate,
    #[serde(rename = "-end_date")]
    EndDateDescending,
    #[serde(rename = "updated_at")]
    LeastRecentlyUpdated,
    #[serde(rename = "-updated_at")]
    RecentlyUpdated,
}

/// Where the list goes on: the sort, the value of its column and the id of the last row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cursor(Sort, Key, Uuid);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Key {
    /// The id is the order of creation.
    Id,
    Number(i64),
    Date(NaiveDate),
    Time(DateTime<Utc>),
}

impl Sort {
    /// The column beside the id, and whether it descends.
    fn column(self) -> (Option<&'static str>, bool) {
        match self {
            Self::NewestFirst => (None, true),
            Self::OldestFirst => (None, false),
            Self::Number => (Some("t.number"), false),
            Self::NumberDescending => (Some("t.number"), true),
            Self::StartDate => (Some("t.start_date"), false),
            Self::StartDateDescending => (Some("t.start_date"), true),
            Self::EndDate => (Some("t.end_date"), false),
            Self::EndDateDescending => (Some("t.end_date"), true),
            Self::LeastRecentlyUpdated => (Some("t.updated_at"), false),
            Self::RecentlyUpdated => (Some("t.updated_at"), true),
        }
    }

    fn key(self, trip: &Trip) -> Key {
        match self {
            Self::NewestFirst | Self::OldestFirst => Key::Id,
            Self::Number | Self::NumberDescending => Key::Number(trip.number),
            Self::StartDate | Self::StartDateDescending => Key::Date(trip.start_date),
            Self::EndDate | Self::EndDateDescending => Key::Date(trip.end_date),
            Self::LeastRecentlyUpdated | Self::RecentlyUpdated => Key::Time(trip.updated_at),
        }
    }

    fn push_after(self, sql: &mut Sql, Cursor(_, key, id): &Cursor) {
        let (column, descending) = self.column();
        let operator = if descending { " < " } else { " > " };
        let Some(column) = column else {
            sql.push(" AND t.id").push(operator).push_bind(*id);
            return;
        };
        sql.push(" AND (").push(column).push(", t.id)").push(operator).push("(");
        match key {
            Key::Number(number) => sql.push_bind(*number),
            Key::Date(date) => sql.push_bind(*date),
            Key::Time(time) => sql.push_bind(*time),
            Key::Id => sql.push("NULL"),
        };
        sql.push(", ").push_bind(*id).push(")");
    }

    fn push_order(self, sql: &mut Sql) {
        let (column, descending) = self.column();
        let direction = if descending { " DESC" } else { "" };
        sql.push(" ORDER BY ");
        if let Some(column) = column {
            sql.push(column).push(direction).push(", ");
        }
        sql.push("t.id").push(direction);
    }
}

/// What to return.
#[derive(Debug, Default)]
pub struct View {
    pub sort: Sort,
    pub include: Include,
    pub cursor: Option<String>,
    pub limit: Limit,
}

/// Reads one page, in one round trip.
///
/// # Errors
/// [`Error::Invalid`] for a cursor of another list; those of [`Db::read`].
pub async fn list(db: &Db, actor: &Actor, filter: &Filter, view: &View) -> Result<Page<Trip>> {
    let cursor: Option<Cursor> = page::decode(view.cursor.as_deref())?;
    if cursor.as_ref().is_some_and(|cursor| cursor.0 != view.sort) {
        return Err(Error::invalid("cursor", "is not a cursor of this list with this sort"));
    }
    let (_, trips) = db
        .read::<Trip>(actor, Action::TripsRead, |sql| {
            sql.push("SELECT ").push(view.include.columns()).push(" FROM trips t WHERE t.tenant_id = e.tenant_id");
            filter.push(sql);
            if let Some(cursor) = &cursor {
                view.sort.push_after(sql, cursor);
            }
            view.sort.push_order(sql);
            sql.push(" LIMIT ").push(view.limit.fetch());
        })
        .await?;
    Ok(Page::from_rows(trips, view.limit, |trip: &Trip| Cursor(view.sort, view.sort.key(trip), trip.id.0)))
}

impl Filter {
    fn push(&self, sql: &mut Sql) {
        push_archived(sql, self.archived);
        push_words(sql, "t.status", self.status.iter().map(|status| status.as_str()));
        push_any(sql, "t.driver_id", self.driver.iter().copied());
        push_any(sql, "t.truck_id", self.truck);
        push_any(sql, "t.trailer_id", self.trailer);
        push_any(sql, "t.number", self.number);
        for (column, days) in [("t.start_date", &self.start), ("t.end_date", &self.end)] {
            for (operator, day) in [(" >= ", days.from), (" <= ", days.to)] {
                if let Some(day) = day {
                    sql.push(" AND ").push(column).push(operator).push_bind(day);
                }
            }
        }
    }
}
