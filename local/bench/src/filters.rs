//! Each filter of the dispatch list: does row-level security make it read more, and how long does it take?

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::Outcome;
use crate::database::{API, BYPASS, Database};
use crate::fixture::Fixture;
use crate::function::Request;
use crate::report::{self, Report};
use crate::statement::{Listener, Statement};

pub async fn measure(
    listener: &mut Listener<'_>,
    database: &Database,
    fixture: &Fixture,
    report: &mut Report,
) -> Outcome<()> {
    let (mut under_security, mut bypassing) = (database.direct(API).await?, database.direct(BYPASS).await?);
    let (mut lost, mut most, mut slowest, filters) = (0, 0, (String::new(), 0.0), fixture.filters());
    for (name, query) in &filters {
        let request = Request::get(format!("/v1/orders?{query}"));
        let (statements, answer) = listener.statements(&request).await?;
        let [statement] = statements.as_slice() else {
            return Err(format!("{name}: {} statements instead of one", statements.len()).into());
        };
        let secured = explain(&mut under_security, statement).await?;
        let plain = explain(&mut bypassing, statement).await?;
        let rows = answer["data"].as_array().map_or(0, Vec::len);
        let loses = secured.is_worse_than(&plain);
        lost += usize::from(loses);
        report::progress(&format!(
            "{name:36} {:8.2} ms, {:8.2} ms without row-level security, {:6} rows read for {rows:2}  {}{}",
            secured.milliseconds,
            plain.milliseconds,
            secured.rows_read,
            secured.accesses.join(" + "),
            if loses {
                format!("  LOST: {} rows by {}", plain.rows_read, plain.accesses.join(" + "))
            } else {
                String::new()
            },
        ));
        most = most.max(secured.rows_read);
        if secured.milliseconds > slowest.1 {
            slowest = ((*name).to_owned(), secured.milliseconds);
        }
    }
    let what = format!("filters and sorts of the dispatch list ({}) that lose their index", filters.len());
    report.at_most(what, lost as f64, 0.0, "");
    report.at_most("rows read for the dearest of their pages", most as f64, MOST_ROWS as f64, "");
    report.figure(format!("slowest of them, in Postgres: {}", slowest.0), format!("{:.2} ms", slowest.1));
    Ok(())
}

/// A rare word is found 2000 times at most and each of its orders fetched; the rest is what lies in between.
const MOST_ROWS: u64 = 15_000;

struct Plan {
    /// How the tables are reached: index and the columns that it is asked for.
    accesses: Vec<String>,
    /// Also those that were not shown.
    rows_read: u64,
    /// Some of the large tables is read from beginning to end.
    scans_all: bool,
    milliseconds: f64,
}

impl Plan {
    /// It reads a table from beginning to end or far more rows than without row-level security. Another index alone is no
    /// loss: of a small carrier's orders all are soon read.
    fn is_worse_than(&self, plain: &Self) -> bool {
        self.scans_all || self.rows_read > 2 * plain.rows_read + 200
    }
}

/// As the function's connection would plan it once the statement is known there.
async fn explain(connection: &mut PgConnection, statement: &Statement) -> Outcome<Plan> {
    let types: Vec<&str> = statement.parameters.iter().map(|parameter| parameter.of_type.as_str()).collect();
    let values: Vec<String> = statement.parameters.iter().map(|parameter| parameter.literal()).collect();
    connection.execute(AssertSqlSafe(format!("PREPARE s ({}) AS {}", types.join(", "), statement.sql))).await?;
    let execute = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) EXECUTE s ({})", values.join(", "));
    let mut plan = Value::Null;
    // After five executions Postgres has decided between a generic plan and one for each set of values.
    for _ in 0..7 {
        let rows = sqlx::raw_sql(AssertSqlSafe(execute.clone())).fetch_all(&mut *connection).await?;
        plan = rows.first().ok_or("EXPLAIN returned nothing")?.try_get(0)?;
    }
    connection.execute("DEALLOCATE s").await?;
    let mut read = Plan { accesses: Vec::new(), rows_read: 0, scans_all: false, milliseconds: 0.0 };
    read.milliseconds = plan[0]["Execution Time"].as_f64().unwrap_or(0.0);
    walk(&plan[0]["Plan"], &mut read);
    read.accesses.sort();
    read.accesses.dedup();
    Ok(read)
}

fn walk(node: &Value, plan: &mut Plan) {
    // What is there for drivers alone is planned and never run.
    if node["Actual Loops"].as_f64() == Some(0.0) {
        return;
    }
    let table = node["Relation Name"].as_str().unwrap_or_default();
    plan.scans_all |= node["Node Type"] == "Seq Scan" && table.starts_with("order");
    if let (Some(index), true) = (node["Index Name"].as_str(), node["Node Type"] != "Bitmap Heap Scan") {
        let condition = node["Index Cond"].as_str().unwrap_or_default();
        plan.accesses.push(format!("{index}({})", columns(condition).join(" ")));
    }
    if !node["Index Name"].is_null() || !table.is_empty() {
        let number = |key: &str| node[key].as_f64().unwrap_or_default();
        let each = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
        plan.rows_read += (each * number("Actual Loops")) as u64;
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|child| walk(child, plan));
}

/// The columns that a condition asks for, without the tenant's.
fn columns(condition: &str) -> Vec<&str> {
    let words = condition.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    let mut words: Vec<&str> = words
        .map(|word| word.rsplit('.').next().unwrap_or(word))
        .filter(|word| {
            let known = ["_id", "_date", "_to", "_zip", "_state", "_lower", "_status", "_term", "_type", "_at"];
            matches!(*word, "id" | "status" | "number" | "term") || known.iter().any(|end| word.ends_with(end))
        })
        .filter(|word| !matches!(*word, "tenant_id" | "entered_tenant_id"))
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}
