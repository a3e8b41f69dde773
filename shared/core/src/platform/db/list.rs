//! What lists have in common that can be filtered and sorted: conditions that find their index, and the place where a page
//! goes on.

use std::collections::BTreeSet;
use std::fmt::Display;

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgHasArrayType;
use sqlx::{Encode, Postgres, Type};
use uuid::Uuid;

use super::Sql;
use crate::base::error::Result;
use crate::base::page;

/// The order of a list of rows `t`. Without a column it is that of the id, which is the order of creation.
pub trait Sort: Copy + PartialEq + DeserializeOwned {
    /// The column beside the id, and whether it descends.
    fn column(self) -> (Option<Column>, bool);

    /// The ORDER BY.
    fn order(self) -> String {
        let (column, descending) = self.column();
        let direction = if descending { " DESC" } else { "" };
        let first = column.map(|column| format!("{}{direction}, ", column.name())).unwrap_or_default();
        format!(" ORDER BY {first}t.id{direction}")
    }
}

/// A column that a list is sorted by, with the kind of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Number(&'static str),
    Date(&'static str),
    Time(&'static str),
}

impl Column {
    pub fn name(self) -> &'static str {
        match self {
            Self::Number(name) | Self::Date(name) | Self::Time(name) => name,
        }
    }
}

/// Where the list goes on: the sort, the value of its column and the id of the last row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor<S>(pub S, pub Key, pub Uuid);

/// The value of the column of a sort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Key {
    /// The id is the order of creation.
    Id,
    Number(i64),
    Date(NaiveDate),
    Time(DateTime<Utc>),
}

impl Key {
    /// Whether it is a value of the column: a cursor comes back as somebody may have written it.
    fn is_of(&self, column: Option<Column>) -> bool {
        matches!(
            (self, column),
            (Self::Id, None)
                | (Self::Number(_), Some(Column::Number(_)))
                | (Self::Date(_), Some(Column::Date(_)))
                | (Self::Time(_), Some(Column::Time(_)))
        )
    }
}

impl<S: Sort> Cursor<S> {
    /// # Errors
    /// [`Error::Invalid`](crate::base::error::Error::Invalid) for a cursor of another list or of another sort.
    pub fn read(list: &str, cursor: Option<&str>, sort: S) -> Result<Option<Self>> {
        let cursor: Option<Self> = page::after(list, cursor)?;
        if cursor.as_ref().is_some_and(|cursor| cursor.0 != sort || !cursor.1.is_of(sort.column().0)) {
            return Err(page::not_of_this_list());
        }
        Ok(cursor)
    }

    /// Writes the condition of the rows that come after it.
    pub fn push(&self, sql: &mut Sql) {
        let Self(sort, key, id) = self;
        let (column, descending) = sort.column();
        let operator = if descending { " < " } else { " > " };
        let Some(column) = column else {
            sql.push(" AND t.id").push(operator).push_bind(*id);
            return;
        };
        sql.push(" AND (").push(column.name()).push(", t.id)").push(operator).push("(");
        match key {
            Key::Number(number) => sql.push_bind(*number),
            Key::Date(date) => sql.push_bind(*date),
            Key::Time(time) => sql.push_bind(*time),
            Key::Id => sql.push("NULL"),
        };
        sql.push(", ").push_bind(*id).push(")");
    }
}

/// `= $1` for one value, so that an index also gives the order; `= ANY ($1)` for several.
pub fn push_any<T>(sql: &mut Sql, column: &str, values: impl IntoIterator<Item = T>)
where
    T: Clone + PgHasArrayType + Type<Postgres> + for<'q> Encode<'q, Postgres> + 'static,
{
    let mut values: Vec<T> = values.into_iter().collect();
    match (values.pop(), values.is_empty()) {
        (None, _) => {}
        (Some(only), true) => {
            sql.push(" AND ").push(column).push(" = ").push_bind(only);
        }
        (Some(last), false) => {
            values.push(last);
            sql.push(" AND ").push(column).push(" = ANY (").push_bind(values).push(")");
        }
    }
}

/// Our own words, never a caller's text, are written out: a cached plan knows then how rare each is, and that a partial index
/// holds it.
pub fn push_words(sql: &mut Sql, column: &str, words: impl IntoIterator<Item = impl Display>) {
    let words: BTreeSet<_> = words.into_iter().map(|word| format!("'{word}'")).collect();
    if !words.is_empty() {
        let words = words.into_iter().collect::<Vec<_>>().join(", ");
        sql.push(" AND ").push(column).push(" IN (").push(words).push(")");
    }
}
