//! The names of exchanges and queues on the broker.

use std::time::Duration;

use contracts::topology::{DEAD_EXCHANGE, EVENTS_EXCHANGE, SIGNS_EXCHANGE, UNROUTED};

use crate::messaging::error::BrokerError;

/// AMQP names have at most 255 bytes; ours need some of them.
const MAX_NAMESPACE: usize = 100;

/// Where a message is sent.
pub(super) enum Destination<'a> {
    /// The events exchange, by its type.
    Event(&'a str),
    /// A work queue, past the exchanges.
    Work(&'a str),
    /// A queue's delay queue.
    Delay(&'a str, Duration),
    /// A queue's dead letters.
    Dead(&'a str),
}

/// The names of exchanges and queues on the broker: those of `contracts`, behind the namespace.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Result<Self, BrokerError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if namespace.len() > MAX_NAMESPACE || !namespace.chars().all(allowed) {
            return Err(BrokerError::Namespace);
        }
        let prefix = if namespace.is_empty() {
            String::new()
        } else {
            format!("{namespace}.")
        };
        Ok(Self { prefix })
    }

    pub(super) fn events(&self) -> String {
        self.of(EVENTS_EXCHANGE)
    }

    /// An exchange of an earlier release.
    pub(super) fn former_bypass(&self) -> String {
        self.of("waypost.bypass")
    }

    pub(super) fn dead_exchange(&self) -> String {
        self.of(DEAD_EXCHANGE)
    }

    pub(super) fn unrouted(&self) -> String {
        self.of(UNROUTED)
    }

    pub(super) fn signs(&self) -> String {
        self.of(SIGNS_EXCHANGE)
    }

    pub(super) fn work(&self, queue: &str) -> String {
        self.of(queue)
    }

    /// The exchange before a work queue.
    pub(super) fn entry(&self, queue: &str) -> String {
        format!("{}.in", self.of(queue))
    }

    pub(super) fn dead(&self, queue: &str) -> String {
        format!("{}.dead", self.of(queue))
    }

    /// The queue that whoever works on a queue's dead letters holds meanwhile.
    pub(super) fn dead_turn(&self, queue: &str) -> String {
        format!("{}.turn", self.dead(queue))
    }

    /// The delay is part of the name: a queue can't be declared again with another one.
    pub(super) fn delay(&self, queue: &str, after: Duration) -> String {
        format!("{}.retry.{}", self.of(queue), after.as_millis())
    }

    /// Exchange and routing key. The empty exchange routes to the queue of the key's name.
    pub(super) fn route(&self, destination: &Destination<'_>) -> (String, String) {
        match destination {
            Destination::Event(kind) => (self.events(), (*kind).to_owned()),
            Destination::Work(queue) => (String::new(), self.work(queue)),
            Destination::Delay(queue, after) => (String::new(), self.delay(queue, *after)),
            Destination::Dead(queue) => (self.dead_exchange(), self.work(queue)),
        }
    }

    fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_behind_the_namespace() {
        let names = Names::new("x").unwrap();
        assert_eq!(names.events(), "x.waypost.events");
        assert_eq!(names.entry("email-worker.events"), "x.email-worker.events.in");
        assert_eq!(names.dead("email-worker.events"), "x.email-worker.events.dead");
        assert_eq!(names.delay("q", Duration::from_secs(10)), "x.q.retry.10000");
        assert_eq!(Names::new("").unwrap().unrouted(), "waypost.unrouted");
    }

    #[test]
    fn a_namespace_that_no_queue_can_have_is_refused() {
        for bad in ["a b", "ä", &"x".repeat(MAX_NAMESPACE + 1)] {
            assert!(Names::new(bad).is_err(), "{bad}");
        }
    }
}
