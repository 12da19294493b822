//! The names of exchanges and queues on the broker.

use std::time::Duration;

use contracts::topology::{DEAD_EXCHANGE, EVENTS_EXCHANGE, SIGNS_EXCHANGE, UNROUTED};

use crate::messaging::error::BrokerError;

/// AMQP names have at most 255 bytes; the namespace leaves room for the rest of our names.
const MAX_NAMESPACE: usize = 100;

/// Where a message is sent.
pub(super) enum Destination<'a> {
    /// The events exchange; the message's type is the routing key.
    Event(&'a str),
    /// A work queue, past the events exchange.
    Work(&'a str),
    /// The delay queue of a work queue for this wait.
    Delay(&'a str, Duration),
    /// The dead letters of a work queue.
    Dead(&'a str),
}

/// The names of exchanges and queues on the broker: those of `contracts`, with the namespace before them.
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

    /// An exchange of an earlier release, which is deleted.
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

    /// The exclusive queue that a command holds while it works on a queue's dead letters.
    pub(super) fn dead_turn(&self, queue: &str) -> String {
        format!("{}.turn", self.dead(queue))
    }

    /// The delay is part of the name: a queue can't be declared again with another one.
    pub(super) fn delay(&self, queue: &str, after: Duration) -> String {
        format!("{}.retry.{}", self.of(queue), after.as_millis())
    }

    /// Exchange and routing key. The exchange with the empty name routes to the queue that has the key's name.
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
