//! `make bench`: one table of ratios from one run, each beside its target. Started by `local/benchmark.py`, which gives it
//! Postgres, a pooler and the release build of the function.

mod cold_start;
mod database;
mod executions;
mod filters;
mod fixture;
mod function;
mod others;
mod peer;
mod pgbench;
mod push;
mod quotas;
mod report;
mod row_security;
mod rules;
mod secrets;
mod settings;
mod statement;
mod trips;
mod warm;
mod wire;

use std::process::ExitCode;

use crate::database::Database;
use crate::fixture::Fixture;
use crate::function::{LARGEST, World};
use crate::report::Report;
use crate::settings::Settings;
use crate::statement::Listener;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const FEW: u32 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Settings::read()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many targets were missed.
async fn run(settings: &Settings) -> Outcome<usize> {
    report::step(&format!("Databases with {} and {FEW} orders", settings.orders));
    let many = Database::with_orders(settings, settings.orders).await?;
    let few = Database::with_orders(settings, FEW).await?;
    let uncounted = quotas::uncounted(&few).await?;
    let world = World::start(settings).await?;
    let mut report = Report::new();
    let mut listener = Listener::start(settings, &world, &many, LARGEST).await?;

    report::step("Warm instance against pgbench: list, get, create");
    let cost = warm::against_pgbench(settings, &world, &many, &mut listener, &mut report).await?;
    report::step(&format!("List with {} and with {FEW} orders", settings.orders));
    warm::against_few_orders(settings, &world, &many, &few, &mut report).await?;
    report::step("The plan's checks");
    quotas::measure(settings, &world, &few, &uncounted, &mut report).await?;
    report::step("Row-level security");
    row_security::measure(settings, &many, &mut listener, &mut report).await?;
    report::step("Filters of the dispatch list");
    filters::measure(&mut listener, &many, &Fixture::of(&many, LARGEST).await?, &mut report).await?;
    report::step("Round trips");
    trips::measure(&world, &many, &mut report).await?;
    report::step("Cold start");
    cold_start::measure(&world, &many, &mut report).await?;
    report::step("FastAPI + Mangum");
    peer::measure(settings, &world, &many, &mut listener, &cost, &mut report).await?;
    listener.close().await?;
    report::step("AI executions while a provider hangs");
    executions::measure(&world, &few, &mut report).await?;
    report::step("Push");
    push::measure(&world, &few, &mut report).await?;
    rules::measure(&mut report)?;
    Ok(report.print())
}
