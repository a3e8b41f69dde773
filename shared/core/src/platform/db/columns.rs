//! Reading many columns of many rows.

use std::cell::Cell;
use std::fmt;

use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Column, ColumnIndex, Decode, Row, Type};

/// A row that is asked for its columns mostly in the order in which it has them: the next one is tried before its name is
/// looked up, which in a list of wide rows spares a good part of the work.
pub struct InOrder<'r> {
    row: &'r PgRow,
    next: Cell<usize>,
}

/// The name of a column, and where it probably is.
struct Probably<'a> {
    name: &'a str,
    next: &'a Cell<usize>,
}

impl<'r> InOrder<'r> {
    pub fn new(row: &'r PgRow) -> Self {
        Self { row, next: Cell::new(0) }
    }

    /// The column of this name, wherever it is.
    ///
    /// # Errors
    /// As [`Row::try_get`].
    pub fn try_get<T>(&self, name: &str) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        let column = Probably { name, next: &self.next };
        // What type a column has follows from the SQL, which no test leaves out: it is not compared for each value.
        if cfg!(debug_assertions) { self.row.try_get(column) } else { self.row.try_get_unchecked(column) }
    }
}

impl ColumnIndex<PgRow> for Probably<'_> {
    fn index(&self, row: &PgRow) -> Result<usize, sqlx::Error> {
        let next = self.next.get();
        let found = match row.columns().get(next) {
            Some(column) if column.name() == self.name => next,
            _ => self.name.index(row)?,
        };
        self.next.set(found + 1);
        Ok(found)
    }
}

/// As an error shows it.
impl fmt::Debug for Probably<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name, f)
    }
}
