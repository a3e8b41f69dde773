//! The clock is an input, so that a test can stand at any moment and wait for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time; cloning is cheap, and clones of a fixed clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// Microseconds since 1970, the resolution of Postgres.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is advanced.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Source::Fixed(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::Fixed(micros) => DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed))
                .expect("a fixed clock is set and advanced by valid times"),
        }
    }

    /// Moves a fixed clock and all its clones.
    ///
    /// # Panics
    /// On the system clock, which nobody can move.
    pub fn advance(&self, by: TimeDelta) {
        match &self.0 {
            Source::System => panic!("only a fixed clock can be advanced"),
            Source::Fixed(micros) => {
                let by = by.num_microseconds().expect("a test advances by less than 292 000 years");
                micros.fetch_add(by, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_fixed_clock_move_together() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Clock::fixed(start);
        let clone = clock.clone();
        clock.advance(TimeDelta::minutes(5));
        assert_eq!(clone.now(), start + TimeDelta::minutes(5));
    }

    #[test]
    fn the_system_clock_moves_by_itself() {
        let clock = Clock::system();
        assert!(clock.now() <= clock.now());
    }
}
