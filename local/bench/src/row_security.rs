//! What row-level security costs: the same SQL, which names the tenant in a WHERE of its own, as the function's role and as
//! one that bypasses the policies.

use crate::Outcome;
use crate::database::{API, BYPASS, Database};
use crate::function::{Latencies, Request, median};
use crate::pgbench::Script;
use crate::report::{self, Report};
use crate::settings::Settings;
use crate::statement::{Listener, Statement};
use crate::warm::ROUNDS;

pub async fn measure(
    settings: &Settings,
    database: &Database,
    listener: &mut Listener<'_>,
    report: &mut Report,
) -> Outcome<()> {
    let (page, _) = listener.statements(&Request::get("/v1/orders")).await?;
    let aggregate = aggregate(page.first().ok_or("the list sends no statement")?)?;
    for (name, statements, target) in [("page", page, 1.15), ("tenant aggregate", vec![aggregate], 1.05)] {
        let script = Script::of(&statements, &[]);
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let secured = script.run(settings, database, API, settings.span()).await?;
            let plain = script.run(settings, database, BYPASS, settings.span()).await?;
            report::progress(&format!(
                "{name}: p50 {:.3} ms under row-level security, {:.3} ms without",
                secured.p50(),
                plain.p50()
            ));
            ratios.push(ratio(&secured, &plain));
        }
        report.at_most(format!("row-level security / explicit WHERE: {name}"), median(ratios), target, "");
    }
    Ok(())
}

fn ratio(secured: &Latencies, plain: &Latencies) -> f64 {
    secured.p50() / plain.p50()
}

/// Enters the tenant as the list does, then reads all of its orders.
fn aggregate(page: &Statement) -> Outcome<Statement> {
    let enter = page.sql.find("app.enter(").ok_or("the list does not enter a tenant")?;
    let end = page.sql[enter..].find(')').ok_or("the list does not enter a tenant")? + enter;
    let sql = format!(
        "SELECT a.* FROM {}) e CROSS JOIN LATERAL (SELECT t.status, count(*), sum(t.price), max(t.updated_at) FROM orders t \
         WHERE t.tenant_id = e.tenant_id GROUP BY t.status) a",
        &page.sql[enter..end]
    );
    let arguments = page.sql[enter..end].matches('$').count();
    Ok(Statement { sql, parameters: page.parameters[..arguments].to_vec(), simple: false })
}
