//! The list of trips. Every filter has an index that row-level security leaves usable.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use super::trip::Include;
use super::{Trip, TripStatus};
use crate::base::day::Day;
use crate::base::error::Result;
use crate::base::page::{Limit, Page};
use crate::drivers::DriverId;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::list::{self, Column, Cursor, Key, Sort as _, push_any, push_words};
use crate::platform::db::{Db, ENOUGH, Rare, Sql, Ways, push_archived};
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
#[derive(Debug, Clone, Copy, Default)]
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

impl list::Sort for Sort {
    fn column(self) -> (Option<Column>, bool) {
        match self {
            Self::NewestFirst => (None, true),
            Self::OldestFirst => (None, false),
            Self::Number => (Some(Column::Number("t.number")), false),
            Self::NumberDescending => (Some(Column::Number("t.number")), true),
            Self::StartDate => (Some(Column::Date("t.start_date")), false),
            Self::StartDateDescending => (Some(Column::Date("t.start_date")), true),
            Self::EndDate => (Some(Column::Date("t.end_date")), false),
            Self::EndDateDescending => (Some(Column::Date("t.end_date")), true),
            Self::LeastRecentlyUpdated => (Some(Column::Time("t.updated_at")), false),
            Self::RecentlyUpdated => (Some(Column::Time("t.updated_at")), true),
        }
    }
}

impl Sort {
    fn key(self, trip: &Trip) -> Key {
        match self {
            Self::NewestFirst | Self::OldestFirst => Key::Id,
            Self::Number | Self::NumberDescending => Key::Number(trip.number),
            Self::StartDate | Self::StartDateDescending => Key::Date(trip.start_date),
            Self::EndDate | Self::EndDateDescending => Key::Date(trip.end_date),
            Self::LeastRecentlyUpdated | Self::RecentlyUpdated => Key::Time(trip.updated_at),
        }
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
    let cursor = Cursor::read("trips", view.cursor.as_deref(), view.sort)?;
    let (_, trips) = db
        .read::<Trip>(actor, Action::TripsRead, |sql| {
            let end = format!("{} LIMIT {}", view.sort.order(), view.limit.fetch());
            sql.push("SELECT ").push(view.include.columns()).push(" FROM (");
            let driver = Some("driver_id");
            // The list is walked along the range that it is sorted by.
            let sorted_by = |range: &(&str, Days)| view.sort.column().0.is_some_and(|column| column.name() == range.0);
            let (walked, apart): (Vec<_>, Vec<_>) = filter.ranges().partition(sorted_by);
            let rare: Vec<_> = apart.into_iter().map(|(column, days)| days.rare(column, filter.archived)).collect();
            Ways { columns: "t.*", table: "trips", driver, rare: &rare, end: &end, end_of_all: &end }.push(
                sql,
                |sql| {
                    filter.push(sql);
                    walked.iter().for_each(|(column, days)| days.push(sql.push(" AND "), column));
                    if let Some(cursor) = &cursor {
                        cursor.push(sql);
                    }
                },
            );
            sql.push(") t").push(view.sort.order());
        })
        .await?;
    Ok(Page::from_rows("trips", trips, view.limit, |trip: &Trip| Cursor(view.sort, view.sort.key(trip), trip.id.0)))
}

impl Filter {
    fn push(&self, sql: &mut Sql) {
        push_archived(sql, self.archived);
        push_words(sql, "t.status", self.status.iter().map(|status| status.as_str()));
        push_any(sql, "t.driver_id", self.driver.iter().copied());
        push_any(sql, "t.truck_id", self.truck);
        push_any(sql, "t.trailer_id", self.trailer);
        push_any(sql, "t.number", self.number);
    }

    /// The ranges of days that are asked for, each with its column.
    fn ranges(&self) -> impl Iterator<Item = (&'static str, Days)> {
        let ranges = [("t.start_date", self.start), ("t.end_date", self.end)];
        ranges.into_iter().filter(|(_, days)| days.from.is_some() || days.to.is_some())
    }
}

impl Days {
    /// Writes that the column is in the range, which has a begin or an end.
    fn push(self, sql: &mut Sql, column: &str) {
        let ends = [(" >= ", self.from), (" <= ", self.to)].into_iter().filter_map(|(is, day)| Some((is, day?)));
        for (n, (is, day)) in ends.enumerate() {
            sql.push(if n == 0 { "" } else { " AND " }).push(column).push(is).push_bind(day);
        }
    }

    fn rare(self, column: &'static str, archived: bool) -> Rare<'static> {
        let find = move |sql: &mut Sql| {
            sql.push("SELECT t.id FROM trips t WHERE t.tenant_id = e.tenant_id");
            push_archived(sql, archived);
            self.push(sql.push(" AND "), column);
            sql.push(" ORDER BY ").push(column).push(ENOUGH);
        };
        Rare::new(find, move |sql| self.push(sql, column))
    }
}
