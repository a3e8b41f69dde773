//! The ways to the rows of a list. Which of them is short is known only when the statement runs: whose list it is, and how
//! many rows a condition leaves. So all are written, each is planned for itself, and one finds rows.

use super::Sql;

/// What more rows pass is common. Up to here the rows are fetched and sorted; past it a page is full after walking at most so
/// many rows of the list, if they are spread.
const COMMON: usize = 2000;
/// Ends the SELECT of what may be rare, after an ORDER BY in the order of its index: without one the planner may hope to come
/// upon so many rows anywhere in the table.
pub const ENOUGH: &str = " LIMIT 2001";

type Write<'a> = Box<dyn Fn(&mut Sql) + Send + Sync + 'a>;

/// A condition that hardly any row may pass, or nearly all.
pub struct Rare<'a> {
    /// Writes a SELECT of ids that pass, in the order of an index of their own: all, or [`ENOUGH`].
    find: Write<'a>,
    /// Writes the condition on a row `t`.
    holds: Write<'a>,
}

impl<'a> Rare<'a> {
    pub fn new(find: impl Fn(&mut Sql) + Send + Sync + 'a, holds: impl Fn(&mut Sql) + Send + Sync + 'a) -> Self {
        Self { find: Box::new(find), holds: Box::new(holds) }
    }
}

/// How a list is read.
pub struct Ways<'a> {
    pub columns: &'a str,
    pub table: &'a str,
    /// The column by which row-level security shows a driver only what is theirs. The policy alone would look for it in the
    /// whole list.
    pub driver: Option<&'a str>,
    pub rare: &'a [Rare<'a>],
    /// The ORDER BY and LIMIT of rows `t` of the table, and that of the columns.
    pub end: &'a str,
    pub end_of_all: &'a str,
}

impl Ways<'_> {
    /// Writes a SELECT of the rows `t` that pass the conditions.
    pub fn push(&self, sql: &mut Sql, conditions: impl Fn(&mut Sql)) {
        let Self { columns, table, end, .. } = self;
        let begin = format!("(SELECT {columns} FROM {table} t WHERE t.tenant_id = e.tenant_id");
        self.push_found(sql);
        sql.push("SELECT t.* FROM ").push(if self.rare.is_empty() { "(" } else { "found f CROSS JOIN LATERAL (" });
        let start = sql.push(&begin).sql().as_str().len();
        conditions(sql);
        for rare in self.rare {
            // In a CASE no index is looked up for it, and the planner takes half of the rows to pass.
            sql.push(" AND CASE WHEN ");
            (rare.holds)(sql);
            sql.push(" THEN true END");
        }
        // Its arguments are numbered, so that it can be written again.
        let conditions = sql.sql().as_str()[start..].to_owned();
        let mut others = String::new();
        if let Some(driver) = self.driver {
            // IS NOT NULL keeps this way shut for all others, whichever index it takes.
            sql.push(format_args!(
                " AND e.driver_id IS NOT NULL AND t.{driver} = e.driver_id{end}) UNION ALL {begin}{conditions}"
            ));
            others = " AND e.driver_id IS NULL".to_owned();
        }
        if self.rare.is_empty() {
            sql.push(format_args!("{others}{end})"));
        } else {
            sql.push(format_args!(
                "{others} AND f.ids IS NULL{end}) UNION ALL {begin}{conditions}{others} AND f.ids IS NOT NULL AND t.id = ANY (f.ids){end})"
            ));
        }
        sql.push(") t").push(self.end_of_all);
    }

    /// `found` has the ids that pass the rarest of the conditions, or null when all are common. A driver has few rows, which are
    /// looked through as they are.
    fn push_found(&self, sql: &mut Sql) {
        for (n, rare) in self.rare.iter().enumerate() {
            sql.push(if n == 0 { "WITH counted AS MATERIALIZED (" } else { " UNION ALL " }).push("SELECT ARRAY(");
            (rare.find)(sql);
            sql.push(") AS ids");
        }
        if !self.rare.is_empty() {
            sql.push(format_args!(
                "), found AS MATERIALIZED (SELECT CASE WHEN e.driver_id IS NULL THEN (SELECT c.ids FROM counted c \
                 WHERE cardinality(c.ids) <= {COMMON} ORDER BY cardinality(c.ids) LIMIT 1) END AS ids) "
            ));
        }
    }
}
