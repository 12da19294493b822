//! The gate before a consumer: closed while the consumer's own database is in trouble.
//!
//! When a message fails because the database is away, locked or refuses us, the message is not to blame. It goes back
//! without a counted attempt. No other is taken until the database answers and one message, the probe, got through. The
//! broker's channel stays open all the while: closing it would count a delivery against each message in hand.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::process;
use crate::resilience::Backoff;
use crate::telemetry::Metrics;

/// Pauses before probes. To ask the database costs one short transaction.
const PAUSES: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(5));

/// How far a gate is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Messages are taken.
    Open,
    /// None is taken; those in hand are still finished.
    Draining,
    /// None is taken until a probe is due.
    Closed,
    /// One message is tried.
    Probing,
}

/// The gate's state and the rules by which it changes, without clock or broker, so that tests can play it.
#[derive(Debug, Clone, Copy)]
struct Position {
    state: State,
    failed_probes: u32,
    probe_at: Instant,
    since: Instant,
}

impl Position {
    fn open(now: Instant) -> Self {
        Self {
            state: State::Open,
            failed_probes: 0,
            probe_at: now,
            since: now,
        }
    }

    /// Something failed for want of the database. `random`, from 0 to 1, shortens the pause, so that replicas spread.
    fn fail(&mut self, now: Instant, random: f64) {
        match self.state {
            State::Open => (self.state, self.since) = (State::Draining, now),
            State::Draining => {}
            State::Closed | State::Probing => {
                self.state = State::Closed;
                self.failed_probes = self.failed_probes.saturating_add(1);
            }
        }
        self.probe_at = now + PAUSES.delay(self.failed_probes, random);
    }

    /// A message did not fail for want of the database; answers whether that opens the gate: it was the probe.
    fn succeed(&mut self, now: Instant) -> bool {
        let opens = self.state == State::Probing;
        if opens {
            *self = Self::open(now);
        }
        opens
    }
}

/// The gate of one consumer.
pub(in crate::messaging) struct Gate {
    queue: &'static str,
    metrics: Metrics,
    position: watch::Sender<Position>,
}

impl Gate {
    pub(super) fn new(queue: &'static str, metrics: Metrics) -> Self {
        metrics.consumer_gate(queue, 0);
        Self {
            queue,
            metrics,
            position: watch::Sender::new(Position::open(Instant::now())),
        }
    }

    /// Whether messages may be taken, as many as there are.
    pub(in crate::messaging) fn is_open(&self) -> bool {
        self.position.borrow().state == State::Open
    }

    /// For readiness: a closed gate is a service that does less.
    pub(super) fn health(&self) -> process::State {
        if self.is_open() {
            process::State::Up
        } else {
            process::State::Degraded
        }
    }

    /// Resolves when the gate is not open.
    pub(in crate::messaging) async fn closes(&self) {
        // The sender is this gate's own: there is no error.
        let _ = self.position.subscribe().wait_for(|at| at.state != State::Open).await;
    }

    /// To be called when all messages that were in hand are finished: a draining gate is closed then.
    pub(in crate::messaging) fn drained(&self) {
        self.change(|at| {
            if at.state == State::Draining {
                at.state = State::Closed;
            }
        });
    }

    /// The database answers, and the queue has no message to probe with: opens the gate.
    pub(in crate::messaging) fn has_no_probe(&self) {
        self.succeeded();
    }

    /// Resolves when the pause before the next probe is over.
    pub(super) async fn pause(&self) {
        let until = self.position.borrow().probe_at;
        sleep_until(until).await;
    }

    /// The database answers: one message may be tried.
    pub(super) fn probes(&self) {
        self.change(|at| at.state = State::Probing);
    }

    /// Something failed for want of the database.
    pub(super) fn failed(&self, error: &str) {
        let was_open = self.is_open();
        let random = rand::random();
        self.change(|at| at.fail(Instant::now(), random));
        if was_open {
            tracing::warn!(
                queue = self.queue,
                error,
                "the consumer takes no messages until its database works again; none is lost and no attempt is counted"
            );
        }
    }

    /// A message did not fail for want of the database.
    pub(super) fn succeeded(&self) {
        // Called for every message: there is nothing to change while the gate is open.
        if self.is_open() {
            return;
        }
        let since = self.position.borrow().since;
        let mut opened = false;
        self.change(|at| opened = at.succeed(Instant::now()));
        if opened {
            tracing::info!(queue = self.queue, after = ?since.elapsed(), "the consumer takes messages again");
        }
    }

    fn change(&self, change: impl FnOnce(&mut Position)) {
        self.position.send_modify(change);
        let shown = match self.position.borrow().state {
            State::Open => 0,
            State::Probing => 1,
            State::Draining => 2,
            State::Closed => 3,
        };
        self.metrics.consumer_gate(self.queue, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: f64 = 1.0;

    fn closed(now: Instant) -> Position {
        let mut at = Position::open(now);
        at.fail(now, WHOLE);
        at.state = State::Closed;
        at
    }

    #[test]
    fn the_first_failure_closes_and_those_that_are_still_in_hand_change_nothing() {
        let now = Instant::now();
        let mut at = Position::open(now);
        for _ in 0..5 {
            at.fail(now, WHOLE);
            assert_eq!((at.state, at.probe_at - now), (State::Draining, PAUSES.first));
        }
        assert!(!at.succeed(now), "a late success is no probe");
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_to_its_end() {
        let now = Instant::now();
        let mut at = closed(now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            at.state = State::Probing;
            at.fail(now, WHOLE);
            assert_eq!(at.state, State::Closed);
            pauses.push(u64::try_from((at.probe_at - now).as_millis()).unwrap());
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
    }

    #[test]
    fn only_a_part_of_the_pause_is_waited_so_that_replicas_spread() {
        let now = Instant::now();
        let mut at = Position::open(now);
        at.fail(now, 0.0);
        assert_eq!(at.probe_at - now, PAUSES.first / 2);
    }

    #[test]
    fn the_probes_success_opens_and_the_next_pause_is_short_again() {
        let now = Instant::now();
        let mut at = closed(now);
        at.state = State::Probing;
        at.fail(now, WHOLE);
        at.state = State::Probing;
        assert!(at.succeed(now));
        assert_eq!(at.state, State::Open);
        at.fail(now, WHOLE);
        assert_eq!(at.probe_at - now, PAUSES.first);
    }
}
