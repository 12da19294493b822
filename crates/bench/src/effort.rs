//! How long and how often each comparison measures.

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) turn: Duration,
    pub(crate) rounds: usize,
}
