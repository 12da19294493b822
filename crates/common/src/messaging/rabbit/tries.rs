//! The pauses between one try to connect and the next.

use std::time::Duration;

use crate::resilience::Backoff;

/// Waits after every node was tried.
const WAITS: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(1));
/// A connection that lasted so long was a good one: the waits begin again with the shortest.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// Counts the tries over all nodes: after a failure the next node is tried at once, and after all of them there is a pause.
pub(super) struct Tries {
    nodes: usize,
    failed: usize,
    waited: u32,
}

impl Tries {
    pub(super) fn over(nodes: usize) -> Self {
        Self {
            nodes,
            failed: 0,
            waited: 0,
        }
    }

    /// The pause after a node that could not be connected to; zero while others are left.
    pub(super) fn after_failure(&mut self) -> Duration {
        self.failed += 1;
        if self.failed < self.nodes {
            return Duration::ZERO;
        }
        self.failed = 0;
        self.wait()
    }

    /// The pause after a connection that lived for `life`; never zero. One that ends as soon as it is used, for want of a
    /// right, must not be opened in a loop.
    pub(super) fn after_life(&mut self, life: Duration) -> Duration {
        self.failed = 0;
        if life >= GOOD_LIFE {
            self.waited = 0;
        }
        self.wait()
    }

    /// Whether a new round over the nodes begins: none has failed since the last round or the last connection.
    pub(super) fn begin_anew(&self) -> bool {
        self.failed == 0
    }

    fn wait(&mut self) -> Duration {
        let wait = WAITS.step(self.waited);
        self.waited = self.waited.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_next_node_is_tried_at_once_and_all_again_after_a_pause_that_doubles() {
        let mut tries = Tries::over(3);
        let waits: Vec<_> = (0..15).map(|_| tries.after_failure().as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 0, 0, 200, 0, 0, 400, 0, 0, 800, 0, 0, 1000]);
        let mut tries = Tries::over(1);
        assert_eq!([tries.after_failure(), tries.after_failure()], [ms(100), ms(200)]);
    }

    #[test]
    fn only_a_connection_that_lasted_lets_the_next_be_tried_at_once() {
        let mut tries = Tries::over(1);
        let failures: Vec<_> = (0..5).map(|_| tries.after_failure()).collect();
        assert_eq!(failures, [100, 200, 400, 800, 1000].map(ms));
        assert_eq!(tries.after_life(ms(30)), ms(1000));
        assert_eq!(tries.after_life(ms(9_999)), ms(1000));
        assert_eq!(tries.after_life(ms(10_000)), ms(100));
        assert_eq!(tries.after_life(ms(30)), ms(200));
    }

    #[test]
    fn after_a_connection_every_other_node_is_tried_before_a_pause() {
        let mut tries = Tries::over(3);
        assert!(tries.after_failure().is_zero() && !tries.begin_anew());
        tries.after_life(GOOD_LIFE);
        assert!(tries.begin_anew() && tries.after_failure().is_zero() && tries.after_failure().is_zero());
    }
}
