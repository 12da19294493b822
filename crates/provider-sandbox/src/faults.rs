//! Which faults are switched on, a set for each provider and for single accounts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::target::{Asked, Target};

/// Most faults that are on at a time.
const MOST: usize = 1_000;

/// How an answer goes wrong beside its status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    None,
    /// No answer for ten minutes, which no caller waits for; then 503.
    Hang,
    /// The connection is reset (RST).
    Reset,
    /// The right answer, a byte at a time.
    Drip,
    /// An answer that does not end.
    Endless,
    /// A success that can't be read.
    Garbage,
}

/// What is told of a message that was taken, where its sender gave an address for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Callback {
    /// It was sent, and arrived.
    #[default]
    Delivered,
    /// It was sent, and did not arrive.
    Undelivered,
    /// Nothing.
    None,
}

/// What goes wrong at one provider. Without `error_rate`, a `status`, `retry_after_s` or `mode` holds for every request.
/// A `mode` other than `none` takes the place of `status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    /// Every answer is this much later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<u64>,
    /// Share of requests that fail, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_rate: Option<f64>,
    /// Status of those that fail; without it 429 where `retry_after_s` is set, else 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// `Retry-After` of those that fail, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) mode: Mode,
    /// SMS: what is told of each message that is taken; `delivered` unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback: Option<Callback>,
    /// The fault ends by itself after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) for_ms: Option<u64>,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) latency: Duration,
    pub(crate) what: What,
    /// What is told later of a request that succeeds.
    pub(crate) callback: Callback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Succeed,
    Fail { status: u16, retry_after_s: Option<u64> },
    Misbehave(Mode),
}

impl Fault {
    /// Says what is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self {
            Self {
                error_rate: Some(rate), ..
            } if !(0.0..=1.0).contains(rate) => Some("error_rate must be from 0 to 1"),
            Self {
                status: Some(status), ..
            } if !(200..600).contains(status) => Some("status must be from 200 to 599"),
            _ => None,
        }
    }

    /// `dice` is from 0 to 1, 1 excluded.
    fn verdict(&self, dice: f64) -> Verdict {
        let something = self.mode != Mode::None || self.status.is_some() || self.retry_after_s.is_some();
        let rate = self.error_rate.unwrap_or(if something { 1.0 } else { 0.0 });
        let what = if dice >= rate {
            What::Succeed
        } else if self.mode == Mode::None {
            let by_default = if self.retry_after_s.is_some() { 429 } else { 500 };
            What::Fail {
                status: self.status.unwrap_or(by_default),
                retry_after_s: self.retry_after_s,
            }
        } else {
            What::Misbehave(self.mode)
        };
        Verdict {
            latency: Duration::from_millis(self.latency_ms.unwrap_or_default()),
            what,
            callback: self.callback.unwrap_or_default(),
        }
    }
}

/// No more faults can be switched on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The faults that are on.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Switched>);

/// Each with its end, where it has one.
type Switched = BTreeMap<Target, (Fault, Option<Instant>)>;

impl Faults {
    pub(crate) fn set(&self, target: Target, fault: Fault, now: Instant) -> Result<(), TooMany> {
        // An end that is too far away for the clock counts as no end.
        let end = fault
            .for_ms
            .and_then(|span| now.checked_add(Duration::from_millis(span)));
        let mut faults = self.lasting(now);
        if faults.len() >= MOST && !faults.contains_key(&target) {
            return Err(TooMany);
        }
        faults.insert(target, (fault, end));
        Ok(())
    }

    pub(crate) fn clear(&self, target: &Target) {
        self.0.lock().remove(target);
    }

    /// What happens to a request. A fault of its account takes the place of its provider's fault.
    pub(crate) fn verdict(&self, asked: &Asked, dice: f64, now: Instant) -> Verdict {
        let faults = self.lasting(now);
        let fault = asked.targets().find_map(|target| faults.get(&target));
        fault.map_or_else(|| Fault::default().verdict(dice), |(fault, _)| fault.verdict(dice))
    }

