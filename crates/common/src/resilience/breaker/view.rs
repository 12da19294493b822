//! What is seen of a breaker from outside: its state, its mode, its transitions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::Counted;

/// Whether the breaker decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// It decides.
    On,
    /// It counts and shows its state, but lets everything pass.
    MetricsOnly,
    /// Nothing passes.
    ForcedOpen,
    /// Everything passes and nothing is counted.
    ForcedClosed,
}

impl BreakerMode {
    /// Its word in JSON and in log lines.
    pub const fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::MetricsOnly => "metrics_only",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// What is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// A few calls pass, to find out.
    HalfOpen,
    /// No call passes.
    Open,
}

impl BreakerState {
    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }

    /// As a gauge shows it: 0 closed, 1 half-open, 2 open.
    pub const fn level(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// A change of a breaker's state, by what it saw or by time, and the ground for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state that it is in now.
    pub to: BreakerState,
    /// How long it stays open, when it opened.
    pub open_for: Option<Duration>,
    /// The calls that counted when it opened last.
    pub counted: Counted,
}

/// A breaker as an operator sees it.
#[derive(Debug, Clone, Copy)]
pub struct BreakerView {
    /// What it makes of the calls that it saw. In [`BreakerMode::MetricsOnly`] calls pass whatever this is.
    pub state: BreakerState,
    /// Whether it decides.
    pub mode: BreakerMode,
    /// How long until it decides again by itself; `None` when the mode stays until it is set again.
    pub mode_ends_in: Option<Duration>,
    /// The calls that count at present.
    pub counted: Counted,
}
