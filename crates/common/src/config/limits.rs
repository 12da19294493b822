//! Rate limits as they are set: how much each class of requests may ask for, and how it is held.
//!
//! Only the numbers and whether they can be; `common::limits` says what a class is and holds the limits.

use serde::Deserialize;

/// Requests a minute: one in some sixteen hours, to one a microsecond.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=60_000_000.0;
/// Requests at once.
const BURSTS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// Longest time that a burst may take to come back, in minutes: what is counted in microseconds stays exact.
const LONGEST: f64 = 30.0 * 24.0 * 60.0;

/// How a limit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A burst at once, then the rate.
    TokenBucket,
    /// A queue that spaces: what comes too early waits for its turn, half a second at most.
    LeakyBucket,
}

impl Algorithm {
    /// Its name in settings and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::LeakyBucket => "leaky_bucket",
        }
    }
}

/// The limit of one class.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct RateLimit {
    pub rate: f64,
    pub burst: u32,
    pub algorithm: Algorithm,
}

/// The limits of all classes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct RateLimits {
    pub read: RateLimit,
    pub write: RateLimit,
    pub sign_up: RateLimit,
    pub login: RateLimit,
    pub mail: RateLimit,
    pub public: RateLimit,
    pub callback: RateLimit,
}

impl RateLimits {
    /// The key of the first limit that can't be, and what is wrong with it.
    pub(super) fn broken(&self) -> Option<(String, &'static str)> {
        let classes = [
            ("read", self.read),
            ("write", self.write),
            ("sign_up", self.sign_up),
            ("login", self.login),
            ("mail", self.mail),
            ("public", self.public),
            ("callback", self.callback),
        ];
        classes.into_iter().find_map(|(class, limit)| {
            let (key, problem) = limit.broken()?;
            Some((format!("limits.{class}.{key}"), problem))
        })
    }
}

impl RateLimit {
    fn broken(self) -> Option<(&'static str, &'static str)> {
        if !RATES.contains(&self.rate) {
            return Some((
                "rate",
                "must be from 0.001 to 60000000 a minute (five an hour is 0.0833)",
            ));
        }
        if !BURSTS.contains(&self.burst) {
            return Some(("burst", "must be from 1 to 1000000"));
        }
        if f64::from(self.burst) / self.rate > LONGEST {
            return Some((
                "burst",
                "must come back within 30 days at this rate: lower it, or raise the rate",
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(rate: f64, burst: u32) -> Option<&'static str> {
        let limit = RateLimit {
            rate,
            burst,
            algorithm: Algorithm::TokenBucket,
        };
        limit.broken().map(|(key, _)| key)
    }

    #[test]
    fn what_can_t_be_held_is_refused_by_its_key() {
        assert_eq!(broken(100.0, 100), None);
        assert_eq!(broken(60_000_000.0, 1_000_000), None);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 60_000_001.0] {
            assert_eq!(broken(rate, 10), Some("rate"), "{rate}");
        }
        for burst in [0, 1_000_001] {
            assert_eq!(broken(100.0, burst), Some("burst"), "{burst}");
        }
        assert_eq!(broken(0.001, 100), Some("burst"));
    }
}
