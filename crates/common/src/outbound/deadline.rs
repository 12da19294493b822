//! By when a call has to have ended: the one thing that all of its layers share.

use std::time::{Duration, Instant};

use http::Extensions;

/// By when a call has to have ended, in its request's extensions. A layer that finds none takes its own time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

impl Deadline {
    /// What a call with these extensions has left; `None` when nobody set it a deadline.
    pub(super) fn left(extensions: &Extensions) -> Option<Duration> {
        let Self(at) = extensions.get()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// What a layer may wait for its turn, so that a try of `try_timeout` still fits behind it.
    pub(super) fn patience(extensions: &Extensions, try_timeout: Duration) -> Duration {
        Self::left(extensions).unwrap_or_default().saturating_sub(try_timeout)
    }
}
