//! From the start of the process to the first answer, and where the time goes. The parts are seen from outside, on wires to
//! the issuer, to Secrets Manager and to the database.

use std::time::Instant;

use crate::Outcome;
use crate::database::Database;
use crate::function::{LARGEST, Places, Request, World, median};
use crate::report::{self, Report, milliseconds};
use crate::wire::Wire;

const STARTS: usize = 21;
const PARTS: [&str; 7] = [
    "process, configuration, routes: to the first poll",
    "HTTP client for the issuer",
    "discovery document and keys",
    "token check, SDK client",
    "secret",
    "connection to the pooler, login",
    "statement, answer",
];

pub async fn measure(world: &World, database: &Database, report: &mut Report) -> Outcome<()> {
    let request = Request::get("/v1/orders");
    let mut totals = Vec::new();
    for _ in 0..STARTS {
        let mut function = world.instance(database, LARGEST).await?;
        let ready = function.runtime.until_ready().await.map_err(|e| format!("{e:?}"))?;
        totals.push(milliseconds(ready) + milliseconds(function.send(&request).await?.1));
    }
    report.at_most("cold start to the first answer", median(totals), 15.0, " ms");
    let mut parts = Vec::new();
    for _ in 0..STARTS {
        parts.push(timeline(world, database, &request).await?);
    }
    world.publish_keys_at(&world.places().issuer);
    for (part, name) in PARTS.iter().enumerate() {
        let spent = median(parts.iter().map(|start| start[part]));
        report.figure(format!("  {name}"), format!("{spent:.2} ms"));
        report::progress(&format!("{name:52} {spent:6.2} ms"));
    }
    Ok(())
}

async fn timeline(world: &World, database: &Database, request: &Request) -> Outcome<[f64; 7]> {
    let places = world.places();
    let issuer = Wire::start(&places.issuer).await?;
    let secrets = Wire::start(&places.secrets).await?;
    let pooler = Wire::start(&places.database).await?;
    let address = |wire: &Wire| wire.address.clone();
    let places = Places { issuer: address(&issuer), secrets: address(&secrets), database: address(&pooler) };
    world.publish_keys_at(&issuer.address);
    let mut function = world.instance_at(database, LARGEST, &places).await?;
    let ready = function.runtime.until_ready().await.map_err(|e| format!("{e:?}"))?;
    let asked = Instant::now();
    let (_, elapsed) = function.send(request).await?;
    let (issuer, secrets, pooler) = (issuer.record(), secrets.record(), pooler.record());
    let (_, first_statement) = pooler.prepared();
    let moments = [
        Some(asked),
        issuer.connected,
        issuer.last_answer,
        secrets.connected,
        secrets.last_answer,
        first_statement,
        Some(asked + elapsed),
    ];
    let moments = moments.into_iter().collect::<Option<Vec<_>>>().ok_or("a cold start did without one of its parts")?;
    let mut parts = [milliseconds(ready); 7];
    for (part, pair) in parts[1..].iter_mut().zip(moments.windows(2)) {
        *part = milliseconds(pair[1].saturating_duration_since(pair[0]));
    }
    Ok(parts)
}
