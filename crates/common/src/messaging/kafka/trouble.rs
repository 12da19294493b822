//! What is wrong with Kafka, as far as its client has seen.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::process::{Finding, State};

/// How long the outlet leaves Kafka alone after a failure and, while there is trouble, after it began an attempt. The relay
/// sends nothing meanwhile, although commits wake it.
const REST: Duration = Duration::from_secs(1);

/// What keeps events from going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No broker answers, or none confirms in time.
    Away,
    /// The topic is not there.
    NoTopic,
    /// Kafka refuses what it is sent: for example, a right is missing, or too few replicas are in sync.
    Refuses,
}

impl Trouble {
    /// What cures it, in words; holds no address.
    const fn cure(self) -> &'static str {
        match self {
            Self::Away => {
                "Kafka does not answer or does not confirm; its events wait, and nothing else does. Is it up, and has each \
                 partition of the topic a leader and enough replicas in step? See outlets.kafka.url"
            }
            Self::NoTopic => "the topic is not there: create it, or set outlets.kafka.topic; its events wait meanwhile",
            Self::Refuses => {
                "Kafka refuses events; they wait. May Waypost write to the topic, are its replicas in step?"
            }
        }
    }
}

/// The trouble of one outlet, if any. Cheap to clone; all clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Why the last event could not go. A new connection does not clear it: the broker may answer while the partition has no
    /// leader.
    failure: Option<Trouble>,
    /// Whether the client said that it has no connection.
    is_cut_off: bool,
    /// Until when nothing is sent.
    rests_until: Option<Instant>,
}

impl Watch {
    /// An event could not go because of `trouble`.
    pub(super) fn failed(&self, trouble: Trouble, now: Instant) {
        self.note(|seen| {
            seen.rest(now);
            seen.failure = Some(trouble);
        });
    }

    /// An event is about to be sent: while there is trouble, a rest begins.
    pub(super) fn tries(&self, now: Instant) {
        let mut seen = self.0.lock();
        if seen.trouble().is_some() {
            seen.rest(now);
        }
    }

    /// An event was delivered: the trouble is over.
    pub(super) fn delivered(&self) {
        self.note(|seen| *seen = Seen::default());
    }

    /// The client is connected to a broker, or to none. That tells nothing of whether the brokers take events.
    pub(super) fn connected(&self, is_connected: bool) {
        self.note(|seen| seen.is_cut_off = !is_connected);
    }

    /// Forgets why events could not go: they are no longer this outlet's. A lost connection stays noted.
    pub(super) fn forgets(&self) {
        self.note(|seen| {
            seen.failure = None;
            seen.rests_until = None;
        });
    }

    /// Whether there is trouble, so that an event would probably not go.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.0.lock().trouble().is_some()
    }

    /// When something may be sent again; `None`: now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.0.lock().rests_until.filter(|until| now < *until)
    }

    /// For `/readyz`: at most degraded, since the service does its work without Kafka.
    pub(super) fn finding(&self) -> Finding {
        match self.0.lock().trouble() {
            None => State::Up.into(),
            Some(trouble) => Finding {
                state: State::Degraded,
                cure: Some(trouble.cure().into()),
                node: None,
            },
        }
    }

    /// Notes what was seen, and logs it when the trouble has changed by that.
    fn note(&self, see: impl FnOnce(&mut Seen)) {
        let mut seen = self.0.lock();
        let before = seen.trouble();
        see(&mut seen);
        match seen.trouble() {
            now if now == before => {}
            Some(trouble) => tracing::warn!(cure = trouble.cure(), "events for Kafka wait"),
            None => tracing::info!("nothing keeps events from Kafka any more"),
        }
    }
}

impl Seen {
    fn trouble(&self) -> Option<Trouble> {
        self.failure.or(self.is_cut_off.then_some(Trouble::Away))
    }

    /// Begins a rest. One that runs is not made longer: else many failures side by side would never let it end.
    fn rest(&mut self, now: Instant) {
        if self.rests_until.is_none_or(|until| until <= now) {
            self.rests_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_nothing_is_sent_for_a_second_or_until_something_went() {
        let (watch, now) = (Watch::default(), Instant::now());
        assert_eq!(watch.rests_until(now), None);
        watch.failed(Trouble::Away, now);
        assert_eq!(watch.rests_until(now), Some(now + REST));
        assert_eq!(watch.rests_until(now + REST), None);
        watch.failed(Trouble::Away, now + REST / 2);
        assert_eq!(
            watch.rests_until(now + REST),
            None,
            "a second failure makes it no longer"
        );
        watch.tries(now + REST);
        assert_eq!(
            watch.rests_until(now + REST),
            Some(now + REST * 2),
            "one attempt a second"
        );
        watch.delivered();
        assert_eq!(watch.rests_until(now + REST), None);
        watch.tries(now + REST);
        assert_eq!(
            watch.rests_until(now + REST),
            None,
            "without trouble, as many as there are"
        );
    }

    #[test]
    fn a_relay_that_stands_by_or_has_nothing_to_send_has_no_trouble_but_a_lost_connection() {
        for trouble in [Trouble::Away, Trouble::NoTopic, Trouble::Refuses] {
            let (watch, now) = (Watch::default(), Instant::now());
            watch.failed(trouble, now);
            watch.forgets();
            assert_eq!((watch.finding(), watch.rests_until(now)), (State::Up.into(), None));
            watch.connected(false);
            watch.forgets();
            assert_eq!(watch.finding().state, State::Degraded);
        }
    }

    #[test]
    fn trouble_degrades_and_names_its_cure_and_a_connection_heals_only_what_was_for_want_of_one() {
        let (watch, now) = (Watch::default(), Instant::now());
        assert_eq!(watch.finding(), State::Up.into());
        watch.connected(false);
        assert_eq!(watch.finding().state, State::Degraded);
        watch.connected(true);
        assert_eq!(watch.finding(), State::Up.into());

        for (trouble, cure) in [
            (Trouble::Away, "a leader and enough replicas"),
            (Trouble::NoTopic, "outlets.kafka.topic"),
            (Trouble::Refuses, "write to the topic"),
        ] {
            watch.failed(trouble, now);
            watch.connected(false);
            watch.connected(true);
            let found = watch.finding();
            assert!(found.cure.is_some_and(|told| told.contains(cure)), "{trouble:?}");
        }
        watch.delivered();
        assert_eq!(watch.finding(), State::Up.into());
    }
}
