//! Waiting for what comes in its own time: poll with a deadline, never a fixed sleep.

use std::panic::Location;
use std::time::{Duration, Instant};

/// Pause between two looks, and the least time that a look has.
const STEP: Duration = Duration::from_millis(20);

/// What a probe may answer: `true` or `Some` ends the wait.
pub trait Settled {
    /// What the wait gives back.
    type Value;
    /// `None`: look again.
    fn settled(self) -> Option<Self::Value>;
}

impl Settled for bool {
    type Value = ();
    fn settled(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Settled for Option<T> {
    type Value = T;
    fn settled(self) -> Option<T> {
        self
    }
}

/// Looks again and again until the probe says yes, and gives back what it found. The deadline cuts off a look that hangs.
///
/// # Panics
/// When the deadline passes first, naming the caller's line.
#[track_caller]
pub fn eventually<F, Fut>(deadline: Duration, mut probe: F) -> impl Future<Output = <Fut::Output as Settled>::Value>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Settled>,
{
    let caller = Location::caller();
    async move {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let look = tokio::time::timeout(left.max(STEP), probe()).await;
            if let Some(found) = look.ok().and_then(Settled::settled) {
                return found;
            }
            assert!(
                Instant::now() < end,
                "nothing came within {deadline:?}; waited for at {caller}"
            );
            tokio::time::sleep(STEP).await;
        }
    }
}
