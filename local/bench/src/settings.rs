//! What `local/benchmark.py` tells this program.

use std::path::PathBuf;
use std::time::Duration;

pub struct Settings {
    /// A superuser, past the pooler: `postgres://..`.
    pub direct_url: String,
    /// `host:port`.
    pub pooler: String,
    /// The release build of the function `api`, beside those of the others.
    pub bootstrap: PathBuf,
    /// A function that does nothing but answer.
    pub floor: PathBuf,
    /// The same read as a FastAPI application.
    pub peer: PathBuf,
    pub pgbench: PathBuf,
    /// What Postgres logs, a JSON object a line.
    pub postgres_log: PathBuf,
    /// For files of this run.
    pub work: PathBuf,
    pub orders: u32,
    /// How long each side of a comparison runs in a round.
    pub seconds: u32,
}

impl Settings {
    pub fn read() -> Self {
        Self {
            direct_url: variable("BENCH_DIRECT_URL"),
            pooler: variable("BENCH_POOLER"),
            bootstrap: variable("BENCH_BOOTSTRAP").into(),
            floor: variable("BENCH_FLOOR").into(),
            peer: variable("BENCH_PEER").into(),
            pgbench: variable("BENCH_PGBENCH").into(),
            postgres_log: variable("BENCH_POSTGRES_LOG").into(),
            work: variable("BENCH_WORK").into(),
            orders: number("BENCH_ORDERS"),
            seconds: number("BENCH_SECONDS"),
        }
    }

    pub fn span(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

fn number(name: &str) -> u32 {
    variable(name).parse().unwrap_or_else(|_| panic!("{name} is not a number"))
}

#[allow(clippy::disallowed_methods, reason = "a program for developers, told here where its parts are")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make bench`"))
}
