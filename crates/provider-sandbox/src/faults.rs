//! Which faults are switched on, a set for each provider.

use std::collections::BTreeMap;
use std::str::FromStr;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

/// The providers that the sandbox stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Sms,
    Push,
    Chat,
    Hooks,
}

impl FromStr for Provider {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "sms" => Ok(Self::Sms),
            "push" => Ok(Self::Push),
            "chat" => Ok(Self::Chat),
            "hooks" => Ok(Self::Hooks),
            _ => Err(()),
        }
    }
}

/// How an answer goes wrong beside its status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    None,
    /// No answer, ever.
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

/// What goes wrong at one provider. Without `error_rate`, `status` and `mode` hold for every request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    /// Every answer is this much later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<u64>,
    /// Share of requests that fail, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_rate: Option<f64>,
    /// Status of those that fail; 500 when only a rate is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// `Retry-After` of those that fail, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) mode: Mode,
    /// The fault ends by itself after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) for_ms: Option<u64>,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) latency: Duration,
    pub(crate) what: What,
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
        }
    }
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<BTreeMap<Provider, (Fault, Option<Instant>)>>);

impl Faults {
    pub(crate) fn set(&self, provider: Provider, fault: Fault, now: Instant) {
        let end = fault.for_ms.map(|span| now + Duration::from_millis(span));
        self.lock().insert(provider, (fault, end));
    }

    pub(crate) fn clear(&self, provider: Provider) {
        self.lock().remove(&provider);
    }

    pub(crate) fn verdict(&self, provider: Provider, dice: f64, now: Instant) -> Verdict {
        let mut faults = self.lock();
        if faults
            .get(&provider)
            .is_some_and(|(_, end)| end.is_some_and(|end| end <= now))
        {
            faults.remove(&provider);
        }
        faults
            .get(&provider)
            .map_or_else(|| Fault::default().verdict(dice), |(fault, _)| fault.verdict(dice))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Provider, (Fault, Option<Instant>)>> {
        self.0.lock()
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
                what: What::Succeed
            }
        );
    }

    #[test]
    fn a_fault_ends_when_its_time_is_over() {
        let (faults, now) = (Faults::default(), Instant::now());
        faults.set(
            Provider::Sms,
            Fault {
                status: Some(503),
                for_ms: Some(100),
                ..Default::default()
            },
            now,
        );
        assert_ne!(faults.verdict(Provider::Sms, 0.0, now).what, What::Succeed);
        let later = now + Duration::from_millis(100);
        assert_eq!(faults.verdict(Provider::Sms, 0.0, later).what, What::Succeed);
    }
}
