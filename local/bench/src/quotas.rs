//! What the plan's checks cost a warm request: the function against itself on a copy of the database in which calls are not
//! counted.

use std::time::Duration;

use crate::Outcome;
use crate::database::Database;
use crate::fixture::Fixture;
use crate::function::{LARGEST, Request, World, median};
use crate::report::{self, Report};
use crate::settings::Settings;
use crate::warm::ROUNDS;

/// Neither counts nor looks up what the plan allows and how long its month lasts. What a function is called stays, and with it
/// the statements that call it.
const UNCOUNTED: &str = "
CREATE OR REPLACE FUNCTION app.count_call(
    p_quota text, p_month date, p_month_max bigint, p_second_max bigint, OUT month_used bigint, OUT second_used bigint
) LANGUAGE sql AS 'SELECT NULL::bigint, NULL::bigint';
DO $$
BEGIN
    EXECUTE regexp_replace(
        pg_get_functiondef('app.enter(text, text, text, uuid, uuid)'::regprocedure),
        '(month_ends_in|calls_a_month|calls_a_second) := [^;]+;', '', 'g');
END
$$";

/// A copy of a database that nobody is connected to.
pub async fn uncounted(database: &Database) -> Outcome<Database> {
    database.copy("uncounted", UNCOUNTED).await
}

pub async fn measure(
    settings: &Settings,
    world: &World,
    counted: &Database,
    uncounted: &Database,
    report: &mut Report,
) -> Outcome<()> {
    let fixture = Fixture::of(counted, LARGEST).await?;
    let (mut with, mut without) = (world.instance(counted, LARGEST).await?, world.instance(uncounted, LARGEST).await?);
    for (name, path) in [("list", "/v1/orders".to_owned()), ("get", format!("/v1/orders/{}", fixture.order))] {
        let request = Request::get(path);
        with.by_turns(&mut without, Duration::from_secs(1), &request).await?;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let (with, without) = with.by_turns(&mut without, settings.span() * 2, &request).await?;
            report::progress(&format!("{name}: p50 {:.3} ms, {:.3} ms uncounted", with.p50(), without.p50()));
            ratios.push(with.p50() / without.p50());
        }
        report.at_most(format!("{name}: with the plan's checks / without, p50"), median(ratios), 1.05, "");
    }
    Ok(())
}
