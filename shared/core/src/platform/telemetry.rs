//! Logs and metrics: one JSON object a line on stderr, from where Lambda takes them to CloudWatch.

use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::base::clock::Clock;

const NAMESPACE: &str = "carhaul";

/// Starts logging. Call it once, first thing in `main`; a second call has no effect.
///
/// `level` is a level or a list of directives, e.g. `carhaul_core=debug,info`, as `platform::config` has checked it.
pub fn init(level: &str) {
    let _already_started = subscriber(level, std::io::stderr).try_init();
}

/// Writes the log of this thread elsewhere for as long as the guard lives: for tests of what it says.
pub fn divert<W>(level: &str, writer: W) -> tracing::subscriber::DefaultGuard
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing::subscriber::set_default(subscriber(level, writer))
}

fn subscriber<W>(level: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(EnvFilter::new(level))
        .with_writer(writer)
        .finish()
}

/// Counts something in CloudWatch, by way of the log. Each combination of the dimensions' values is a metric that is paid
/// for, so they must be few: an environment, a table; never a tenant.
pub fn count(clock: &Clock, dimensions: &[(&str, &str)], metric: &str, value: i64) {
    eprintln!("{}", embedded(clock.now().timestamp_millis(), dimensions, metric, value));
}

/// The embedded metric format.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn embedded(at_millis: i64, dimensions: &[(&str, &str)], metric: &str, value: i64) -> Value {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": at_millis,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [names],
                "Metrics": [{"Name": metric, "Unit": "Count"}],
            }],
        },
        metric: value,
    });
    for (name, value) in dimensions {
        line[*name] = json!(value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_names_its_dimensions_and_carries_their_values() {
        let line = embedded(1_800_000_000_000, &[("Environment", "local"), ("Table", "users")], "RowsPurged", 7);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Environment", "Table"]]));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "RowsPurged");
        assert_eq!(
            (&line["RowsPurged"], &line["Environment"], &line["Table"]),
            (&json!(7), &json!("local"), &json!("users"))
        );
    }
}