    /// Drops the faults that have ended, and locks the others.
    fn lasting(&self, now: Instant) -> MutexGuard<'_, Switched> {
        let mut faults = self.0.lock();
        faults.retain(|_, (_, end)| end.is_none_or(|end| end > now));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_alone_fails_its_share_with_500() {
        let fault = Fault {
            error_rate: Some(0.25),
            ..Default::default()
        };
        assert_eq!(
            fault.verdict(0.24).what,
            What::Fail {
                status: 500,
                retry_after_s: None
            }
        );
        assert_eq!(fault.verdict(0.25).what, What::Succeed);
    }

    #[test]
    fn a_status_or_a_mode_without_a_rate_holds_for_every_request() {
        let fault = Fault {
            status: Some(503),
            ..Default::default()
        };
        assert_eq!(
            fault.verdict(0.999).what,
            What::Fail {
                status: 503,
                retry_after_s: None
            }
        );
        let fault = Fault {
            mode: Mode::Hang,
            ..Default::default()
        };
        assert_eq!(fault.verdict(0.999).what, What::Misbehave(Mode::Hang));
    }

    #[test]
    fn latency_alone_fails_nothing() {
        let fault = Fault {
            latency_ms: Some(20),
            ..Default::default()
        };
        assert_eq!(
            fault.verdict(0.0),
            Verdict {
                latency: Duration::from_millis(20),
                what: What::Succeed,
                callback: Callback::Delivered,
            }
        );
    }

    /// Every request fails with this status.
    fn failing(status: u16, for_ms: Option<u64>) -> Fault {
        Fault {
            status: Some(status),
            for_ms,
            ..Default::default()
        }
    }

    fn target(name: &str) -> Target {
        name.parse().unwrap()
    }

    #[test]
    fn a_fault_ends_when_its_time_is_over() {
        let (faults, now) = (Faults::default(), Instant::now());
        faults.set(target("sms"), failing(503, Some(100)), now).unwrap();
        let asked = Asked::sms("AC1");
        assert_ne!(faults.verdict(&asked, 0.0, now).what, What::Succeed);
        let later = now + Duration::from_millis(100);
        assert_eq!(faults.verdict(&asked, 0.0, later).what, What::Succeed);
        faults.set(target("sms"), failing(503, Some(u64::MAX)), now).unwrap();
        assert_ne!(faults.verdict(&asked, 0.0, later).what, What::Succeed);
    }

    #[test]
    fn the_fault_of_an_account_stands_in_the_place_of_its_provider_s_while_it_is_set() {
        let (faults, now) = (Faults::default(), Instant::now());
        let status = |account: &str, now| match faults.verdict(&Asked::sms(account), 0.0, now).what {
            What::Fail { status, .. } => status,
            other => panic!("{other:?}"),
        };
        faults.set(target("sms"), failing(500, None), now).unwrap();
        faults.set(target("sms.AC1"), failing(503, Some(100)), now).unwrap();
        assert_eq!((status("AC1", now), status("AC2", now)), (503, 500));
        assert_eq!(status("AC1", now + Duration::from_millis(100)), 500);
        faults.set(target("sms.AC1"), failing(504, None), now).unwrap();
        faults.clear(&target("sms"));
        assert_eq!(status("AC1", now), 504);
        assert_eq!(faults.verdict(&Asked::sms("AC2"), 0.0, now).what, What::Succeed);
    }

    #[test]
    fn there_are_only_so_many_and_one_that_ended_makes_room() {
        let (faults, now) = (Faults::default(), Instant::now());
        let set = |name: &str, now| faults.set(target(name), failing(503, Some(100)), now);
        for number in 0..MOST {
            set(&format!("sms.AC{number}"), now).unwrap();
        }
        assert_eq!(set("push", now), Err(TooMany));
        set("sms.AC1", now).unwrap();
        set("push", now + Duration::from_millis(100)).unwrap();
    }
}
