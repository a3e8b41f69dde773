//! The same read as a FastAPI application behind Mangum, in Lambda's own Python runtime client.

use std::time::Duration;

use carhaul_testkit::{AUDIENCE, LambdaRuntime};
use serde_json::json;

use crate::Outcome;
use crate::database::{API, Database, ISSUER, password};
use crate::function::{Function, LARGEST, Request, World};
use crate::report::{self, Report};
use crate::settings::Settings;
use crate::statement::Listener;
use crate::warm::{ListCost, usage};

pub async fn measure(
    settings: &Settings,
    world: &World,
    database: &Database,
    listener: &mut Listener<'_>,
    ours: &ListCost,
    report: &mut Report,
) -> Outcome<()> {
    let request = Request::get("/v1/orders");
    let (statements, expected) = listener.statements(&request).await?;
    let sql = &statements.first().ok_or("the list sends no statement")?.sql;
    let (host, port) = world.pooler.rsplit_once(':').ok_or("the pooler reads host:port")?;
    let dsn = format!("host={host} port={port} dbname={} user={API} password={}", database.name, password(API));
    let keys = format!("{}/keys", world.issuer.url());
    let environment = [
        ("DSN", dsn.as_str()),
        ("SQL", sql),
        ("OIDC_ISSUER", ISSUER),
        ("OIDC_AUDIENCE", AUDIENCE),
        ("JWKS_URL", &keys),
    ];
    let runtime = LambdaRuntime::spawn(&settings.peer, environment).await.map_err(|e| format!("{e:?}"))?;
    let mut peer = Function::from_runtime(runtime, world.token(LARGEST));
    let (answer, _) = peer.send(&request).await?;
    if answer["data"][49]["id"] != expected["data"][49]["id"] || answer["data"][0]["pickup"] == json!(null) {
        return Err("the peer does not answer as the function does".into());
    }
    peer.repeat(Duration::from_secs(1), |_| request.clone()).await?;
    let before = usage(&peer)?;
    let latencies = peer.repeat(settings.span() * 2, |_| request.clone()).await?;
    let cpu = usage(&peer)?.cpu_time - before.cpu_time;
    let theirs = cpu.as_secs_f64() * 1000.0 / latencies.count() as f64;
    report::progress(&format!("FastAPI + Mangum: p50 {:.2} ms, {theirs:.2} CPU-seconds per 1000", latencies.p50()));
    report.at_most("list: CPU per 1000 requests / FastAPI + Mangum", ours.cpu_seconds_per_1000 / theirs, 0.1, "");
    report.figure("  in CPU-seconds", format!("{:.2} / {theirs:.2}", ours.cpu_seconds_per_1000));
    report.figure("  p50 of both, in milliseconds", format!("{:.2} / {:.2}", ours.p50, latencies.p50()));
    let memory = usage(&peer)?.peak_memory_kib as f64 / 1024.0;
    report.figure("  peak memory of the peer", format!("{memory:.0} MB"));
    Ok(())
}
