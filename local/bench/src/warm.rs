//! A warm instance: against `pgbench`, against itself with fewer orders, and what it uses.

use std::collections::BTreeSet;
use std::time::Duration;

use carhaul_testkit::Usage;
use uuid::Uuid;

use crate::Outcome;
use crate::database::{API, Database};
use crate::fixture::Fixture;
use crate::function::{Function, LARGEST, Latencies, Request, World, median};
use crate::pgbench::Script;
use crate::report::{self, Report};
use crate::settings::Settings;
use crate::statement::{Listener, Statement};

/// An odd number, of which the middle counts. What is compared takes turns, so that a noisy minute hits both sides.
pub const ROUNDS: u32 = 5;

/// What the dispatch list costs.
pub struct ListCost {
    pub cpu_seconds_per_1000: f64,
    pub p50: f64,
}

pub async fn against_pgbench(
    settings: &Settings,
    world: &World,
    database: &Database,
    listener: &mut Listener<'_>,
    report: &mut Report,
) -> Outcome<ListCost> {
    let fixture = Fixture::of(database, LARGEST).await?;
    let key = Uuid::now_v7().to_string();
    let get = format!("/v1/orders/{}", fixture.order);
    let create = Request::post("/v1/orders", fixture.new_order());
    let mut function = world.instance(database, LARGEST).await?;
    let mut cost = None;
    for (name, request) in [
        ("list", Request::get("/v1/orders")),
        ("get", Request::get(get)),
        ("create", create.with("idempotency-key", key.as_str())),
    ] {
        let (statements, _) = listener.statements(&request).await?;
        let fresh = if name == "create" { fresh_ids(&statements, &key) } else { Vec::new() };
        let script = Script::of(&statements, &fresh);
        let request = |_: usize| renewed(&request);
        function.repeat(Duration::from_millis(500), request).await?;
        let (answer, _) = function.answer(&request(0)).await?;
        let mut floor = Function::floor(settings, &answer).await?;
        let before = usage(&function)?;
        let (mut own, mut theirs, mut least) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            own.push(function.repeat(settings.span(), request).await?);
            theirs.push(script.run(settings, database, API, settings.span()).await?);
            least.push(floor.repeat(settings.span(), request).await?);
        }
        let cpu = usage(&function)?.cpu_time - before.cpu_time;
        let count: usize = own.iter().map(Latencies::count).sum();
        report_latencies(name, &own, &theirs, &least, report);
        if name == "list" {
            report_tail(&own, report);
            let cpu_seconds_per_1000 = cpu.as_secs_f64() * 1000.0 / count as f64;
            report.figure(
                "list: requests per CPU-second of the function",
                format!("{:.0}", 1000.0 / cpu_seconds_per_1000),
            );
            cost = Some(ListCost { cpu_seconds_per_1000, p50: median(own.iter().map(Latencies::p50)) });
        }
    }
    peak_memory(function, report).await?;
    cost.ok_or_else(|| "the list was not measured".into())
}

/// The same list where there are a thousand orders in all.
pub async fn against_few_orders(
    settings: &Settings,
    world: &World,
    many: &Database,
    few: &Database,
    report: &mut Report,
) -> Outcome<()> {
    let (mut of_many, mut of_few) = (world.instance(many, LARGEST).await?, world.instance(few, LARGEST).await?);
    let request = |_: usize| Request::get("/v1/orders");
    let mut ratios = Vec::new();
    of_many.repeat(Duration::from_millis(500), request).await?;
    of_few.repeat(Duration::from_millis(500), request).await?;
    for _ in 0..ROUNDS {
        let (many, few) =
            (of_many.repeat(settings.span(), request).await?, of_few.repeat(settings.span(), request).await?);
        report::progress(&format!("p50 {:.3} ms with all orders, {:.3} ms with a thousand", many.p50(), few.p50()));
        ratios.push(many.p50() / few.p50());
    }
    report.at_most(format!("list: {} orders / 1000 orders, p50", settings.orders), median(ratios), 1.2, "");
    Ok(())
}

/// `least` is what a function costs that does nothing but give the same answer: with what the statements cost, the lowest that
/// a function of this answer can come to.
fn report_latencies(name: &str, own: &[Latencies], theirs: &[Latencies], least: &[Latencies], report: &mut Report) {
    for ((own, theirs), least) in own.iter().zip(theirs).zip(least) {
        let figures = |of: &Latencies| format!("p50 {:.3} ms, p99 {:.3} ms of {}", of.p50(), of.p99(), of.count());
        report::progress(&format!(
            "{name}: {}; pgbench {}; constant answer {}",
            figures(own),
            figures(theirs),
            figures(least)
        ));
    }
    let ratio = median(own.iter().zip(theirs).map(|(own, theirs)| own.p50() / theirs.p50()));
    let floor = median(least.iter().zip(theirs).map(|(least, theirs)| (theirs.p50() + least.p50()) / theirs.p50()));
    report.at_most(format!("{name}: invocation p50 / pgbench p50"), ratio, 1.5, "");
    report.figure("  floor: pgbench and an invocation with a constant answer / pgbench", format!("{floor:.2}"));
    let p50 = |of: &[Latencies]| median(of.iter().map(Latencies::p50));
    report.figure(
        "  in milliseconds: invocation, pgbench, constant answer",
        format!("{:.2}, {:.2}, {:.2}", p50(own), p50(theirs), p50(least)),
    );
}

fn report_tail(own: &[Latencies], report: &mut Report) {
    report.at_most("list: p99 / p50, one instance", median(own.iter().map(|own| own.p99() / own.p50())), 1.6, "");
}

/// After all kinds of requests, and the largest page there is.
async fn peak_memory(mut function: Function, report: &mut Report) -> Outcome<()> {
    let everything =
        "/v1/orders?limit=200&include=vehicles&include=tags&include=customer&include=driver&include=counts";
    for _ in 0..20 {
        function.get(everything).await?;
    }
    let megabytes = usage(&function)?.peak_memory_kib as f64 / 1024.0;
    report.at_most("peak memory of the api function", megabytes, 25.0, " MB");
    Ok(())
}

pub fn usage(function: &Function) -> Outcome<Usage> {
    function.runtime.usage().ok_or_else(|| "the function has ended".into())
}

/// The same request under a key of its own.
fn renewed(request: &Request) -> Request {
    let mut request = request.clone();
    request.headers.iter_mut().for_each(|(_, value)| *value = Uuid::now_v7().to_string());
    request
}

/// What a repetition of these statements must not repeat: the request's key, and the UUIDv7s that the function made for it.
fn fresh_ids(statements: &[Statement], key: &str) -> Vec<String> {
    let milliseconds = |id: &str| id.parse::<Uuid>().ok().map(|id| (id.as_u128() >> 80) as i64);
    // Asked for just now.
    let now = milliseconds(&Uuid::now_v7().to_string()).unwrap_or_default();
    let values = statements.iter().flat_map(|statement| &statement.parameters).filter_map(|p| p.value.as_deref());
    let words = values.flat_map(|value| value.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')));
    let new = words.filter(|word| milliseconds(word).is_some_and(|made| (made - now).abs() < 60_000));
    let ids: BTreeSet<&str> = new.chain([key]).collect();
    ids.into_iter().map(str::to_owned).collect()
}
