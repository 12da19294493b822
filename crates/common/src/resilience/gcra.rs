//! Both rate limits, each kept in one integer: the generic cell rate algorithm (ITU-T I.371, annex A).
//!
//! The integer is the *theoretical arrival time* of the next request, if all came evenly: each one moves it an
//! interval on, and it never lies in the past. How far it is ahead of now is the caller's debt. A request conforms while
//! the debt is at most the tolerance. That alone decides as a **token bucket** does, whose level is the tolerance less the
//! debt. As a **leaky bucket** the same integer is the end of a queue: a request that conforms waits for its debt, and so
//! leaves at its turn.
//!
//! Why not the crate `governor`, which is GCRA too: its draws are all or nothing and its state can't be read or set, so
//! that neither what Redis decided could be carried on with here while Redis is away, nor the other way round; its
//! callers are bounded by a sweep, not by bytes. What is left are the ten lines of [`Quota::draw`], which the script in
//! `store::draw` has word for word; `tests/it/limits/model.rs` holds both to the textbooks' buckets.
//!
//! All times are microseconds of whichever clock the caller names: of Redis, or of this process. Nothing here reads one.

use std::time::Duration;

/// Longest wait in a [`Quota::leaky_bucket`], in microseconds.
const LONGEST_WAIT: i64 = 500_000;
const MICROS_A_MINUTE: f64 = 60_000_000.0;

/// How much is allowed: a rate with a burst, in the form that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Microseconds between two requests at the rate.
    interval: i64,
    /// The debt up to which a request conforms, in microseconds.
    tolerance: i64,
    /// So many of the last tokens are given out one by one.
    reserve: i64,
    /// Whether what conforms waits for its turn.
    spaces: bool,
}

/// What came of asking for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// How many were granted.
    pub granted: i64,
    /// The theoretical arrival time after it.
    pub arrival: i64,
    /// The time at which it was decided.
    pub now: i64,
}

impl Quota {
    /// `burst` at once, then the rate. The interval is whole microseconds, rounded up: never more than the rate.
    pub fn token_bucket(per_minute: f64, burst: u32) -> Self {
        let (interval, burst) = (interval(per_minute), i64::from(burst.max(1)));
        Self {
            interval,
            tolerance: (burst - 1) * interval,
            reserve: burst / 5,
            spaces: false,
        }
    }

    /// A queue of `burst` that lets one out an interval; nobody waits in it for more than 500 ms.
    pub fn leaky_bucket(per_minute: f64, burst: u32) -> Self {
        let interval = interval(per_minute);
        Self::queue(interval, (i64::from(burst.max(1)) * interval).min(LONGEST_WAIT))
    }

    /// A queue that lets one out an interval, and takes nobody in who would wait in it for more than `patience`.
    pub fn leaky_bucket_within(per_minute: f64, patience: Duration) -> Self {
        Self::queue(
            interval(per_minute),
            i64::try_from(patience.as_micros()).unwrap_or(i64::MAX / 4),
        )
    }

    fn queue(interval: i64, tolerance: i64) -> Self {
        Self {
            interval,
            tolerance,
            reserve: 0,
            spaces: true,
        }
    }

    /// Draws up to `wanted` tokens at `now`, when `arrival` is what was kept of the draws before; 0 is none.
    ///
    /// In the last fifth of a token bucket they come one by one, so that nobody holds what another may need. An arrival
    /// further ahead than one can be is another clock's, and counts for the furthest that there is.
    pub fn draw(&self, arrival: i64, now: i64, wanted: i64) -> Drawn {
        let arrival = arrival.clamp(now, now + self.ceiling());
        let free = self.free(arrival, now);
        let granted = wanted.min(free).min((free - self.reserve).max(1));
        Drawn {
            granted,
            arrival: arrival + granted * self.interval,
            now,
        }
    }

    /// How many tokens there are at `now`.
    pub fn free(&self, arrival: i64, now: i64) -> i64 {
        let debt = (arrival - now).max(0);
        if debt > self.tolerance {
            return 0;
        }
        (self.tolerance - debt) / self.interval + 1
    }

    /// How long a request waits that was granted the first of these tokens.
    pub fn wait(&self, drawn: &Drawn) -> Duration {
        let turn = drawn.arrival - drawn.granted * self.interval;
        if self.spaces {
            micros(turn - drawn.now)
        } else {
            Duration::ZERO
        }
    }

    /// The time from which there is a token, when `arrival` is kept.
    pub fn next(&self, arrival: i64) -> i64 {
        arrival - self.tolerance
    }

    /// The most that an arrival can be ahead of now, in microseconds.
    pub fn ceiling(&self) -> i64 {
        self.tolerance + self.interval
    }

    /// Microseconds between two requests at the rate.
    pub fn interval(&self) -> i64 {
        self.interval
    }

    /// The debt up to which a request conforms, in microseconds.
    pub fn tolerance(&self) -> i64 {
        self.tolerance
    }

    /// So many of the last tokens are given out one by one.
    pub fn reserve(&self) -> i64 {
        self.reserve
    }

    /// The most tokens that there can be at once.
    pub fn capacity(&self) -> i64 {
        self.free(0, 0)
    }

    /// Whether what conforms waits for its turn.
    pub fn spaces(&self) -> bool {
        self.spaces
    }
}

/// A span of microseconds; zero when it is negative.
pub(crate) fn micros(span: i64) -> Duration {
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the settings bound the rate; a cast saturates"
)]
fn interval(per_minute: f64) -> i64 {
    (MICROS_A_MINUTE / per_minute).ceil().clamp(1.0, 1e14) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_of_another_clock_costs_a_burst_at_most() {
        let quota = Quota::token_bucket(60.0, 10);
        let ahead = quota.draw(i64::MAX / 2, 1_000, 1);
        assert_eq!(
            (ahead.granted, quota.next(ahead.arrival)),
            (0, 1_000 + quota.interval())
        );
        assert_eq!(quota.draw(-5, 1_000, 1).granted, 1);
    }

    #[test]
    fn an_interval_is_rounded_up_to_whole_microseconds() {
        assert_eq!(Quota::token_bucket(100.0, 1).interval(), 600_000);
        assert_eq!(Quota::token_bucket(60_000_000.0, 1).interval(), 1);
        assert_eq!(Quota::token_bucket(7.0, 1).interval(), 8_571_429);
    }
}
