//! What is checked of a ranking whoever made it: who there is and who cannot is computed from the rows, not believed.

use super::data::{Factor, Input, Output, Ranked};
use super::rank;
use crate::base::error::{Result, Violations};

/// Of what is said of a factor.
const LONGEST_DETAIL: usize = 500;

/// Takes a provider's ranking. It may leave drivers out, order those who can, and say why; blockers and cautions are those of
/// the rules, a score is the sum of its factors, and who cannot stands behind all who can.
///
/// # Errors
/// [`crate::base::error::Error::Invalid`] for a driver that is not among the candidates or is there twice, and for a factor
/// that is there twice or has more points than it can.
pub fn admit(data: &Input, mut output: Output) -> Result<Output> {
    let computed = rank(data)?;
    let mut violations = Violations::default();
    for n in 0..output.drivers.len() {
        let (before, rest) = output.drivers.split_at_mut(n);
        let Some(ranked) = rest.first_mut() else { continue };
        let id = ranked.driver_id;
        let known = computed.drivers.iter().find(|driver| driver.driver_id == id);
        match known.filter(|_| before.iter().all(|driver| driver.driver_id != id)) {
            None => {
                violations.add(format!("/drivers/{n}/driver_id"), "is not one of the candidates, or is there twice")
            }
            Some(known) => complete(ranked, known, &format!("/drivers/{n}/factors"), &mut violations),
        }
    }
    violations.into_result()?;
    output.drivers.sort_by_key(|driver| (!driver.blockers.is_empty(), std::cmp::Reverse(driver.score), driver.rank));
    for (driver, rank) in output.drivers.iter_mut().zip(1..) {
        driver.rank = rank;
    }
    Ok(output)
}

fn complete(ranked: &mut Ranked, known: &Ranked, at: &str, violations: &mut Violations) {
    ranked.name.clone_from(&known.name);
    ranked.blockers.clone_from(&known.blockers);
    ranked.cautions.clone_from(&known.cautions);
    for n in 0..ranked.factors.len() {
        let (before, rest) = ranked.factors.split_at_mut(n);
        let Some(Factor { code, points, of, detail }) = rest.first_mut() else { continue };
        violations.add_unless(before.iter().all(|it| it.code != *code), format!("{at}/{n}/code"), "is there twice");
        *of = known.factors.iter().find(|it| it.code == *code).map_or(0, |it| it.of);
        violations.add_unless(*points <= *of, format!("{at}/{n}/points"), format!("must be at most {of}"));
        let is_short = detail.chars().count() <= LONGEST_DETAIL;
        violations.add_unless(
            is_short,
            format!("{at}/{n}/detail"),
            format!("must have at most {LONGEST_DETAIL} characters"),
        );
    }
    ranked.score = match ranked.factors.as_slice() {
        _ if !known.blockers.is_empty() => 0,
        [] => ranked.score.min(100),
        factors => factors.iter().map(|factor| factor.points).fold(0, u32::saturating_add),
    };
}
