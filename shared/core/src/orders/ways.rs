//! The ways to the orders of a list. Which of them is short is known only when the statement runs: whose list it is, and
//! how common the words are that are searched. So all are written, each is planned for itself, and one finds rows.

use uuid::Uuid;

use crate::platform::db::Sql;
use crate::platform::search::Prefix;

/// A word that more orders have is common. Up to here the orders that have it are fetched and sorted (3 us each at 100 000
/// orders of one carrier); past it a page is full after walking at most so many orders of the list, if they are spread.
const COMMON: usize = 2000;

/// Several values of a column with an index in the order of the list: the first orders of each, merged, are a page. By
/// `= ANY` all of their orders would be sorted for it.
pub struct Each {
    pub column: &'static str,
    pub values: Vec<Uuid>,
}

/// The words that are searched, if any.
pub struct Search {
    /// The range of terms of each word.
    ranges: Vec<String>,
}

impl Search {
    /// Writes the WITH clause of a SELECT: `found` has the orders with the rarest of the words, or null when all are common.
    /// A driver has few orders, which are looked through as they are. The LIMIT for each customer keeps the planner from
    /// joining all orders to the customers at once.
    pub fn push(sql: &mut Sql, words: &[Prefix]) -> Self {
        let mut search = Self { ranges: Vec::new() };
        for word in words {
            let begin = if search.ranges.is_empty() {
                "WITH found AS MATERIALIZED (SELECT CASE WHEN e.driver_id IS NULL THEN (SELECT w.ids FROM ("
            } else {
                " UNION ALL "
            };
            sql.push(begin);
            // In the order of the index: without one the planner may hope to come upon so many anywhere in the table.
            sql.push("SELECT ARRAY((SELECT s.order_id FROM order_search_terms s WHERE s.tenant_id = e.tenant_id");
            let range = written(sql, |sql| word.push_condition(sql.push(" AND "), "s.term"));
            sql.push(format_args!(
                " ORDER BY s.term LIMIT {most}) UNION ALL SELECT o.id FROM customer_search_terms s CROSS JOIN LATERAL (SELECT o.id FROM orders o \
                 WHERE o.tenant_id = e.tenant_id AND o.customer_id = s.customer_id LIMIT {most}) o \
                 WHERE s.tenant_id = e.tenant_id{range} LIMIT {most}) AS ids",
                most = COMMON + 1
            ));
            search.ranges.push(range);
        }
        if !words.is_empty() {
            sql.push(format_args!(
                ") w WHERE cardinality(w.ids) <= {COMMON} ORDER BY cardinality(w.ids) LIMIT 1) END AS ids) "
            ));
        }
        search
    }

    /// What a FROM clause begins with.
    pub const fn found(&self) -> &'static str {
        if self.ranges.is_empty() { "" } else { "found f CROSS JOIN LATERAL " }
    }

    /// Writes the orders that pass the conditions and have all the words, in a SELECT from [`Search::found`]; `end` is that
    /// of each way. With `each`, the orders of each of its values are read by themselves.
    pub fn push_ways(
        &self,
        sql: &mut Sql,
        columns: &str,
        end: &str,
        each: Option<Each>,
        conditions: impl Fn(&mut Sql),
    ) {
        let begin = "FROM orders t WHERE t.tenant_id = e.tenant_id";
        sql.push(format_args!("(SELECT {columns} {begin}"));
        let conditions = written(sql, |sql| {
            conditions(sql);
            self.push_words(sql);
        });
        // A driver's own orders. The policy alone would look for them in the whole list. IS NOT NULL keeps this way shut for
        // all others, whichever index it takes.
        sql.push(" AND e.driver_id IS NOT NULL AND t.driver_id = e.driver_id").push(end);
        let others = format!("{begin}{conditions} AND e.driver_id IS NULL");
        let walked = if self.ranges.is_empty() { "" } else { " AND f.ids IS NULL" };
        sql.push(format_args!(") UNION ALL (SELECT {columns} "));
        if let Some(Each { column, values }) = each {
            sql.push("FROM unnest(").push_bind(values).push("::uuid[]) v (id) CROSS JOIN LATERAL (SELECT t.* ");
            sql.push(format_args!("{others}{walked} AND t.{column} = v.id{end}) t{end})"));
        } else {
            sql.push(format_args!("{others}{walked}{end})"));
        }
        if !self.ranges.is_empty() {
            sql.push(format_args!(" UNION ALL (SELECT {columns} {others} AND t.id = ANY (f.ids){end})"));
        }
    }

    /// Every word is one of the order's own terms or of its customer's. A subselect with a LIMIT is never turned into a set of
    /// all orders that have the word, as EXISTS is.
    fn push_words(&self, sql: &mut Sql) {
        for range in &self.ranges {
            sql.push(format_args!(
                " AND (t.customer_id IN (SELECT s.customer_id FROM customer_search_terms s \
                 WHERE s.tenant_id = e.tenant_id{range}) \
                 OR (SELECT true FROM order_search_terms s WHERE s.tenant_id = e.tenant_id AND s.order_id = t.id{range} LIMIT 1))"
            ));
        }
    }
}

/// Writes, and returns what was written: its arguments are numbered, so that it can be written again.
fn written(sql: &mut Sql, write: impl FnOnce(&mut Sql)) -> String {
    let begin = sql.sql().as_str().len();
    write(sql);
    sql.sql().as_str()[begin..].to_owned()
}
