//! How long a failed attempt is waited for: exponential, with jitter so that what failed together does not come back
//! together, and never shorter than the provider has asked for.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);
/// A provider that asks for longer is asked again then.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// `attempt` counts from 1; `random` is from 0 up to 1.
pub fn after(attempt: i32, asked: Option<Duration>, random: f64) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 16) - 1).unwrap_or(0);
    let longest = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    // Half of it is certain.
    let delay = longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
    delay.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_is_bounded_and_heeds_the_provider() {
        let seconds =
            |attempt, asked: Option<u64>, random| after(attempt, asked.map(Duration::from_secs), random).as_secs_f64();
        assert_eq!([1, 2, 3, 4].map(|attempt| seconds(attempt, None, 1.0)), [5.0, 10.0, 20.0, 40.0]);
        assert_eq!((seconds(1, None, 0.0), seconds(40, None, 1.0)), (2.5, 600.0));
        assert_eq!((seconds(1, Some(30), 0.5), seconds(4, Some(1), 0.0)), (30.0, 20.0));
        assert_eq!(seconds(1, Some(100_000), 0.5), 3600.0);
    }
}
