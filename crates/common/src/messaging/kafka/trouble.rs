//! What is wrong with Kafka, as far as its client has seen.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::process::{Finding, State};

/// How long the outlet leaves Kafka alone after a failure. Whoever commits meanwhile wakes the relay for nothing.
const REST: Duration = Duration::from_secs(1);

/// What keeps events from going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No broker answers, or none confirms in time.
    Away,
    /// The topic is not there.
    NoTopic,
    /// Kafka refuses what it is sent: for want of a right, or of replicas.
    Refuses,
}

impl Trouble {
    /// What is to be done; no address.
    const fn cure(self) -> &'static str {
        match self {
            Self::Away => {
                "Kafka does not answer; its events wait, and nothing else does. Is it up? See outlets.kafka.url"
            }
            Self::NoTopic => "the topic is not there: create it, or set outlets.kafka.topic; its events wait meanwhile",
            Self::Refuses => {
                "Kafka refuses events; they wait. May Waypost write to the topic, are its replicas in step?"
            }
        }
    }
}

/// The trouble of one outlet, if any. Cheap to clone; all clones tell of the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    trouble: Option<Trouble>,
    /// Until when nothing is sent.
    rests_until: Option<Instant>,
}

impl Watch {
    /// An event could not go for this.
    pub(super) fn failed(&self, trouble: Trouble, now: Instant) {
        let mut seen = self.0.lock();
        seen.rests_until = Some(now + REST);
        seen.note(Some(trouble));
    }

    /// An event went.
    pub(super) fn delivered(&self) {
        let mut seen = self.0.lock();
        seen.rests_until = None;
        seen.note(None);
    }

    /// The client is connected to a broker, or to none; of what its brokers do it knows nothing.
    pub(super) fn connected(&self, is_connected: bool) {
        let mut seen = self.0.lock();
        match (is_connected, seen.trouble) {
            (true, Some(Trouble::Away)) => seen.note(None),
            (false, None) => seen.note(Some(Trouble::Away)),
            _ => {}
        }
    }

    /// When something may be sent again; `None`: now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.0.lock().rests_until.filter(|until| now < *until)
    }

    /// For `/readyz`: without Kafka the service does all that it is for.
    pub(super) fn finding(&self) -> Finding {
        match self.0.lock().trouble {
            None => State::Up.into(),
            Some(trouble) => Finding {
                state: State::Degraded,
                cure: Some(trouble.cure().into()),
                node: None,
            },
        }
    }
}

impl Seen {
    fn note(&mut self, trouble: Option<Trouble>) {
        if self.trouble == trouble {
            return;
        }
        self.trouble = trouble;
        if let Some(trouble) = trouble {
            tracing::warn!(cure = trouble.cure(), "events for Kafka wait");
        } else {
            tracing::info!("events go to Kafka again");
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
        watch.failed(Trouble::Away, now);
        watch.delivered();
        assert_eq!(watch.rests_until(now), None);
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
            (Trouble::NoTopic, "outlets.kafka.topic"),
            (Trouble::Refuses, "write to the topic"),
        ] {
            watch.failed(trouble, now);
            watch.connected(true);
            watch.connected(false);
            let found = watch.finding();
            assert!(found.cure.is_some_and(|told| told.contains(cure)), "{trouble:?}");
        }
        watch.delivered();
        assert_eq!(watch.finding(), State::Up.into());
    }
}
