//! What a plan of EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) has cost, and what it runs for each row.

use serde_json::Value;

/// Rows that were looked at (also those that were not shown) and pages of 8 kB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    pub rows: u64,
    pub buffers: u64,
}

/// Of the plan's uppermost node; `uncounted` is the table whose rows do not count.
pub fn touched(plan: &Value, uncounted: Option<&str>) -> Touched {
    let counted = nodes(plan).into_iter().filter(|node| node["Relation Name"].as_str() != uncounted);
    let buffers = |key: &str| plan[key].as_u64().unwrap_or_default();
    Touched { rows: counted.map(rows).sum(), buffers: buffers("Shared Hit Blocks") + buffers("Shared Read Blocks") }
}

/// The rows of a table that one node looks at. The entries of a bitmap lie side by side: their pages count, and the rows that
/// are fetched by them.
fn rows(node: &Value) -> u64 {
    let number = |key: &str| node[key].as_f64().unwrap_or_default();
    let each = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    if node["Relation Name"].is_null() { 0 } else { (each * number("Actual Loops")) as u64 }
}

/// The node that looks at the most rows, and how.
pub fn dearest(plan: &Value) -> String {
    let node = nodes(plan).into_iter().max_by_key(|node| rows(node)).unwrap_or(plan);
    let told = ["Node Type", "Index Name", "Relation Name", "Index Cond", "Filter", "Actual Loops"];
    let told = told.iter().filter(|key| !node[**key].is_null()).map(|key| format!("{key}: {}", node[*key]));
    format!("{} rows by {}", rows(node), told.collect::<Vec<_>>().join(", "))
}

/// The node and all below it.
pub fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    std::iter::once(plan).chain(below.flat_map(nodes)).collect()
}

/// Conditions that call a function of ours or read a setting, and so do it for each row.
pub fn calls_for_each_row(plan: &Value) -> Vec<&str> {
    let conditions = nodes(plan).into_iter().filter_map(Value::as_object).flatten();
    let conditions = conditions.filter(|(key, _)| key.ends_with("Filter") && *key != "One-Time Filter");
    conditions
        .filter_map(|(_, condition)| condition.as_str())
        .filter(|condition| ["app.", "current_setting"].iter().any(|call| condition.contains(call)))
        .collect()
}
