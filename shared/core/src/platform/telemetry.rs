//! Logs: one JSON object a line on stderr, from where Lambda takes them to CloudWatch.

use tracing_subscriber::EnvFilter;

/// Starts logging. Call it once, first thing in `main`; a second call has no effect.
///
/// `level` is a level or a list of directives, e.g. `carhaul_core=debug,info`, as `platform::config` has checked it.
pub fn init(level: &str) {
    let filter = EnvFilter::new(level);
    let _already_started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
